/** A token bucket: what a write key may send, counted in events. Pure; the time is handed in, in ms since 1970. */

/** So many events a second in the long run, and at most so many at once after a rest. */
export interface RateLimit {
  perSecond: number;
  burst: number;
}

/** How many events could come at `at`; less than 0 where more came than should have, which is paid back first. */
export interface Bucket {
  level: number;
  at: number;
}

/** A bucket whose time is further ahead than this was filled by a clock that was wrong: it is believed no longer. */
const MAX_AHEAD_MS = 60_000;

/** A bucket that nothing was taken from. */
export function fullBucket({ burst }: RateLimit, at: number): Bucket {
  return { level: burst, at };
}

/**
 * The bucket as it is at a time: filled at `perSecond`, up to `most`. Time that goes back
 * fills nothing, and what was filled is not filled again when it comes: the clock that is ahead counts.
 */
export function refilled(
  { level, at }: Bucket,
  { perSecond, most, now }: { perSecond: number; most: number; now: number },
): Bucket {
  if (at - now > MAX_AHEAD_MS) return { level: Math.min(most, level), at: now };
  const ms = Math.max(0, now - at);
  return { level: Math.min(most, level + (ms * perSecond) / 1000), at: Math.max(at, now) };
}

/** Whole seconds, at least 1, until a bucket has so many, at so many a second. */
export function secondsUntil({ level }: Bucket, events: number, perSecond: number): number {
  return Math.max(1, Math.ceil((events - level) / perSecond));
}
