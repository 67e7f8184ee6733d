/**
 * What the dedup index costs when it is large: memory, what it adds to a start, and look-ups of new and of repeated ids.
 *
 * deno task bench:seen [--ids N] [--days N] [--lookups N]
 *
 * The index is built as the settler builds it: a run for each round of settling, merged as runs become due. Look-ups are
 * done as the committer does them, for the ids of a batch at once. No bar is set; the rates are shown beside bare reads
 * of as many values.
 */
import { LIMITS } from "../actors/limits.ts";
import { endOf } from "../domain/event/position.ts";
import { DIGEST_BYTES, DIGEST_WORDS, digestsIn } from "../actors/dedup/digest.ts";
import { createJournal, NOTHING_SETTLED, type Settled } from "../actors/journal/journal_state.ts";
import { type Key, seenFilterKey, seenKey, SETTLED } from "../actors/store/keys.ts";
import {
  addProbes,
  dueForMerge,
  keysOfRun,
  lookUp,
  makeRun,
  mergeRuns,
  type Probe,
  type Run,
  type SeenView,
} from "../actors/dedup/dedup_index.ts";
import { openStore, type Store } from "../actors/store/store.ts";
import type { Outcome } from "./load/report.ts";
import { figure, row, runBench, type Stage, timed } from "./replay.ts";

const HELP = `deno task bench:seen [--ids N] [--days N] [--lookups N]

Builds a dedup index in a file, opens it as a start does, and looks ids up.

  --ids N       message ids in the index (5000000)
  --days N      days in which they came: the more, the more runs, as none covers more than a 16th of the window (30)
  --lookups N   new ids looked up; a twentieth as many repeated ones (1000000)
  --help        this text`;

const SIZES = { ids: 5_000_000, days: 30, lookups: 1_000_000 };

/** Ids settled in a round, as under load; random values come in pieces of 64 KiB. */
const ROUND_IDS = 32_768;
const PIECE_IDS = 4_096;

const DAY_MS = 86_400_000;

/** The longest time that one run covers: a 16th of the window of dedup, which is 30 days, as the settler has it. */
const RUN_SPAN_MS = (30 * DAY_MS) / 16;

/** Ids of a batch, which are looked up together. */
const BATCH = 500;

/** Bytes and values of one write. */
const WRITE_BYTES = 300_000;
const WRITE_VALUES = 500;

/** So many digests: random bytes are as good as SHA-256's, and faster to make. */
function randomDigests(count: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let left = count; left > 0; left -= PIECE_IDS) {
    pieces.push(crypto.getRandomValues(new Uint8Array(Math.min(left, PIECE_IDS) * DIGEST_BYTES)));
  }
  return pieces;
}

type Sets = Iterable<[Key, Uint8Array]> | AsyncIterable<[Key, Uint8Array]>;

/** Writes all of a run; gives the bytes. */
async function writeAll(store: Store, sets: Sets): Promise<number> {
  let [batch, bytes, total]: [[Key, Uint8Array][], number, number] = [[], 0, 0];
  for await (const set of sets) {
    if (bytes + set[1].length > WRITE_BYTES || batch.length >= WRITE_VALUES) {
      await store.commit({ checks: [], sets: batch });
      [batch, bytes] = [[], 0];
    }
    batch.push(set);
    bytes += set[1].length + 100;
    total += set[1].length;
  }
  await store.commit({ checks: [], sets: batch });
  return total;
}

async function deleteAll(store: Store, run: Run): Promise<void> {
  const keys = keysOfRun(run);
  for (let i = 0; i < keys.length; i += WRITE_VALUES) {
    await store.commit({ checks: [], sets: [], deletes: keys.slice(i, i + WRITE_VALUES) });
  }
}

/** A position behind the ids of a run. */
const endOfRun = (run: number) => endOf(run.toString(16).padStart(20, "0"));

/** Builds the index of a database in which so many ids are settled. Gives bytes written, and some ids that are in it. */
async function build(store: Store, { ids, days, samples }: { ids: number; days: number; samples: number }) {
  let runs: Run[] = [];
  let nextRun = 1;
  let bytes = 0;
  const known: Uint32Array[] = [];
  for (let done = 0; done < ids; done += ROUND_IDS) {
    const count = Math.min(ROUND_IDS, ids - done);
    const digests = randomDigests(count);
    const share = Math.ceil((samples * count) / ids);
    known.push(...batchesOf(digestsIn(digests[0]!).subarray(0, share * DIGEST_WORDS)));
    const made = makeRun(nextRun++, digests, {
      at: days * DAY_MS * (done / ids),
      end: endOfRun(nextRun),
      limits: LIMITS,
    })!;
    bytes += await writeAll(store, made.sets);
    runs.push(made.run);
    const due = dueForMerge(runs, { spanMs: RUN_SPAN_MS, limits: LIMITS });
    if (due.length === 0) continue;
    const merged = mergeRuns(store, nextRun++, { runs: due, limits: LIMITS });
    bytes += await writeAll(store, merged.sets);
    runs = [...runs.filter((run) => !due.includes(run)), merged.run];
    for (const run of due) await deleteAll(store, run);
  }
  const settled: Settled = { ...NOTHING_SETTLED, position: endOfRun(nextRun), events: ids, runs, nextRun };
  await store.commit({ checks: [], sets: [[SETTLED, settled]] });
  return { runs, bytes, known };
}

