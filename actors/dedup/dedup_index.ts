/**
 * The dedup index: which message ids were accepted and are settled, within the window of dedup.
 *
 * Digests stand in runs, in order of time, so that an old one is dropped whole. A run is spread over its parts by the
 * first bits of the digests, which are as good as random: a look-up knows the part, merging needs no sorting. Each run
 * has a Bloom filter that a process keeps in memory, so that a new id costs no read and a repeated one costs one.
 */
import { Buffer } from "node:buffer";
import { DIGEST_BYTES, DIGEST_WORDS, digestsIn } from "./digest.ts";
import type { Position } from "../../domain/event/position.ts";
import { type Key, SEEN, seenFilterKey, seenKey } from "../store/keys.ts";
import type { Range, Store } from "../store/store.ts";

/** A run as the value `settled` lists it. */
export interface Run {
  id: number;
  /** How many digests; in how many parts they and the filter stand. */
  n: number;
  parts: number;
  filterParts: number;
  /** When the newest was committed (ms). */
  at: number;
  /** It has the ids of the journal behind the run before it, up to this position. */
  end: Position;
}

/** Bounds of the index. A database is read with the bounds that it is written with. */
export const DEDUP_LIMITS = {
  /** Digests in a part, on average, at most: 8 KiB are little to read for one look-up. */
  partDigests: 512,
  /** Bytes of the filter in one value. */
  filterPartBytes: 60_000,
  /** So many runs at the least are merged at once. */
  runsToMerge: 4,
};
export type DedupLimits = typeof DEDUP_LIMITS;

/** Bits of the filter for a digest, and how many of them each sets: some 0.06 % are taken for seen by mistake. */
const FILTER_BITS = 16;
const FILTER_PROBES = 7;

/** A run larger than this is not merged again, so that it can grow old and be dropped. */
const MAX_RUN_DIGESTS = 4_000_000;

/** The share of the window that the time between two runs counts at the most: twice what one run may cover. */
const MAX_GAP = 1 / 8;

/** A run's filter in memory: bits, 32 in a word. */
export type Filter = Uint32Array;

function powerOfTwo(atLeast: number): number {
  let power = 1;
  while (power < atLeast) power *= 2;
  return power;
}

function partsFor(n: number, { partDigests }: DedupLimits): number {
  return powerOfTwo(Math.ceil(n / partDigests));
}

function wordAt(digests: Uint8Array, at: number): number {
  return ((digests[at]! << 24) | (digests[at + 1]! << 16) | (digests[at + 2]! << 8) | digests[at + 3]!) >>> 0;
}

/** The part of a run in which a digest whose first word is `word` stands. `parts` is a power of two. */
function partOf(word: number, parts: number): number {
  return parts === 1 ? 0 : Math.floor(word / (2 ** 32 / parts));
}

function filterWords(n: number): number {
  return Math.max(1, Math.ceil((n * FILTER_BITS) / 32));
}

/**
 * The place in a filter of a digest's probe number `i`, from the digest's second and third word: the first says the
 * part. Double hashing, with a square so that no two digests share all probes for long.
 */
function bitAt(second: number, third: number, i: number, bits: number): number {
  return (second + i * third + i * i) % bits;
}

function addToFilter(filter: Filter, digests: Uint8Array): void {
  const bits = filter.length * 32;
  for (let at = 0; at < digests.length; at += DIGEST_BYTES) {
    const second = wordAt(digests, at + 4);
    const third = wordAt(digests, at + 8);
    for (let i = 0; i < FILTER_PROBES; i++) {
      const bit = bitAt(second, third, i, bits);
      filter[bit >>> 5]! |= 1 << (bit & 31);
    }
  }
}

function mayHold(filter: Filter, second: number, third: number): boolean {
  const bits = filter.length * 32;
  for (let i = 0; i < FILTER_PROBES; i++) {
    const bit = bitAt(second, third, i, bits);
    if ((filter[bit >>> 5]! & (1 << (bit & 31))) === 0) return false;
  }
  return true;
}

/** What a look-up needs to know: the runs and their filters, of one moment. */
export interface SeenView {
  runs: readonly Run[];
  filters: ReadonlyMap<number, Filter>;
}

/** The look-up of one digest, by its number in a row of them, in one run that may hold it. */
export interface Probe {
  at: number;
  key: Key;
}

/** Adds to `probes` the parts to read to know whether digest number `at` was seen; none where no filter knows it. */
export function addProbes(
  probes: Probe[],
  { runs, filters }: SeenView,
  { digests, at }: { digests: Uint32Array; at: number },
): void {
  if (runs.length === 0) return;
  const first = bigEndian(digests[at * DIGEST_WORDS]!);
  const second = bigEndian(digests[at * DIGEST_WORDS + 1]!);
  const third = bigEndian(digests[at * DIGEST_WORDS + 2]!);
  for (const run of runs) {
    const filter = filters.get(run.id);
    if (filter !== undefined && !mayHold(filter, second, third)) continue;
    probes.push({ at, key: seenKey(run.id, partOf(first, run.parts)) });
  }
}

