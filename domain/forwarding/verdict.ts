/** What an answer of a destination means, and when another attempt is made. */
import { parseTimestamp } from "../event/timestamp.ts";

/** What becomes of an event after an attempt. */
export type Verdict = "delivered" | "retry" | "dead" | "pause" | "off" | "split";

const DEAD = new Set([400, 404, 405, 406, 409, 415, 422]);
const RETRIED = new Set([408, 425, 429]);

/** The verdict on an answer by its status. A missing answer is `retry`. */
export function verdictOf(status: number): Verdict {
  if (status >= 200 && status < 300) return "delivered";
  if (status >= 500 || RETRIED.has(status)) return "retry";
  if (status === 401 || status === 403) return "pause";
  if (status === 410) return "off";
  if (status === 413) return "split";
  // 3xx, those in the list, and other 4xx.
  return DEAD.has(status) || status >= 300 ? "dead" : "retry";
}

/** Statuses whose `Retry-After` holds for the whole destination. */
export function holdsForAll(status: number): boolean {
  return status === 429 || status === 503;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** When failed attempts are repeated, and when a destination that fails rests. Tests take shorter times. */
export const RETRY_LIMITS = {
  /** The pauses between attempts, of which there is one more. */
  retryDelaysMs: [
    5_000,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    5 * HOUR_MS,
    10 * HOUR_MS,
    14 * HOUR_MS,
    20 * HOUR_MS,
    24 * HOUR_MS,
  ] as readonly number[],
  /** Failures in a row that open the breaker. */
  breakerFailures: 5,
  /** It also opens after half of so many attempts within `breakerWindowMs` failed. */
  breakerAttempts: 20,
  breakerWindowMs: MINUTE_MS,
  /** The first probe comes after so long; each later one after twice as long, up to the last. */
  probeMs: 5_000,
  maxProbeMs: 5 * MINUTE_MS,
  /** After so long of nothing but failure a destination is off. */
  offMs: 5 * 24 * HOUR_MS,
};
export type RetryLimits = typeof RETRY_LIMITS;

/** The longest `Retry-After` that is obeyed. */
export const MAX_RETRY_AFTER_MS = 24 * HOUR_MS;

/** The share by which a pause is shorter or longer. */
const JITTER = 0.2;

/**
 * The pause after so many attempts in ms; `undefined` once there is none, and the event is dead. `chance` is from 0 to 1.
 */
export function pauseAfter(
  attempts: number,
  chance: number,
  { retryDelaysMs }: RetryLimits,
): number | undefined {
  const delay = retryDelaysMs[attempts - 1];
  return delay === undefined ? undefined : delay * (1 + JITTER * (2 * chance - 1));
}

/** Ms of a `Retry-After` header from a time on: seconds or a date, at most 24 h; 0 if there is none that is valid. */
export function retryAfterMs(header: string | undefined, now: number): number {
  if (header === undefined) return 0;
  const trimmed = header.trim();
  const ms = /^\d{1,9}$/.test(trimmed) ? Number(trimmed) * 1000 : dateMs(trimmed) - now;
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS) : 0;
}

function dateMs(value: string): number {
  return parseTimestamp(value) ?? Date.parse(value);
}
