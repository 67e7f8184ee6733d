/**
 * Rate limits of write keys, shared between processes. Each process has a copy of every bucket that it uses and decides
 * by it alone. A few times a second, after responses, it subtracts what it used from the stored bucket, and learns what
 * the others used. So only the first request of a key in a process waits for storage. If two processes use the same
 * budget at once, the excess is a debt, which is paid back: in the long run the limit is exact.
 */
import { forgetOldest } from "../../domain/limits/bounded_map.ts";
import {
  type Bucket,
  fullBucket,
  type RateLimit,
  refilled,
  secondsUntil,
} from "../../domain/limits/token_bucket.ts";
import { rateLimitKey, writeKeyKey } from "../store/keys.ts";
import { tryUpdate } from "../store/conditional_update.ts";
import type { Entry, Store, Write } from "../store/store.ts";

/** Whether events are admitted. */
export interface RateDecision {
  admitted: boolean;
  /** How many more may come now. */
  remaining: number;
  /** Whole seconds until the burst is full again, and until there is enough for the refused events; at least 1. */
  fullInS: number;
  enoughInS: number;
}

/** Rate limits of write keys, shared between processes: exact in the long run, approximate within a second. */
export interface RateLimits {
  /** Takes events from a key's budget, all or none. Answers at once, except for the first time in a process. */
  take(
    writeKeyId: string,
    limit: RateLimit,
    taking: { events: number; now: number },
  ): RateDecision | Promise<RateDecision>;
  /** Gives back the budget of events that were not accepted after all; gives the remaining budget. */
  giveBack(writeKeyId: string, limit: RateLimit, events: number): RateDecision;
  /** Takes events even beyond the budget, for work that was done already: the excess is a debt. */
  charge(writeKeyId: string, limit: RateLimit, events: number): RateDecision;
  /** How many keys are remembered. */
  size(): number;
  close(): Promise<void>;
}

/** A bucket is brought together with the stored one this often at most: 2.5 % of 10 s. */
export const SYNC_MS = 250;

/** A process that has used nothing for this long is gone or idle: it gets no share. */
const ACTIVE_MS = 4 * SYNC_MS;

/** Processes that are stored with a bucket: beyond it the oldest are forgotten, and shares become a little larger. */
const MAX_SHARERS = 64;

/**
 * Copies in memory, some 200 bytes each: there are at most 1,000 write keys at once (`write_keys.ts`), but they come
 * and go. Beyond it the oldest copies are forgotten: their keys begin with the stored bucket again.
 */
export const MAX_BUCKETS = 2_000;

/** Attempts at a write that other processes overtake; the rest is left for the next time. */
const TRIES = 5;

/** The stored bucket of a write key. */
interface Stored extends Bucket {
  /** When each process last took of it, by the bucket's time. */
  by: Record<string, number>;
}

/** The copy of this process. */
interface Copy {
  bucket: Bucket;
  limit: RateLimit;
  /** Used, and not yet subtracted from the stored bucket. */
  untold: number;
  /**
   * How far the bucket's time is ahead of this process's clock. A bucket has its own time: that of the clock that is
   * furthest ahead, so that no process waits for a refill that another has counted already. So only the passing of time
   * matters, not what a clock shows.
   */
  aheadMs: number;
  /** The stored bucket after the last write: the next read shows what the others used. */
  left: Bucket | undefined;
  /** Whether it began with the stored bucket. */
  loaded: boolean;
  /** Estimated use by the others, events per second. */
  others: number;
  syncedAt: number;
  syncing: Promise<void> | undefined;
}

/** What the limits are given: `owner` identifies this process, `now` is the clock of requests. */
export interface RateLimitsOptions {
  store: Store;
  owner: string;
  now(): number;
}

/** Longest time to pay back a debt: senders are not to blame for what was used during an outage of storage. */
const DEBT_S = 10;

const mostDebt = ({ burst, perSecond }: RateLimit): number => burst + DEBT_S * perSecond;

/** What the functions of the limits share. */
interface State extends RateLimitsOptions {
  copies: Map<string, Copy>;
}

/** Creates the limits of a store. */
export function createRateLimits(options: RateLimitsOptions): RateLimits {
  const copies = new Map<string, Copy>();
  const state: State = {
    ...options,
    copies,
  };
  return {
    take(id, limit, { events, now }) {
      const known = copies.get(id);
      const copy = known ?? copyOf(state, id, limit, now);
      if (known !== undefined && isChanged(known.limit, limit)) {
        // The rest of a larger burst is more than this one allows; everything else stays.
        known.limit = limit;
        known.others = Math.min(known.others, limit.perSecond / 2);
      }
      if (copy.loaded) return decide(state, id, copy, { events, now });
      // Otherwise each process that starts would give the whole burst again.
      syncBehind(state, id, copy, now);
      return copy.syncing!.then(() => {
        if (!copy.loaded) copy.syncedAt = -Infinity;
        copy.loaded = true;
        return decide(state, id, copy, { events, now });
      });
    },
    giveBack(id, limit, events) {
      // Not when the request came, which may be long ago by now: time would seem to have gone back.
      const now = options.now();
      const copy = copies.get(id) ?? copyOf(state, id, limit, now);
      copy.bucket.level = Math.min(copy.limit.burst, copy.bucket.level + events);
      copy.untold -= events;
      return decide(state, id, copy, { events: 0, now });
    },
    charge(id, limit, events) {
      const now = options.now();
      const copy = copies.get(id) ?? copyOf(state, id, limit, now);
      const taken = Math.max(0, Math.min(events, copy.bucket.level + mostDebt(copy.limit)));
      copy.bucket.level -= taken;
      copy.untold += taken;
      return decide(state, id, copy, { events: 0, now });
    },
    size: () => copies.size,
    async close() {
      await Promise.all([...copies.values()].map(({ syncing }) => syncing));
    },
  };
}

