/**
 * An anonymous id that 50 users have owned: whose its events are, for every reader, unsettled and settled, in the past,
 * after a replay and after an erasure, in whatever order they came.
 */
import { endOf, stampOf } from "../../../domain/event/position.ts";
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { LIMITS } from "../../../actors/limits.ts";
import { actorKey, partKey } from "../../../actors/store/keys.ts";
import { applyMembers, type MemberChange } from "../../../actors/settling/group_members.ts";
import { type ActorHead, load, type PartHead, whole, writesOf } from "../../../actors/settling/snapshot.ts";
import type { Store } from "../../../actors/store/store.ts";
import type { Writes } from "../../../actors/store/write_batch.ts";
import type { System } from "../../../actors/system.ts";
import type { AnonymousJson } from "../../../domain/profile/anonymous.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { placed, runs } from "../../domain/profile/facts.ts";
import { allMembers, wholeLog } from "../compare.ts";
import { verified } from "../erasure/erasure_contract.ts";
import { oracleOf, withoutPerson } from "../erasure/erased.ts";
import { BEGIN_MS, eventWith, openOn, settle } from "../histories.ts";
import type { Oracle } from "../oracle.ts";
import { MEMORY } from "../stores.ts";

const USERS = Array.from({ length: 56 }, (_, n) => `u${n}`);
const DEVICE = "kiosk";

/** Every user links the device, and between two of them a stranger uses it. */
function turns(): StoredEvent[] {
  return USERS.flatMap((userId, n) => [
    eventWith({ type: "identify", userId, anonymousId: DEVICE, atMs: n * 1000, traits: { n } }),
    eventWith({ type: "identify", anonymousId: DEVICE, atMs: n * 1000 + 500, traits: { stranger: n } }),
    eventWith({ type: "group", anonymousId: DEVICE, groupId: "g", atMs: n * 1000 + 600 }),
  ]);
}

const plain = (value: unknown) => JSON.parse(JSON.stringify(value ?? null));

async function compare(system: System, oracle: Oracle): Promise<void> {
  for (const past of [{}, { at: BEGIN_MS + 30_000 }, { at: BEGIN_MS + 52_550 }]) {
    for (const id of ["u0", "u30", "u48", "u49", "u50", "u55"]) {
      deepStrictEqual(plain(await system.reader.user(id, past)), plain(oracle.user(id, past)), id);
    }
    deepStrictEqual(
      plain(await system.reader.anonymous(DEVICE, past)),
      plain(oracle.anonymous(DEVICE, past)),
      `the device at ${past.at}`,
    );
    deepStrictEqual(plain(await system.reader.group("g", past)), plain(oracle.group("g", past)));
  }
  const byJson = (items: unknown[] | null) => items?.map((item) => JSON.stringify(item)).sort();
  deepStrictEqual(byJson(await allMembers(system, "g", 20)), byJson(oracle.members("g")));
  for (
    const [kind, id] of [["user", "u48"], ["user", "u49"], ["user", "u50"], ["anonymous", DEVICE]] as const
  ) {
    deepStrictEqual(await wholeLog(system, kind, id, { limit: 50, order: "asc" }), oracle.log(kind, id));
  }
}

Deno.test("what 56 users link in turn is nobody's after the fiftieth, for every reader, whatever came first", async () => {
  const all = turns();
  const orders = fc.tuple(
    fc.shuffledSubarray(all, { minLength: all.length, maxLength: all.length }),
    fc.array(fc.nat(all.length), { maxLength: 3 }),
  );
  const inOrder: [StoredEvent[], number[]] = [all, [100]];
  await fc.assert(
    fc.asyncProperty(orders, async ([events, settlings]) => {
      await using place = await MEMORY.make();
      const faults: unknown[] = [];
      const system = await openOn(await place.open(), { clock: { ms: BEGIN_MS + 1e9 }, faults });
      for (let from = 0; from < events.length; from += 12) {
        await system.commit(events.slice(from, from + 12), "k");
        if (settlings.some((at) => at >= from && at < from + 12)) await settle(system);
      }
      const oracle = oracleOf(events);
      strictEqual(plain(oracle.anonymous(DEVICE)).anonymousId, DEVICE);
      await compare(system, oracle);
      await settle(system);
      await compare(system, oracle);
      await system.close();
      deepStrictEqual(await verified(place), []);
      deepStrictEqual(faults, []);
    }),
    { ...runs(3), examples: [[inOrder]] },
  );
});

