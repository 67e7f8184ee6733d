/** The quarantine: its bounds, its age, whom it forgets, and what storage does to it. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { monotonicFactory } from "ulid";
import { systemClock } from "../../../actors/store/clock.ts";
import { clockAt } from "../clocks.ts";
import {
  createQuarantine,
  MAX_REJECTED,
  MAX_REJECTED_BYTES,
  MINUTE_BYTES,
  MINUTE_EVENTS,
} from "../../../actors/governance/quarantine.ts";
import { countNamed, eraseRejected } from "../../../actors/governance/quarantine_erasure.ts";
import { openStore, type Store } from "../../../actors/store/store.ts";
import { type Fault, withFault } from "../stores.ts";

const DAY_MS = 86_400_000;

async function open(wrap: (store: Store) => Store = (store) => store) {
  const store = await openStore(":memory:");
  const ulid = monotonicFactory();
  const clock = { nowMs: Date.parse("2026-01-01T00:00:00Z") };
  const known = { erasures: 0 };
  const make = (over: Store) =>
    createQuarantine({
      store: over,
      clock: clockAt(() => clock.nowMs),
      newId: () => ulid(),
      erasures: () => known.erasures,
    });
  const quarantine = make(wrap(store));
  return {
    store,
    clock,
    known,
    quarantine,
    /** As a settler erases somebody from it, once what waits here is written. */
    async erase(names: Parameters<typeof countNamed>[0], no = 1): Promise<number> {
      await quarantine.flush();
      return await eraseRejected(names, no, { clock: systemClock, store, newId: () => ulid() });
    },
    /** Another process on the same store. */
    other: () => make(store),
    keep(event: Record<string, unknown>, into = quarantine, writeKeyId = "k"): boolean {
      if (!into.hasRoom(writeKeyId)) return false;
      into.keep({ receivedAt: "", writeKeyId, status: 400, code: "c", message: "m", event });
      return true;
    },
    async events(): Promise<unknown[]> {
      return (await quarantine.list({ limit: 10_000 })).rejected.map(({ event }) => event);
    },
    /** What is said to be kept. */
    async total() {
      const { value } = await store.get<{ events: number; bytes: number }>(["rejectedCount"]);
      return value && { events: value.events, bytes: value.bytes };
    },
    /** What is said to be kept of each write key, and what is. */
    async shares() {
      const said: Record<string, object> = {};
      for await (const { key, value } of store.list<object>({ prefix: ["rejectedCount"] })) {
        said[key[1] as string] = value!;
      }
      const kept: Record<string, { events: number; bytes: number }> = {};
      const rows = store.list<{ writeKeyId: string; body: Uint8Array }>({ prefix: ["rejected"] });
      for await (const { value } of rows) {
        const own = kept[value!.writeKeyId] ??= { events: 0, bytes: 0 };
        own.events++;
        own.bytes += value!.body.length;
      }
      return { said, kept };
    },
    async [Symbol.asyncDispose]() {
      await quarantine.close();
      store.close();
    },
  };
}

Deno.test("a flood of one write key uses half of a minute's room, and the rest is counted", async () => {
  await using test = await open();
  const half = MINUTE_EVENTS / 2;
  for (let n = 0; n < half + 50; n++) test.keep({ n });
  const events = await test.events();
  deepStrictEqual([events.length, test.quarantine.dropped()], [half, 50]);
  deepStrictEqual(events[0], { n: half - 1 });
  strictEqual((await test.total())!.events, half);
});

Deno.test("a flood of large events keeps half of the bytes of a minute", async () => {
  await using test = await open();
  const text = "x".repeat(30_000);
  let kept = 0;
  for (let n = 0; n < 200; n++) if (test.keep({ text })) kept++;
  ok(kept >= MINUTE_BYTES / 2 / 31_000 && kept <= MINUTE_BYTES / 2 / 30_000 + 1, `${kept}`);
  strictEqual((await test.events()).length, kept);
});

