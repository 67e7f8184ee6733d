/** One rate limit, two servers on one database file, each offered several times what the key may send. */
import { ok, strictEqual } from "node:assert";
import { type Server, startServer, tempDir } from "./server.ts";

/**
 * Events a second, and at once: little, so that a busy machine offers several times as much all the same; and the burst of
 * a second, so that nothing is lost while it does something else for half of one.
 */
const RATE_LIMIT = { perSecond: 100, burst: 100 };
const BATCH = 10;
const SECONDS = 10;
/** How long each of two senders to a server rests between its batches. */
const EVERY_MS = 10;

const events = Array.from({ length: BATCH }, () => ({ type: "track", event: "x", userId: "u1" }));

/** Offers batches for a time; gives how many events were taken, and how many offered. */
async function offer(server: Server, key: string): Promise<{ taken: number; offered: number }> {
  const end = performance.now() + SECONDS * 1000;
  let [taken, offered] = [0, 0];
  const worker = async () => {
    while (performance.now() < end) {
      const { status } = await server.send(events, key);
      ok(status === 200 || status === 429, `${status}`);
      offered += BATCH;
      if (status === 200) taken += BATCH;
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  };
  await Promise.all([worker(), worker()]);
  return { taken, offered };
}

Deno.test("two servers under load let through what a key may send within 10 %, and one alone all of it", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  await using one = await startServer(kvPath);
  await using two = await startServer(kvPath);
  const make = async () =>
    (await one.ask("/api/v1/admin/keys", { method: "POST", body: { name: "x", rateLimit: RATE_LIMIT } }))
      .body;
  const [shared, alone] = [await make(), await make()];
  // A key that is made elsewhere is known within 5 s.
  for (const { key } of [shared, alone]) {
    while ((await two.send({}, key)).status === 401) await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const due = RATE_LIMIT.perSecond * SECONDS + RATE_LIMIT.burst;
  const both = await Promise.all([offer(one, shared.key), offer(two, shared.key)]);
  const taken = both[0].taken + both[1].taken;
  const said = JSON.stringify(both);
  ok(both[0].offered + both[1].offered > 2 * due, `offered too little to tell: ${said}`);
  ok(Math.abs(taken - due) <= due / 10, `two took ${said} of ${due}`);
  ok(both.every((each) => each.taken > taken / 5), `both get a share: ${said}`);
  const single = await offer(one, alone.key);
  ok(single.offered > 1.5 * due, `offered too little to tell: ${JSON.stringify(single)}`);
  ok(Math.abs(single.taken - due) <= due / 10, `one alone took ${JSON.stringify(single)} of ${due}`);
  console.log(`due ${due}; two took ${said}; one alone ${JSON.stringify(single)}`);
  const { keys } = (await two.ask("/api/v1/admin/keys")).body;
  const ageMs = Date.now() - Date.parse(keys.find(({ id }: { id: string }) => id === shared.id).lastUsedAt);
  ok(ageMs >= 0 && ageMs < 60_000, `the other shows the last use too, to a minute: ${ageMs} ms ago`);
  strictEqual(keys.find(({ id }: { id: string }) => id === alone.id).rateLimit.burst, RATE_LIMIT.burst);
});
