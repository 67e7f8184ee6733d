/** Durations of conditions: `30m`, `2h`, `30d`. */

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The longest duration: three years of 365 days, so that what a window needs of the past is bounded. */
export const MAX_DURATION_MS = 3 * 365 * 86_400_000;

/** A duration in ms; a problem in words if it is none. `0d` is one only where `mayBeZero`. */
export function readDuration(given: unknown, mayBeZero = false): number | string {
  const found = typeof given === "string" ? /^(\d{1,9})([smhd])$/.exec(given) : null;
  if (found === null) return "must be a duration such as 30m, 2h or 30d";
  const ms = Number(found[1]) * UNITS[found[2]!]!;
  if (ms === 0 && !mayBeZero) return "must be longer than 0";
  return ms > MAX_DURATION_MS ? "must be at most 3 years (1095d)" : ms;
}
