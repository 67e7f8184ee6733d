/** A server on a database file in which a page is damaged. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { closeInOrder, eventually, runTask, startServer, tempDir, writes } from "../process/server.ts";
import { BATCH, batch, settled, verify } from "../process/storage.ts";

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
