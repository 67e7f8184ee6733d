import { placed } from "../../domain/profile/facts.ts";
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { LIMITS } from "../../../actors/limits.ts";
import { digestOf as digestWith, wordsOfHex } from "../../../actors/dedup/digest.ts";
import {
  addProbes,
  dueForMerge,
  type Filter,
  keysOfRun,
  loadFilters,
  lookUp,
  makeRun,
  mergeRuns,
  type Probe,
  type Run,
  type SeenView,
  withinWindow,
} from "../../../actors/dedup/dedup_index.ts";
import type { Key } from "../../../actors/store/keys.ts";
import { openStore, type Store } from "../../../actors/store/store.ts";
import { runs as runsOf } from "../../domain/profile/facts.ts";

const digestOf = (id: string) => digestWith(id, "secret");

const bytesOf = (digests: string[]) => Uint8Array.fromHex(digests.join(""));

async function writeAll(store: Store, sets: Iterable<[Key, Uint8Array]> | AsyncIterable<[Key, Uint8Array]>) {
  const some: [Key, Uint8Array][] = [];
  for await (const set of sets) {
    some.push(set);
    if (some.length >= 10) await store.commit({ checks: [], sets: some.splice(0) });
  }
  await store.commit({ checks: [], sets: some });
}

/** The probes for some digests. */
function probesFor(view: SeenView, digests: string[]): Probe[] {
  const words = wordsOfHex(digests.join(""));
  const probes: Probe[] = [];
  for (let at = 0; at < digests.length; at++) addProbes(probes, view, { digests: words, at });
  return probes;
}

/** Which of the digests the index knows. */
async function known(store: Store, view: SeenView, digests: string[]): Promise<Set<string>> {
  const seen = await lookUp(store, wordsOfHex(digests.join("")), probesFor(view, digests));
  ok(seen !== undefined);
  return new Set(seen.map((at) => digests[at]!));
}

/** An index that takes rounds of digests as a settler does: a run each, merged as they are due. */
async function indexOf(store: Store, rounds: string[][], spanMs = Infinity) {
  let runs: Run[] = [];
  const filters = new Map<number, Filter>();
  let nextRun = 1;
  for (const [at, digests] of rounds.entries()) {
    const cut = Math.floor(digests.length / 3);
    const made = makeRun(nextRun++, [bytesOf(digests.slice(0, cut)), bytesOf(digests.slice(cut))], {
      at,
      end: placed(at),
      limits: LIMITS,
    });
    strictEqual(made === undefined, digests.length === 0);
    if (made === undefined) continue;
    await writeAll(store, made.sets);
    runs = [...runs, made.run];
    filters.set(made.run.id, made.filter);
    const due = dueForMerge(runs, { spanMs, limits: LIMITS });
    if (due.length === 0) continue;
    const merged = mergeRuns(store, nextRun++, { runs: due, limits: LIMITS });
    await writeAll(store, merged.sets);
    deepStrictEqual(due, runs.slice(runs.length - due.length));
    strictEqual(merged.run.n, due.reduce((sum, run) => sum + run.n, 0));
    runs = [...runs.slice(0, runs.length - due.length), merged.run];
    filters.set(merged.run.id, merged.filter);
    for (const run of due) {
      await store.commit({ checks: [], sets: [], deletes: keysOfRun(run) });
      filters.delete(run.id);
    }
  }
  return { runs, filters };
}

Deno.test("no id is lost or invented, however many rounds were merged, by filters made, read again, or not there", async () => {
  const cases = fc.array(fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 1500 })), {
    minLength: 1,
    maxLength: 14,
  });
  await fc.assert(
    fc.asyncProperty(cases, fc.nat(), async (sizes, salt) => {
      const store = await openStore(":memory:");
      try {
        const rounds = sizes.map((size, round) =>
          Array.from({ length: size }, (_, i) => digestOf(`${salt}/${round}/${i}`))
        );
        const view = await indexOf(store, rounds);
        const all = rounds.flat();
        const strangers = Array.from({ length: 300 }, (_, i) => digestOf(`stranger ${salt} ${i}`));
        const read = {
          runs: view.runs,
          filters: await loadFilters(store, view.runs, { loaded: new Map(), limits: LIMITS }),
        };
        deepStrictEqual(read.filters, view.filters);
        for (const each of [view, read, { runs: view.runs, filters: new Map() }]) {
          strictEqual((await known(store, each, all)).size, all.length);
          strictEqual((await known(store, each, strangers)).size, 0);
        }
        // A filter is worth its memory: a new id costs no read.
        const large = { ...view, runs: view.runs.filter((run) => run.n >= 100) };
        ok(probesFor(large, strangers).length < 10);
        // Nothing else is left in the store.
        const keys = new Set(view.runs.flatMap(keysOfRun).map((key) => JSON.stringify(key)));
        for await (const { key } of store.list({ prefix: ["seen"] })) ok(keys.has(JSON.stringify(key)));
      } finally {
        store.close();
      }
    }),
    runsOf(25),
  );
});