Deno.test("write keys that flood a minute at once keep alike, and another finds room", async () => {
  await using test = await open();
  const kept = new Map<string, number>();
  for (let n = 0; n < 5_000; n++) {
    const key = `k${n % 4}`;
    if (test.keep({ n }, test.quarantine, key)) kept.set(key, (kept.get(key) ?? 0) + 1);
  }
  deepStrictEqual([...kept.values()], Array.from({ length: 4 }, () => MINUTE_EVENTS / 5));
  for (let n = 0; n < 50; n++) ok(test.keep({ n }, test.quarantine, "other"));
  strictEqual((await test.events()).length, MINUTE_EVENTS * 4 / 5 + 50);
});

Deno.test("no write key fills a minute, and ten that flood one after the other do", async () => {
  await using test = await open();
  const kept = Array.from({ length: 11 }, (_, key) => {
    let count = 0;
    while (test.keep({ key }, test.quarantine, `k${key}`)) count++;
    return count;
  });
  deepStrictEqual(kept, [400, 200, 100, 50, 25, 13, 6, 3, 2, 1, 0]);
  strictEqual((await test.events()).length, MINUTE_EVENTS);
});

Deno.test("a write key that holds half of all that may be kept keeps no more, and another does", async () => {
  for (
    const full of [{ events: MAX_REJECTED / 2, bytes: 0 }, { events: 0, bytes: MAX_REJECTED_BYTES / 2 }]
  ) {
    await using test = await open();
    await test.store.commit({
      checks: [],
      sets: [[["rejectedCount"], full], [["rejectedCount", "k"], full]],
    });
    test.keep({ of: "k" });
    test.keep({ of: "other" }, test.quarantine, "other");
    await test.quarantine.flush();
    const other = test.other();
    test.keep({ of: "k" }, other);
    test.keep({ of: "other" }, other, "other");
    await other.flush();
    deepStrictEqual(await test.events(), [{ of: "other" }, { of: "other" }]);
    deepStrictEqual([test.quarantine.dropped(), other.dropped()], [1, 1]);
  }
});

Deno.test("the shares of write keys match the stored events, whatever is added and removed", async () => {
  await using test = await open();
  const other = test.other();
  for (let n = 0; n < 240; n++) {
    const event = n % 5 === 0 ? { userId: "u" } : n % 7 === 0 ? { userId: "x", anonymousId: "a" } : { n };
    test.keep(event, n % 2 ? other : test.quarantine, `k${n % 3}`);
  }
  await Promise.all([other.close(), test.quarantine.flush()]);
  const check = async () => {
    const { said, kept } = await test.shares();
    deepStrictEqual(said, kept);
    return Object.keys(said).length;
  };
  strictEqual(await check(), 3);
  const { rejected } = await test.quarantine.list({ limit: 240 });
  await Promise.all(
    rejected.slice(0, 60).flatMap(({ id }) => [test.quarantine.remove(id), other.remove(id)]),
  );
  await check();
  await test.erase({ userId: "u", anonymousIds: ["a"] });
  await check();
  test.clock.nowMs += 8 * DAY_MS;
  await test.quarantine.sweep();
  strictEqual(await check(), 0);
  deepStrictEqual(await test.total(), { events: 0, bytes: 0 });
});

Deno.test("a flood without room reads no storage, and leaves nothing to write", async () => {
  const asked: PropertyKey[] = [];
  await using test = await open((store) =>
    new Proxy(store, {
      get(target, member, receiver) {
        asked.push(member);
        return Reflect.get(target, member, receiver);
      },
    })
  );
  for (let n = 0; n < MINUTE_EVENTS; n++) test.keep({ n });
  await test.quarantine.flush();
  ok(asked.includes("commit"));
  asked.length = 0;
  const before = test.quarantine.dropped();
  for (let n = 0; n < 10_000; n++) strictEqual(test.keep({ n }), false);
  await test.quarantine.flush();
  deepStrictEqual([asked, test.quarantine.dropped() - before], [[], 10_000]);
});

Deno.test("a full quarantine keeps nothing more until an event leaves", async () => {
  for (
    const full of [{ events: MAX_REJECTED - 1, bytes: 0 }, { events: 0, bytes: MAX_REJECTED_BYTES - 20 }]
  ) {
    await using test = await open();
    await test.store.commit({ checks: [], sets: [[["rejectedCount"], full]] });
    test.keep({ n: 1 });
    test.keep({ text: "some more bytes" });
    deepStrictEqual(await test.events(), [{ n: 1 }]);
    strictEqual(test.quarantine.dropped(), 1);
    const { rejected: [first] } = await test.quarantine.list({ limit: 1 });
    strictEqual(await test.quarantine.remove(first!.id), true);
    deepStrictEqual(await test.total(), full, "what left is taken off");
    test.keep({ n: 2 });
    deepStrictEqual(await test.events(), [{ n: 2 }]);
  }
});