/** Synchronizes a copy with the stored bucket. Throws if storage does not answer; the copy then stays as it is. */
async function sync(state: State, id: string, copy: Copy, now: number): Promise<void> {
  const updated = await tryUpdate(state.store, { tries: TRIES }, async () => {
    const { limit, untold: told } = copy;
    const keys = [rateLimitKey(id), writeKeyKey(id)];
    const [entry, writeKey] = await state.store.getMany(keys) as [Entry<Stored>, Entry];
    // The time now, not of the request: what others wrote meanwhile would look like a clock that is ahead.
    const here = state.now();
    copy.aheadMs = Math.max(copy.aheadMs, (entry.value?.at ?? -Infinity) - here);
    const found = foundBucket(entry, limit, here + copy.aheadMs);
    const by = activeSharers(entry.value?.by ?? {}, found.at);
    delete by[state.owner];
    const sharers = Object.keys(by).length + 1;
    const level = Math.min(mostStored(limit), Math.max(found.level - told, -mostDebt(limit)));
    // It is negative if more was given back than used. Nothing is kept of a deleted key: it is gone here, or its stamp
    // changes before this is written.
    const result = { limit, told, found, sharers, level };
    if (told === 0 || writeKey.stamp === null) return { result };
    by[state.owner] = found.at;
    const next: Stored = { level, at: found.at, by: newest(by) };
    const write: Write = {
      checks: [entry, writeKey].map(({ key, stamp }) => ({ key, stamp })),
      sets: [[entry.key, next]],
    };
    return { result, write };
  });
  if (updated === undefined) return;
  const { limit, told, found, sharers, level } = updated.result;
  copy.others = othersRate(copy, found, sharers);
  copy.left = { level, at: found.at };
  copy.untold -= told;
  // Used during the synchronization.
  const there = Math.min(limit.burst, level) - copy.untold;
  copy.bucket = { level: Math.min(limit.burst, there), at: found.at };
  copy.syncedAt = now;
}

function syncBehind(state: State, id: string, copy: Copy, now: number): void {
  // If storage does not answer, nothing is committed either; the copy is good enough until then.
  copy.syncing ??= sync(state, id, copy, now).catch(() => {}).finally(() => copy.syncing = undefined);
}

function copyOf(state: State, id: string, limit: RateLimit, now: number): Copy {
  const copy: Copy = {
    bucket: fullBucket(limit, now),
    limit,
    untold: 0,
    aheadMs: 0,
    left: undefined,
    loaded: false,
    others: 0,
    syncedAt: -Infinity,
    syncing: undefined,
  };
  state.copies.set(id, copy);
  forgetOldest(state.copies, MAX_BUCKETS);
  return copy;
}

function decide(
  state: State,
  id: string,
  copy: Copy,
  { events, now }: { events: number; now: number },
): RateDecision {
  const { limit } = copy;
  const perSecond = limit.perSecond - copy.others;
  copy.bucket = refilled(copy.bucket, { perSecond, most: limit.burst, now: now + copy.aheadMs });
  const admitted = copy.bucket.level >= events;
  if (admitted) {
    copy.bucket.level -= events;
    copy.untold += events;
  }
  // The first use is written at once; a look before it is not.
  const isTold = copy.untold !== 0 || copy.syncedAt !== -Infinity;
  if (isTold && Math.abs(now - copy.syncedAt) >= SYNC_MS) syncBehind(state, id, copy, now);
  return {
    admitted,
    remaining: Math.max(0, Math.floor(copy.bucket.level)),
    fullInS: secondsUntil(copy.bucket, limit.burst, perSecond),
    enoughInS: secondsUntil(copy.bucket, Math.min(events, limit.burst), perSecond),
  };
}

function isChanged(one: RateLimit, other: RateLimit): boolean {
  return one.perSecond !== other.perSecond || one.burst !== other.burst;
}

/**
 * A stored bucket can hold the events of two synchronizations even if the burst is smaller: they are subtracted later,
 * and would otherwise be subtracted from a bucket that was never filled.
 */
function mostStored({ burst, perSecond }: RateLimit): number {
  return Math.max(burst, (perSecond * 2 * SYNC_MS) / 1000);
}

/** The stored bucket at a time of its own. */
function foundBucket({ value }: Entry<Stored>, limit: RateLimit, now: number): Bucket {
  if (value === null) return fullBucket(limit, now);
  return refilled(value, { perSecond: limit.perSecond, most: mostStored(limit), now });
}

function activeSharers(by: Record<string, number>, now: number): Record<string, number> {
  return Object.fromEntries(Object.entries(by).filter(([, at]) => now - at < ACTIVE_MS));
}

function newest(by: Record<string, number>): Record<string, number> {
  const entries = Object.entries(by);
  if (entries.length <= MAX_SHARERS) return by;
  return Object.fromEntries(entries.sort(([, a], [, b]) => b - a).slice(0, MAX_SHARERS));
}

/**
 * Events per second that the others used since this process last read the bucket: what is missing in it. At most their
 * equal share, or two processes that both used everything would each leave everything to the other.
 */
function othersRate({ left, limit }: Copy, found: Bucket, sharers: number): number {
  if (left === undefined || sharers === 1) return 0;
  const ms = found.at - left.at;
  if (ms <= 0) return 0;
  const alone = left.level + (ms * limit.perSecond) / 1000;
  const taken = Math.max(0, Math.min(alone, limit.burst) - found.level);
  return Math.min((taken * 1000) / ms, (limit.perSecond * (sharers - 1)) / sharers);
}