Deno.test("a part that is missing means that runs have changed, never that an id is new", async () => {
  const store = await openStore(":memory:");
  try {
    const digests = Array.from({ length: 40 }, (_, i) => digestOf(`id ${i}`));
    const view = await indexOf(store, [digests]);
    await store.commit({ checks: [], sets: [], deletes: keysOfRun(view.runs[0]!) });
    const [first] = digests;
    strictEqual(await lookUp(store, wordsOfHex(first!), probesFor(view, [first!])), undefined);
    // Nor does a filter that can't be read: it is left out, and the id may be there.
    deepStrictEqual(await loadFilters(store, view.runs, { loaded: new Map(), limits: LIMITS }), new Map());
    strictEqual(probesFor({ ...view, filters: new Map() }, [digestOf("another")]).length, 1);
  } finally {
    store.close();
  }
});

Deno.test("runs stay few, however many rounds there are, and each digest is written again few times", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 200, maxLength: 400 });
  fc.assert(
    fc.property(sizes, (all) => {
      let runs: Run[] = [];
      let written = 0;
      let total = 0;
      for (const [at, n] of all.entries()) {
        runs.push({ id: at, n, parts: 1, filterParts: 1, at, end: placed(at) });
        total += n;
        const due = dueForMerge(runs, { spanMs: Infinity, limits: LIMITS });
        if (due.length === 0) continue;
        const sum = due.reduce((all, run) => all + run.n, 0);
        written += sum;
        runs = [...runs.slice(0, runs.length - due.length), { ...due[0]!, n: sum, at }];
      }
      strictEqual(runs.reduce((sum, run) => sum + run.n, 0), total);
      ok(runs.length < 60, `${runs.length} runs`);
      ok(written < 25 * total, `${written / total} times`);
    }),
    runsOf(20),
  );
});

const DAY_MS = 86_400_000;

/** Runs whose newest ids are of these days. */
const runsOfDays = (days: number[]): Run[] =>
  days.map((day, id) => ({ id, n: 1, parts: 1, filterParts: 1, at: day * DAY_MS, end: placed(id) }));

/** Which days of runs are kept at a day, with a window of 32 days. */
const keptAt = (days: number[], nowDay: number, windowDays = 32) =>
  withinWindow(runsOfDays(days), { nowMs: nowDay * DAY_MS, windowMs: windowDays * DAY_MS }).map((run) =>
    run.at / DAY_MS
  );

const upTo = (day: number) => Array.from({ length: day }, (_, n) => n + 1);

Deno.test("a run is dropped whole once its newest is out of the window and its margin; a window of 0 is for ever", () => {
  // The window is 32 days and the margin an eighth of it.
  deepStrictEqual(keptAt(upTo(60), 60), upTo(60).slice(60 - 37));
  deepStrictEqual(keptAt(upTo(60), 61), upTo(60).slice(60 - 36));
  deepStrictEqual(keptAt(upTo(37), 37), upTo(37));
  deepStrictEqual(keptAt(upTo(60), 1e6, 0), upTo(60));
});

Deno.test("runs that are merged make one that is as old as the newest of them", async () => {
  const store = await openStore(":memory:");
  try {
    const { run } = mergeRuns(store, 9, { runs: runsOfDays([3, 40, 12]), limits: LIMITS });
    deepStrictEqual([run.at, run.end], [40 * DAY_MS, placed(2)]);
  } finally {
    store.close();
  }
});

Deno.test("a commit stamped by a clock that was wrong by any length of time drops no id of the window", () => {
  for (const jumpDays of [1, 31, 3650]) {
    // By a clock that was wrong for one commit, or from then on; and after it has come back, time stands still.
    deepStrictEqual(keptAt(upTo(30), 30 + jumpDays), upTo(30));
    deepStrictEqual(keptAt([...upTo(30), 30 + jumpDays], 30 + jumpDays), [...upTo(30), 30 + jumpDays]);
  }
  // And yet all grows old, by the days in which somebody sent.
  const sparse = Array.from({ length: 40 }, (_, n) => n * 100);
  strictEqual(keptAt(sparse, 3_900).length, 10);
});
