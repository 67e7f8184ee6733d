/**
 * How it works: a log grows by batches of entries, some late, some added twice, some rounds cut off after some of their
 * pages were written and done again; after each step everything that can be asked of it is held against a sorted array.
 */
import type { Mark } from "../../../domain/profile/fact.ts";
import { BEGINNING, pack, type Position } from "../../../domain/event/position.ts";
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { LIMITS } from "../../../actors/limits.ts";
import {
  compareEntries,
  decodeEntries,
  EMPTY_LOG,
  encodeEntries,
  growLog,
  isLinkEntry,
  type LogEntry,
  mayBe,
  type OpenLog,
  readLog,
  tagOf,
} from "../../../actors/settling/actor_log.ts";
import type { Key } from "../../../actors/store/keys.ts";
import { openStore, type Store } from "../../../actors/store/store.ts";
import { EVENT_TYPES } from "../../../domain/event/event.ts";
import { factWith, placed, runs } from "../../domain/profile/facts.ts";

const ACTOR = { generation: 1, kind: "user", id: "u" } as const;

async function write(store: Store, sets: [Key, unknown][]): Promise<void> {
  for (let i = 0; i < sets.length; i += 50) {
    ok(await store.commit({ checks: [], sets: sets.slice(i, i + 50) }) !== null);
  }
}

type Log = OpenLog & { position: Position; extra?: LogEntry[] };

async function read(store: Store, log: Log, range: { order: "asc" | "desc"; after?: Mark }) {
  return await Array.fromAsync(readLog(store, ACTOR, { log, ...range }));
}

/** A batch of entries: how many, how they lie in time, and what happens to its round. */
const batches = fc.array(
  fc.record({
    count: fc.integer({ min: 1, max: 700 }),
    spread: fc.constantFrom(
      "newer" as const,
      "anywhere" as const,
      "one moment" as const,
      "long ago" as const,
    ),
    seed: fc.nat(1_000_000),
    /** Pages written by a round that is cut off before its value, first; then it is done again. */
    cutAfter: fc.option(fc.nat(8), { nil: undefined }),
    again: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
);

/** Entries of a batch: reproducible, and of ever greater places. */
function entriesOf(
  { count, spread, seed }: { count: number; spread: string; seed: number },
  from: number,
): LogEntry[] {
  let random = seed;
  const next = (below: number) => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    return (random >>> 8) % below;
  };
  return Array.from({ length: count }, (_, index) => {
    const n = from + index;
    const at = spread === "newer"
      ? n * 10 + next(30)
      : spread === "anywhere"
      ? next(40_000) - 2000
      : spread === "one moment"
      ? 5000
      : -62_000_000_000_000 + next(500);
    return { at, place: placed(n), tag: next(60_000) };
  });
}

Deno.test("a log holds what was added to it, in order, however late, however often, and wherever a round was cut off", async () => {
  await fc.assert(
    fc.asyncProperty(
      batches,
      fc.array(fc.nat(10_000), { minLength: 4, maxLength: 4 }),
      async (all, picks) => {
        const store = await openStore(":memory:");
        try {
          let log: Log = { ...EMPTY_LOG, position: BEGINNING };
          let end = 0;
          let model: LogEntry[] = [];
          for (const batch of all) {
            const added = entriesOf(batch, end + 1);
            if (batch.cutAfter !== undefined) {
              const { pages } = await growLog(store, ACTOR, { log, added, limits: LIMITS });
              await write(store, pages.slice(0, batch.cutAfter));
              // What the value does not count on is not shown yet, or shown once by what is not settled.
              deepStrictEqual(await read(store, log, { order: "asc" }), model);
              deepStrictEqual(await read(store, log, { order: "desc" }), model.toReversed());
              const both = [...model, ...added].sort(compareEntries);
              deepStrictEqual(await read(store, { ...log, extra: added }, { order: "asc" }), both);
              deepStrictEqual(
                await read(store, { ...log, extra: added }, { order: "desc" }),
                both.toReversed(),
              );
            }
            const position = placed(end += batch.count);
            for (let times = batch.again ? 2 : 1; times > 0; times--) {
              const grown = await growLog(store, ACTOR, { log, added, limits: LIMITS });
              await write(store, grown.pages);
              log = { open: grown.open, from: grown.from, position };
            }
            model = [...model, ...added].sort(compareEntries);
            ok(decodeEntries(log.open).length <= LIMITS.openEntries);
          }
          deepStrictEqual(await read(store, log, { order: "asc" }), model);
          deepStrictEqual(await read(store, log, { order: "desc" }), model.toReversed());
          for (const pick of picks) {
            // Marks of entries, and marks between them.
            const { at, place } = model[pick % model.length]!;
            for (
              const after of [[at, place], [at - 1, place], [
                at,
                `${place.slice(0, -1)}8` as Position,
              ]] as Mark[]
            ) {
              const mark = { at: after[0], place: after[1], tag: 0 };
              deepStrictEqual(
                await read(store, log, { order: "asc", after }),
                model.filter((entry) => compareEntries(entry, mark) > 0),
              );
              deepStrictEqual(
                await read(store, log, { order: "desc", after }),
                model.filter((entry) => compareEntries(entry, mark) < 0).reverse(),
              );
            }
          }
          for await (const { value } of store.list<Uint8Array>({ prefix: ["log"] })) {
            ok(decodeEntries(value!).length <= 2 * LIMITS.pageEntries);
          }
        } finally {
          store.close();
        }
      },
    ),
    runs(60),
  );
});

Deno.test("entries are the same after they were encoded, of whatever time and place", () => {
  const entries = fc.array(
    fc.record({
      at: fc.integer({ min: -62_167_219_200_000, max: 253_402_300_799_999 }),
      place: fc.tuple(fc.maxSafeNat().map((n) => Math.floor(n / 2)), fc.nat(0xffff_ffff)).map((
        [version, rest],
      ) => pack(version, rest)),
      tag: fc.nat(65_535),
    }),
    { maxLength: 50 },
  );
  fc.assert(
    fc.property(entries, (drafts) => {
      const some = drafts.map((draft) => ({ ...draft }));
      deepStrictEqual(decodeEntries(encodeEntries(some)), some);
      const sorted = some.toSorted(compareEntries);
      deepStrictEqual(decodeEntries(encodeEntries(sorted)), sorted);
    }),
    runs(200),
  );
});

Deno.test("a tag never says of an event that it is not what it is", () => {
  const facts = fc.record({
    type: fc.constantFrom(...EVENT_TYPES),
    name: fc.option(fc.string({ unit: "grapheme" }), { nil: undefined }),
    userId: fc.constantFrom("u", undefined),
    anonymousId: fc.constant("a"),
    previousId: fc.constant("p"),
  });
  fc.assert(
    fc.property(facts, ({ name, ...rest }) => {
      const fact = factWith({ ...rest, name: rest.type === "track" ? name : undefined });
      for (const kind of ["user", "anonymous", "group"] as const) {
        const entry = { at: 0, place: BEGINNING, tag: tagOf(fact, kind) };
        ok(mayBe(entry, {}));
        ok(mayBe(entry, { type: fact.type }));
        if (fact.name !== undefined) ok(mayBe(entry, { type: "track", event: fact.name }));
        const isLink = (fact.type === "identify" || fact.type === "alias") && fact.userId !== undefined;
        strictEqual(isLinkEntry(entry), kind === "anonymous" && isLink);
      }
    }),
    runs(200),
  );
});
