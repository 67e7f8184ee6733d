/**
 * Counts as the store has them: each process writes its minutes; once an hour is over, whoever is due sums its minutes up
 * into the hour and the day, joins what several processes have of one minute, and drops what is too old. All of that is
 * done under a fence, so that two at once, a repeated write or a crash in the middle count nothing twice.
 */
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { Buffer } from "node:buffer";
import {
  addCounts,
  type Counts,
  fromStored,
  joinKeys,
  MAX_NAMES,
  newCounts,
  type StoredCounts,
  toStored,
} from "../domain/counts.ts";
import { type Fence, type Fenced, LostFence, takeFence } from "./fence.ts";
import { COUNTS_SUMMED, countsKey, countsRange, type Key } from "./keys.ts";
import type { Store } from "./store.ts";
import {
  COUNTS_KEPT_MS,
  type CountsSpan,
  type Period,
  PERIOD_MS,
  type PeriodCounts,
  type Reading,
} from "./system.ts";

/**
 * An hour is summed up when it has been over for so long: requests of its last minute are answered by then, and counted by
 * processes whose clocks are not far behind. What comes later is not counted.
 */
const SUM_MS = 3 * PERIOD_MS.minute;

/** Longest value of counts: one in KV has 64 KiB. */
const MAX_VALUE_BYTES = 60_000;

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
  now(): number;
  newId(): string;
}

/** Counts as one value: where they are too large, fewer names are kept, and at last write keys are not told apart. */
export function encodeCounts(counts: Counts): Uint8Array {
  for (let names = MAX_NAMES;; names = Math.floor(names / 2)) {
    const stored = toStored(names > 0 ? counts : joinKeys(counts), names);
    const bytes = zstdCompressSync(Buffer.from(JSON.stringify(stored)));
    if (bytes.length <= MAX_VALUE_BYTES || names === 0) return bytes;
  }
}

function decodeCounts(value: Uint8Array): Counts {
  return fromStored(JSON.parse(zstdDecompressSync(value).toString()) as StoredCounts);
}

/** Opens the counts of a store. */
export function createCountsStore(options: CountsStoreOptions) {
  const { store, now } = options;
  /** Nothing is due before this moment: the first write looks. */
  let upkeepMs = -Infinity;

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

  /** Sums an hour up. The day is added to in the same operation that says that the hour is done, so once. */
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
    const dayKey = countsKey("day", Math.floor(hour / HOURS_PER_DAY));
    const { value } = await store.get<Uint8Array>(dayKey);
    const day = value === null ? newCounts() : decodeCounts(value);
    addCounts(day, sum);
    await fence.write({
      sets: [[countsKey("hour", hour), encodeCounts(sum)], [dayKey, encodeCounts(day)]],
      change: { hour: hour + 1 },
    });
  }

  /** Drops periods that ended before they are kept. */
  async function drop(fence: Fence<Summed>, period: Period): Promise<void> {
    const to = Math.floor((now() - COUNTS_KEPT_MS) / PERIOD_MS[period]);
    for (;;) {
      const deletes: Key[] = [];
      await store.scan(countsRange(period, 0, to), DROP_AT_ONCE, ({ key }) => void deletes.push(key));
      if (deletes.length > 0) await fence.write({ deletes });
      if (deletes.length < DROP_AT_ONCE) return;
    }
  }

  async function keepUp(): Promise<void> {
    const end = Math.floor((now() - SUM_MS) / PERIOD_MS.hour);
    const { hour: summed } = await summedTo();
    // Said by a clock that runs ahead: until its hour came, nothing that is counted would be taken.
    const isAhead = summed > end + 2;
    if (summed >= end && !isAhead) return;
    const fence = await takeFence({ ...options, key: COUNTS_SUMMED, empty: NOTHING_SUMMED });
    if (fence === undefined) return;
    if (isAhead) return await fence.write({ change: { hour: end, until: 0 } });
    for (;;) {
      const hour = await nextHour(fence.value().hour, end);
      if (hour >= end) break;
      await sumUp(fence, hour);
    }
    for (const period of ["minute", "hour", "day"] as const) await drop(fence, period);
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
      if (minute < summed.hour * MINUTES_PER_HOUR) return "too late";
      const checks = [{ key, stamp }, { key: COUNTS_SUMMED, stamp: summed.stamp }];
      return await store.commit({ checks, sets }) ?? undefined;
    },

    /** Sums up and drops what is due, if anything is. */
    async upkeep(): Promise<void> {
      if (now() < upkeepMs) return;
      // Not sooner where it fails, either: a minute later is early enough.
      upkeepMs = now() + PERIOD_MS.minute;
      try {
        await keepUp();
      } catch (error) {
        // Another process is at it.
        if (!(error instanceof LostFence)) throw error;
      }
    },

    /** See `EventCounts.read`. */
    async read<T>({ per, from, to }: CountsSpan, begin: () => Reading<T>): Promise<T> {
      const length = PERIOD_MS[per];
      const inMinutes = length / PERIOD_MS.minute;
      const [first, end] = [Math.ceil(from / length), Math.ceil(to / length)];
      for (let reads = 1;; reads++) {
        const { hour: summed } = await summedTo();
        const reading = begin();
        let last: PeriodCounts | undefined;
        const add = (at: number, counts: Counts) => {
          if (last?.at === at) return addCounts(last.counts, counts);
          if (last !== undefined) reading.take(last);
          last = { at, counts };
        };
        if (per !== "minute") await list(per, [first, end], (n, counts) => add(n * length, counts));
        const unsummed = per === "minute" ? 0 : summed * MINUTES_PER_HOUR;
        await list(
          "minute",
          [Math.max(first * inMinutes, unsummed), end * inMinutes],
          (minute, counts) => add(Math.floor(minute / inMinutes) * length, counts),
        );
        if (last !== undefined) reading.take(last);
        // An hour that was summed up meanwhile may be missing, or there twice.
        if ((await summedTo()).hour === summed || reads === READS) return reading.result();
      }
    },
  };
}
