/** One rate limit, two servers on one database file, each offered several times what the key may send. */
import { ok, strictEqual } from "node:assert";
import { eventually, type Server, sleep, startServer, tempDir } from "./server.ts";

/**
 * Events a second, and at once: little, so that a busy machine offers several times as much all the same; and the burst of
 * five seconds, so that nothing is lost while it does something else for as long.
 */
const RATE_LIMIT = { perSecond: 20, burst: 100 };
const BATCH = 10;
const SECONDS = 15;
/** Senders to a server, who share its commits where the disk is slow, and how long each rests between its batches. */
const SENDERS = 6;
const EVERY_MS = 50;
/** Where nothing was refused by then, too little was offered. */
const NEVER_MS = 120_000;

const events = Array.from({ length: BATCH }, () => ({ type: "track", event: "x", userId: "u1" }));

/** What came of an offer: events taken and offered, by server; and how much was due, as far as can be told from outside. */
interface Offered {
  taken: number[];
  offered: number[];
  due: { least: number; most: number };
}

/**
 * Offers batches for a time, and then until each server has refused one: what was due by then is taken. The time that has
 * passed is that which really has: a machine may do something else for a while, whenever it likes.
 */
async function offer(servers: Server[], key: string): Promise<Offered> {
  const [taken, offered, refusedMs] = [servers.map(() => 0), servers.map(() => 0), servers.map(() => 0)];
  const began = performance.now();
  let answeredMs = Infinity;
  const worker = async (server: Server, index: number) => {
    for (let isRefused = false; !isRefused || performance.now() < began + SECONDS * 1000;) {
      const begunMs = performance.now();
      if (begunMs > began + NEVER_MS) return;
      const { status } = await server.send(events, key);
      // A disk on which a commit takes longer than 10 s: nothing was taken, and the limit has its events back.
      ok(status === 200 || status === 429 || status === 503, `${status}`);
      if (status === 503) continue;
      answeredMs = Math.min(answeredMs, performance.now());
      isRefused = status === 429;
      offered[index]! += BATCH;
      if (isRefused) refusedMs[index] = Math.max(refusedMs[index]!, begunMs);
      else taken[index]! += BATCH;
      await sleep(EVERY_MS);
    }
  };
  await Promise.all(
    servers.flatMap((server, index) => Array.from({ length: SENDERS }, () => worker(server, index))),
  );
  const dueAfter = (ms: number) => RATE_LIMIT.burst + (RATE_LIMIT.perSecond * ms) / 1000;
  const due = {
    least: dueAfter(Math.min(...refusedMs) - answeredMs),
    most: dueAfter(performance.now() - began),
  };
  return { taken, offered, due };
}

const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);

Deno.test("two servers under load let through what a key may send within 10 %, and one alone all of it", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  await using one = await startServer(kvPath);
  await using two = await startServer(kvPath);
  const make = async () =>
    (await one.ask("/api/v1/admin/keys", { method: "POST", body: { name: "x", rateLimit: RATE_LIMIT } }))
      .body;
  const [shared, alone] = [await make(), await make()];
  for (const { key } of [shared, alone]) {
    await eventually("the key is known elsewhere", async () => (await two.send({}, key)).status !== 401);
  }
  for (const [servers, key] of [[[one, two], shared.key], [[one], alone.key]] as const) {
    const { taken, offered, due } = await offer([...servers], key);
    const said = JSON.stringify({ taken, offered, due });
    console.log(`${servers.length} servers: ${said}`);
    ok(sum(offered) > 1.5 * due.most, `offered too little to tell: ${said}`);
    ok(sum(taken) >= 0.9 * due.least && sum(taken) <= 1.1 * due.most, `not what is due: ${said}`);
    ok(taken.every((each) => each > sum(taken) / 5), `each gets a share: ${said}`);
  }
  const usedMs = Date.now();
  await one.send(events, shared.key);
  const lastUseOf = async () => {
    const { keys } = (await two.ask("/api/v1/admin/keys")).body;
    return Date.parse(keys.find(({ id }: { id: string }) => id === shared.id).lastUsedAt);
  };
  await eventually(
    "the other shows the last use too, to a minute",
    async () => await lastUseOf() > usedMs - 60_000,
  );
  ok(await lastUseOf() <= Date.now());
  const { keys } = (await two.ask("/api/v1/admin/keys")).body;
  strictEqual(keys.find(({ id }: { id: string }) => id === alone.id).rateLimit.burst, RATE_LIMIT.burst);
});
