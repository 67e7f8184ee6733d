/**
 * How it works: rounds of settling of so many ids that the merged run has more parts than that of a round, and a fault at
 * the n-th write, for every n. What was cut off half made or half deleted stands under keys that no list names; the next
 * round of whoever has seen nothing of it must take them away.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Settled } from "../../actors/journal/journal_state.ts";
import { type Key, SEEN, seenFilterKey, seenKey, SETTLED } from "../../actors/store/keys.ts";
import { keysOfRun } from "../../actors/dedup/dedup_index.ts";
import type { Store } from "../../actors/store/store.ts";
import type { System } from "../../actors/system.ts";
import { BEGIN_MS, eventWith, openOn, settle } from "../actors/histories.ts";
import { MEMORY, withFault } from "../actors/stores.ts";

/** Ids in a round: two parts of a run. */
const ROUND_IDS = 600;

/** Rounds until runs are merged, and one more. */
const ROUNDS = 5;

/** Keys of the dedup index that no list names, and those that one names and that are not there. */
async function beside(store: Store): Promise<{ strays: string[]; missing: string[] }> {
  const { value } = await store.get<Settled>(SETTLED);
  const named = new Set(value!.runs.flatMap(keysOfRun).map((key) => key.join("/")));
  const strays: string[] = [];
  for await (const { key } of store.list({ prefix: SEEN })) {
    if (!named.delete(key.join("/"))) strays.push(key.join("/"));
  }
  return { strays, missing: [...named] };
}

const NOTHING = { strays: [], missing: [] };

/** Lives that are lived at once: each mostly waits. */
const AT_ONCE = 16;

/** Lives through it with the first write, the second, and so on, until there is none that `live` could befall. */
async function liveAll(live: (nth: number) => Promise<boolean>): Promise<void> {
  for (let from = 1;; from += AT_ONCE) {
    const befell = await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => live(from + n)));
    if (!befell.every((each) => each)) return;
  }
}

/** Settles rounds one after the other. */
async function settleRounds(system: System): Promise<void> {
  for (let n = 0; n < ROUNDS; n++) {
    await system.commit(Array.from({ length: ROUND_IDS }, () => eventWith()), "key");
    await settle(system);
  }
}

for (
  const { heir, isThere } of [
    { heir: "the next process", isThere: false },
    { heir: "a process that was there all the time", isThere: true },
  ]
) {
  Deno.test(`what a process leaves of the dedup index that dies at whatever write, ${heir} takes away`, async () => {
    let strayed = 0;
    const afterwards: Promise<unknown>[] = [];
    for (const fault of ["dead", "done but dead"] as const) {
      await liveAll(async (nth) => {
        await using place = await MEMORY.make();
        const store = await place.open();
        const clock = { ms: BEGIN_MS + 1e9 };
        const first = await openOn(store, { clock });
        await first.commit([eventWith()], "key");
        await settle(first);
        if (!isThere) await first.close();
        const faulty = withFault(store, { nth, fault });
        const doomed = await openOn(faulty, { clock }).catch(() => undefined);
        const lived = doomed === undefined
          ? Promise.resolve(false)
          : settleRounds(doomed).then(() => true, () => false);
        const befell = !await Promise.race([lived, faulty.died.then(() => false)]);
        if ((await beside(store)).strays.length > 0) strayed++;
        if (doomed !== undefined) afterwards.push(doomed.close().catch(() => {}));
        // Its lease is over.
        clock.ms += 60_000;
        const heir = isThere ? first : await openOn(store, { clock });
        await heir.commit([eventWith()], "key");
        // It may have lost the lease to the other again and again, and wait for long before it tries once more. Time goes
        // on meanwhile: the other may have renewed its lease in the moment in which it died.
        const passing = setInterval(() => clock.ms += 60_000, 500);
        await heir.tick!().finally(() => clearInterval(passing));
        await heir.close();
        deepStrictEqual(await beside(store), NOTHING, `where write ${nth} is ${fault}`);
        return befell;
      });
    }
    await Promise.all(afterwards);
    ok(strayed > 4, `${strayed} times something was left`);
  });
}

Deno.test("what a fault cuts off of the dedup index goes with the next round of the same process", async () => {
  let strayed = 0;
  await liveAll(async (nth) => {
    await using place = await MEMORY.make();
    const store = await place.open();
    const faults: unknown[] = [];
    let writes = 0;
    let isOver = false;
    const system = await openOn({
      ...store,
      async commit(write) {
        const keys = [...write.sets.map(([key]) => key), ...write.deletes ?? []];
        if (isOver || !keys.some(([name]) => name === SEEN[0]) || ++writes !== nth) {
          return await store.commit(write);
        }
        if ((await beside(store)).strays.length > 0) strayed++;
        throw new Error("no try of this write is of use");
      },
    }, { faults });
    await settleRounds(system);
    isOver = true;
    await settle(system);
    await system.close();
    deepStrictEqual(await beside(store), NOTHING, `where write ${nth} fails`);
    return faults.length > 0;
  });
  ok(strayed > 0);
});

Deno.test("what an older version has left of the dedup index goes with the first round after a start", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const before = await openOn(store);
  await settleRounds(before);
  await before.close();
  const strays = [seenKey(0, 3), seenFilterKey(1, 0), seenKey(1e6, 0), seenFilterKey(1e6, 1)];
  const [run] = (await store.get<Settled>(SETTLED)).value!.runs;
  strays.push(seenKey(run!.id, run!.parts), seenFilterKey(run!.id, run!.filterParts));
  const sets = strays.map((key): [Key, Uint8Array] => [key, new Uint8Array(16)]);
  await store.commit({ checks: [], sets });
  strictEqual((await beside(store)).strays.length, strays.length);
  const system = await openOn(store);
  await system.commit([eventWith()], "key");
  await settle(system);
  await system.close();
  deepStrictEqual(await beside(store), NOTHING);
});