Deno.test("an event larger than a value may be is counted, not kept", async () => {
  await using test = await open();
  test.keep({ text: "x".repeat(60_000) });
  deepStrictEqual([await test.events(), test.quarantine.dropped()], [[], 1]);
});

Deno.test("a page ends at 4 MiB of events, and the next continues there", async () => {
  await using test = await open();
  const processes = [test.quarantine, test.other(), test.other(), test.other()];
  let kept = 0;
  for (const process of processes) {
    while (test.keep({ n: kept, text: "x".repeat(40_000) }, process)) kept++;
    await process.flush();
  }
  ok(kept > 150, `${kept}`);
  const pages: number[] = [];
  let cursor: string | null | undefined;
  while (cursor !== null) {
    const page = await test.quarantine.list({ limit: 10_000, ...cursor !== undefined && { cursor } });
    pages.push(page.rejected.length);
    cursor = page.cursor;
  }
  strictEqual(pages[0], Math.ceil(4 * 1024 * 1024 / 40_024));
  strictEqual(pages.reduce((sum, page) => sum + page), kept);
});

Deno.test("events that come together are written together", async () => {
  let writes = 0;
  await using test = await open((store) => ({
    ...store,
    commit(write) {
      writes++;
      return store.commit(write);
    },
  }));
  for (let n = 0; n < 250; n++) test.keep({ n });
  strictEqual((await test.events()).length, 250);
  ok(writes <= 3, `${writes} writes`);
});

Deno.test("events older than a week are neither shown nor kept", async () => {
  await using test = await open();
  for (let n = 0; n < 120; n++) test.keep({ n });
  await test.quarantine.list({ limit: 1 });
  test.clock.nowMs += 6 * DAY_MS;
  test.keep({ n: "young" });
  strictEqual((await test.events()).length, 121);
  test.clock.nowMs += DAY_MS;
  deepStrictEqual(await test.events(), [{ n: "young" }], "not shown, even before it is deleted");
  await test.quarantine.sweep();
  strictEqual((await test.total())!.events, 1);
  const left = [];
  for await (const { key } of test.store.list({ prefix: ["rejected"] })) left.push(key);
  strictEqual(left.length, 1);
});

Deno.test("a person can be erased from it: by every id that an event names; another user's event loses the name", async () => {
  await using test = await open();
  const mine = [
    { userId: "u" },
    { userId: "u", anonymousId: "other" },
    { anonymousId: "a" },
    { previousId: "a" },
    { anonymousId: "u" },
    { traits: { userId: "u" } },
  ];
  const others = [{ userId: "uu" }, { userId: "a" }, { anonymousId: "uu" }, {}, { userId: 5 }];
  test.keep({ type: "alias", previousId: "a", userId: "x" });
  for (const event of [...mine, ...others]) test.keep(event);
  await test.quarantine.flush();
  const options = { clock: systemClock, store: test.store, newId: () => "" };
  strictEqual(await countNamed({ userId: "u", anonymousIds: ["a"] }, options), mine.length);
  strictEqual(await test.erase({ userId: "u", anonymousIds: ["a"] }), mine.length);
  deepStrictEqual((await test.events()).reverse(), [{ type: "alias", userId: "x" }, ...others]);
  strictEqual(await test.erase({ userId: "5" }), 1, "an id that is a number is its text");
  strictEqual(await test.erase({}), 0);
  strictEqual((await test.total())!.events, others.length);
});

