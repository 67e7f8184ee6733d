/**
 * Storage that fails under a server: a full disk, a file that is read-only, one that is damaged, and one that a newer
 * version has settled. Each time the error is clear, what was answered stays, and all goes on when the cause is gone.
 */
import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert";
import { DatabaseSync } from "node:sqlite";
import { testWhere } from "../needs.ts";
import { FOLD_VERSION } from "../../domain/profile/fact.ts";
import { copyRepository, spawnTask } from "../routes/spawned.ts";
import { missingMount, missingReadOnly, protect, smallDisk } from "./mounts.ts";
import {
  ADMIN_TOKEN,
  closeInOrder,
  eventually,
  runTask,
  type Server,
  startServer,
  tempDir,
  WRITE_KEY,
  writes,
} from "./server.ts";

const BATCH = 100;

/** A batch of its own ids, whose text no compression makes small. */
function batch(n: number, userId = "u1") {
  return Array.from({ length: BATCH }, (_, i) => ({
    type: "track",
    event: "Order Completed",
    userId,
    messageId: `${n}_${i}`,
    properties: { text: Array.from({ length: 4 }, () => crypto.randomUUID()).join("") },
  }));
}

const isReady = async (server: Server) => (await server.ask("/readyz")).status === 200;

async function settled(server: Server): Promise<void> {
  await eventually(
    "all is settled",
    async () => (await server.ask("/api/v1/admin/stats")).body.unsettled === 0,
  );
}

/** How often the server has tried a commit again, by its metrics. */
async function commitRetries({ url }: Server): Promise<number> {
  const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
  return Number(/^signalfold_commit_retries_total (\d+)$/m.exec(await response.text())![1]);
}

async function verify(kvPath: string): Promise<void> {
  const { code, stdout, stderr } = await runTask(kvPath, "replay", "--verify");
  strictEqual(code, 0, stdout + stderr);
}

testWhere(missingMount, {
  name:
    "on a full disk a server refuses what it can't keep, at once, and still reads; with room again it goes on",
  async fn() {
    await using disk = await smallDisk(3);
    const kvPath = `${disk.path}/kv.db`;
    await using server = await startServer(kvPath);
    let taken = 0;
    const refused: number[] = [];
    for (let n = 0; refused.length < 5; n++) {
      ok(n < 1000, "the disk fills up");
      const { status, body } = await server.send(batch(n));
      if (status === 200) {
        taken++;
        continue;
      }
      deepStrictEqual([status, body.code], [503, "storage_unavailable"]);
      refused.push(n);
    }
    await writes(server, /"code":"storage_unavailable".*StorageFault: storage: database or disk is full/);
    strictEqual(await commitRetries(server), 0, "without trying until the deadline");
    ok(!/"status":500/.test(server.written()));
    strictEqual((await server.ask("/healthz")).status, 200);
    strictEqual((await server.ask("/api/v1/users/u1")).body.eventCount, taken * BATCH, "it still reads");
    await eventually("not ready", async () => !await isReady(server));

    await disk.remount("size=64m");
    await eventually("ready again, by itself", () => isReady(server));
    for (const n of refused) {
      const answer = await server.send(batch(n));
      deepStrictEqual([answer.status, answer.body.accepted], [200, BATCH]);
    }
    strictEqual((await server.ask("/api/v1/users/u1")).body.eventCount, (taken + refused.length) * BATCH);
    await settled(server);
    await verify(kvPath);
  },
});

testWhere(missingMount, {
  name:
    "on a disk that is read-only a server does not start on a file that was closed, and says so in a line; writable again, it does",
  async fn() {
    await using disk = await smallDisk(64);
    const kvPath = `${disk.path}/kv.db`;
    {
      await using server = await startServer(kvPath);
      strictEqual((await server.send(batch(0))).status, 200);
      await server.end("SIGTERM");
    }
    closeInOrder(kvPath);
    await disk.remount("ro");
    await rejects(
      async () => {
        await using _ = await startServer(kvPath);
      },
      /^Error: .*\n+signalfold: cannot start: failed to open KV_URL: \S.*\s*$/,
    );
    await disk.remount("rw");
    await using server = await startServer(kvPath);
    strictEqual((await server.ask("/api/v1/users/u1")).body.eventCount, BATCH);
    strictEqual((await server.send(batch(1))).status, 200);
  },
});

