/** Counts as values of the store: of minutes by process, and of hours and days once they are summed up. */
import { Buffer } from "node:buffer";
import {
  addCounts,
  type Counts,
  fromStored,
  joinKeys,
  MAX_NAMES,
  type Period,
  PERIOD_MS,
  type StoredCounts,
  toStored,
} from "../../domain/stats/counts.ts";
import { compress, decompress } from "../store/codec.ts";
import { COUNTS_SUMMED, countsRange, type Key } from "../store/keys.ts";
import type { Fenced } from "../store/lease.ts";
import type { Store } from "../store/store.ts";

/** How long counts are shown, of minutes too, in ms. */
export const COUNTS_KEPT_MS = 30 * PERIOD_MS.day;

/**
 * An hour is summed up this long after its end: by then requests of its last minute are answered, and counted by
 * processes whose clocks are not far behind. Later events are not counted.
 */
const SUM_MS = 3 * PERIOD_MS.minute;

/** A process whose hour is further behind than this assumes that another's clock ran ahead. */
const AHEAD_HOURS = 2;

/** Longest value of counts: one in KV has 64 KiB. */
const MAX_VALUE_BYTES = 60_000;

/** The value of {@link COUNTS_SUMMED}: hours before this one are summed up. */
export interface Summed extends Fenced {
  hour: number;
}

export const NOTHING_SUMMED: Summed = { fold: 0, owner: "", until: 0, op: "", hour: 0 };

export const MINUTES_PER_HOUR = PERIOD_MS.hour / PERIOD_MS.minute;
export const HOURS_PER_DAY = PERIOD_MS.day / PERIOD_MS.hour;

/** Counts as one value. If they are too large, fewer names are kept, and finally write keys are merged. */
export function encodeCounts(counts: Counts): Uint8Array {
  for (let names = MAX_NAMES;; names = Math.floor(names / 2)) {
    const stored = toStored(names > 0 ? counts : joinKeys(counts), names);
    const bytes = compress(Buffer.from(JSON.stringify(stored)));
    if (bytes.length <= MAX_VALUE_BYTES || names === 0) return bytes;
  }
}

function decodeCounts(value: Uint8Array): Counts {
  return fromStored(JSON.parse(decompress(value).toString()) as StoredCounts);
}

/** Counts of one period of all processes, and their keys. */
export interface FoundCounts {
  /** The number of the period since 1970. */
  n: number;
  counts: Counts;
  keys: Key[];
}

/** Yields each period of a range of numbers that has counts, in order, summed up over processes. */
export async function* listCounts(
  store: Store,
  period: Period,
  [from, to]: [from: number, to: number],
): AsyncGenerator<FoundCounts> {
  if (from >= to) return;
  let last: FoundCounts | undefined;
  for await (const { key, value } of store.list<Uint8Array>(countsRange(period, from, to))) {
    const n = key[2] as number;
    if (last?.n === n) {
      addCounts(last.counts, decodeCounts(value!));
      last.keys.push(key);
      continue;
    }
    if (last !== undefined) yield last;
    last = { n, counts: decodeCounts(value!), keys: [key] };
  }
  if (last !== undefined) yield last;
}

/** The hour up to which counts are summed up, and the stamp of its key. */
export async function summedTo(store: Store): Promise<{ hour: number; stamp: string | null }> {
  const { value, stamp } = await store.get<Summed>(COUNTS_SUMMED);
  return { hour: value?.hour ?? 0, stamp };
}

/** The first hour that is not to be summed up yet, by a clock (ms). */
export function endHour(nowMs: number): number {
  return Math.floor((nowMs - SUM_MS) / PERIOD_MS.hour);
}

/** Whether a clock that ran ahead wrote the hour: until then no counts would be accepted. */
export function isAhead(summed: number, nowMs: number): boolean {
  return summed > endHour(nowMs) + AHEAD_HOURS;
}

/** The first day that is shown. */
export function firstShown(nowMs: number): number {
  return Math.floor((nowMs - COUNTS_KEPT_MS) / PERIOD_MS.day);
}
