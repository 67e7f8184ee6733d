/**
 * How it works: every kept state is made that of an older fold whose content nobody can read, by writing it so into the
 * store. What is read then, unsettled, settled and after more events, must be what it was.
 */
import { placed } from "../../domain/profile/facts.ts";
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { LIMITS } from "../../../actors/limits.ts";
import { type ActorHead, type PartHead, whole, writesOf } from "../../../actors/settling/snapshot.ts";
import type { Store } from "../../../actors/store/store.ts";
import { FOLD_VERSION } from "../../../domain/profile/fact.ts";
import { runs } from "../../domain/profile/facts.ts";
import { compareAll } from "../compare.ts";
import { batches, BEGIN_MS, createStamper, eventWith, openOn, settle } from "../histories.ts";
import { createOracle } from "../oracle.ts";
import { MEMORY } from "../stores.ts";

/** Makes all states those of another fold; gives how many. */
async function makeStale(store: Store, fold = 0): Promise<number> {
  let count = 0;
  for (const name of ["actor", "part"]) {
    for await (const entry of store.list<Uint8Array>({ prefix: [name] })) {
      const old = await whole<ActorHead | PartHead>(store, entry);
      const head = { ...old.head!, fold };
      const stamp = "position" in head ? head.position : placed(1);
      const writes = writesOf(entry.key, {
        head,
        state: ["what another fold kept"],
        old,
        stamp,
        limits: LIMITS,
      });
      await store.commit({ checks: [], ...writes });
      count++;
    }
  }
  return count;
}

/** How many states in the store are of an older fold. */
async function staleStates(store: Store): Promise<number> {
  let count = 0;
  for (const name of ["actor", "part"]) {
    for await (const entry of store.list<Uint8Array>({ prefix: [name] })) {
      if ((await whole<ActorHead | PartHead>(store, entry)).head!.fold < FOLD_VERSION) count++;
    }
  }
  return count;
}

Deno.test("states of an older fold are folded again when they are read or settled, to the same result", async () => {
  await fc.assert(
    fc.asyncProperty(batches(5), batches(5), async (earlier, later) => {
      await using place = await MEMORY.make();
      const store = await place.open();
      const clock = { ms: BEGIN_MS + 1e9 };
      const faults: unknown[] = [];
      const oracle = createOracle();
      const stamp = createStamper();
      let system = await openOn(store, { clock, faults });
      const send = async (drafts: typeof earlier) => {
        for (const events of drafts.map((some) => some.map(stamp))) {
          await system.commit(events, "k");
          for (const event of events) oracle.accept(event);
        }
      };
      await send(earlier);
      await settle(system);
      await system.close();
      ok(await makeStale(store) > 0);
      clock.ms += 60_000;
      system = await openOn(store, { clock, faults });
      await compareAll(system, oracle);
      await send(later);
      await compareAll(system, oracle);
      await settle(system);
      await compareAll(system, oracle);
      await system.close();
      deepStrictEqual(faults, []);
    }),
    runs(12),
  );
});

Deno.test("states of a newer fold are read right by a process of an older one, which folds their logs itself", async () => {
  await fc.assert(
    fc.asyncProperty(batches(5), async (some) => {
      await using place = await MEMORY.make();
      const store = await place.open();
      const oracle = createOracle();
      const stamp = createStamper();
      const system = await openOn(store);
      for (const events of some.map((drafts) => drafts.map(stamp))) {
        await system.commit(events, "k");
        for (const event of events) oracle.accept(event);
      }
      await settle(system);
      ok(await makeStale(store, FOLD_VERSION + 1) > 0);
      await compareAll(system, oracle);
      await system.close();
    }),
    runs(6),
  );
});

Deno.test("an anonymous member whose state is of an older fold is counted once when it is linked", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const system = await openOn(store);
  await system.commit([eventWith({ type: "group", anonymousId: "a1", groupId: "g1" })], "k");
  await settle(system);
  await makeStale(store);
  await system.commit([eventWith({ type: "identify", userId: "u1", anonymousId: "a1" })], "k");
  strictEqual((await system.reader.group("g1"))!.memberCount, 1);
  deepStrictEqual((await system.reader.members("g1", { limit: 10 }))!.members.map(({ userId }) => userId), [
    "u1",
  ]);
  await settle(system);
  // The group itself, and what settling waits with, had nothing new but the latter.
  strictEqual(await staleStates(store), 1);
  await system.close();
});