for (const when of ["before", "after"] as const) {
  Deno.test(`events of an erased person that another process writes just ${when} the search do not stay`, async () => {
    await using test = await open();
    const other = test.other();
    test.keep({ userId: "u" }, other);
    const looked = Promise.withResolvers<void>();
    const store: Store = {
      ...test.store,
      async commit(write) {
        if (when === "before") await other.flush();
        const stamp = await test.store.commit(write);
        looked.resolve();
        return stamp;
      },
    };
    const erasing = eraseRejected({ userId: "u" }, 7, {
      clock: systemClock,
      store,
      newId: () => "eraser",
    });
    await looked.promise;
    await other.flush();
    strictEqual(await erasing, when === "before" ? 1 : 0);
    strictEqual(other.dropped(), when === "before" ? 0 : 1);
    deepStrictEqual(await test.events(), []);
    deepStrictEqual(await test.total(), { events: 0, bytes: 0 });
    // What comes once the process knows that they are erased is somebody new's.
    test.known.erasures = 7;
    test.keep({ userId: "u" }, other);
    await other.flush();
    deepStrictEqual(await test.events(), [{ userId: "u" }]);
  });
}

Deno.test("two processes keep the events of both, with correct counts", async () => {
  await using test = await open();
  const other = test.other();
  for (let n = 0; n < 300; n++) test.keep({ n }, n % 2 ? other : test.quarantine);
  await Promise.all([other.close(), test.quarantine.close()]);
  strictEqual((await test.events()).length, 300);
  strictEqual((await test.total())!.events, 300);
  const ids = (await test.quarantine.list({ limit: 300 })).rejected.map(({ id }) => id);
  const removed = await Promise.all(ids.flatMap((id) => [test.quarantine.remove(id), other.remove(id)]));
  strictEqual(removed.filter((each) => each).length, 300, "each was removed by one");
  deepStrictEqual(await test.total(), { events: 0, bytes: 0 });
});

for (const fault of ["done but denied", "lost"] satisfies Fault[]) {
  Deno.test(`a write that is ${fault} leaves number and events right`, async () => {
    await using test = await open((store) => withFault(store, { nth: 1, fault }));
    for (let n = 0; n < 3; n++) test.keep({ n });
    const events = await test.events();
    strictEqual(events.length, fault === "lost" ? 0 : 3);
    strictEqual(test.quarantine.dropped(), 3 - events.length);
    strictEqual((await test.total())?.events ?? 0, events.length);
  });
}

/** A store that does one write and denies it, the first from when it may; `meanwhile` comes before its sender is told. */
function denyingOne(store: Store, may: () => boolean, meanwhile: () => Promise<void>): Store {
  let isOver = false;
  return {
    ...store,
    async commit(write) {
      const stamp = await store.commit(write);
      if (isOver || !may()) return stamp;
      isOver = true;
      await meanwhile();
      return null;
    },
  };
}

for (const changes of [1, 100]) {
  Deno.test(`a write that is done but denied counts once, though others change the total ${changes} times before it is looked at`, async () => {
    await using test = await open((store) =>
      denyingOne(store, () => true, async () => {
        const other = test.other();
        for (let n = 0; n < changes; n++) {
          test.keep({ n }, other, "other");
          await other.flush();
        }
      })
    );
    for (let n = 0; n < 50; n++) test.keep({ n });
    strictEqual((await test.events()).length, 50 + changes);
    strictEqual(test.quarantine.dropped(), 0);
    const { said, kept } = await test.shares();
    deepStrictEqual(said, kept);
    strictEqual((await test.total())!.events, 50 + changes);
  });
}

Deno.test("one that is deleted by a write that is done but denied was deleted, though others change the total before it is looked at", async () => {
  let denies = false;
  await using test = await open((store) =>
    denyingOne(store, () => denies, async () => {
      const other = test.other();
      test.keep({ of: "other" }, other);
      await other.flush();
    })
  );
  test.keep({ n: 1 });
  const { rejected: [{ id } = { id: "" }] } = await test.quarantine.list({ limit: 1 });
  denies = true;
  deepStrictEqual([await test.quarantine.remove(id), await test.quarantine.remove(id)], [true, false]);
  deepStrictEqual(await test.events(), [{ of: "other" }]);
  const { said, kept } = await test.shares();
  deepStrictEqual(said, kept);
});

Deno.test("failing storage does not fail a caller that keeps an event", async () => {
  let fails = true;
  await using test = await open((store) => ({
    ...store,
    commit: (write) => fails ? Promise.reject(new TypeError("full")) : store.commit(write),
  }));
  test.keep({ n: 1 });
  deepStrictEqual([await test.events(), test.quarantine.dropped()], [[], 1]);
  fails = false;
  test.keep({ n: 2 });
  deepStrictEqual(await test.events(), [{ n: 2 }]);
});
