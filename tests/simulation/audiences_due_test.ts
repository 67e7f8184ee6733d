/** Exits of 50,000 people that are due in one second, while requests are served; and exits that were due while nobody served. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { openSystem } from "../../actors/open.ts";
import { openStore, type Store } from "../../actors/store/store.ts";
import { clockAt } from "../actors/clocks.ts";

const PEOPLE = 50_000;
const BATCH = 500;
const HOUR = 3_600_000;
const AUTHOR = { by: "test", address: "" };

async function openAt(store: Store, clock: { ms: number }) {
  return await openSystem({
    storage: { ...store, close() {} },
    clock: clockAt(() => clock.ms),
    newId: () => crypto.randomUUID(),
    randomBytes: (bytes) => void crypto.getRandomValues(bytes),
    dedupMs: 0,
    onFault: (error) => console.error(error),
  });
}

const eventOf = (userId: string, ms: number) => ({
  type: "track" as const,
  messageId: `${userId} ${ms}`,
  userId,
  event: "Logged In",
  timestamp: new Date(ms).toISOString(),
  receivedAt: new Date(ms).toISOString(),
});

Deno.test("50,000 exits are due in one second, and requests are served meanwhile", async () => {
  const store = await openStore(":memory:");
  const clock = { ms: Date.parse("2026-01-01T00:00:00Z") };
  const system = await openAt(store, clock);
  const began = clock.ms;
  clock.ms += 1_000;
  for (let from = 0; from < PEOPLE; from += BATCH) {
    const events = Array.from(
      { length: BATCH },
      (_, n) => eventOf(`user ${from + n}`, began + (from + n) % 1_000),
    );
    await system.commit(events, "key");
  }
  await system.audiences.put(
    { name: "recent", where: { event: "Logged In", within: "1h" }, emit: false },
    AUTHOR,
  );
  await system.audiences.tick(120_000);
  const members = async () => (await system.audiences.get("recent"))!.members;
  strictEqual(await members(), PEOPLE);
  clock.ms = began + HOUR + 1_000;
  const leaving = system.audiences.tick(240_000);
  // Requests are answered while people leave; one that comes back is not taken along.
  let served = 0;
  const between = new Set<number>();
  for (let left = await members(); left > 1; left = await members()) {
    between.add(left);
    const userId = `user ${served % PEOPLE}`;
    ok(await system.reader.user(userId) !== null);
    if (served === 0) await system.commit([eventOf("user 7", clock.ms)], "key");
    served++;
  }
  await leaving;
  ok(served > 10 && between.size > 2, `${served} requests were served at ${between.size} numbers of members`);
  deepStrictEqual(
    (await system.audiences.list("recent", { limit: 500 })).members.map(({ userId }) => userId),
    ["user 7"],
  );
  await system.close();
  store.close();
});

Deno.test("an exit that was due while nobody served comes at the next start, with the time at which it was due", async () => {
  const store = await openStore(":memory:");
  const clock = { ms: Date.parse("2026-01-01T00:00:00Z") };
  const began = clock.ms;
  let system = await openAt(store, clock);
  await system.audiences.put(
    { name: "recent", where: { event: "Logged In", within: "1h" }, emit: true },
    AUTHOR,
  );
  await system.commit([eventOf("jane", clock.ms)], "key");
  await system.audiences.tick(60_000);
  await system.close();
  clock.ms += 5 * HOUR;
  system = await openAt(store, clock);
  await system.audiences.tick(60_000);
  const log = await system.reader.log("user", "jane", { limit: 10, order: "asc", derived: true });
  deepStrictEqual(
    log!.events.map(({ event, timestamp }) => [event, Date.parse(timestamp) - began]),
    [["Logged In", 0], ["Audience Entered", 0], ["Audience Exited", HOUR]],
  );
  await system.close();
  store.close();
});
