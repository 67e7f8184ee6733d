/** Reads between whose steps another process settles: the store calls back at a chosen one. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { systemClock } from "../../actors/store/clock.ts";
import type { Entry, Range, Store } from "../../actors/store/store.ts";
import { openTools } from "../../actors/maintenance.ts";
import { wholeLog } from "./compare.ts";
import { eventWith, openOn, settle } from "./histories.ts";
import { MEMORY } from "./stores.ts";

/** A store that calls back once, after the first value of a list of keys that begin with `name`. */
function interrupted(store: Store, name: string, callback: () => Promise<unknown>): Store {
  let isDone = false;
  async function* list<T>(range: Range, ...rest: unknown[]): AsyncGenerator<Entry<T>> {
    for await (const entry of store.list<T>(range, ...rest as [])) {
      yield entry;
      if (isDone || entry.key[0] !== name) continue;
      isDone = true;
      await callback();
    }
  }
  return { ...store, list };
}

const EVENTS = 3000;
const LATE = 2500;

/** A history in many pages, its events by an anonymous id of a user; then as many late ones, which split them. */
const events = Array.from({ length: EVENTS }, (_, i) => eventWith({ anonymousId: "a1", atMs: i * 1000 }));
const late = Array.from({ length: LATE }, (_, i) => eventWith({ anonymousId: "a1", atMs: i * 1000 + 500 }));
const link = eventWith({ type: "identify", userId: "u1", anonymousId: "a1" });

for (const order of ["asc", "desc"] as const) {
  Deno.test(`a log is read whole, ${order}, while another process splits its pages`, async () => {
    await using place = await MEMORY.make();
    const store = await place.open();
    const other = await openOn(store);
    await other.commit([link, ...events.slice(0, 1500)], "k");
    await other.commit(events.slice(1500), "k");
    await settle(other);
    let settled = 0;
    const reader = await openOn(interrupted(store, "log", async () => {
      await other.commit(late, "k");
      await settle(other);
      settled++;
    }));
    const log = (await wholeLog(reader, "user", "u1", { limit: 499, order }))!;
    strictEqual(settled, 1);
    // What came meanwhile may be there, wholly or not at all; all else is, once.
    ok(log.length === EVENTS + 1 || log.length === EVENTS + LATE + 1, `${log.length}`);
    strictEqual(new Set(log.map(({ messageId }) => messageId)).size, log.length);
    const times = log.map(({ timestamp }) => timestamp);
    deepStrictEqual(times, order === "asc" ? times.toSorted() : times.toSorted().reverse());
    await reader.close();
    await other.close();
  });
}

Deno.test("a past is folded whole while another process splits the pages of its log", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const other = await openOn(store);
  await other.commit([link, ...events], "k");
  await settle(other);
  let settled = 0;
  const reader = await openOn(interrupted(store, "log", async () => {
    await other.commit(late, "k");
    await settle(other);
    settled++;
  }));
  const profile = (await reader.reader.user("u1", { at: Date.parse(events.at(-1)!.timestamp) }))!;
  strictEqual(settled, 1);
  ok([EVENTS + 1, EVENTS + LATE + 1].includes(profile.eventCount as number), `${profile.eventCount}`);
  await reader.close();
  await other.close();
});

Deno.test("a profile shows one moment while another process settles its parts", async () => {
  for (const name of ["part", "process"]) {
    await using place = await MEMORY.make();
    const store = await place.open();
    const other = await openOn(store);
    await other.commit([link, ...events.slice(0, 10)], "k");
    await settle(other);
    const reader = await openOn(interrupted(store, name, async () => {
      await other.commit(events.slice(10, 20), "k");
      await settle(other);
    }));
    const count = (await reader.reader.user("u1"))!.eventCount as number;
    ok(count === 11 || count === 21, `${count}`);
    strictEqual((await reader.reader.user("u1"))!.eventCount, name === "part" ? 21 : 11);
    await reader.close();
    await other.close();
  }
});

Deno.test("the members of a group are right while another process runs a full replay", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const other = await openOn(store);
  await other.commit([eventWith({ type: "group", userId: "u1", groupId: "g1" })], "k");
  await settle(other);
  let replays = 0;
  const slow: Store = {
    ...store,
    async get<T>(key: Entry["key"]) {
      if (key[0] === "members" && replays++ === 0) {
        const newId = () => crypto.randomUUID();
        const tools = await openTools({ storage: store, clock: systemClock, newId, onFault: () => {} });
        await tools.replayAll(() => {});
      }
      return await store.get<T>(key);
    },
  };
  const reader = await openOn(slow);
  strictEqual((await reader.reader.group("g1"))!.memberCount, 1);
  strictEqual(replays, 2);
  await reader.close();
  await other.close();
});