/** A word as {@link wordAt} reads its bytes. */
function bigEndian(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}

/**
 * The numbers of those of the probed digests that were seen; `undefined` where a part is missing, which means: runs have
 * changed, look again.
 */
export async function lookUp(
  store: Store,
  digests: Uint32Array,
  probes: readonly Probe[],
): Promise<number[] | undefined> {
  const seen: number[] = [];
  const entries = await store.getMany<Uint8Array>(probes.map((probe) => probe.key));
  for (const [index, { value }] of entries.entries()) {
    if (value === null) return undefined;
    const { at } = probes[index]!;
    if (holds(digestsIn(value), digests.subarray(at * DIGEST_WORDS, (at + 1) * DIGEST_WORDS))) seen.push(at);
  }
  return seen;
}

function holds(part: Uint32Array, wanted: Uint32Array): boolean {
  for (let at = 0; at < part.length; at += DIGEST_WORDS) {
    let i = 0;
    while (i < DIGEST_WORDS && part[at + i] === wanted[i]) i++;
    if (i === DIGEST_WORDS) return true;
  }
  return false;
}

/** Reads the filters of runs that are not loaded yet; a run of which something is missing is left out. */
export async function loadFilters(
  store: Store,
  runs: readonly Run[],
  { loaded, limits }: { loaded: ReadonlyMap<number, Filter>; limits: DedupLimits },
) {
  const filters = new Map<number, Filter>();
  for (const run of runs) {
    const mine = loaded.get(run.id);
    if (mine !== undefined) {
      filters.set(run.id, mine);
      continue;
    }
    const keys = Array.from({ length: run.filterParts }, (_, n) => seenFilterKey(run.id, n));
    const parts = await store.getMany<Uint8Array>(keys);
    if (parts.some((part) => part.value === null)) continue;
    const bytes = new Uint8Array(filterWords(run.n) * 4);
    parts.forEach((part, n) => bytes.set(part.value!, n * limits.filterPartBytes));
    filters.set(run.id, new Uint32Array(bytes.buffer));
  }
  return filters;
}

/** Writes that make a run, its filter, and the run itself. */
export interface NewRun {
  run: Run;
  filter: Filter;
  sets: Iterable<[Key, Uint8Array]>;
}

/**
 * Makes a run of digests, `undefined` where there are none. `at` is when the newest was committed (ms), `end` the position
 * up to which the run reaches.
 */
export function makeRun(
  id: number,
  digests: readonly Uint8Array[],
  { at, end, limits }: { at: number; end: Position; limits: DedupLimits },
): NewRun | undefined {
  const n = digests.reduce((sum, some) => sum + some.length, 0) / DIGEST_BYTES;
  if (n === 0) return undefined;
  const parts = partsFor(n, limits);
  const filter = new Uint32Array(filterWords(n));
  const sizes = new Uint32Array(parts);
  for (const some of digests) {
    for (let i = 0; i < some.length; i += DIGEST_BYTES) {
      sizes[partOf(wordAt(some, i), parts)]! += DIGEST_BYTES;
    }
    addToFilter(filter, some);
  }
  const values = Array.from(sizes, (bytes) => new Uint8Array(bytes));
  const filled = new Uint32Array(parts);
  for (const some of digests) {
    for (let i = 0; i < some.length; i += DIGEST_BYTES) {
      const part = partOf(wordAt(some, i), parts);
      values[part]!.set(some.subarray(i, i + DIGEST_BYTES), filled[part]!);
      filled[part]! += DIGEST_BYTES;
    }
  }
  const run = { id, n, parts, filterParts: filterPartsOf(filter, limits), at, end };
  return {
    run,
    filter,
    sets: chain(values.map((value, part) => [seenKey(id, part), value]), filterSets(id, filter, limits)),
  };
}

function filterPartsOf(filter: Filter, { filterPartBytes }: DedupLimits): number {
  return Math.ceil(filter.byteLength / filterPartBytes);
}

function* filterSets(
  id: number,
  filter: Filter,
  { filterPartBytes }: DedupLimits,
): Generator<[Key, Uint8Array]> {
  const bytes = new Uint8Array(filter.buffer, filter.byteOffset, filter.byteLength);
  for (let n = 0; n * filterPartBytes < bytes.length; n++) {
    yield [seenFilterKey(id, n), bytes.slice(n * filterPartBytes, (n + 1) * filterPartBytes)];
  }
}

function* chain<T>(...all: Iterable<T>[]): Generator<T> {
  for (const each of all) yield* each;
}

/**
 * The runs at the end of the list that are due to be merged; none where nothing is. Those that follow the first weigh as
 * much as it does, so that each digest is written again only as often as the index doubles. `spanMs` is the longest
 * time that one run may cover, so that runs grow old whole.
 */
