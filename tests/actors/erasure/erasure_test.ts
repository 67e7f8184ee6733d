/** Erasure: what is left is what a history without the person's events comes to, whoever looks, and whatever happens. */
import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { FOLD_VERSION } from "../../../domain/profile/fact.ts";
import { LIMITS } from "../../../actors/limits.ts";
import { clockAt, stillClock } from "../clocks.ts";
import { MAX_REQUESTS } from "../../../actors/erasure/requests_api.ts";
import { LostFence, takeFence } from "../../../actors/store/lease.ts";
import { createJournal, NOTHING_SETTLED } from "../../../actors/journal/journal_state.ts";
import {
  actorKey,
  erasureRequestKey,
  type Key,
  REBUILD,
  SETTLED,
  SUPPRESSED,
} from "../../../actors/store/keys.ts";
import { beginRebuild, rebuildAll, type RebuildOptions } from "../../../actors/replay/replay_all.ts";
import { generationsIn, type Rebuild } from "../../../actors/settling/generation.ts";
import type { Store } from "../../../actors/store/store.ts";
import { MAX_SUPPRESSED } from "../../../actors/erasure/suppressed_records.ts";
import type { System } from "../../../actors/system.ts";
import { type ErasureRequest, type Person, requestedErasures } from "../../../actors/erasure/requests.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { oracleOf, withoutPerson } from "./erased.ts";
import { A, erasureContract, plantedHistory, textOf, U, verified } from "./erasure_contract.ts";
import { BEGIN_MS, eventWith, openOn, settle } from "../histories.ts";
import { FAULTS, FILE, MEMORY, withFault } from "../stores.ts";
import { StorageFault, StorageUnavailable } from "../../../actors/store/errors.ts";

erasureContract(MEMORY);

const NOTHING = { events: 0, logs: 0, groups: 0, rejected: 0 };
Deno.test("an anonymous id that is erased is in nobody's events, and its user keeps their own", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const system = await openOn(store);
  for (const events of plantedHistory()) await system.commit(events, "key");
  const before = (await system.reader.user(U))!;
  const { erased } = await system.erasure.erase({ kind: "anonymous", id: A }, { suppress: false });
  deepStrictEqual(erased, { events: 2, logs: 1, groups: 1, rejected: 0 });
  ok(!(await textOf(store)).includes(A));
  const after = (await system.reader.user(U))!;
  deepStrictEqual(after.anonymousIds, ["shared-device"]);
  deepStrictEqual([after.traits, after.version], [before.traits, before.version]);
  strictEqual(await system.reader.group("planted-group"), null);
  await system.close();
  deepStrictEqual(await verified(place), []);
});

/** Bytes of rejected events that are no longer what they were. */
const DAMAGED_EVENTS: Record<string, object> = {
  "cut off": { body: new TextEncoder().encode('{"userId":') },
  "no object": { body: new TextEncoder().encode("null") },
  "no text": { body: Uint8Array.of(...new TextEncoder().encode('{"userId":"'), 0xff, 0x22, 0x7d) },
  "without its body": { bodx: new Uint8Array(), body: undefined },
  "without its write key": { writeKeyIe: "key", writeKeyId: undefined, body: new Uint8Array() },
};

for (const [how, damage] of Object.entries(DAMAGED_EVENTS)) {
  Deno.test(`a rejected event that is ${how} keeps nobody from being erased, and goes`, async () => {
    await using place = await MEMORY.make();
    const store = await place.open();
    const system = await openOn(store);
    await system.commit([eventWith({ userId: U }), eventWith({ userId: "other" })], "key");
    const whole = { receivedAt: "", writeKeyId: "key", status: 400, code: "c", message: "m" };
    await store.commit({
      checks: [],
      sets: [[["rejected", "damaged"], { at: BEGIN_MS, ...whole, ...damage }]],
    });
    system.quarantine.keep({ ...whole, event: { userId: U } });
    system.quarantine.keep({ ...whole, event: { userId: "stays" } });
    const events = async () =>
      (await system.quarantine.list({ limit: 10 })).rejected.map(({ event }) => event.userId).sort();
    deepStrictEqual(await events(), [U, "stays"]);
    const both = [U, "other"].map((id) => system.erasure.erase({ kind: "user", id }, { suppress: false }));
    deepStrictEqual((await Promise.all(both)).map(({ erased }) => erased), [
      { events: 1, logs: 1, groups: 0, rejected: 2 },
      { events: 1, logs: 1, groups: 0, rejected: 0 },
    ]);
    deepStrictEqual(await events(), ["stays"]);
    strictEqual(await system.quarantine.remove("damaged"), false);
    await system.close();
  });
}

