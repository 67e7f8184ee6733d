/**
 * Counts as the store has them: each process writes its minutes; once an hour is over, whoever is due sums its minutes up
 * into the hour and the day, joins what several processes have of one minute, and drops what is too old. All of that is
 * done under a fence, so that two at once, a repeated write or a crash in the middle count nothing twice.
 */
import { compress, decompress } from "../store/codec.ts";
import { Buffer } from "node:buffer";
import type { Clock } from "../store/clock.ts";
import {
  addCounts,
  type Counts,
  fromStored,
  joinKeys,
  MAX_NAMES,
  newCounts,
  type Period,
  PERIOD_MS,
  PERIODS,
  type StoredCounts,
  toStored,
} from "../../domain/stats/counts.ts";
import { type Fence, type Fenced, LostFence, takeFence } from "../store/lease.ts";
import { COUNTS_SUMMED, countsKey, countsRange, type Key } from "../store/keys.ts";
import type { Store } from "../store/store.ts";

/** How long counts are shown, of minutes too, in ms. */
export const COUNTS_KEPT_MS = 30 * PERIOD_MS.day;

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

/** What is made of counts while they are read: one period after the other, those in which something was counted. */
export interface Reading<T> {
  take(period: PeriodCounts): void;
  result(): T;
}

/**
 * An hour is summed up when it has been over for so long: requests of its last minute are answered by then, and counted by
 * processes whose clocks are not far behind. What comes later is not counted.
 */
const SUM_MS = 3 * PERIOD_MS.minute;

/** Longest value of counts: one in KV has 64 KiB. */
const MAX_VALUE_BYTES = 60_000;

/**
 * The newest days that have counts are kept whatever the clock says: one that was wrong must not drop them all. There are
 * as many of them as of the days that are kept by the clock, so that no more is stored than if something came each day.
 */
const KEPT_DAYS = COUNTS_KEPT_MS / PERIOD_MS.day;

/** A process's hour may be so many behind the one that is summed up before it says that another's clock ran ahead. */
const AHEAD_HOURS = 2;

/** Values that are dropped by one operation: each is read for its key. */
const DROP_AT_ONCE = 100;

/** Where an hour was summed up while others were read, the reading begins again, so often at the most. */
const READS = 5;

/** The value of {@link COUNTS_SUMMED}: hours before this one are summed up. */
interface Summed extends Fenced {
  hour: number;
}

const NOTHING_SUMMED: Summed = { fold: 0, owner: "", until: 0, op: "", hour: 0 };

const MINUTES_PER_HOUR = PERIOD_MS.hour / PERIOD_MS.minute;
const HOURS_PER_DAY = PERIOD_MS.day / PERIOD_MS.hour;

/** What the counts of a store need. */
export interface CountsStoreOptions {
  store: Store;
  /** This process. */
  owner: string;
  clock: Clock;
  /** The version of the folds that this process has. */
  foldVersion: number;
  newId(): string;
}

/** Counts as one value: where they are too large, fewer names are kept, and at last write keys are not told apart. */
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

