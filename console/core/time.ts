/** Times as people read them, and ranges of time. Pure: the clock is an argument. */

/** In which zone times are shown. */
export type Zone = "local" | "utc";

const pad = (value: number, digits = 2): string => String(value).padStart(digits, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

interface Parts {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  ms: number;
}

function partsOf(ms: number, zone: Zone): Parts {
  const at = new Date(ms);
  return zone === "utc"
    ? {
      year: at.getUTCFullYear(),
      month: at.getUTCMonth(),
      day: at.getUTCDate(),
      hour: at.getUTCHours(),
      minute: at.getUTCMinutes(),
      second: at.getUTCSeconds(),
      ms: at.getUTCMilliseconds(),
    }
    : {
      year: at.getFullYear(),
      month: at.getMonth(),
      day: at.getDate(),
      hour: at.getHours(),
      minute: at.getMinutes(),
      second: at.getSeconds(),
      ms: at.getMilliseconds(),
    };
}

/** `14:04:07.691`. */
export function clock(ms: number, zone: Zone): string {
  const { hour, minute, second, ms: rest } = partsOf(ms, zone);
  return `${pad(hour)}:${pad(minute)}:${pad(second)}.${pad(rest, 3)}`;
}

/** `14:04` today, `2 Mar 14:04` this year, `2 Mar 2025` before. */
export function short(ms: number, zone: Zone, nowMs: number): string {
  const at = partsOf(ms, zone);
  const now = partsOf(nowMs, zone);
  const time = `${pad(at.hour)}:${pad(at.minute)}`;
  const day = `${at.day} ${MONTHS[at.month]}`;
  if (at.year !== now.year) return `${day} ${at.year}`;
  return at.month === now.month && at.day === now.day ? time : `${day} ${time}`;
}

/** `2 Mar 2025 14:04:07`. */
export function long(ms: number, zone: Zone): string {
  const { year, month, day, hour, minute, second } = partsOf(ms, zone);
  return `${day} ${MONTHS[month]} ${year} ${pad(hour)}:${pad(minute)}:${pad(second)}`;
}

/** The value of a field for a moment, without a zone: `2025-03-02T14:04:07`. */
export function fieldValue(ms: number, zone: Zone): string {
  const { year, month, day, hour, minute, second } = partsOf(ms, zone);
  return `${year}-${pad(month + 1)}-${pad(day)}T${pad(hour)}:${pad(minute)}:${pad(second)}`;
}

/** The moment of such a value; `undefined` if it is none. */
export function fromField(value: string, zone: Zone): number | undefined {
  const ms = Date.parse(zone === "utc" ? `${value}Z` : value);
  return Number.isNaN(ms) ? undefined : ms;
}

const STEPS: readonly (readonly [number, string])[] = [[86_400_000, "d"], [3_600_000, "h"], [60_000, "min"], [
  1_000,
  "s",
]];

/** `4 s`, `12 min`, `3 d`: one unit, rounded down. */
export function duration(ms: number): string {
  for (const [length, unit] of STEPS) if (ms >= length) return `${Math.floor(ms / length)} ${unit}`;
  return `${Math.max(0, Math.round(ms))} ms`;
}

/** `12 min ago`, `now`. */
export function ago(ms: number, nowMs: number): string {
  const age = nowMs - ms;
  if (age < 1_000) return age < -60_000 ? `in ${duration(-age)}` : "now";
  return `${duration(age)} ago`;
}

/** The period of counts, and its length. */
export const PERIOD_MS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;
export type Period = keyof typeof PERIOD_MS;

/** Ranges to choose from. */
export const RANGES = {
  "1h": { name: "1 hour", per: "minute", periods: 60 },
  "24h": { name: "24 hours", per: "hour", periods: 24 },
  "7d": { name: "7 days", per: "hour", periods: 168 },
  "30d": { name: "30 days", per: "day", periods: 30 },
} as const satisfies Record<string, { name: string; per: Period; periods: number }>;
export type Range = keyof typeof RANGES;

/** A stretch of whole periods that ends with the current one, and the one before it. */
export function spanOf(
  range: Range,
  nowMs: number,
): { from: number; to: number; before: number; per: Period } {
  const { per, periods } = RANGES[range];
  const length = PERIOD_MS[per];
  const to = (Math.floor(nowMs / length) + 1) * length;
  return { from: to - periods * length, to, before: to - 2 * periods * length, per };
}