/** Looks ids up, a batch at a time; gives how many of how many were found, how many values that read, and the time. */
async function lookUpAll(store: Store, view: SeenView, batches: Iterable<Uint32Array>) {
  let [count, found, reads, ms] = [0, 0, 0, 0];
  for (const digests of batches) {
    ms += await timed(async () => {
      const probes: Probe[] = [];
      for (let at = 0; at * DIGEST_WORDS < digests.length; at++) addProbes(probes, view, { digests, at });
      reads += probes.length;
      if (probes.length > 0) found += new Set(await lookUp(store, digests, probes)).size;
    });
    count += digests.length / DIGEST_WORDS;
  }
  return { count, found, reads, ms };
}

function* newIds(count: number): Generator<Uint32Array> {
  for (let left = count; left > 0; left -= BATCH) {
    yield* randomDigests(Math.min(left, BATCH)).map(digestsIn);
  }
}

/** A row of digests in batches. */
function* batchesOf(digests: Uint32Array): Generator<Uint32Array> {
  const step = BATCH * DIGEST_WORDS;
  for (let i = 0; i < digests.length; i += step) yield digests.subarray(i, i + step);
}

/** Reads as many values of the index, anywhere in it, as bare as can be. */
async function readBare(store: Store, { runs }: SeenView, count: number): Promise<number> {
  const keys = Array.from({ length: count }, () => {
    const run = runs[Math.floor(Math.random() * runs.length)]!;
    return seenKey(run.id, Math.floor(Math.random() * run.parts));
  });
  let ms = 0;
  for (let i = 0; i < keys.length; i += BATCH) {
    ms += await timed(() => store.getMany(keys.slice(i, i + BATCH)));
  }
  return ms;
}

/** Opens the index as a start does, and says what that adds to one. */
async function open(store: Store, emptyMs: number): Promise<SeenView> {
  const journal = createJournal(store, LIMITS);
  const startMs = await timed(() => journal.sync());
  const view = journal.seen();
  const keys = view.runs.flatMap(({ id, filterParts }) =>
    Array.from({ length: filterParts }, (_, n) => seenFilterKey(id, n))
  );
  const bareMs = await timed(() => store.getMany(keys));
  const bytes = [...view.filters.values()].reduce((sum, filter) => sum + filter.byteLength, 0);
  const ids = view.runs.reduce((sum, run) => sum + run.n, 0);
  row("filters in memory", `${figure(bytes / 1e6, 1)} MB`, `${figure((bytes * 8) / ids, 1)} bits an id`);
  row(
    "opening the journal with them",
    `${figure(startMs)} ms`,
    `${figure(emptyMs)} empty`,
    `${figure(startMs / bareMs, 1)} x bare`,
  );
  return view;
}

/** Looks up ids that are not there and ids that are, and says how fast. */
async function search(
  store: Store,
  view: SeenView,
  { lookups, known }: { lookups: number; known: Uint32Array[] },
) {
  const perSecond = (count: number, ms: number) => `${figure((count / ms) * 1000)}/s`;
  const fresh = await lookUpAll(store, view, newIds(lookups));
  row(
    `${figure(lookups)} new ids`,
    perSecond(lookups, fresh.ms),
    `${figure(fresh.reads)} reads`,
    `${figure((fresh.reads / lookups) * 100, 3)} % false`,
  );
  const repeated = await lookUpAll(store, view, known);
  const bareMs = await readBare(store, view, repeated.reads);
  row(
    `${figure(repeated.count)} repeated ids`,
    perSecond(repeated.count, repeated.ms),
    `${figure(repeated.reads / repeated.count, 3)} reads/id`,
    `${figure(repeated.ms / bareMs, 1)} x bare`,
  );
  if (fresh.found > 0 || repeated.found !== repeated.count) {
    throw new Error(
      `found ${fresh.found} of the new ids, ${repeated.found} of ${repeated.count} repeated ones`,
    );
  }
}

async function main({ sizes: { ids, days, lookups }, dir }: Stage<typeof SIZES>): Promise<Outcome[]> {
  const empty = await openStore(`${dir}/empty.db`);
  const emptyMs = await timed(() => createJournal(empty, LIMITS).sync());
  empty.close();
  const writer = await openStore(`${dir}/seen.db`);
  const beganMs = performance.now();
  const { runs, bytes, known } = await build(writer, { ids, days, samples: Math.ceil(lookups / 20) });
  const buildMs = performance.now() - beganMs;
  writer.close();
  row(
    `built: ${figure(ids)} ids, ${runs.length} runs`,
    `${figure(buildMs / 1000, 1)} s`,
    `${figure((buildMs * 1000) / ids, 1)} µs an id`,
    `${figure(bytes / ids)} B written/id`,
  );
  const store = await openStore(`${dir}/seen.db`);
  await search(store, await open(store, emptyMs), { lookups, known });
  store.close();
  console.log(
    "\nBare is reading the same values, or as many, with no filter made and nothing looked for in them.",
  );
  return [];
}

if (import.meta.main) await runBench({ help: HELP, sizes: SIZES }, main);
