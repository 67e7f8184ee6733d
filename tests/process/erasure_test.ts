/** Erasure by servers in processes of their own: seen from all of them, finished after a kill, gone from export and file. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { erasureRequestKey } from "../../actors/store/keys.ts";
import { openStore } from "../../actors/store/store.ts";
import type { ErasureRequest } from "../../actors/erasure/requests.ts";
import { eventually, runTask, type Server, sleep, startServer, tempDir } from "./server.ts";

const PERSON = "planted-person";
const DEVICE = "planted-device";

/** A batch in which each fifth event is of the person. */
function batchOf(n: number): Record<string, unknown>[] {
  return Array.from({ length: 100 }, (_, i) => {
    const who = i % 5 === 0 ? { userId: PERSON, anonymousId: DEVICE } : { userId: `user${n % 7}-${i}` };
    const types = [{ type: "track", event: "Bought" }, { type: "identify", traits: { n, i } }, {
      type: "group",
      groupId: `group${i % 3}`,
      traits: { n },
    }];
    return { ...who, ...types[i % 3], messageId: `${n}-${i}` };
  });
}

const erase = (server: Server, query = "") =>
  server.ask(`/api/v1/users/${PERSON}${query}`, { method: "DELETE" });

async function sees(server: Server): Promise<number[]> {
  const paths = [`users/${PERSON}`, `users/${PERSON}/events`, `anonymous/${DEVICE}`];
  return await Promise.all(paths.map(async (path) => (await server.ask(`/api/v1/${path}`)).status));
}

/** Whether a file, or what SQLite lays beside it, holds the person's id. */
function isInFile(path: string): boolean {
  return ["", "-wal"].some((suffix) => {
    try {
      return Deno.readTextFileSync(path + suffix).includes("planted");
    } catch {
      return false;
    }
  });
}

Deno.test("who is erased is gone in all processes, from export, import and, once vacuumed, from the file", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  const old = `${dir.path}/old.ndjson`;
  await using one = await startServer(kvPath);
  await using other = await startServer(kvPath);
  for (let n = 0; n < 10; n++) strictEqual((await (n % 2 ? one : other).send(batchOf(n))).status, 200);
  // Both hold the person in memory.
  deepStrictEqual([await sees(one), await sees(other)], [[200, 200, 200], [200, 200, 200]]);
  await Deno.writeTextFile(old, (await runTask(kvPath, "export")).stdout);

  const { status, body } = await erase(one, "?suppress=all");
  deepStrictEqual([status, body.erased, body.suppressed], [
    200,
    { events: 200, logs: 2, groups: 1, rejected: 0 },
    true,
  ]);
  deepStrictEqual([await sees(other), await sees(one)], [[404, 404, 404], [404, 404, 404]]);
  const groups = await other.ask("/api/v1/groups/group2/events?limit=500");
  ok(groups.body.events.length > 0 && !JSON.stringify(groups.body).includes("planted"));

  strictEqual((await one.send({ type: "page", userId: PERSON })).status, 200);
  deepStrictEqual((await sees(one))[0], 404);
  // Elsewhere within 5 s: what the other has not stored is no duplicate when it is sent again.
  await eventually("the other drops them too", async () => {
    const late = { type: "page", anonymousId: DEVICE, messageId: crypto.randomUUID() };
    await other.send(late);
    return !(await other.send(late)).body.duplicate;
  });

  const exported = await runTask(kvPath, "export");
  strictEqual(exported.stdout.split("\n").filter((line) => line.includes(PERSON)).length, 0);
  match(exported.stderr, new RegExp(`exported ${exported.stdout.trimEnd().split("\n").length} events`));
  // An old export brings nobody back: ids are known within the window, and who is suppressed is not taken after it.
  const imported = await runTask(kvPath, "import", old);
  strictEqual(imported.code, 1);
  match(imported.stdout, /imported 0 events; 800 duplicates skipped; 200 lines rejected/);
  match(imported.stderr, /event of a suppressed person/);
  deepStrictEqual((await sees(other)).slice(0, 2), [404, 404]);
  const verified = await runTask(kvPath, "replay", "--verify");
  strictEqual(verified.code, 0, verified.stdout);

  // What came in before the other process knew.
  await one.ask(`/api/v1/anonymous/${DEVICE}`, { method: "DELETE" });
  const vacuumed = await runTask(kvPath, "vacuum");
  deepStrictEqual([vacuumed.code, vacuumed.stderr], [0, ""]);
  ok(!isInFile(kvPath), "the file holds the id");
  strictEqual((await other.send({ type: "page", userId: "after" })).status, 200);
  strictEqual((await one.ask("/api/v1/users/after")).status, 200);
  ok(!(one.written() + other.written()).includes("planted"));
});

/** Kills a server in the midst of an erasure; gives whether it was in time: whoever looks may be slower than the server. */
async function killedWhen(half: "it is requested" | "its plan is stored", kvPath: string): Promise<boolean> {
  await using server = await startServer(kvPath);
  for (let n = 0; n < 10; n++) strictEqual((await server.send(batchOf(n))).status, 200);
  const store = await openStore(kvPath);
  const request = async () => (await store.get<ErasureRequest>(erasureRequestKey(1))).value;
  let isOver = false;
  const erasing = erase(server).catch(() => undefined).finally(() => isOver = true);
  const isHalf = async () => half === "it is requested" ? await request() : (await request())?.plan;
  while (!isOver && !await isHalf()) await sleep(1);
  await server.end("SIGKILL");
  await erasing;
  const isRequested = await request() !== null;
  store.close();
  return isRequested;
}

for (const half of ["it is requested", "its plan is stored"] as const) {
  Deno.test(`an erasure whose server is killed when ${half} is finished by the next`, async () => {
    await using dir = await tempDir();
    let kvPath = "";
    for (let tries = 1, isHalf = false; !isHalf; tries++) {
      ok(tries <= 50, "it was killed too late, again and again");
      kvPath = `${dir.path}/${tries}.db`;
      isHalf = await killedWhen(half, kvPath);
    }
    await using server = await startServer(kvPath);
    // What was begun is gone on with unasked; who asks again is told what came of it, if it was not over before.
    const { status, body } = await erase(server);
    ok(status === 200 && [0, 200].includes(body.erased.events), JSON.stringify(body));
    deepStrictEqual(await sees(server), [404, 404, 404]);
    ok(!(await runTask(kvPath, "export")).stdout.includes("planted"));
    const verified = await runTask(kvPath, "replay", "--verify");
    strictEqual(verified.code, 0, verified.stdout);
  });
}
