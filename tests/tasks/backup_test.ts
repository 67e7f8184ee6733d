/**
 * Backup and restore as `docs/operations.md` says, by the commands that stand there: while a server takes events, and
 * into the place of a database that is lost.
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { missing, testWhere } from "../needs.ts";
import { createLedger, newSeed, randomOf } from "../process/ledger.ts";
import {
  closeInOrder,
  eventually,
  ROOT,
  runCommand,
  runTask,
  startServer,
  tempDir,
} from "../process/server.ts";

/** The two blocks of the section, in its order: how a backup is made, and how one is put in place. */
function commands(): [backup: string, restore: string] {
  const text = Deno.readTextFileSync(`${ROOT}docs/operations.md`);
  const section = /\n## Backup and restore\n([^]*?)\n## /.exec(text)?.[1] ?? "";
  const [backup, restore] = [...section.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block]) => block!);
  match(backup ?? "", /deno task backup/);
  match(restore ?? "", /^cp /m);
  return [backup!, restore!];
}

/** Runs a block of the section by a shell, on the files of this test in the place of those that it names. */
async function runBlock(
  block: string,
  { kvPath, backup }: { kvPath: string; backup: string },
): Promise<void> {
  const script = block.replaceAll("/var/lib/signalfold/signalfold.db", kvPath)
    .replaceAll("/var/backups/signalfold.db", backup);
  ok(!script.includes("/var/"), script);
  const { code, stdout, stderr } = await runCommand("bash", ["-ec", `deno() { "$DENO" "$@"; }\n${script}`], {
    DENO: Deno.execPath(),
  });
  strictEqual(code, 0, stdout + stderr);
}

testWhere(missing("bash"), {
  name:
    "a backup made under load, put in the place of a lost database, holds all that was answered before it began",
  async fn() {
    await using dir = await tempDir();
    const kvPath = `${dir.path}/kv.db`;
    const backup = `${dir.path}/backup.db`;
    const random = randomOf(newSeed("backup"));
    const ledger = createLedger("backup", random);
    const [makeBackup, restore] = commands();
    let before: string[];
    {
      await using server = await startServer(kvPath);
      const stop = new AbortController();
      const load = ledger.load(server, { workers: 3, signal: stop.signal, restMs: 30 });
      await eventually("a load that was answered", () => ledger.answered().length > 5_000);
      before = ledger.answered().map(({ messageId }) => messageId);
      await runBlock(makeBackup, { kvPath, backup });
      const during = ledger.answered().length;
      await eventually("more after it", () => ledger.answered().length > during);
      stop.abort();
      await load;
      strictEqual((await server.ask("/healthz")).status, 200);
      await ledger.check(server);
      await server.end("SIGKILL");
    }
    // The disk gave nonsense back; a WAL of the lost database lies about too.
    await Deno.writeTextFile(kvPath, "lost");
    await runBlock(restore, { kvPath, backup });
    await using server = await startServer(kvPath);
    const { body: { head } } = await server.ask("/api/v1/admin/stats");
    ok(before.length > 0 && head >= before.length, `${head} of ${before.length}`);
    for (const messageId of before.slice(-20)) {
      const { body } = await server.send({ type: "track", event: "Again", userId: "again", messageId });
      strictEqual(body.duplicate, true, messageId);
    }
    const { code, stdout } = await runTask(kvPath, "replay", "--verify");
    strictEqual(code, 0, stdout);
    // What came after the backup is sent again by its client, and nothing is there twice.
    const events = ledger.entries().flatMap(({ body }) => body);
    for (let n = 0; n < events.length; n += 500) {
      strictEqual((await server.send(events.slice(n, n + 500))).body.rejected, 0);
    }
    await ledger.check(server);
  },
});

/** The names in a folder. */
function namesIn(path: string): string[] {
  return Array.from(Deno.readDirSync(path), ({ name }) => name);
}

const REFUSED: [what: string, kvUrl: (dir: string) => string, args: string[], line: RegExp][] = [
  ["without a name", (dir) => `${dir}/kv.db`, [], /^signalfold: give exactly one file to write$/m],
  [
    "over a file that exists",
    (dir) => `${dir}/kv.db`,
    ["deno.json"],
    /^signalfold: deno\.json already exists/m,
  ],
  ["of what is no file", () => "http://127.0.0.1:1", ["x.db"], /^signalfold: KV_URL is not a file/m],
  ["of a database that is not there", (dir) => `${dir}/none.db`, ["x.db"], /^signalfold: Backup failed/m],
];

for (const [what, kvUrl, args, line] of REFUSED) {
  Deno.test(`a backup ${what} is refused in a line, with status 2, and writes nothing`, async () => {
    await using dir = await tempDir();
    const { code, stderr } = await runTask(kvUrl(dir.path), "backup", ...args);
    strictEqual(code, 2, stderr);
    match(stderr, line);
    deepStrictEqual(namesIn(dir.path), []);
    ok(!namesIn(ROOT).some((name) => name.startsWith("x.db")));
  });
}

for (const suffix of ["", "-wal", "-shm", "-journal"]) {
  Deno.test(`a backup is refused if FILE.part${suffix} exists, and leaves that file as it is`, async () => {
    await using dir = await tempDir();
    const inTheWay = `${dir.path}/backup.db.part${suffix}`;
    await Deno.writeTextFile(inTheWay, "somebody else's");
    const { code, stdout, stderr } = await runTask(`${dir.path}/kv.db`, "backup", `${dir.path}/backup.db`);
    deepStrictEqual([code, stdout], [2, ""]);
    match(stderr, /^signalfold: .*backup\.db\.part.* already exists\. Another backup may be writing it.*\n$/);
    strictEqual(await Deno.readTextFile(inTheWay), "somebody else's");
    deepStrictEqual(namesIn(dir.path), [`backup.db.part${suffix}`]);
  });
}

Deno.test("a backup of a damaged database is reported, and not kept", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  {
    await using server = await startServer(kvPath);
    const text = "x".repeat(500);
    const batch = Array.from({ length: 400 }, (_, n) => (
      { type: "track", event: "A", userId: `user_${n}`, messageId: `${n}`, properties: { text } }
    ));
    strictEqual((await server.send(batch)).status, 200);
    await server.end("SIGTERM");
  }
  // Else the log beside it may hold every page that is damaged here.
  closeInOrder(kvPath);
  const bytes = await Deno.readFile(kvPath);
  bytes.fill(0xff, 4096 * 4);
  await Deno.writeFile(kvPath, bytes);
  const { code, stderr } = await runTask(kvPath, "backup", `${dir.path}/backup.db`);
  strictEqual(code, 2, stderr);
  match(stderr, /^signalfold: Backup failed; the incomplete file was deleted: /);
  ok(!namesIn(dir.path).some((name) => name.startsWith("backup")), "nothing is left of it");
});
