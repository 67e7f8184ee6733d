/** A token bucket: the budget of a write key, in events. Pure; the time is an argument, in ms since 1970. */

/** Events per second in the long run, and at most at once after a pause. */
export interface RateLimit {
  perSecond: number;
  burst: number;
}

/** The number of available events at `at`; negative for a debt, which is paid back first. */
export interface Bucket {
  level: number;
  at: number;
}

/** A bucket whose time is further ahead than this was filled by a clock that was wrong: it is believed no longer. */
const MAX_AHEAD_MS = 60_000;

/** A full bucket. */
export function fullBucket({ burst }: RateLimit, at: number): Bucket {
  return { level: burst, at };
}

/**
 * The bucket at a time: refilled at `perSecond`, up to `most`. A clock that goes back refills nothing, and nothing is
 * refilled twice: the clock that is ahead counts.
 */
export function refilled(
  { level, at }: Bucket,
  { perSecond, most, now }: { perSecond: number; most: number; now: number },
): Bucket {
  if (at - now > MAX_AHEAD_MS) return { level: Math.min(most, level), at: now };
  const ms = Math.max(0, now - at);
  return { level: Math.min(most, level + (ms * perSecond) / 1000), at: Math.max(at, now) };
}

/** Whole seconds, at least 1, until a bucket has this many events at this rate. */
export function secondsUntil({ level }: Bucket, events: number, perSecond: number): number {
  return Math.max(1, Math.ceil((events - level) / perSecond));
}
