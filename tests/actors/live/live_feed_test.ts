/** What comes, told to who listens: two systems on one store, as two processes have it. */
import { BEGINNING } from "../../../domain/event/position.ts";
import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { systemClock } from "../../../actors/store/clock.ts";
import { FLAGS } from "../../../actors/journal/header.ts";
import { readJournal, rewriteEntry } from "../../../actors/journal/read_journal.ts";
import { LISTENING } from "../../../actors/store/keys.ts";
import type { Listener, News } from "../../../actors/live/listener.ts";
import { MAX_LISTENERS } from "../../../actors/live/live_feed.ts";
import { KEPT_NOTES, LOOK_MS } from "../../../actors/live/broadcast.ts";
import { type Note, WINDOW_NOTES } from "../../../actors/live/note_windows.ts";
import type { Store } from "../../../actors/store/store.ts";
import type { System } from "../../../actors/system.ts";
import { eventWith, openOn } from "../histories.ts";
import { MEMORY } from "../stores.ts";
import { TooManyListeners } from "../../../actors/store/errors.ts";

const note = (n: number, text = ""): Note => ({
  status: "duplicate",
  messageId: `m${n}`,
  type: "page",
  ...text !== "" && { userId: text },
  writeKeyId: "k",
  receivedAt: "2025-03-15T14:30:00.000Z",
});

/** What a test waits for comes sooner than this, or never: it says nothing of how fast it should come. */
const NEVER_MS = 120_000;

/**
 * Two systems on one store, and how often it was read. The times between two looks are a quarter of the usual ones, and
 * that somebody listens is not forgotten, however slow the machine is.
 */
async function openTwo({ pace = 0.25, listenedMs = NEVER_MS } = {}) {
  const place = await MEMORY.make();
  const reads = { count: 0 };
  const counted = (store: Store): Store => ({
    ...store,
    get(key) {
      reads.count++;
      return store.get(key);
    },
    list(range, options) {
      reads.count++;
      return store.list(range, options);
    },
  });
  const [one, two] = [
    await openOn(await place.open(), { limits: { pace, listenedMs } }),
    await openOn(counted(await place.open()), { limits: { pace, listenedMs } }),
  ];
  return {
    one,
    two,
    reads,
    store: await place.open(),
    async [Symbol.asyncDispose]() {
      await one.close();
      await two.close();
      await place[Symbol.asyncDispose]();
    },
  };
}

/** Waits until it is so; throws where it never is. */
async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const began = performance.now(); !await isSo(); await systemClock.sleep(5)) {
    ok(performance.now() - began < NEVER_MS, `${what}: not within ${NEVER_MS} ms`);
  }
}

/** Lets a system find out that somebody listens: that it may be so is said while it looks, too. */
async function learn({ live }: System): Promise<void> {
  let same = 0;
  await until("it knows that somebody listens", () => {
    same = live.wanted(performance.now()) ? same + 1 : 0;
    return same > 20;
  });
}

/** Takes news until there are so many notes, or (with what was passed over) so many in all. */
async function takeNotes(listener: Listener, count: number): Promise<{ notes: Note[]; skipped: number }> {
  const notes: Note[] = [];
  let skipped = 0;
  while (notes.length + skipped < count) {
    const news = await listener.next(500);
    notes.push(...news!.notes);
    skipped += news!.skipped;
  }
  return { notes, skipped };
}

async function keysUnder(store: Store, name: string): Promise<number> {
  let count = 0;
  for await (const _ of store.list({ prefix: [name] })) count++;
  return count;
}

