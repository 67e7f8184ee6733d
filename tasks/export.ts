/** `deno task export`: writes the accepted events, a line of JSON each, in the order of the journal; or profiles. */
import { fchmodSync, fstatSync } from "node:fs";
import { exportEvents } from "../actors/journal/export.ts";
import { parseExact } from "../domain/event/exact_json.ts";
import type { StoredEvent } from "../domain/event/event.ts";
import { isPosition, type Position } from "../domain/event/position.ts";
import { parseTimestamp } from "../domain/event/timestamp.ts";
import { escaped } from "../routes/http/printable.ts";
import { readArguments } from "./arguments.ts";
import { exportProfiles } from "./export_profiles.ts";
import { fail, warn } from "./output.ts";
import { showProgress } from "./progress.ts";
import { existingSettings, openExisting } from "./task.ts";
import { StorageUnavailable } from "../actors/store/errors.ts";

const HELP = `deno task export [--after POSITION] [--from TIME] [--to TIME] > events.ndjson
deno task export --profiles [--csv] > profiles.ndjson

Writes all events accepted so far to standard output, one JSON line each, in journal order, while servers run on the
same database (KV_URL). "deno task import" imports them again. If standard output is a new file, only its owner can
read it (mode 0600).

  --after POSITION  only events behind this position; the task ends with the position of the last one
  --from TIME       only events that happened at this time or later (timestamp, ISO 8601)
  --to TIME         only events that happened before this time
  --profiles        the profiles of all users and groups instead, one JSON line each
  --csv             profiles as CSV (RFC 4180), with a column per trait
  --help            this text`;

/** The rights of users who do not own a file. */
const OTHERS = 0o077;

const { values } = readArguments({
  help: HELP,
  options: {
    after: { type: "string" },
    from: { type: "string" },
    to: { type: "string" },
    profiles: { type: "boolean" },
    csv: { type: "boolean" },
  },
});
const after = positionOf(values.after);
const [fromMs, toMs] = [momentOf("--from", values.from), momentOf("--to", values.to)];
const profiles = values.profiles ?? false;
if (values.csv && !profiles) fail("--csv needs --profiles: events have no columns");
if (profiles && (values.after ?? values.from ?? values.to) !== undefined) {
  fail("--profiles takes no --after, --from and --to: it writes the profiles as they are now");
}
const settings = existingSettings();
keepToOwner();
const progress = showProgress("export", profiles ? "profiles" : "events");
const encoder = new TextEncoder();
const writer = Deno.stdout.writable.getWriter();
let written = 0;
let last: Position | undefined;
try {
  if (profiles) {
    await exportProfiles(settings, { csv: values.csv ?? false, write, onProgress: progress.update });
  } else await exportJournal();
} catch (error) {
  // The reader (`head`, for example) may have stopped.
  if (error instanceof Deno.errors.BrokenPipe) Deno.exit(0);
  if (error instanceof StorageUnavailable) fail(`${error.message} (after ${written} lines)`);
  throw error;
}
progress.end();
if (profiles) warn(`exported ${written} profiles`);
else {
  warn(`exported ${written} events`);
  if (last !== undefined) warn(`to continue: --after ${last}`);
}
Deno.exit(0);

async function exportJournal(): Promise<void> {
  const store = await openExisting(settings.storage);
  const isWanted = fromMs === undefined && toMs === undefined ? () => true : isBetween;
  for await (const { lines, positions, done, total } of exportEvents(store, after && { after })) {
    await write(lines.filter(isWanted));
    last = positions.at(-1);
    progress.update(Math.min(done, total), total);
  }
  store.close();
}

/** Writes lines. JSON writes the characters that a terminal obeys, or that some readers end a line at, by their codes. */
async function write(lines: readonly string[], { isHead = false } = {}): Promise<void> {
  if (lines.length === 0) return;
  await writer.write(encoder.encode(lines.map(escaped).join("\n") + "\n"));
  if (!isHead) written += lines.length;
}

function isBetween(line: string): boolean {
  const ms = Date.parse((parseExact(line) as StoredEvent).timestamp);
  return (fromMs === undefined || ms >= fromMs) && (toMs === undefined || ms < toMs);
}

function positionOf(text: string | undefined): Position | undefined {
  if (text === undefined || isPosition(text)) return text;
  fail(`--after must be a position of 24 hex digits, as an export or the API gives it; got ${text}`);
}

function momentOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return parseTimestamp(text) ?? fail(`${option} must be an ISO 8601 date or date-time; got ${text}`);
}

/**
 * An export contains everything that is known about people, and the shell created its file with a general mask. The
 * mode of a file with content was chosen by somebody; a pipe or a terminal has none.
 */
function keepToOwner(): void {
  if (Deno.build.os === "windows") return;
  const standardOutput = fstatSync(1);
  if (!standardOutput.isFile() || (standardOutput.mode & OTHERS) === 0) return;
  const mode = `mode 0${(standardOutput.mode & 0o777).toString(8)}`;
  if (standardOutput.size > 0) {
    return warn(`Other users of this machine can access the export file (${mode}).`);
  }
  try {
    fchmodSync(1, 0o600);
    warn(`The export file is now readable by its owner only (mode 0600, was ${mode.slice(5)}).`);
  } catch (error) {
    warn(
      `Other users of this machine can access the export file (${mode}): ${(error as Error).message}`,
    );
  }
}