Deno.test("a link that comes late takes the device from the fiftieth, who keeps no part of it", async () => {
  await using place = await MEMORY.make();
  const system = await openOn(await place.open(), { clock: { ms: BEGIN_MS + 1e9 } });
  const events = turns().slice(0, 3 * 50 + 1);
  await system.commit(events, "k");
  await settle(system);
  deepStrictEqual((await system.reader.user("u49"))!.anonymousIds, [DEVICE]);
  const late = eventWith({ type: "identify", userId: "late", anonymousId: DEVICE, atMs: 5_100 });
  await system.commit([late], "k");
  await compare(system, oracleOf([...events, late]));
  await settle(system);
  await compare(system, oracleOf([...events, late]));
  deepStrictEqual((await system.reader.user("u49"))!.anonymousIds, []);
  await system.close();
  deepStrictEqual(await verified(place), []);
});

Deno.test("of a device of too many owners, one of them is erased as if they had never been there", async () => {
  await using place = await MEMORY.make();
  const system = await openOn(await place.open(), { clock: { ms: BEGIN_MS + 1e9 } });
  const events = turns();
  await system.commit(events, "k");
  const left = withoutPerson(events, { kind: "user", id: "u7" });
  await system.erasure.erase({ kind: "user", id: "u7" }, { suppress: false });
  const oracle = oracleOf(left);
  await compare(system, oracle);
  ok(oracle.user("u50")!.anonymousIds);
  await system.close();
  deepStrictEqual(await verified(place), []);
});

Deno.test("a placeholder userId keeps nothing of a visitor, whose history the real user gets", async () => {
  await using place = await MEMORY.make();
  const system = await openOn(await place.open(), { clock: { ms: BEGIN_MS + 1e9 } });
  const events = [
    eventWith({ anonymousId: "visitor", atMs: 1 }),
    eventWith({ type: "identify", userId: "undefined", anonymousId: "visitor", atMs: 2, traits: { a: 1 } }),
    eventWith({ anonymousId: "visitor", atMs: 3 }),
    eventWith({ type: "identify", userId: "real", anonymousId: "visitor", atMs: 4 }),
    eventWith({ anonymousId: "visitor", atMs: 5 }),
  ];
  await system.commit(events, "k");
  for (let settled = 0; settled < 2; settled++) {
    strictEqual((await system.reader.user("real"))!.eventCount, 4);
    const placeholder = (await system.reader.user("undefined"))!;
    deepStrictEqual([placeholder.eventCount, placeholder.anonymousIds], [1, []]);
    await settle(system);
  }
  await system.close();
  deepStrictEqual(await verified(place), []);
});

/** What 0.3 kept of the device: the last of its owners had all that came after. */
async function asKeptBefore(store: Store): Promise<void> {
  const key = actorKey(1, "anonymous", DEVICE);
  const old = await whole<ActorHead>(store, await store.get<Uint8Array>(key));
  const [runs, parts, newest] = old.state as AnonymousJson;
  const owned = new Map(parts);
  const strangers = owned.get("")!;
  owned.delete("");
  owned.set("u49", strangers);
  runs.at(-1)![3] = newest;
  const head = { ...old.head!, fold: 2 };
  const state = [runs, [...owned], null];
  await store.commit({
    checks: [],
    ...writesOf(key, { head, state, old, stamp: endOf(stampOf(head.position)), limits: LIMITS }),
  });
  const [part] = await load<PartHead>(store, [partKey(1, "u49", DEVICE)]);
  const ofPart = {
    head: { ...part!.head!, fold: 2 },
    state: strangers,
    old: part,
    stamp: placed(1),
    limits: LIMITS,
  };
  await store.commit({ checks: [], ...writesOf(part!.key, ofPart) });
  const changes: MemberChange[] = [
    { groupId: "g", who: ["anonymous", DEVICE], source: "", at: null },
    { groupId: "g", who: ["user", "u49"], source: DEVICE, at: BEGIN_MS + 49_600 },
  ];
  const write = async (writes: Writes) => void await store.commit({ checks: [], ...writes });
  await applyMembers(store, 1, { changes, write, limits: LIMITS });
}

Deno.test("what an older version gave the last owner of a device is taken from them again, members too", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const clock = { ms: BEGIN_MS + 1e9 };
  let system = await openOn(store, { clock });
  const events = turns();
  await system.commit(events, "k");
  await settle(system);
  await system.close();
  await asKeptBefore(store);
  clock.ms += 60_000;
  system = await openOn(store, { clock });
  const isMember = async () => (await allMembers(system, "g", 100))!.some(({ userId }) => userId === "u49");
  ok(await isMember());
  const later = eventWith({ anonymousId: DEVICE, atMs: 100_000 });
  await system.commit([later], "k");
  await settle(system);
  ok(!await isMember());
  await compare(system, oracleOf([...events, later]));
  await system.close();
});
