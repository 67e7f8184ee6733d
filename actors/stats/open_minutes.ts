/** The minutes in which a process is counting, in memory: a record of state, and functions that change it. */
import { addCounts, type Counts, newCounts, PERIOD_MS } from "../../domain/stats/counts.ts";
import { countsKey, type Key } from "../store/keys.ts";

/** A minute under way in this process. */
export interface OpenMinute {
  minute: number;
  /** Of this process and this time of opening: a minute that was let go may be opened again, after a clock was moved. */
  key: Key;
  counts: Counts;
  /** Of the key in the store; `null` before the first write. */
  stamp: string | null;
  /** Whether something was counted since it was last written. */
  changed: boolean;
}

/** All minutes under way. */
export interface OpenMinutes {
  /** This process. */
  readonly owner: string;
  readonly open: Map<number, OpenMinute>;
  /** The minute in which was counted last: mostly the next event is of it too. */
  current: OpenMinute | undefined;
  /** How many were ever opened. */
  opened: number;
  /** The counts of minutes that were released. */
  readonly past: Counts;
}

/** Minutes that are counted at once: requests that came in one are answered in the next. Beyond it a clock was moved. */
const MAX_OPEN = 8;

/** Time after its end at which a written minute is released: nothing more is counted in it. */
const LATE_MS = 30_000;

/** No minute yet. */
export function noMinutes(owner: string): OpenMinutes {
  return { owner, open: new Map(), current: undefined, opened: 0, past: newCounts() };
}

/** The minute of a moment (ms), opened if necessary; if there are too many, the first is released. */
export function minuteAt(minutes: OpenMinutes, atMs: number): OpenMinute {
  const minute = Math.floor(atMs / PERIOD_MS.minute);
  if (minutes.current?.minute === minute) return minutes.current;
  return minutes.current = minutes.open.get(minute) ?? openMinute(minutes, minute);
}

function openMinute(minutes: OpenMinutes, minute: number): OpenMinute {
  const { open, owner } = minutes;
  if (open.size >= MAX_OPEN) letGo(minutes, open.values().next().value!);
  const key = countsKey("minute", minute, `${owner}.${minutes.opened++}`);
  const opened = { minute, key, counts: newCounts(), stamp: null, changed: false };
  open.set(minute, opened);
  return opened;
}

/** Whether a minute is written, and so old that nothing more is counted in it. */
export function isOver({ minute, changed }: OpenMinute, nowMs: number): boolean {
  return !changed && nowMs >= (minute + 1) * PERIOD_MS.minute + LATE_MS;
}

/** Lets a minute go that was written for the last time. */
export function letGo(minutes: OpenMinutes, minute: OpenMinute): void {
  addCounts(minutes.past, minute.counts);
  minutes.open.delete(minute.minute);
  if (minutes.current === minute) minutes.current = undefined;
}

/** All that was ever counted. */
export function sumOf({ past, open }: OpenMinutes): Counts {
  const sum = newCounts();
  for (const counts of [past, ...[...open.values()].map(({ counts }) => counts)]) addCounts(sum, counts);
  return sum;
}
