/**
 * Upkeep of counts after each hour: sums minutes up into the hour and the day, joins the minutes of several processes,
 * and drops old counts. It works under a lease, so that two processes at once, a repeated write or a crash count
 * nothing twice.
 */
import { addCounts, newCounts, type Period, PERIOD_MS, PERIODS } from "../../domain/stats/counts.ts";
import type { Clock } from "../store/clock.ts";
import { COUNTS_SUMMED, countsKey, countsRange, type Key } from "../store/keys.ts";
import { type Fence, takeFence } from "../store/lease.ts";
import type { Store } from "../store/store.ts";
import {
  COUNTS_KEPT_MS,
  encodeCounts,
  endHour,
  firstShown,
  type FoundCounts,
  HOURS_PER_DAY,
  isAhead,
  listCounts,
  MINUTES_PER_HOUR,
  NOTHING_SUMMED,
  type Summed,
  summedTo,
} from "./counts_values.ts";

/**
 * The newest days with counts are kept whatever the clock shows: a wrong clock must not drop them all. Their number is
 * that of the days to keep, so that no more is stored than with events on each day.
 */
const KEPT_DAYS = COUNTS_KEPT_MS / PERIOD_MS.day;

/** Values that are dropped by one operation: each is read for its key. */
const DROP_AT_ONCE = 100;

export interface CountsStoreOptions {
  store: Store;
  /** This process. */
  owner: string;
  clock: Clock;
  /** The version of the folds that this process has. */
  foldVersion: number;
  newId(): string;
}

/** Sums up hours and drops old counts, if any are due and no other process does it. */
export async function keepUp(options: CountsStoreOptions): Promise<void> {
  const { store, clock } = options;
  const end = endHour(clock.now());
  const { hour: summed } = await summedTo(store);
  const wasAhead = isAhead(summed, clock.now());
  if (summed >= end && !wasAhead) return;
  const fence = await takeFence({ ...options, key: COUNTS_SUMMED, empty: NOTHING_SUMMED });
  if (fence === undefined) return;
  // Hours that it had summed up too early, or another before it, are summed up again.
  if (wasAhead) return await fence.write({ change: { hour: end, until: 0 } });
  for (;;) {
    const hour = await nextHour(store, fence.value().hour, end);
    if (hour >= end) break;
    await sumUp(store, fence, hour);
  }
  const day = await firstKept(store, clock.now());
  for (const period of PERIODS) await drop(store, fence, { period, day });
  await fence.write({ change: { hour: end, until: 0 } });
}

/** The first hour from one on in which anything was counted. */
async function nextHour(store: Store, from: number, end: number): Promise<number> {
  if (from >= end) return end;
  const range = countsRange("minute", from * MINUTES_PER_HOUR, end * MINUTES_PER_HOUR);
  for await (const { key } of store.list(range, { limit: 1 })) {
    return Math.floor(key[2] as number / MINUTES_PER_HOUR);
  }
  return end;
}

/** Sums up an hour, and its day so far. Repeating it gives the same result. */
async function sumUp(store: Store, fence: Fence<Summed>, hour: number): Promise<void> {
  const sum = newCounts();
  const joined: FoundCounts[] = [];
  const minutes: [number, number] = [hour * MINUTES_PER_HOUR, (hour + 1) * MINUTES_PER_HOUR];
  for await (const minute of listCounts(store, "minute", minutes)) {
    addCounts(sum, minute.counts);
    if (minute.keys.length > 1) joined.push(minute);
  }
  for (const { counts, n, keys } of joined) {
    await fence.write({
      sets: [[countsKey("minute", n), encodeCounts(counts)]],
      deletes: keys.filter(([, , , process]) => process !== ""),
    });
  }
  const day = Math.floor(hour / HOURS_PER_DAY);
  const ofDay = newCounts();
  for await (const { counts } of listCounts(store, "hour", [day * HOURS_PER_DAY, hour])) {
    addCounts(ofDay, counts);
  }
  addCounts(ofDay, sum);
  await fence.write({
    sets: [[countsKey("hour", hour), encodeCounts(sum)], [countsKey("day", day), encodeCounts(ofDay)]],
    change: { hour: hour + 1 },
  });
}

/** The first day that is kept. */
async function firstKept(store: Store, nowMs: number): Promise<number> {
  const days: number[] = [];
  const newest = { limit: KEPT_DAYS, reverse: true };
  for await (const { key } of store.list(countsRange("day", 0, Number.MAX_SAFE_INTEGER), newest)) {
    days.push(key[2] as number);
  }
  return days.length < KEPT_DAYS ? 0 : Math.min(firstShown(nowMs), days.at(-1)!);
}

/** Drops the counts of old days. */
async function drop(
  store: Store,
  fence: Fence<Summed>,
  { period, day }: { period: Period; day: number },
): Promise<void> {
  const to = day * PERIOD_MS.day / PERIOD_MS[period];
  for (;;) {
    const deletes: Key[] = [];
    await store.scan(countsRange(period, 0, to), DROP_AT_ONCE, ({ key }) => void deletes.push(key));
    if (deletes.length > 0) await fence.write({ deletes });
    if (deletes.length < DROP_AT_ONCE) return;
  }
}