/**
 * A server on a file that it can't write. Deno KV ends a process in which it can't delete what has expired (it panics,
 * "KV collect expired failed"), which may happen before all is asked: then the next one is asked.
 */
async function refusesAndReads(kvPath: string, attempts = 5): Promise<void> {
  await using server = await startServer(kvPath);
  try {
    const { status, body } = await server.send(batch(1));
    deepStrictEqual([status, body.code], [503, "storage_unavailable"], server.written());
    await writes(server, /StorageFault: storage: .*read-?only database/);
    strictEqual((await server.ask("/readyz")).status, 503);
    strictEqual((await server.ask("/api/v1/users/u1")).body.eventCount, BATCH, "it still reads");
  } catch (error) {
    if (attempts === 1 || !server.written().includes("KV collect expired failed")) throw error;
    await refusesAndReads(kvPath, attempts - 1);
  }
}

testWhere(missingReadOnly, {
  name:
    "on a file that is read-only a server reads, refuses events and is not ready; writable again, it goes on",
  async fn() {
    await using dir = await tempDir();
    const kvPath = `${dir.path}/kv.db`;
    {
      await using server = await startServer(kvPath);
      strictEqual((await server.send(batch(0))).status, 200);
      await settled(server);
      await server.end("SIGTERM");
    }
    await protect(kvPath, true);
    try {
      await refusesAndReads(kvPath);
    } finally {
      await protect(kvPath, false);
    }
    await using server = await startServer(kvPath);
    await eventually("ready", () => isReady(server));
    strictEqual((await server.send(batch(1))).body.accepted, BATCH);
    strictEqual((await server.ask("/api/v1/users/u1")).body.eventCount, 2 * BATCH);
  },
});

Deno.test("a file that is no database is refused in a line, and left as it is", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  const text = "this is not a database, whatever its name says. ".repeat(200);
  await Deno.writeTextFile(kvPath, text);
  await rejects(
    startServer(kvPath),
    /\nsignalfold: cannot start: failed to open KV_URL: file is not a database\s*$/,
  );
  strictEqual(await Deno.readTextFile(kvPath), text);
});

/** SQLite's pages, and what a leaf of an index begins with: a page that others hang on is not what is damaged here. */
const PAGE_BYTES = 4096;
const LEAF = 0x0a;

/**
 * Spoils the page of a closed database file in which one of some texts stands, with what lies beside it, and gives which:
 * the first that is in a leaf. The file is written anew before, as pages in use hold remains of others.
 */
async function damage(path: string, texts: string[]): Promise<string> {
  const database = new DatabaseSync(path);
  database.exec("VACUUM");
  database.close();
  const bytes = await Deno.readFile(path);
  const file = new TextDecoder("latin1").decode(bytes);
  const pageOf = (text: string) => Math.floor(file.indexOf(text) / PAGE_BYTES) * PAGE_BYTES;
  const text = texts.find((each) => pageOf(each) > 0 && bytes[pageOf(each)] === LEAF);
  ok(text !== undefined, "one of them stands in a leaf");
  bytes.fill(0xff, pageOf(text), pageOf(text) + 400);
  await Deno.writeFile(path, bytes);
  return text;
}

