import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { Evicted, type Lane, writeInLane } from "../../../actors/lanes/lanes.ts";
import {
  createMembership,
  evictionOf,
  LANE_LIMITS,
  membersBeside,
} from "../../../actors/lanes/membership.ts";
import { systemClock } from "../../../actors/store/clock.ts";
import { StorageUnavailable } from "../../../actors/store/errors.ts";
import { JOURNAL, type Key, laneKey, ROSTER } from "../../../actors/store/keys.ts";
import type { Store, Write } from "../../../actors/store/store.ts";
import { MEMORY } from "../stores.ts";

const newId = () => crypto.randomUUID();

/** A lane over a store of which writes of entries go another way. */
async function laneOver(store: Store, commit: (write: Write) => Promise<string | null>) {
  const key = laneKey("p", 0);
  const stamp = await store.commit({ checks: [], sets: [[key, "joined"]] });
  const lane: Lane = { key, stamp: stamp!, busy: undefined };
  const through = {
    ...store,
    commit: (write: Write) => write.stamped === undefined ? store.commit(write) : commit(write),
  };
  const options = { store: through, clock: systemClock, newId, isClosed: () => false };
  const write: Write = { checks: [], sets: [], stamped: [[JOURNAL, "entry"]] };
  return { lane, attempt: () => writeInLane(options, lane, { attempt: newId(), write }) };
}

async function entriesIn(store: Store): Promise<string[]> {
  return await Array.fromAsync(store.list({ prefix: JOURNAL }), ({ key }) => key[1] as string);
}

const lost = () => Promise.reject(new StorageUnavailable("lost"));

const OUTCOMES: [string, (store: Store, write: Write) => Promise<string | null>, isWritten: boolean][] = [
  ["answered", (store, write) => store.commit(write), true],
  ["written, and its answer lost", (store, write) => store.commit(write).then(lost), true],
  ["written, and denied", (store, write) => store.commit(write).then(() => null), true],
  ["lost", lost, false],
  ["denied", () => Promise.resolve(null), false],
];

for (const [what, commit, isWritten] of OUTCOMES) {
  Deno.test(`of a commit that is ${what} the lane tells whether it was written`, async () => {
    await using place = await MEMORY.make();
    const store = await place.open();
    const { lane, attempt } = await laneOver(store, (write) => commit(store, write));
    const stamp = await attempt();
    deepStrictEqual(await entriesIn(store), isWritten ? [stamp] : []);
    strictEqual((await store.get(lane.key)).stamp, lane.stamp);
  });
}

Deno.test("a commit that was given up never lands, however late its write comes", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  let late: Write | undefined;
  const { attempt } = await laneOver(store, (write) => (late = write, lost()));
  strictEqual(await attempt(), undefined);
  strictEqual(await store.commit(late!), null);
  deepStrictEqual(await entriesIn(store), []);
});

Deno.test("a commit whose lane is gone says that its process was evicted", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const { lane, attempt } = await laneOver(store, (write) => store.commit(write));
  await store.commit({ checks: [], sets: [], deletes: [lane.key] });
  await rejects(attempt(), Evicted);
});

function memberOf(store: Store) {
  return createMembership({
    store,
    clock: systemClock,
    newId,
    limits: { ...LANE_LIMITS, beatMs: 20, evictMs: 0 },
    isServer: false,
    readOn: () => Promise.resolve(),
    requestedErasures: () => Promise.resolve(0),
    learnErasures: () => Promise.resolve(0),
    onFault(error) {
      throw error;
    },
  });
}

Deno.test("a process is alone until another joins, and its commits then fail the check of the roster", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const one = memberOf(store);
  await one.join();
  const alone = one.alone();
  ok(alone !== undefined);
  const two = createMembership({
    store,
    clock: systemClock,
    newId,
    limits: LANE_LIMITS,
    isServer: false,
    readOn: () => Promise.resolve(),
    requestedErasures: () => Promise.resolve(0),
    learnErasures: () => Promise.resolve(0),
    onFault(error) {
      throw error;
    },
  });
  await two.join();
  strictEqual(two.alone(), undefined);
  const stamped: [Key, unknown][] = [[JOURNAL, "entry"]];
  const lane = one.take()!;
  strictEqual(await one.write(lane, { attempt: newId(), alone, stamped }), undefined);
  strictEqual(one.alone(), undefined);
  one.release(lane);
  await two.close();
  await one.close();
  deepStrictEqual(await Array.fromAsync(store.list({ prefix: ["lane"] })), []);
});

Deno.test("a member that is evicted joins again under another id", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const one = memberOf(store);
  await one.join();
  const { others } = await membersBeside(
    { store, clock: systemClock, limits: LANE_LIMITS },
    { heard: new Map() },
  );
  const { stamp: roster } = await store.get(ROSTER);
  ok(await store.commit(evictionOf(others, { roster, mark: newId() })) !== null);
  const lane = one.take()!;
  const stamped: [Key, unknown][] = [[JOURNAL, "entry"]];
  await rejects(one.write(lane, { attempt: newId(), alone: undefined, stamped }), Evicted);
  await one.join();
  const again = one.take()!;
  ok(again.key[1] !== lane.key[1]);
  ok(await one.write(again, { attempt: newId(), alone: undefined, stamped }) !== undefined);
  one.release(again);
  await one.close();
});
