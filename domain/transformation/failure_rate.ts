/** How many events transformations fail on: a destination whose events mostly fail is better paused. */

/** Events in a minute below which no share is judged, the minute, and the share. */
export const FAILURE_EVENTS = 50;
export const FAILURE_WINDOW_MS = 60_000;
export const FAILURE_SHARE = 0.2;

/** Outcomes that were counted, by second. */
export type FailureRate = [second: number, events: number, failed: number][];

/** Counts outcomes; true if so many of the last minute failed that the destination must be paused. Mutates the rate. */
export function isFailing(
  rate: FailureRate,
  { now, events, failed }: { now: number; events: number; failed: number },
): boolean {
  const second = Math.floor(now / 1_000);
  const last = rate.at(-1);
  if (last?.[0] === second) {
    last[1] += events;
    last[2] += failed;
  } else rate.push([second, events, failed]);
  while (rate[0]![0] <= second - FAILURE_WINDOW_MS / 1_000) rate.shift();
  let allEvents = 0;
  let allFailed = 0;
  for (const [, some, someFailed] of rate) {
    allEvents += some;
    allFailed += someFailed;
  }
  return failed > 0 && allEvents >= FAILURE_EVENTS && allFailed >= FAILURE_SHARE * allEvents;
}