Deno.test("a damaged page fails what needs it, by name in the log, and nothing else; a file put back from before is whole", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  const users = Array.from({ length: 60 }, (_, n) => `user_${String(n).padStart(2, "0")}`);
  {
    await using server = await startServer(kvPath);
    for (const [n, user] of users.entries()) await server.send(batch(n, user).slice(0, 40));
    await settled(server);
    await server.end("SIGTERM");
  }
  closeInOrder(kvPath);
  await Deno.copyFile(kvPath, `${kvPath}.before`);
  const middle = users.slice(20, 40).map((user) => `"id":"${user}"`);
  const [victim] = /user_\d+/.exec(await damage(kvPath, middle))!;
  {
    await using server = await startServer(kvPath);
    const { status, body } = await server.ask(`/api/v1/users/${victim}`);
    deepStrictEqual([status, body.code], [503, "storage_unavailable"]);
    await writes(server, /StorageFault: storage: database disk image is malformed/);
    strictEqual((await server.ask("/api/v1/users/user_00")).body.eventCount, 40);
    strictEqual((await server.send(batch(100, "user_00"))).status, 200);
    strictEqual((await server.ask("/api/v1/users/user_00")).body.eventCount, 40 + BATCH);

    // What can't be settled is taken all the same; that it can't is told, and after a while the server is not ready.
    strictEqual((await server.send(batch(101, victim))).status, 200);
    await eventually(
      "not ready, as settling fails",
      async () => (await server.ask("/readyz")).body.code === "settling_fails",
      { everyMs: 500 },
    );
    await writes(server, /"code":"settling","error":"[^"]*database disk image is malformed/);
    const { code, stderr } = await runTask(kvPath, "replay", "--verify");
    strictEqual(code, 2, stderr);
    match(stderr, /^signalfold: .*(database disk image is malformed|nothing was settled for 30 s)/m);
    ok(!/^ +at /m.test(stderr), stderr);
    await server.end("SIGKILL");
  }
  // As docs/operations.md says: without the files that belong to the damaged one.
  for (const suffix of ["", "-wal", "-shm"]) {
    await Deno.remove(kvPath + suffix).catch(() => {});
  }
  await Deno.rename(`${kvPath}.before`, kvPath);
  await using server = await startServer(kvPath);
  strictEqual((await server.ask(`/api/v1/users/${victim}`)).body.eventCount, 40);
  strictEqual((await server.send(batch(101, victim))).status, 200);
  await settled(server);
  await verify(kvPath);
});

Deno.test("beside a newer fold version a server of the older one takes events, reads right, and leaves settling to it", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  const newerCode = await copyRepository();
  try {
    const source = `${newerCode}/domain/profile/fact.ts`;
    const text = await Deno.readTextFile(source);
    const newer = text.replace(
      /FOLD_VERSION = (\d+)/,
      (_, version) => `FOLD_VERSION = ${Number(version) + 1}`,
    );
    ok(newer !== text);
    await Deno.writeTextFile(source, newer);
    const env = { PORT: "0", HOST: "127.0.0.1", KV_URL: kvPath, ADMIN_TOKEN, WRITE_KEY };

    await using older = await startServer(kvPath);
    strictEqual((await older.send(batch(0))).status, 200);
    await settled(older);
    {
      await using upgraded = spawnTask(newerCode, "start", env);
      const url = await upgraded.url();
      // Each settles what it has taken; once the newer has, it is the only one.
      let sent = 0;
      await eventually("the newer settles", async () => {
        using kv = await Deno.openKv(kvPath);
        const { value } = await kv.get<{ fold: number }>(["settled"]);
        if (value!.fold > FOLD_VERSION) return true;
        const answer = await fetch(`${url}/api/v1/events/batch`, {
          method: "POST",
          headers: { authorization: `Basic ${btoa(`${WRITE_KEY}:`)}` },
          body: JSON.stringify({ batch: batch(1000 + sent++) }),
        });
        strictEqual((await answer.json()).accepted, BATCH);
        return false;
      }, { everyMs: 500 });
      await settled(older);
      ok(await isReady(older));
      strictEqual((await older.ask("/api/v1/users/u1")).body.eventCount, (1 + sent) * BATCH);
    }
    const before = (await older.ask("/api/v1/users/u1")).body.eventCount;
    strictEqual((await older.send(batch(3))).status, 200);
    strictEqual((await older.ask("/api/v1/users/u1")).body.eventCount, before + BATCH);
    await writes(older, new RegExp(`\\(fold ${FOLD_VERSION + 1}, this process has ${FOLD_VERSION}\\)`));
    const { code, stderr } = await runTask(kvPath, "replay", "--user", "u1");
    strictEqual(code, 2);
    match(stderr, /^signalfold: .*written by a newer version/m);
    await eventually("nobody settles: the older is not ready", async () => !await isReady(older), {
      everyMs: 500,
    });

    await using upgraded = spawnTask(newerCode, "start", env);
    await upgraded.url();
    await eventually("ready again", () => isReady(older), { everyMs: 500 });
    strictEqual((await older.ask("/api/v1/users/u1")).body.eventCount, before + BATCH);
    await settled(older);
    await using replayed = spawnTask(newerCode, "replay", env);
    strictEqual((await replayed.status).code, 0, replayed.errors());
  } finally {
    await Deno.remove(newerCode, { recursive: true });
  }
});
