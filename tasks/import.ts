/**
 * `deno task import`: imports events, a line of JSON each, as `deno task export` and Segment's raw exports write them; or
 * a whole database of version 0.3 (`import_old/`).
 */
import { Buffer } from "node:buffer";
import { createReadStream, statSync } from "node:fs";
import process from "node:process";
import { pipeline as pipe, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { parseExact } from "../domain/event/exact_json.ts";
import { syntaxFault } from "../domain/event/syntax_fault.ts";
import { openSystem } from "../actors/open.ts";
import { readStored } from "../domain/event/read_stored.ts";
import type { StoredEvent } from "../domain/event/event.ts";
import { createPipeline, type Source } from "../ingest/pipeline.ts";
import { placeholderStage } from "../ingest/stages/placeholders.ts";
import { suppressionStage } from "../ingest/stages/suppression.ts";
import { StorageUnavailable } from "../actors/store/errors.ts";
import { importOld } from "./import_old/import_old.ts";
import { isDatabase, UnreadableDatabase } from "./import_old/old_database.ts";
import { readArguments } from "./arguments.ts";
import { filesOf, NoFiles, STANDARD_INPUT } from "./import_files/files.ts";
import { linesOf } from "./import_files/lines.ts";
import { fail, say, warn } from "./output.ts";
import { showProgress } from "./progress.ts";
import { taskSettings } from "./task.ts";
import type { Receipt } from "../actors/appending/commit_group.ts";

const HELP = `deno task import FILE|FOLDER|GLOB...
deno task import OLD.db

Imports events from files (- is standard input) while servers run on the same database (KV_URL). A folder stands for all
files in it and in its folders, as in Segment's layout (segment-logs/{source}/{day}/*.gz). Files have one JSON event per line, gzipped or not, as written by "deno task export" and by Segment's raw exports. Events with a known
messageId are skipped, so importing again changes nothing. Invalid lines, and events of suppressed people, are reported
on standard error and skipped; the task then ends with status 1.

A database file of version 0.3 is imported whole into an empty database (KV_URL): events in their order, write keys,
contracts with their versions, suppressions and receipts of erasures. Stop its server first. The file is only read; the
task needs as much free space in TMPDIR as the file has. An interrupted import continues when it is run again.`;

/** Events in a commit: as many as a batch over HTTP has. */
const BATCH_EVENTS = 500;

/** The advice after every failure. */
const KEPT = "Events imported so far were kept; run the import again to continue.";

/** Bytes of JSON in a commit: incompressible events must fit too. */
const BATCH_BYTES = 500_000;

/** Commits that are waited for at once; they keep their order. */
const BATCHES_AT_ONCE = 4;

/** Lines that were refused and are named one by one. */
const SHOWN = 20;

/** Longest time without progress of settling at the end, in ms: then it is left to the servers. */
const STANDSTILL_MS = 30_000;

const { positionals } = readArguments({ help: HELP, names: ["FILE..."] });
if (positionals.length === 0) fail("no file given", HELP);
const files = findFiles();
const databases = await Promise.all(files.map((file) => file !== STANDARD_INPUT && isDatabase(file)));
if (databases.includes(true)) {
  if (files.length > 1) fail("import a database alone, without other files");
  await importDatabase(files[0]!);
}
const totalBytes = files.reduce((sum, file) => sum + (file === STANDARD_INPUT ? 0 : sizeOf(file)), 0);
const settings = taskSettings();
const system = await openSystem({
  ...settings,
  randomBytes: (bytes) => void crypto.getRandomValues(bytes),
}).catch((error) => fail(`failed to open storage: ${error.message}`));
/**
 * The stages of the pipeline that apply to the past too. Left out: rate limits, which concern senders; location and
 * contracts, which the events passed when they first came; and all observers, since nothing is news.
 */
const pipeline = createPipeline(
  [placeholderStage(Deno.env.get("PLACEHOLDER_IDS") ?? ""), suppressionStage(system.suppression, "refuse")]
    .filter((stage) => stage !== undefined),
  [],
);
/** One source for all files, so that a link in one line applies to later lines. */
const source: Source = { sender: { writeKeyId: "import" }, receivedAt: settings.clock.now() };
const progress = showProgress("import", "bytes");
let bytes = 0;
/** The position of the current line, for messages. */
let place = "";
let refused = 0;
let imported = 0;
let known = 0;
let batch: StoredEvent[] = [];
let batchBytes = 0;
/** The position of the first line of the batch. */
let batchPlace = "";
const waiting: { receipts: Promise<Receipt[]>; from: string }[] = [];

for (const file of files) {
  try {
    await take(file);
  } catch (error) {
    // Errors of reading and of inflating have a code; others are unexpected.
    const { code, message } = error as { code?: unknown; message: string };
    if (code === undefined) throw error;
    failIn(file, String(code).startsWith("Z_") ? "decompress" : "read", message);
  }
}
await send();
while (waiting.length > 0) await count();
await settle();
progress.end();
await system.close();
if (refused > SHOWN) warn(`and ${refused - SHOWN} more lines`);
say(`imported ${imported} events; ${known} duplicates skipped; ${refused} lines rejected`);
Deno.exit(refused > 0 ? 1 : 0);

/** Imports a database of version 0.3, and ends the task. */
async function importDatabase(file: string): Promise<never> {
  const options = { settings: taskSettings(), progress: showProgress("import", "events") };
  const outcome = await importOld(file, options).catch((error) => {
    if (error instanceof UnreadableDatabase) fail(error.message);
    if (error instanceof StorageUnavailable) fail(`Import failed: ${error.message}. ${KEPT}`);
    throw error;
  });
  const { events, known, writeKeys, contracts, suppressed, receipts, wasComplete } = outcome;
  if (wasComplete) say(`${file} was imported before; nothing has changed`);
  else {
    say(
      `imported ${events} events; ${known} imported before; ${writeKeys} write keys, ${contracts} contracts, ${suppressed} suppressions, ${receipts} receipts of erasures`,
    );
  }
  Deno.exit(0);
}

function findFiles(): string[] {
  try {
    return filesOf(positionals);
  } catch (error) {
    const { message } = error as Error;
    fail(error instanceof NoFiles ? message : `Failed to read: ${message}`);
  }
}

/** Settles what was imported: a server that gets no requests would do so only minutes later. */
async function settle(): Promise<void> {
  const first = (await system.stats()).unsettled;
  for (let left = first, since = performance.now(); left > 0;) {
    if (performance.now() - since > STANDSTILL_MS) {
      return warn(`${left} events are not settled yet; a server on this database settles them.`);
    }
    await settings.clock.sleep(50);
    const { unsettled } = await system.stats();
    if (unsettled < left) since = performance.now();
    left = Math.min(left, unsettled);
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    fail(`Failed to read ${path}: ${(error as Error).message}`);
  }
}

function failIn(file: string, what: "decompress" | "read", why: string): never {
  fail(`Failed to ${what} ${file}: ${why}. ${KEPT}`);
}

async function take(file: string): Promise<void> {
  let lineNumber = 0;
  for await (const { text, problem } of linesOf(await open(file))) {
    place = `${file === STANDARD_INPUT ? "standard input" : file} line ${++lineNumber}`;
    if (problem !== undefined) {
      refuse(problem);
      continue;
    }
    if (text.trim() === "") continue;
    const waiting = pipeline.reserve(source, 1);
    if (waiting instanceof Promise) await waiting.catch((error) => fail(`${place}: ${error.message}`));
    const event = eventOf(text);
    if (event === undefined) continue;
    const checking = pipeline.check(event, source);
    const rejection = checking instanceof Promise ? await checking : checking;
    if (rejection !== undefined) {
      refuse(rejection.code === "suppressed" ? "event of a suppressed person" : rejection.message);
      continue;
    }
    const lineBytes = Buffer.byteLength(text);
    if (batchBytes + lineBytes > BATCH_BYTES) await send();
    if (batch.length === 0) batchPlace = place;
    batch.push(event);
    batchBytes += lineBytes;
    if (batch.length === BATCH_EVENTS) await send();
    progress.update(bytes, Math.max(totalBytes, bytes));
  }
}

/** A file's text; inflated if its first bytes are those of gzip (RFC 1952, section 2.3.1), whatever its name. */
async function open(file: string): Promise<Readable> {
  const chunks: AsyncIterator<Buffer> = (file === STANDARD_INPUT ? process.stdin : createReadStream(file))
    [Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < 2) {
    const { value, done } = await chunks.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  async function* whole() {
    for (let chunk = head; chunk.length > 0;) {
      bytes += chunk.length;
      yield chunk;
      const { value, done } = await chunks.next();
      chunk = done ? Buffer.alloc(0) : value;
    }
  }
  const text = Readable.from(whole());
  if (head[0] !== 0x1f || head[1] !== 0x8b) return text;
  return pipe(text, createGunzip(), (error) => {
    if (error) failIn(file, "decompress", error.message);
  });
}

function eventOf(line: string): StoredEvent | undefined {
  let item: unknown;
  try {
    item = parseExact(line);
  } catch (error) {
    return refuse(`invalid JSON: ${syntaxFault(error)}`);
  }
  const { event, rejection } = readStored(item, { receivedAt: settings.clock.now(), newId: settings.newId });
  if (rejection !== undefined) {
    return refuse(rejection.path === "" ? rejection.message : `${rejection.path}: ${rejection.message}`);
  }
  return event;
}

function refuse(problem: string): undefined {
  if (++refused <= SHOWN) warn(`${place}: ${problem}`);
  return undefined;
}

async function send(): Promise<void> {
  if (batch.length === 0) return;
  const receipts = system.commit(batch, "import");
  // It is awaited later, perhaps after one before it failed.
  receipts.catch(() => {});
  waiting.push({ receipts, from: batchPlace });
  batch = [];
  batchBytes = 0;
  if (waiting.length >= BATCHES_AT_ONCE) await count();
}

async function count(): Promise<void> {
  const { receipts, from } = waiting.shift()!;
  const settled = await receipts.catch((error) => fail(`Failed from ${from} on: ${error.message}. ${KEPT}`));
  for (const { duplicate } of settled) duplicate ? known++ : imported++;
}
