/**
 * Storage that fails under a server: a full disk, a file that is read-only, and one that is no database. Each time the
 * error is clear, what was answered stays, and all goes on when the cause is gone.
 */
import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert";
import { testWhere } from "../needs.ts";
import { missingMount, missingReadOnly, protect, smallDisk } from "./mounts.ts";
import {
  ADMIN_TOKEN,
  closeInOrder,
  eventually,
  type Server,
  startServer,
  tempDir,
  writes,
} from "./server.ts";
import { BATCH, batch, isReady, settled, verify } from "./storage.ts";

/** How often the server has tried a commit again, by its metrics. */
async function commitRetries({ url }: Server): Promise<number> {
  const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
  return Number(/^signalfold_commit_retries_total (\d+)$/m.exec(await response.text())![1]);
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
