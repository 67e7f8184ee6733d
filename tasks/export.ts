/** `deno task export`: writes the accepted events, a line of JSON each, in the order of the journal. */
import { fchmodSync, fstatSync } from "node:fs";
import { exportEvents } from "../actors/journal/export.ts";
import { openStore } from "../actors/store/store.ts";
import { escaped } from "../routes/http/printable.ts";
import { readArguments } from "./arguments.ts";
import { fail, warn } from "./output.ts";
import { showProgress } from "./progress.ts";
import { existingSettings } from "./task.ts";
import { StorageUnavailable } from "../actors/store/errors.ts";

const HELP = `deno task export > events.ndjson

Writes all events accepted so far to standard output, one JSON line each, in journal order, while servers run on the
same database (KV_URL). "deno task import" imports them again. If standard output is a new file, only its owner can
read it (mode 0600).`;

/** The rights of users who do not own a file. */
const OTHERS = 0o077;

readArguments({ help: HELP });
const store = await openStore(existingSettings().storage).catch((error) =>
  fail(`failed to open storage: ${error.message}`)
);
keepToOwner();
const progress = showProgress("export", "events");
const encoder = new TextEncoder();
const writer = Deno.stdout.writable.getWriter();
let events = 0;
try {
  for await (const { lines, done, total } of exportEvents(store)) {
    // JSON writes the characters that a terminal obeys, or that some readers end a line at, by their codes too.
    await writer.write(encoder.encode(lines.map(escaped).join("\n") + "\n"));
    // Not `done`, which includes erased events.
    events += lines.length;
    progress.update(done, total);
  }
} catch (error) {
  // The reader (`head`, for example) may have stopped.
  if (error instanceof Deno.errors.BrokenPipe) Deno.exit(0);
  if (error instanceof StorageUnavailable) fail(`${error.message} (after ${events} events)`);
  throw error;
}
progress.end();
store.close();
warn(`exported ${events} events`);

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