const damages: Record<string, (store: Store) => Promise<unknown>> = {
  "a body": async (store) => {
    for await (const { key, value } of store.list<Uint8Array>({ prefix: ["body"] })) {
      await store.commit({ checks: [], sets: [[key, value!.slice(4)]] });
    }
  },
  "the list of rejected events": (store) => {
    const { list } = store;
    store.list = (range, options) => {
      if ("prefix" in range && range.prefix[0] === "rejected") throw new StorageFault("damaged");
      return list(range, options);
    };
    return Promise.resolve();
  },
};

for (const [what, damage] of Object.entries(damages)) {
  Deno.test(`an erasure that fails because ${what} is damaged does not stop settling`, async () => {
    await using place = await MEMORY.make();
    const store = await place.open();
    const faults: unknown[] = [];
    const system = await openOn(store, { faults });
    await system.commit([eventWith({ userId: U })], "key");
    await settle(system);
    await damage(store);
    const erasing = system.erasure.erase({ kind: "user", id: U }, { suppress: false });
    const refused = rejects(erasing, StorageUnavailable);
    while (faults.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    await system.commit([eventWith({ userId: "other", messageId: "later" })], "key");
    await settle(system);
    strictEqual((await system.reader.user("other"))!.eventCount, 1);
    ok(faults.length < 4, `${faults.length}`);
    await system.close();
    await refused;
  });
}

for (const fault of FAULTS) {
  Deno.test(`an erasure whose write is ${fault} is completed by some process`, async () => {
    const history = plantedHistory().map((events) => events.slice(0, 40));
    const left = oracleOf(withoutPerson(history.flat(), { kind: "user", id: U }));
    const afterwards: Promise<unknown>[] = [];
    for (let nth = 1, came = true; came; nth++) {
      await using place = await MEMORY.make();
      const store = await place.open();
      const clock = { ms: BEGIN_MS + 1e9 };
      const before = await openOn(store, { clock });
      for (const events of history) await before.commit(events, "key");
      await settle(before);
      // So that nothing but the erasure is left to do.
      await before.tick!();
      await before.close();
      clock.ms += 60_000;
      const faulty = withFault(store, { nth, fault });
      let system = await openOn(faulty, { clock });
      const erasing = system.erasure.erase({ kind: "user", id: U }, { suppress: "all" });
      afterwards.push(erasing.catch(() => {}));
      const outcome = await Promise.race([erasing.then(({ erased }) => erased), faulty.died]);
      if (fault.endsWith("dead") && outcome === undefined) {
        afterwards.push(system.close().catch(() => {}));
        clock.ms += 60_000;
        system = await openOn(store, { clock });
        // What was begun is gone on with unasked; who asks again is told all of it, or the rest.
        const { erased } = await system.erasure.erase({ kind: "user", id: U }, { suppress: "all" });
        ok([0, 64].includes(erased.events), `${nth}: ${erased.events}`);
      } else deepStrictEqual(outcome, { events: 64, logs: 3, groups: 2, rejected: 0 }, `write ${nth}`);
      strictEqual(await system.reader.user(U), null);
      deepStrictEqual((await system.reader.user("other"))!.eventCount, left.user("other")!.eventCount);
      const { traits } = (await system.reader.group("shared-group"))!;
      deepStrictEqual({ ...traits as object }, left.group("shared-group")!.traits);
      ok(
        system.suppression.isSuppressed({ userId: U }) && system.suppression.isSuppressed({ anonymousId: A }),
      );
      // The write may be one behind the erasure, of whoever follows the journal.
      const ticking = system.tick!();
      const isDead = await Promise.race([ticking.then(() => false), faulty.died.then(() => true)]);
      if (isDead && outcome !== undefined) {
        afterwards.push(ticking.catch(() => {}), system.close().catch(() => {}));
        clock.ms += 60_000;
        system = await openOn(store, { clock });
        await system.tick!();
      } else await ticking;
      came = faulty.writes() >= nth;
      await system.close();
      ok(!(await textOf(store)).includes("planted"), `write ${nth}`);
      if (nth % 5 === 0) deepStrictEqual(await verified(place), []);
    }
    await Promise.all(afterwards);
  });
}

Deno.test("another process that holds the person in memory shows nothing of them once the answer is there", async () => {
  await using place = await FILE.make();
  const options = { clock: { ms: BEGIN_MS + 1e9 } };
  const [one, other] = [await openOn(await place.open(), options), await openOn(await place.open(), options)];
  const history = plantedHistory();
  for (const events of history.slice(0, 3)) await one.commit(events, "key");
  await settle(one);
  // In its tail, and in what it has inflated.
  strictEqual((await other.reader.user(U))!.version, 455);
  await other.commit(history[3]!, "key");
  strictEqual((await other.reader.log("user", U, { limit: 500, order: "asc" }))!.events.length, 500);
  const reads = { isOver: false };
  const reading = (async () => {
    let n = 0;
    for (; !reads.isOver; n++) {
      await other.reader.user(U);
      await other.reader.log("user", "other", { limit: 500, order: "desc" });
      const group = await other.reader.log("group", "shared-group", { limit: 500, order: "asc" });
      // Whoever stays is there all the time.
      strictEqual(group!.events.filter(({ userId }) => userId === "other").length, 301);
    }
    return n;
  })();
  await one.erasure.erase({ kind: "user", id: U }, { suppress: false });
  for (const system of [other, one]) {
    deepStrictEqual(
      [
        await system.reader.user(U),
        await system.reader.log("user", U, { limit: 500, order: "asc" }),
        await system.reader.anonymous(A),
        await system.reader.group("planted-group"),
        await system.reader.user(U, { at: BEGIN_MS + 1e6 }),
      ],
      [null, null, null, null, null],
    );
  }
  reads.isOver = true;
  ok(await reading > 0);
  deepStrictEqual(
    [await other.commit(history[2]!, "key"), await one.commit(history[3]!, "key")].flat().filter((receipt) =>
      !receipt.duplicate
    ),
    [],
  );
  await one.close();
  await other.close();
});

Deno.test("an erased person has no log, even if the tail still has a device that is now another's", async () => {
  await using place = await MEMORY.make();
  const open = await place.open();
  const settles = Promise.withResolvers<void>();
  let [isBegun, isErased] = [false, false];
  const store: Store = {
    ...open,
    async commit(write) {
      const isOfSettler = write.sets.some(([key]) => key[0] === "settled");
      if (isOfSettler && !isBegun) {
        // The round has its end: what comes now stands beside it in the tail, which keeps both until both are settled.
        isBegun = true;
        await system.commit([eventWith({ anonymousId: "device" })], "key");
      }
      if (isOfSettler && isErased) await settles.promise;
      isErased ||= write.sets.some(([key]) => key[0] === "erased");
      return await open.commit(write);
    },
  };
  const system = await openOn(store);
  const link = (userId: string, atMs: number) =>
    eventWith({ type: "identify", userId, anonymousId: "device", atMs });
  await system.commit([link(U, 1), link("other", 2), eventWith({ anonymousId: "device", atMs: 3 })], "key");
  await system.erasure.erase({ kind: "user", id: U }, { suppress: false });
  const query = { limit: 10, order: "asc" } as const;
  strictEqual(await system.reader.log("user", U, query), null);
  strictEqual((await system.reader.log("user", "other", query))!.events.length, 3);
  settles.resolve();
  await system.close();
});

Deno.test("a full replay does not bring back a person who was erased while it ran", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const clock = { ms: BEGIN_MS + 1e9 };
  const system = await openOn(store, { clock });
  for (const events of plantedHistory()) await system.commit(events, "key");
  await settle(system);
  const journal = createJournal(store, LIMITS);
  await journal.sync();
  const options: RebuildOptions = {
    source: store,
    target: store,
    journal,
    owner: "replay",
    clock: clockAt(() => clock.ms),
    newId: () => crypto.randomUUID(),
    limits: LIMITS,
    foldVersion: FOLD_VERSION,
    onProgress() {},
  };
  const rebuilding = await beginRebuild(options);
  await rebuilding.advance(journal.settledNow().position);
  await system.erasure.erase({ kind: "user", id: U }, { suppress: false });
  await rejects(rebuilding.hold(), LostFence);
  // Nor does its generation stay.
  ok(!(await textOf(store)).includes(U));
  await system.close();
  deepStrictEqual(await verified(place), []);
});