Deno.test("while nobody listens the store is read now and then, however many requests there are", async () => {
  await using both = await openTwo({ pace: 1 });
  const before = both.reads.count;
  const { live } = both.two;
  // The time is that of the requests.
  for (const [atMs, looks] of [[0, 1], [LOOK_MS, 1], [LOOK_MS + 1, 2]] as const) {
    await until("it has looked", () => !live.wanted(atMs));
    for (let n = 0; n < 10_000; n++) {
      strictEqual(live.wanted(atMs), false);
      live.tell([note(n)]);
    }
    // A look is one read, the first is two: of what processes have left that are gone, too.
    strictEqual(both.reads.count - before, looks + 1);
  }
  strictEqual(await keysUnder(both.store, "notes"), 0);
  strictEqual((await both.store.get(LISTENING)).stamp, null);
});

Deno.test("of a process to which little comes no note is lost, though it looks only when something does", async () => {
  const listenedMs = 1_000;
  await using both = await openTwo({ listenedMs });
  const listener = await both.one.live.listen({});
  await until("it says that it listens", async () => (await both.store.get(LISTENING)).stamp !== null);
  for (let n = 0; n < 2; n++) {
    ok(both.two.live.wanted(performance.now()));
    both.two.live.tell([note(n)]);
    deepStrictEqual((await takeNotes(listener, 1)).notes, [note(n)]);
    // Longer than it believes that somebody listens.
    if (n === 0) await systemClock.sleep(2 * listenedMs);
  }
});

Deno.test("two listening processes each get the other's notes, and their own once", async () => {
  await using both = await openTwo();
  const systems = [both.one, both.two];
  const listeners = await Promise.all(systems.map(({ live }) => live.listen({})));
  // Each says that it listens every 500 ms, and learns then that the other does: that the one before was the other.
  const beats: string[] = [];
  await until("each knows of the other", async () => {
    const { value } = await both.store.get<{ by: string }>(LISTENING);
    if (value !== null && value.by !== beats.at(-1)) beats.push(value.by);
    return beats.length === 4;
  });
  for (const [index, { live }] of systems.entries()) {
    for (let n = 0; n < 3; n++) live.tell([note(10 * index + n)]);
  }
  for (const listener of listeners) {
    const { notes, skipped } = await takeNotes(listener, 6);
    deepStrictEqual(notes.map(({ messageId }) => messageId).toSorted(), [
      "m0",
      "m1",
      "m10",
      "m11",
      "m12",
      "m2",
    ]);
    strictEqual(skipped, 0);
    deepStrictEqual((await listener.next(500))!.notes, [], "and no more");
  }
});

Deno.test("notes that exceed a value are counted as skipped, also long ones", async () => {
  await using both = await openTwo();
  const listener = await both.one.live.listen({});
  await learn(both.two);
  both.two.live.tell([note(0)]);
  strictEqual((await takeNotes(listener, 1)).notes.length, 1);
  const many = WINDOW_NOTES * 3;
  for (let n = 0; n < many; n++) both.two.live.tell([note(n)]);
  const first = await takeNotes(listener, many);
  deepStrictEqual([first.notes.length, first.skipped], [WINDOW_NOTES, many - WINDOW_NOTES]);
  strictEqual(first.notes.at(-1)!.messageId, `m${many - 1}`);
  both.two.live.tell(Array.from({ length: 100 }, (_, n) => note(n, "ü".repeat(500))));
  const second = await takeNotes(listener, 100);
  strictEqual(second.notes.length + second.skipped, 100);
  ok(second.notes.length >= 20 && second.skipped > 0, `${second.notes.length} of 100`);
});

Deno.test("a slow listener is told the number of missed notes", async () => {
  await using both = await openTwo();
  const listener = await both.one.live.listen({});
  for (let n = 0; n < KEPT_NOTES + 30; n++) both.one.live.tell([note(n)]);
  const { notes, skipped } = await listener.next(1_000) as News;
  deepStrictEqual([notes.length, skipped, notes[0]!.messageId], [KEPT_NOTES, 30, "m30"]);
});

