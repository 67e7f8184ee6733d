/**
 * `deno task vacuum`: rewrites the database file without deleted data, while servers run. SQLite attaches a second
 * database for it, which Deno allows only to a process that was started with all permissions. So this loads no package,
 * and gives up every permission once the file is open: later code can reach only the database.
 */
import { DatabaseSync } from "node:sqlite";
import { readArguments } from "./arguments.ts";
import { fail, say } from "./output.ts";

const HELP = `deno task vacuum

Rewrites the database file (KV_URL) without free pages, which may hold deleted or erased data, and empties its -wal file.
Servers can keep running; they wait some 0.1 s for each 10 MB. Needs free disk space for a copy of the file.`;

/** Longest wait for a server that writes. */
const BUSY_MS = 30_000;

const PERMISSIONS = ["read", "write", "net", "env", "sys", "run", "ffi", "import"] as const;

readArguments({ help: HELP });
// `DATABASE` is the default, from the task: the settings themselves would load a package.
const storage = Deno.env.get("KV_URL") || Deno.env.get("DATABASE")!;
if (storage === ":memory:" || /^https?:/i.test(storage)) {
  fail("KV_URL is not a file; use the tools of its server");
}
const began = performance.now();
try {
  Deno.statSync(storage);
  using database = new DatabaseSync(storage, { timeout: BUSY_MS });
  for (const name of PERMISSIONS) Deno.permissions.revokeSync({ name });
  const megabytes = () => {
    const { page_count } = database.prepare("PRAGMA page_count").get() as { page_count: number };
    const { page_size } = database.prepare("PRAGMA page_size").get() as { page_size: number };
    return (page_count * page_size / 1024 / 1024).toFixed(1);
  };
  const before = megabytes();
  database.exec("VACUUM");
  // The new file is in the WAL; if a reader still needs the old pages, this reports that it is busy.
  const { busy } = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get() as { busy: number };
  if (busy !== 0) fail("Vacuum is incomplete because a server was reading all the time. Run it again.");
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  say(
    `vacuum done in ${seconds} s: ${before} MB before, ${megabytes()} MB after; no deleted data is left in the file`,
  );
} catch (error) {
  fail(`Vacuum failed; the database is unchanged: ${error instanceof Error ? error.message : error}`);
}
