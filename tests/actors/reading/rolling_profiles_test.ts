/** Profiles just before events: rolled on, they are what a fold of everything before would say. */
import { deepStrictEqual, strictEqual } from "node:assert";
import fc from "fast-check";
import { batches, BEGIN_MS, createStamper, eventWith, openOn, settle } from "../histories.ts";
import { linesOfEntry, positionIn, readJournal } from "../../../actors/journal/read_journal.ts";
import { openStore, type Store } from "../../../actors/store/store.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { justBefore, type Position } from "../../../domain/event/position.ts";
import type { System } from "../../../actors/system.ts";

async function journalOf(store: Store): Promise<{ event: StoredEvent; position: Position }[]> {
  const all = [];
  for await (const entry of readJournal(store, {})) {
    for (const [index, line] of (await linesOfEntry(store, entry)).entries()) {
      const event: StoredEvent = JSON.parse(line);
      if (event.type !== undefined) all.push({ event, position: positionIn(entry, index) });
    }
  }
  return all;
}

/** The person of an event by a fold of all events before it. */
function folded({ reader }: System, { userId, anonymousId }: StoredEvent, past: object) {
  return userId !== undefined ? reader.user(userId, past) : reader.anonymous(anonymousId!, past);
}

const plain = (value: unknown) => JSON.parse(JSON.stringify(value));

Deno.test("a rolled profile is the fold of all events with a smaller position, for random histories", async () => {
  await fc.assert(
    fc.asyncProperty(
      batches(8),
      fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
      async (drafts, asked) => {
        const store = await openStore(":memory:");
        const system = await openOn(store, { clock: { ms: BEGIN_MS + 1e6 } });
        const stamp = createStamper();
        for (const batch of drafts) await system.commit(batch.map(stamp), "k");
        // A part of the history is settled, the rest is in the tail.
        await settle(system);
        const [first] = drafts;
        await system.commit(first!.map(stamp), "k");
        const rolling = system.reader.rolling();
        for (const [index, { event, position }] of (await journalOf(store)).entries()) {
          // Somebody is passed over, so that states are rolled on over events that nobody asks for.
          if (!asked[index % asked.length]) continue;
          const before = await rolling.before(event, position);
          deepStrictEqual(plain(before), plain(await folded(system, event, { upTo: justBefore(position) })));
        }
        await system.close();
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("where events happen as they arrive, asOf and at say the same just before each, for random histories", async () => {
  await fc.assert(
    fc.asyncProperty(batches(5), async (drafts) => {
      const store = await openStore(":memory:");
      const system = await openOn(store, { clock: { ms: BEGIN_MS + 1e6 } });
      const stamp = createStamper();
      // A stamper gives each event a second of its own.
      for (const batch of drafts) {
        const events = batch.map(stamp).map((event) => ({ ...event, timestamp: event.receivedAt }));
        await system.commit(events, "k");
      }
      const rolling = system.reader.rolling();
      for (const { event, position } of await journalOf(store)) {
        const justBeforeMs = Date.parse(event.receivedAt) - 1;
        const before = plain(await rolling.before(event, position));
        deepStrictEqual(before, plain(await folded(system, event, { asOf: justBeforeMs })));
        deepStrictEqual(before, plain(await folded(system, event, { at: justBeforeMs })));
      }
      await system.close();
    }),
    { numRuns: 40 },
  );
});

Deno.test("an event that was passed before gets its own past, and later ones roll on", async () => {
  const store = await openStore(":memory:");
  const system = await openOn(store, { clock: { ms: BEGIN_MS + 1e6 } });
  await system.commit(Array.from({ length: 20 }, () => eventWith()), "k");
  const all = await journalOf(store);
  const rolling = system.reader.rolling();
  const countAt = async (n: number) =>
    (await rolling.before(all[n]!.event, all[n]!.position) as { eventCount: number } | null)?.eventCount ?? 0;
  for (const n of [5, 6, 2, 7, 0, 19, 19]) strictEqual(await countAt(n), n);
  await system.close();
});

Deno.test("nothing of an erased person is held", async () => {
  const store = await openStore(":memory:");
  const system = await openOn(store, { clock: { ms: BEGIN_MS + 1e6 } });
  await system.commit([eventWith({ type: "identify", traits: { email: "j@x.org" } }), eventWith()], "k");
  const all = await journalOf(store);
  const rolling = system.reader.rolling();
  const traits = async () =>
    (await rolling.before(all[1]!.event, all[1]!.position) as { traits: object } | null)?.traits;
  deepStrictEqual(plain(await traits()), { email: "j@x.org" });
  await system.erasure.erase({ kind: "user", id: "u1" }, { suppress: false });
  rolling.forget();
  strictEqual(await traits(), undefined);
  await system.close();
});
