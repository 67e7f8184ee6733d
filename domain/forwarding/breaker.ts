/** The breaker: a destination that fails again and again is left alone, but for a probe now and then. Pure. */
import type { RetryLimits } from "./verdict.ts";

/** The state of a breaker. A stored format. */
export interface Breaker {
  /** Failures since the last success. */
  failures: number;
  /** The last attempts: when each ended (ms), and whether it failed. */
  recent: [at: number, failed: boolean][];
  /** When the failures since the last success began. */
  failingSince?: number;
  /** While attempts stop: when the next probe comes, and after which pause. */
  probeAt?: number;
  probeMs?: number;
}

/** Nothing has failed. */
export const CLOSED: Breaker = { failures: 0, recent: [] };

/** Whether attempts stop. */
export function isOpen({ probeAt }: Breaker): boolean {
  return probeAt !== undefined;
}

/** The breaker after an attempt. */
export function afterAttempt(
  breaker: Breaker,
  { now, failed, limits }: { now: number; failed: boolean; limits: RetryLimits },
): Breaker {
  if (!failed && isOpen(breaker)) return CLOSED;
  const recent = [...breaker.recent, [now, failed] as [number, boolean]].slice(-limits.breakerAttempts);
  if (!failed) return { failures: 0, recent };
  const failures = breaker.failures + 1;
  const failingSince = breaker.failingSince ?? now;
  const within = recent.filter(([at]) => at > now - limits.breakerWindowMs);
  const isHalf = within.length >= limits.breakerAttempts &&
    2 * within.filter(([, each]) => each).length >= limits.breakerAttempts;
  if (!isOpen(breaker) && failures < limits.breakerFailures && !isHalf) {
    return { failures, recent, failingSince };
  }
  const probeMs = breaker.probeMs === undefined
    ? limits.probeMs
    : Math.min(2 * breaker.probeMs, limits.maxProbeMs);
  return { failures, recent, failingSince, probeMs, probeAt: now + probeMs };
}

/** Whether a destination has done nothing but fail for so long that it is given up. */
export function isHopeless({ failingSince }: Breaker, now: number, { offMs }: RetryLimits): boolean {
  return failingSince !== undefined && now - failingSince >= offMs;
}
