/**
 * `deno task vacuum`: writes the database file anew without what was deleted, while servers run. It has all permissions, as
 * SQLite attaches a second database for it, and Deno lets no other process do that.
 */
import { DatabaseSync } from "node:sqlite";
import { fail, taskSettings } from "./task.ts";

const HELP = `deno task vacuum

Writes the database file (KV_URL) anew, without the free pages in which bytes of what was deleted or erased stay, and empties
its -wal file, while servers run: they wait meanwhile, some 0.1 s for each 10 MB. Needs room for a copy of the file.`;

/** A server that writes is waited for so long. */
const BUSY_MS = 30_000;

if (Deno.args.includes("--help")) {
  console.log(HELP);
  Deno.exit(0);
}
if (Deno.args.length > 0) fail(`no argument ${Deno.args[0]}\n\n${HELP}`);
const { storage } = taskSettings();
if (storage === ":memory:" || /^https?:/.test(storage)) {
  fail("KV_URL is not a file: use the means of its server");
}
const began = performance.now();
try {
  Deno.statSync(storage);
  using database = new DatabaseSync(storage, { timeout: BUSY_MS });
  const before = Deno.statSync(storage).size;
  database.exec("VACUUM");
  // The new file stands in the WAL; where a reader still needs the old pages this says that it is busy.
  const { busy } = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get() as { busy: number };
  if (busy !== 0) fail("a server was reading all the time: vacuum again");
  const megabytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(1);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(
    `${megabytes(before)} MB became ${
      megabytes(Deno.statSync(storage).size)
    } MB in ${seconds} s; nothing that was ` +
      "deleted is left in the file",
  );
} catch (error) {
  fail(`the file was not written anew, and is as it was: ${error instanceof Error ? error.message : error}`);
}
