/** `deno task backup FILE`: a copy of the database file, of one moment, while servers write to it. */
import { backup, DatabaseSync } from "node:sqlite";
import { readArguments } from "./arguments.ts";
import { fail, say } from "./output.ts";
import { taskSettings } from "./task.ts";
import { isKvConnect } from "../config.ts";

const HELP = `deno task backup FILE

Writes a consistent, checked copy of the database file (KV_URL) to FILE while servers run. It contains every event that
was acknowledged before the backup began. FILE must not exist; only its owner can read it (mode 0600). To restore it,
stop the servers and replace the database file with it.`;

/** Longest wait for a server that writes. */
const BUSY_MS = 10_000;

/** More pages than a database has: all in one step. */
const ALL_PAGES = 2 ** 31 - 1;

const { positionals: [file] } = readArguments({ help: HELP, names: ["FILE"] });
if (file === undefined || file === "") fail("give exactly one file to write", HELP);
const { storage } = taskSettings();
if (isKvConnect(storage)) {
  fail("KV_URL is not a file; use deno task export or the tools of its server");
}
if (exists(file)) fail(`${file} already exists; choose another name`);

const began = performance.now();
// It has another name until it is complete and checked, so that a partial copy is not mistaken for a backup.
const part = `${file}.part`;
const parts = ["", "-wal", "-shm", "-journal"].map((suffix) => part + suffix);
const inTheWay = parts.find(exists);
if (inTheWay !== undefined) {
  fail(
    `${inTheWay} already exists. Another backup may be writing it; if not, delete it or choose another name.`,
  );
}
try {
  // Only its owner can read it; SQLite gives its other files the same mode.
  Deno.openSync(part, { write: true, createNew: true, mode: 0o600 }).close();
} catch (error) {
  fail(`Backup failed; nothing was written: ${messageOf(error)}`);
}
try {
  await copy(storage, part);
  check(part);
  Deno.renameSync(part, file);
} catch (error) {
  for (const path of parts.filter(exists)) Deno.removeSync(path);
  fail(`Backup failed; the incomplete file was deleted: ${messageOf(error)}`);
}
const megabytes = (Deno.statSync(file).size / 1024 / 1024).toFixed(1);
say(`backed up ${megabytes} MB in ${((performance.now() - began) / 1000).toFixed(1)} s`);

/**
 * One read transaction over the whole source, whose writers continue; it includes the WAL. In one step, since SQLite
 * restarts a copy whenever another process writes between two steps.
 */
async function copy(from: string, to: string): Promise<void> {
  using source = new DatabaseSync(from, { readOnly: true, timeout: BUSY_MS });
  await backup(source, to, { rate: ALL_PAGES });
}

/**
 * Makes the copy one file, without a WAL of its own; throws if SQLite finds it damaged: then the source is damaged too.
 */
function check(path: string): void {
  using copied = new DatabaseSync(path);
  copied.exec("PRAGMA journal_mode = DELETE");
  const found = copied.prepare("PRAGMA integrity_check(1)").get() as { integrity_check: string };
  if (found.integrity_check !== "ok") throw new Error(found.integrity_check);
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