/** Lets two replays of everything be killed: one when it has folded all, one when it is to delete what that left. */
async function killReplays(store: Store, clock: { ms: number }): Promise<void> {
  for (const fault of ["lost", "dead"] as const) {
    // The third write of the second would delete.
    const source = withFault(store, { nth: fault === "dead" ? 3 : Infinity, fault });
    const journal = createJournal(source, LIMITS);
    await journal.sync();
    clock.ms += 60_000;
    const beginning = beginRebuild({
      source,
      target: source,
      journal,
      owner: crypto.randomUUID(),
      clock: clockAt(() => clock.ms),
      newId: () => crypto.randomUUID(),
      limits: LIMITS,
      foldVersion: FOLD_VERSION,
      onProgress() {},
    });
    if (fault === "dead") await rejects(beginning);
    else await (await beginning).advance(journal.settledNow().position);
  }
  clock.ms += 60_000;
  deepStrictEqual(await generationsIn(store), [1, 2]);
}

Deno.test("an erasure covers what killed full replays left behind", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const clock = { ms: BEGIN_MS + 1e9 };
  const system = await openOn(store, { clock });
  for (const events of plantedHistory()) await system.commit(events, "key");
  await settle(system);
  await killReplays(store, clock);
  await system.erasure.erase({ kind: "user", id: U }, { suppress: false });
  deepStrictEqual(await generationsIn(store), [1]);
  ok(!(await textOf(store)).includes("planted"));
  await system.close();
});

