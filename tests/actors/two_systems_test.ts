/** Two systems on one file, each with handles of its own, as two processes have them. */
import { BEGINNING } from "../../domain/event/position.ts";
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { clockAt } from "./clocks.ts";
import { LostFence, takeFence } from "../../actors/store/lease.ts";
import { NOTHING_SETTLED, type Settled } from "../../actors/journal/journal_state.ts";
import { SETTLED } from "../../actors/store/keys.ts";
import type { Store } from "../../actors/store/store.ts";
import { FOLD_VERSION } from "../../domain/profile/fact.ts";
import { runs } from "../domain/profile/facts.ts";
import { compareAll, compareProfiles } from "./compare.ts";
import { batches, BEGIN_MS, createStamper, eventWith, openOn, settle } from "./histories.ts";
import { createOracle } from "./oracle.ts";
import { FILE, MEMORY } from "./stores.ts";

/** A clock that goes on, so that a lease ends. */
const clockFrom = (beginMs: number) => ({
  get ms() {
    return beginMs + Math.floor(performance.now());
  },
});

Deno.test("two systems on one file: each sees at once what the other answered, and each id is accepted once", async () => {
  const steps = fc.array(
    fc.record({
      batches: batches(6),
      settles: fc.constantFrom("neither" as const, 0 as const, 1 as const, "both" as const),
    }),
    { minLength: 1, maxLength: 4 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      await using place = await FILE.make();
      const faults: unknown[] = [];
      const options = { clock: clockFrom(BEGIN_MS + 1e9), faults };
      const systems = [
        await openOn(await place.open(), options),
        await openOn(await place.open(), options),
      ] as const;
      const oracle = createOracle();
      const stamp = createStamper();
      let count = 0;
      try {
        for (const { batches, settles } of all) {
          // Distinct times: which of two requests at once came first can't be known.
          const requests = batches.map((drafts) =>
            drafts.map((draft) => {
              const event = stamp({ ...draft, repeats: null });
              return {
                ...event,
                timestamp: new Date(Date.parse(event.timestamp) + 1 + count++).toISOString(),
              };
            })
          );
          // Each request is sent to both, and the first again.
          const answers = await Promise.all([...requests, requests[0]!].flatMap((events, index) => [
            systems[index % 2]!.commit(events, "k"),
            systems[(index + 1) % 2]!.commit(events, "k"),
          ]));
          const taken = answers.flat().filter(({ duplicate }) => !duplicate).map(({ messageId }) =>
            messageId
          );
          deepStrictEqual(taken.sort(), requests.flat().map(({ messageId }) => messageId).sort());
          for (const event of requests.flat()) oracle.accept(event);
          const settling = settles === "neither"
            ? []
            : settles === "both"
            ? systems.map(settle)
            : [settle(systems[settles])];
          for (const system of systems) await compareProfiles(system, oracle);
          await Promise.all(settling);
        }
        for (const system of systems) await compareAll(system, oracle);
      } finally {
        await Promise.all(systems.map((system) => system.close()));
      }
      deepStrictEqual(faults, []);
    }),
    runs(8),
  );
});

Deno.test("two systems on one file: a process that settled leaves the other its turn, merging or not", async () => {
  await using place = await FILE.make();
  // A clock that stands still: a lease that is not given back never ends.
  const [a, b] = [await openOn(await place.open()), await openOn(await place.open())];
  for (let round = 0; round < 12; round++) {
    const system = round % 2 ? a : b;
    await system.commit([eventWith()], "k");
    await settle(system);
  }
  strictEqual((await a.reader.user("u1"))!.version, 12);
  await a.close();
  await b.close();
});

Deno.test("requests succeed while readers read the head all the time", async () => {
  await using place = await MEMORY.make();
  const system = await openOn(await place.open());
  const events = Array.from({ length: 200 }, () => eventWith());
  await system.commit(events, "k");
  await settle(system);
  let isDone = false;
  const reading = Array.from({ length: 8 }, async () => {
    while (!isDone) await system.reader.user("nobody");
  });
  // Each is looked up in the index, while heads are read.
  for (const event of events) deepStrictEqual((await system.commit([event], "k"))[0]!.duplicate, true);
  isDone = true;
  await Promise.all(reading);
  await system.close();
});

Deno.test("a request that was written though it was denied is settled by and by, without another one", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  let denials = 1;
  const denying: Store = {
    ...store,
    async commit(write) {
      const written = await store.commit(write);
      return write.stamped !== undefined && denials-- > 0 ? null : written;
    },
  };
  const settled = Promise.withResolvers<void>();
  const system = await openOn({
    ...denying,
    async commit(write) {
      const written = await denying.commit(write);
      const value = write.sets.find(([key]) => key[0] === "settled")?.[1] as Settled | undefined;
      if (value?.events === 1) settled.resolve();
      return written;
    },
  });
  const event = eventWith();
  deepStrictEqual(await system.commit([event], "k"), [{ messageId: event.messageId, duplicate: false }]);
  await settled.promise;
  await system.close();
});

Deno.test("a lease is not taken from a newer fold version, and not kept against one", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  let ops = 0;
  const options = {
    store,
    key: SETTLED,
    empty: NOTHING_SETTLED,
    owner: "old",
    clock: clockAt(() => BEGIN_MS),
    newId: () => `op ${++ops}`,
    foldVersion: FOLD_VERSION,
  };
  const fence = await takeFence(options);
  ok(fence !== undefined);
  await fence.write({ change: { position: BEGINNING } });
  const { stamp } = await store.get(SETTLED);
  const newer = { ...fence.value(), owner: "new", fold: FOLD_VERSION + 1, op: "theirs", until: 0 };
  await store.commit({ checks: [{ key: SETTLED, stamp }], sets: [[SETTLED, newer]] });
  await fence.write({ sets: [[["actor", 1, "user", "u1"], "old"]] }).then(
    () => ok(false, "it was written"),
    (error) => ok(error instanceof LostFence),
  );
  strictEqual(await takeFence({ ...options, force: true }), undefined);
  deepStrictEqual((await store.get(SETTLED)).value, newer);
  strictEqual((await store.get(["actor", 1, "user", "u1"])).value, null);
});

Deno.test("a system with an older fold version accepts and reads events, and does not settle", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const oracle = createOracle();
  const stampOf = async () => (await store.get(SETTLED)).stamp;
  let system = await openOn(store);
  const send = async (...events: ReturnType<typeof eventWith>[]) => {
    await system.commit(events, "k");
    for (const event of events) oracle.accept(event);
  };
  await send(
    eventWith({ anonymousId: "a1" }),
    eventWith({ type: "identify", userId: "u2", traits: { plan: "pro" } }),
  );
  await settle(system);
  await system.close();
  const { value, stamp } = await store.get<Settled>(SETTLED);
  await store.commit({
    checks: [{ key: SETTLED, stamp }],
    sets: [[SETTLED, { ...value, fold: FOLD_VERSION + 1, owner: "new", until: 0 }]],
  });
  const before = await stampOf();
  system = await openOn(store);
  await send(eventWith({ type: "identify", userId: "u1", anonymousId: "a1" }), eventWith({ userId: "u2" }));
  for (const id of ["u1", "u2"]) {
    deepStrictEqual(JSON.parse(JSON.stringify(await system.reader.user(id))), oracle.user(id));
  }
  await system.close();
  strictEqual(await stampOf(), before);
});