Deno.test("the notes of a dead process are deleted by another, and a closing process deletes its own", async () => {
  await using both = await openTwo();
  await both.store.commit({
    checks: [],
    sets: [[["notes", "dead"], { id: "dead", at: 0, first: 0, notes: new TextEncoder().encode("[]") }]],
  });
  both.two.live.wanted(performance.now());
  await until("they are deleted", async () => await keysUnder(both.store, "notes") === 0);
  const listener = await both.one.live.listen({});
  await learn(both.two);
  both.two.live.tell([note(1)]);
  strictEqual((await takeNotes(listener, 1)).notes.length, 1);
  strictEqual(await keysUnder(both.store, "notes"), 1);
  await both.two.close();
  strictEqual(await keysUnder(both.store, "notes"), 0);
});

Deno.test("events come in the order of the journal, whole, though many commit while it is read", async () => {
  await using both = await openTwo();
  const listener = await both.one.live.listen({ mayWant: (line) => !line.includes('"skip"') });
  const sending = [both.one, both.two].map(async (system, s) => {
    for (let n = 0; n < 30; n++) {
      const batch = Array.from({ length: 20 }, (_, i) => eventWith({ messageId: `${s} ${n * 20 + i}` }));
      await system.commit([...batch, eventWith({ userId: "skip" })], `key${s}`);
    }
  });
  const seen: News["events"] = [];
  while (seen.length < 1_200) seen.push(...(await listener.next(5_000))!.events);
  await Promise.all(sending);
  for (const s of [0, 1]) {
    const mine = seen.filter(({ writeKeyId }) => writeKeyId === `key${s}`);
    deepStrictEqual(
      mine.map(({ event }) => event.messageId),
      Array.from({ length: 600 }, (_, n) => `${s} ${n}`),
    );
  }
  ok(seen.every(({ position }, index) => index === 0 || position.place > seen[index - 1]!.position.place));
  // What was left out counts too: the count is of all events up to there.
  deepStrictEqual([seen.length, listener.position().count], [1_200, 1_260]);
});

Deno.test("a listener from before the first event gets all events, without erased ones", async () => {
  await using both = await openTwo();
  const first = await both.one.live.listen({});
  const after = first.position();
  first.close();
  await both.two.commit([1, 2, 3].map((n) => eventWith({ messageId: `m${n}` })), "k");
  for await (const entry of readJournal(both.store, {})) {
    const changeOf = (index: number) => index === 1 ? { gone: FLAGS.erased } : undefined;
    const { sets } = await rewriteEntry(both.store, entry, { changeOf, lineWithout: (line) => line });
    await both.store.commit({ checks: [], sets });
  }
  for (const position of [after, { place: BEGINNING, count: 0 }]) {
    const again = await both.one.live.listen({ after: position, mayWant: () => true });
    const { events } = (await again.next(5_000))!;
    deepStrictEqual(events.map(({ event, position: { count } }) => [event.messageId, count]), [["m1", 1], [
      "m3",
      3,
    ]]);
  }
});

Deno.test("a listener 50,000 events behind gets each of them; one further behind gets the number of skipped ones", async () => {
  const system = await openOn(":memory:");
  const commit = (n: number) => system.commit(Array.from({ length: n }, () => eventWith()), "k");
  const nothing = { place: BEGINNING, count: 0 };
  for (let n = 0; n < 50; n++) await commit(1_000);
  const near = await system.live.listen({ after: nothing, mayWant: () => true });
  const { skipped, events } = (await near.next(5_000))!;
  ok(skipped === 0 && events.length > 0);
  near.close();
  await commit(1);
  const far = await system.live.listen({ after: nothing, mayWant: () => true });
  strictEqual((await far.next(5_000))!.skipped, 50_001);
  await system.close();
});

Deno.test(`${MAX_LISTENERS} may listen, and another once one is closed`, async () => {
  await using both = await openTwo();
  const listeners = [];
  for (let n = 0; n < MAX_LISTENERS; n++) listeners.push(await both.one.live.listen({}));
  await rejects(both.one.live.listen({}), TooManyListeners);
  listeners[3]!.close();
  strictEqual(await listeners[3]!.next(1_000), undefined);
  await both.one.live.listen({});
});
