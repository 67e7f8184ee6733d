/** Counts in the store: each process writes its minutes, and all read everything. */
import { addCounts, type Counts, type Period, PERIOD_MS, PERIODS } from "../../domain/stats/counts.ts";
import { COUNTS_SUMMED, type Key } from "../store/keys.ts";
import { LostFence } from "../store/lease.ts";
import type { Store, Write } from "../store/store.ts";
import { type CountsStoreOptions, keepUp } from "./counts_upkeep.ts";
import {
  encodeCounts,
  firstShown,
  isAhead,
  listCounts,
  MINUTES_PER_HOUR,
  summedTo,
} from "./counts_values.ts";

/** A stretch of time in ms since 1970, in periods that begin in it. */
export interface CountsSpan {
  per: Period;
  from: number;
  to: number;
}

/** Counts of one period, which begins at `at` (ms). */
export interface PeriodCounts {
  at: number;
  counts: Counts;
}

/** A result that is built while counts are read: one period after the other, without empty ones. */
export interface Reading<T> {
  take(period: PeriodCounts): void;
  result(): T;
}

/** Attempts at a read during which an hour was summed up. */
const READS = 5;

/** Opens the counts of a store. */
export function createCountsStore(options: CountsStoreOptions) {
  const { store, clock } = options;
  /** Time of the last check for due hours: the first write checks. */
  let lookedMs = -Infinity;
  return {
    /** The write of a process's minute; `undefined` if its hour is summed up already. */
    async writeOf(
      minute: number,
      { key, stamp }: { key: Key; stamp: string | null },
      counts: Counts,
    ): Promise<Write | undefined> {
      const sets: [Key, Uint8Array][] = [[key, encodeCounts(counts)]];
      const summed = await summedTo(store);
      // An hour that was summed up by a clock that ran ahead is summed up again.
      if (minute < summed.hour * MINUTES_PER_HOUR && !isAhead(summed.hour, clock.now())) return undefined;
      return { checks: [{ key, stamp }, { key: COUNTS_SUMMED, stamp: summed.stamp }], sets };
    },

    /** Sums up hours and drops old counts, if any are due. */
    async upkeep(): Promise<void> {
      // Either way: the clock may have been set back.
      if (Math.abs(clock.now() - lookedMs) < PERIOD_MS.minute) return;
      // After a failure too: a minute later is early enough.
      lookedMs = clock.now();
      try {
        await keepUp(options);
      } catch (error) {
        // Another process is summing up.
        if (!(error instanceof LostFence)) throw error;
      }
    },

    /** See `EventCounts.read`. */
    async read<T>(span: CountsSpan, begin: () => Reading<T>): Promise<T> {
      for (let reads = 1;; reads++) {
        const { hour: summed } = await summedTo(store);
        const reading = begin();
        const from = Math.max(span.from, firstShown(clock.now()) * PERIOD_MS.day);
        await readSpan(store, { ...span, from, summed }, (period) => reading.take(period));
        // An hour that was summed up meanwhile may be missing, or there twice.
        if ((await summedTo(store)).hour === summed || reads === READS) return reading.result();
      }
    },
  };
}

/** Gives each period of a span that has counts, in order; hours before `summed` are summed up. */
async function readSpan(
  store: Store,
  { per, summed, ...span }: CountsSpan & { summed: number },
  take: (period: PeriodCounts) => void,
): Promise<void> {
  const length = PERIOD_MS[per];
  const to = Math.ceil(span.to / length) * length;
  let from = Math.ceil(span.from / length) * length;
  let last: PeriodCounts | undefined;
  for (const unit of unitsOf(per)) {
    const unitMs = PERIOD_MS[unit];
    const whole = Math.floor((summed * PERIOD_MS.hour) / unitMs) * unitMs;
    const upTo = unit === "minute" ? to : Math.min(to, whole);
    for await (const { n, counts } of listCounts(store, unit, [from / unitMs, upTo / unitMs])) {
      const at = Math.floor((n * unitMs) / length) * length;
      if (last?.at === at) addCounts(last.counts, counts);
      else {
        if (last !== undefined) take(last);
        last = { at, counts };
      }
    }
    from = Math.max(from, upTo);
  }
  if (last !== undefined) take(last);
}

/** Days and hours that are summed up whole, then minutes: a clock that ran ahead may have left longer ones beyond. */
function unitsOf(per: Period): Period[] {
  return PERIODS.slice(0, PERIODS.indexOf(per) + 1).toReversed();
}