Deno.test("a full replay deletes what killed ones left behind", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const clock = { ms: BEGIN_MS + 1e9 };
  const system = await openOn(store, { clock });
  await system.commit([eventWith({ userId: U })], "key");
  await settle(system);
  await system.close();
  await killReplays(store, clock);
  const journal = createJournal(store, LIMITS);
  await journal.sync();
  await rebuildAll({
    source: store,
    target: store,
    journal,
    owner: "third",
    clock: clockAt(() => clock.ms),
    newId: () => crypto.randomUUID(),
    limits: LIMITS,
    foldVersion: FOLD_VERSION,
    onProgress() {},
  });
  deepStrictEqual(await generationsIn(store), [4]);
});

Deno.test("a replay of everything by a newer version, cut off, keeps nobody from being erased", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const system = await openOn(store);
  await system.commit([eventWith({ userId: U })], "key");
  await settle(system);
  const rebuild = { generation: 2, seq: 0, target: null, fold: 1_000, owner: "newer", until: 0, op: "" };
  await store.commit({ checks: [], sets: [[REBUILD, rebuild], [actorKey(2, "user", U), new Uint8Array()]] });
  const { erased } = await system.erasure.erase({ kind: "user", id: U }, { suppress: false });
  strictEqual(erased.events, 1);
  ok(!(await textOf(store)).includes(U));
  // An older version's settler takes nothing of a newer one over.
  strictEqual((await store.get<Rebuild>(REBUILD)).value!.fold, 1_000);
  await system.close();
});

Deno.test("a plan larger than one value is executed completely", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const system = await openOn(store);
  const commit = async (events: StoredEvent[]) => {
    for (let from = 0; from < events.length; from += 500) {
      await system.commit(events.slice(from, from + 500), "key");
    }
  };
  await commit(
    Array.from({ length: 40 }, (_, n) => eventWith({ type: "group", userId: U, groupId: `g${n}` })),
  );
  await commit(
    Array.from({ length: 40 }, (_, n) => eventWith({ type: "identify", userId: U, anonymousId: `d${n}` })),
  );
  await commit(Array.from({ length: 7_100 }, () => eventWith({ userId: U })));
  const { erased } = await system.erasure.erase({ kind: "user", id: U }, { suppress: false });
  deepStrictEqual(erased, { events: 7_180, logs: 41, groups: 40, rejected: 0 });
  ok(!(await textOf(store)).includes(U));
  for await (const { key } of store.list({ prefix: ["erasing"] })) throw new Error(`left over: ${key}`);
  await system.close();
});

Deno.test("later events of the person are theirs, in a profile that knows nothing of before", async () => {
  await using place = await MEMORY.make();
  const system = await openOn(await place.open());
  await system.commit([eventWith({ type: "identify", userId: U, traits: { old: true } })], "key");
  await system.erasure.erase({ kind: "user", id: U }, { suppress: false });
  await system.commit([eventWith({ type: "identify", userId: U, traits: { new: true } })], "key");
  const profile = (await system.reader.user(U))!;
  deepStrictEqual([profile.version, { ...profile.traits as object }], [1, { new: true }]);
  await settle(system);
  strictEqual((await system.reader.user(U))!.version, 1);
  await system.close();
  deepStrictEqual(await verified(place), []);
});