export function dueForMerge(
  runs: readonly Run[],
  { spanMs, limits }: { spanMs: number; limits: DedupLimits },
): Run[] {
  for (let from = 0; from + limits.runsToMerge <= runs.length; from++) {
    const due = runs.slice(from);
    const [first, ...rest] = due;
    const restDigests = rest.reduce((sum, run) => sum + run.n, 0);
    if (first!.n + restDigests > MAX_RUN_DIGESTS || rest[rest.length - 1]!.at - first!.at > spanMs) continue;
    if (restDigests >= first!.n) return due;
  }
  return [];
}

/**
 * Merges runs into one, part by part, so that memory stays small. Gives the writes of its parts as they are made; the
 * filter is complete, and `run` valid, when they are through.
 */
export function mergeRuns(
  store: Store,
  id: number,
  { runs, limits }: { runs: readonly Run[]; limits: DedupLimits },
) {
  const n = runs.reduce((sum, run) => sum + run.n, 0);
  const parts = Math.max(partsFor(n, limits), ...runs.map((run) => run.parts));
  const filter = new Uint32Array(filterWords(n));
  const run: Run = {
    id,
    n,
    parts,
    filterParts: filterPartsOf(filter, limits),
    at: Math.max(...runs.map((each) => each.at)),
    end: runs[runs.length - 1]!.end,
  };
  async function* sets(): AsyncGenerator<[Key, Uint8Array]> {
    // So many parts of the new run stand in one part of the smallest: they are made together, so each is read once.
    const stride = parts / Math.min(...runs.map((each) => each.parts));
    for (let from = 0; from < parts; from += stride) {
      const keys = runs.flatMap((each) => {
        const first = Math.floor((from * each.parts) / parts);
        const end = Math.max(first + 1, ((from + stride) * each.parts) / parts);
        return Array.from({ length: end - first }, (_, i) => seenKey(each.id, first + i));
      });
      const digests = (await store.getMany<Uint8Array>(keys)).map(({ key, value }) => {
        if (value === null) {
          throw new Error(`dedup index: ${JSON.stringify(key)} is missing while it is merged`);
        }
        return value;
      });
      const sizes = new Map<number, Uint8Array[]>();
      for (const some of digests) {
        addToFilter(filter, some);
        for (let i = 0; i < some.length; i += DIGEST_BYTES) {
          const part = partOf(wordAt(some, i), parts);
          const mine = sizes.get(part);
          if (mine === undefined) sizes.set(part, [some.subarray(i, i + DIGEST_BYTES)]);
          else mine.push(some.subarray(i, i + DIGEST_BYTES));
        }
      }
      for (let part = from; part < from + stride; part++) {
        yield [seenKey(id, part), new Uint8Array(Buffer.concat(sizes.get(part) ?? []))];
      }
    }
    yield* filterSets(id, filter, limits);
  }
  return { run, filter, sets: sets() };
}

/**
 * The runs that are still within the window of dedup at `nowMs`; a window of 0 is for ever. `runs` are in order of time.
 *
 * Between one run and the next at most a share of the window counts ({@link MAX_GAP}), and the window is longer by as
 * much: so a commit that a clock has stamped wrong, by however much, drops nothing too early. Where nobody sends for long,
 * ids are remembered for longer.
 */
export function withinWindow(
  runs: readonly Run[],
  { nowMs, windowMs }: { nowMs: number; windowMs: number },
): Run[] {
  if (windowMs === 0) return [...runs];
  const gapMs = windowMs * MAX_GAP;
  const kept: Run[] = [];
  let ageMs = 0;
  let laterMs = nowMs;
  for (const run of [...runs].reverse()) {
    ageMs += Math.min(Math.max(0, laterMs - run.at), gapMs);
    if (ageMs > windowMs + gapMs) break;
    kept.unshift(run);
    laterMs = run.at;
  }
  return kept;
}

/** The keys of a run, to delete when no list names it any more. */
export function keysOfRun(run: Run): Key[] {
  return [
    ...Array.from({ length: run.parts }, (_, part) => seenKey(run.id, part)),
    ...Array.from({ length: run.filterParts }, (_, part) => seenFilterKey(run.id, part)),
  ];
}

/** The ranges of keys between all that a list of runs names: what stands there is of a run that was cut off half made or half deleted. */
export function rangesBeside(runs: readonly Run[]): Range[] {
  const ranges: Range[] = [];
  let start = SEEN;
  for (const { id, parts, filterParts } of runs.toSorted((a, b) => a.id - b.id)) {
    // A filter's parts come before the others of its run.
    ranges.push({ start, end: seenFilterKey(id, 0) });
    ranges.push({ start: seenFilterKey(id, filterParts), end: seenKey(id, 0) });
    start = seenKey(id, parts);
  }
  return [...ranges, { prefix: SEEN, start }];
}
