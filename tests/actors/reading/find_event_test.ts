/** An event is found by its message id wherever it stands, within bounds of reading. */
import { BEGINNING } from "../../../domain/event/position.ts";
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { ulid } from "ulid";
import type { Store } from "../../../actors/store/store.ts";
import type { System } from "../../../actors/system.ts";
import { runs } from "../../domain/profile/facts.ts";
import { BEGIN_MS, eventWith, openOn, settle } from "../histories.ts";
import { MEMORY } from "../stores.ts";
import type { Trace, TraceBefore } from "../../../actors/reading/event_trace.ts";

const DAY_MS = 86_400_000;

/** A store that counts the values that are read. */
function counting(store: Store) {
  const reads = { values: 0 };
  const counted: Store = {
    ...store,
    get(key) {
      reads.values++;
      return store.get(key);
    },
    getMany(keys) {
      reads.values += keys.length;
      return store.getMany(keys);
    },
    scan(range, limit, take) {
      return store.scan(range, limit, (entry) => {
        reads.values++;
        take(entry as never);
      });
    },
  };
  return { reads, counted };
}

/** The whole search, as who asks again with what they are told does it; and how often that took asking. */
async function findAll(
  { traces }: System,
  messageId: string,
): Promise<{ trace: Trace | null; asked: number }> {
  let before: TraceBefore | undefined;
  for (let asked = 1;; asked++) {
    const found = await traces.find(messageId, before);
    if (found === null || !("goOnBefore" in found)) return { trace: found, asked };
    ok(before === undefined || !("position" in before) || found.goOnBefore < before.position, "it goes on");
    before = { position: found.goOnBefore };
  }
}

Deno.test("every event is found at its position with its sender, settled or not, and no other event is", async () => {
  const sizes = fc.array(fc.record({ count: fc.integer({ min: 1, max: 40 }), settles: fc.boolean() }), {
    minLength: 1,
    maxLength: 8,
  });
  await fc.assert(
    fc.asyncProperty(sizes, async (batches) => {
      await using place = await MEMORY.make();
      const clock = { ms: BEGIN_MS };
      const system = await openOn(await place.open(), { clock });
      try {
        const sent: string[] = [];
        for (const [n, { count, settles }] of batches.entries()) {
          const batch = Array.from({ length: count }, (_, i) => eventWith({ messageId: `m${n}_${i}` }));
          await system.commit(batch, `key${n}`);
          sent.push(...batch.map(({ messageId }) => messageId));
          if (settles) await settle(system);
          clock.ms += n % 2;
        }
        let position = BEGINNING;
        for (const messageId of sent) {
          const { trace } = await findAll(system, messageId);
          strictEqual(trace!.event.messageId, messageId);
          strictEqual(trace!.writeKeyId, `key${messageId.slice(1).split("_")[0]}`);
          ok(trace!.position > position, "in the order of the journal");
          position = trace!.position;
        }
        for (const other of ["", "m", "m0_99", ulid()]) {
          strictEqual((await findAll(system, other)).trace, null);
        }
      } finally {
        await system.close();
      }
    }),
    runs(15),
  );
});

Deno.test("an id outside the dedup window is found, and the newest of two events first", async () => {
  await using place = await MEMORY.make();
  const clock = { ms: BEGIN_MS };
  const system = await openOn(await place.open(), { clock, dedupMs: DAY_MS });
  try {
    for (let day = 0; day < 30; day++) {
      const receivedAt = new Date(clock.ms).toISOString();
      await system.commit([eventWith({ messageId: `day${day}`, receivedAt })], "k");
      if (day % 20 === 0) await system.commit([eventWith({ messageId: "twice", receivedAt })], "k");
      await settle(system);
      clock.ms += DAY_MS;
    }
    for (const day of [0, 1, 15, 28, 29]) {
      strictEqual((await findAll(system, `day${day}`)).trace?.event.messageId, `day${day}`);
    }
    const newest = (await findAll(system, "twice")).trace!;
    strictEqual(newest.event.receivedAt, new Date(BEGIN_MS + 20 * DAY_MS).toISOString());
    const older = await system.traces.find("twice", { position: newest.position }) as Trace;
    strictEqual(older.event.receivedAt, new Date(BEGIN_MS).toISOString());
    deepStrictEqual(await system.traces.find("twice", { ms: BEGIN_MS + 10 * DAY_MS }), older);
    strictEqual(await system.traces.find("twice", { ms: BEGIN_MS }), null);
    strictEqual(await system.traces.find("twice", { position: older.position }), null);
    strictEqual((await findAll(system, "never")).trace, null);
  } finally {
    await system.close();
  }
});

Deno.test("a search stops at its bound, tells where to continue, and can be continued to the end", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const system = await openOn(store, {});
  // One chunk each, as no two are committed together.
  for (let n = 0; n < 300; n++) await system.commit([eventWith({ messageId: `m${n}` })], "k");
  await system.close();
  const { reads, counted } = counting(await place.open());
  const small = await openOn(counted, { limits: { searchEntries: 70 } });
  try {
    const asked: number[] = [];
    for (const messageId of ["m299", "m200", "m0"]) {
      const found = await findAll(small, messageId);
      strictEqual(found.trace?.event.messageId, messageId);
      asked.push(found.asked);
    }
    deepStrictEqual(asked, [1, 2, 5]);
    await settle(small);
    const before = reads.values;
    ok("goOnBefore" in (await small.traces.find("m0"))!);
    ok(reads.values - before < 70 + 40, `${reads.values - before} values`);
  } finally {
    await small.close();
  }
});

Deno.test("an id that was never accepted costs no search while nothing has left the window", async () => {
  await using place = await MEMORY.make();
  const { reads, counted } = counting(await place.open());
  const system = await openOn(counted);
  try {
    for (let n = 0; n < 300; n++) await system.commit([eventWith()], "k");
    await settle(system);
    const before = reads.values;
    strictEqual(await system.traces.find("never"), null);
    ok(reads.values - before < 10, `${reads.values - before} values`);
  } finally {
    await system.close();
  }
});

Deno.test("an old id with a time is found by that time, even if no run covers it", async () => {
  await using place = await MEMORY.make();
  const clock = { ms: BEGIN_MS };
  const { reads, counted } = counting(await place.open());
  const system = await openOn(counted, { clock });
  try {
    const ids: string[] = [];
    for (let n = 0; n < 2_000; n++) {
      ids.push(ulid(clock.ms));
      await system.commit([eventWith({ messageId: ids[n]! })], "k");
      clock.ms += 1_000;
    }
    await settle(system);
    const costs: number[] = [];
    for (const n of [3, 500, 1_900]) {
      const before = reads.values;
      strictEqual((await findAll(system, ids[n]!)).asked, 1);
      costs.push(reads.values - before);
    }
    // A minute's chunks, three searches for a moment, and the profile.
    ok(costs.every((cost) => cost < 256 + 100), costs.join());
  } finally {
    await system.close();
  }
});