/** Opens the counts of a store. */
export function createCountsStore(options: CountsStoreOptions) {
  const { store, clock } = options;
  /** When it was last looked at what is due: the first write looks. */
  let lookedMs = -Infinity;

  /** Calls `take` with each period of a range of numbers that has counts, in order, summed up over processes. */
  async function list(
    period: Period,
    [from, to]: [from: number, to: number],
    take: (n: number, counts: Counts, keys: Key[]) => void,
  ): Promise<void> {
    if (from >= to) return;
    let last: { n: number; counts: Counts; keys: Key[] } | undefined;
    for await (const { key, value } of store.list<Uint8Array>(countsRange(period, from, to))) {
      const n = key[2] as number;
      if (last?.n === n) {
        addCounts(last.counts, decodeCounts(value!));
        last.keys.push(key);
        continue;
      }
      if (last !== undefined) take(last.n, last.counts, last.keys);
      last = { n, counts: decodeCounts(value!), keys: [key] };
    }
    if (last !== undefined) take(last.n, last.counts, last.keys);
  }

  async function summedTo(): Promise<{ hour: number; stamp: string | null }> {
    const { value, stamp } = await store.get<Summed>(COUNTS_SUMMED);
    return { hour: value?.hour ?? 0, stamp };
  }

  /** The first hour from one on in which anything was counted. */
  async function nextHour(from: number, end: number): Promise<number> {
    if (from >= end) return end;
    const range = countsRange("minute", from * MINUTES_PER_HOUR, end * MINUTES_PER_HOUR);
    for await (const { key } of store.list(range, { limit: 1 })) {
      return Math.floor(key[2] as number / MINUTES_PER_HOUR);
    }
    return end;
  }

  /** Sums an hour up, and the day that it is of as far as it is summed up. Done again it comes to the same. */
  async function sumUp(fence: Fence<Summed>, hour: number): Promise<void> {
    const sum = newCounts();
    const joined: { counts: Counts; minute: number; keys: Key[] }[] = [];
    const minutes: [number, number] = [hour * MINUTES_PER_HOUR, (hour + 1) * MINUTES_PER_HOUR];
    await list("minute", minutes, (minute, counts, keys) => {
      addCounts(sum, counts);
      if (keys.length > 1) joined.push({ counts, minute, keys });
    });
    for (const { counts, minute, keys } of joined) {
      const key = countsKey("minute", minute);
      await fence.write({
        sets: [[key, encodeCounts(counts)]],
        deletes: keys.filter(([, , , process]) => process !== ""),
      });
    }
    const day = Math.floor(hour / HOURS_PER_DAY);
    const ofDay = newCounts();
    await list("hour", [day * HOURS_PER_DAY, hour], (_, counts) => addCounts(ofDay, counts));
    addCounts(ofDay, sum);
    await fence.write({
      sets: [[countsKey("hour", hour), encodeCounts(sum)], [countsKey("day", day), encodeCounts(ofDay)]],
      change: { hour: hour + 1 },
    });
  }

  /** The first day that is shown. */
  const firstShown = () => Math.floor((clock.now() - COUNTS_KEPT_MS) / PERIOD_MS.day);

  /** The first day that is kept. */
  async function firstKept(): Promise<number> {
    const days: number[] = [];
    const newest = { limit: KEPT_DAYS, reverse: true };
    for await (const { key } of store.list(countsRange("day", 0, Number.MAX_SAFE_INTEGER), newest)) {
      days.push(key[2] as number);
    }
    return days.length < KEPT_DAYS ? 0 : Math.min(firstShown(), days.at(-1)!);
  }

  /** Drops what is of days that are not kept. */
  async function drop(fence: Fence<Summed>, { period, day }: { period: Period; day: number }): Promise<void> {
    const to = day * PERIOD_MS.day / PERIOD_MS[period];
    for (;;) {
      const deletes: Key[] = [];
      await store.scan(countsRange(period, 0, to), DROP_AT_ONCE, ({ key }) => void deletes.push(key));
      if (deletes.length > 0) await fence.write({ deletes });
      if (deletes.length < DROP_AT_ONCE) return;
    }
  }

  /** The first hour that is not to be summed up yet, by the clock of this process. */
  const endHour = () => Math.floor((clock.now() - SUM_MS) / PERIOD_MS.hour);

  /** Whether a clock that ran ahead has said so: until its hour came, nothing that is counted would be taken. */
  const isAhead = (summed: number) => summed > endHour() + AHEAD_HOURS;

  async function keepUp(): Promise<void> {
    const end = endHour();
    const { hour: summed } = await summedTo();
    if (summed >= end && !isAhead(summed)) return;
    const fence = await takeFence({ ...options, key: COUNTS_SUMMED, empty: NOTHING_SUMMED });
    if (fence === undefined) return;
    // Hours that it had summed up too early, or another before it, are summed up again.
    if (isAhead(summed)) return await fence.write({ change: { hour: end, until: 0 } });
    for (;;) {
      const hour = await nextHour(fence.value().hour, end);
      if (hour >= end) break;
      await sumUp(fence, hour);
    }
    const day = await firstKept();
    for (const period of PERIODS) await drop(fence, { period, day });
    await fence.write({ change: { hour: end, until: 0 } });
  }

  return {
    /**
     * Writes what a process has counted in a minute: the new stamp, `undefined` where the key bore another, or that its
     * hour is summed up already.
     */
    async write(
      minute: number,
      { key, stamp }: { key: Key; stamp: string | null },
      counts: Counts,
    ): Promise<string | "too late" | undefined> {
      const sets: [Key, Uint8Array][] = [[key, encodeCounts(counts)]];
      const summed = await summedTo();
      // An hour that was summed up by a clock that ran ahead is summed up again.
      if (minute < summed.hour * MINUTES_PER_HOUR && !isAhead(summed.hour)) return "too late";
      const checks = [{ key, stamp }, { key: COUNTS_SUMMED, stamp: summed.stamp }];
      return await store.commit({ checks, sets }) ?? undefined;
    },

    /** Sums up and drops what is due, if anything is. */
    async upkeep(): Promise<void> {
      // Either way: the clock may have been set back.
      if (Math.abs(clock.now() - lookedMs) < PERIOD_MS.minute) return;
      // Not sooner where it fails, either: a minute later is early enough.
      lookedMs = clock.now();
      try {
        await keepUp();
      } catch (error) {
        // Another process is at it.
        if (!(error instanceof LostFence)) throw error;
      }
    },

    /** See `EventCounts.read`. */
    async read<T>({ per, ...span }: CountsSpan, begin: () => Reading<T>): Promise<T> {
      const length = PERIOD_MS[per];
      const to = Math.ceil(span.to / length) * length;
      for (let reads = 1;; reads++) {
        const { hour: summed } = await summedTo();
        const reading = begin();
        let from = Math.max(Math.ceil(span.from / length) * length, firstShown() * PERIOD_MS.day);
        let last: PeriodCounts | undefined;
        const add = (at: number, counts: Counts) => {
          if (last?.at === at) return addCounts(last.counts, counts);
          if (last !== undefined) reading.take(last);
          last = { at, counts };
        };
        // Days and hours that are summed up whole, then minutes: a clock that ran ahead may have left longer ones beyond.
        for (const unit of PERIODS.slice(0, PERIODS.indexOf(per) + 1).toReversed()) {
          const unitMs = PERIOD_MS[unit];
          const whole = Math.floor((summed * PERIOD_MS.hour) / unitMs) * unitMs;
          const upTo = unit === "minute" ? to : Math.min(to, whole);
          await list(
            unit,
            [from / unitMs, upTo / unitMs],
            (n, counts) => add(Math.floor((n * unitMs) / length) * length, counts),
          );
          from = Math.max(from, upTo);
        }
        if (last !== undefined) reading.take(last);
        // An hour that was summed up meanwhile may be missing, or there twice.
        if ((await summedTo()).hour === summed || reads === READS) return reading.result();
      }
    },
  };
}