Deno.test("an unknown person is erased with a count of 0, and can be suppressed", async () => {
  await using place = await MEMORY.make();
  const clock = { ms: BEGIN_MS + 5 };
  const system = await openOn(await place.open(), { clock });
  const person = { kind: "user", id: "nobody" } as const;
  deepStrictEqual(await system.erasure.erase(person, { suppress: false }), {
    erased: NOTHING,
    suppressed: false,
    at: clock.ms,
    known: false,
  });
  strictEqual((await system.erasure.erase(person, { suppress: "all" })).suppressed, true);
  ok(system.suppression.isSuppressed({ userId: "nobody" }));
  // Who is suppressed stays so.
  strictEqual((await system.erasure.erase(person, { suppress: false })).suppressed, true);
  await system.close();
});

Deno.test("the limit of suppressed people is checked before anything is erased", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const system = await openOn(store);
  await system.commit([eventWith({ userId: U })], "key");
  await store.commit({ checks: [], sets: [[SUPPRESSED, { count: MAX_SUPPRESSED }]] });
  await rejects(system.erasure.erase({ kind: "user", id: U }, { suppress: "all" }), {
    name: "TooManySuppressed",
  });
  strictEqual((await system.reader.user(U))!.version, 1);
  await system.close();
});

Deno.test("a repeated request joins a pending erasure, which then covers events up to the new head", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const clock = { ms: BEGIN_MS };
  const system = await openOn(store, { clock });
  await system.commit([eventWith({ userId: U })], "key");
  await settle(system);
  const options = {
    store,
    owner: "other",
    clock: clockAt(() => clock.ms),
    newId: () => crypto.randomUUID(),
    foldVersion: FOLD_VERSION,
  };
  const fence = await takeFence({ ...options, key: SETTLED, empty: NOTHING_SETTLED, force: true });
  await fence!.write({});
  const person = { kind: "user", id: U } as const;
  const asked = [system.erasure.erase(person, { suppress: false })];
  while (await requestedErasures(store) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await system.commit([eventWith({ userId: U })], "key");
  asked.push(system.erasure.erase(person, { suppress: "all" }));
  while (!(await store.get<ErasureRequest>(erasureRequestKey(1))).value!.suppress) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  clock.ms += 60_000;
  for (const { erased, suppressed } of await Promise.all(asked)) {
    deepStrictEqual([erased.events, suppressed], [2, true]);
  }
  strictEqual(await requestedErasures(store), 1);
  await system.close();
});

Deno.test("the number of pending erasures is limited", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const system = await openOn(store);
  await store.commit({ checks: [], sets: [[["erasing"] as Key, { pushed: MAX_REQUESTS }]] });
  await rejects(system.erasure.erase({ kind: "user", id: U }, { suppress: false }), {
    name: "NotServing",
    code: "erasure_under_way",
    message: "The erasure queue is full (1000 pending). Retry later.",
  });
  await system.close();
});

Deno.test("a request for erasure waits 30 s, then reports that the erasure continues", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const { clock, add } = stillClock();
  const system = await openOn(store, { clock: { ms: BEGIN_MS, monotonic: clock.monotonic } });
  // Another process holds the fence, and does nothing with it.
  const fence = await takeFence({
    store,
    key: SETTLED,
    empty: NOTHING_SETTLED,
    owner: "other",
    clock: clockAt(() => BEGIN_MS),
    newId: String,
    foldVersion: FOLD_VERSION,
  });
  await fence!.write({});
  let told: string | undefined;
  const asked = system.erasure.erase({ kind: "user", id: U }, { suppress: false })
    .catch((error) => told = error.message);
  while (await requestedErasures(store) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  add(29_999);
  await new Promise((resolve) => setTimeout(resolve, 200));
  strictEqual(told, undefined);
  add(2);
  let isTold = true;
  const timer = setTimeout(() => {
    isTold = false;
    system.close();
  }, 60_000);
  await asked;
  clearTimeout(timer);
  ok(isTold, "who asks waits for longer");
  strictEqual(told, "Erasure is still in progress. Repeat the request to check on it.");
  await system.close();
});

Deno.test("a part of the system that holds data of its own erases it", async () => {
  await using place = await MEMORY.make();
  const system: System = await openOn(await place.open());
  const asked: Person[] = [];
  system.erasure.onErase(async (person) => void await asked.push(person));
  await system.erasure.erase({ kind: "anonymous", id: A }, { suppress: false });
  deepStrictEqual(asked, [{ kind: "anonymous", id: A }]);
  await system.close();
});
