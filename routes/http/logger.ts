/**
 * Lines of JSON for the operator: few, short, and never a body, a key or a token. No line holds a control character or
 * the password of a URL.
 */
import { printable } from "./printable.ts";

/** The levels of a log, from most to least output. */
export const LOG_LEVELS = ["debug", "info", "warn", "error", "off"] as const;

/** One of {@link LOG_LEVELS}. */
export type LogLevel = typeof LOG_LEVELS[number];

/** A level that a line can have. */
export type LineLevel = Exclude<LogLevel, "off">;

/** The other members of a line: short values without a sender's data. */
export type LogMembers = Record<string, string | number | boolean | undefined>;

/** A log of JSON lines. */
export interface Log {
  /** Whether there is a line per request; otherwise it need not be prepared. */
  readonly debugging: boolean;
  /** Writes one line. */
  line(level: LineLevel, message: string, members?: LogMembers): void;
  /**
   * Counts something that may happen thousands of times a second: the first is a line at once; later ones within {@link
   * SUMMARY_INTERVAL_MS} are one line with a `count`, written when the next one after it is counted.
   */
  count(level: LineLevel, message: string, members: LogMembers & { code: string }, times?: number): void;
  /** Writes the counts that are not written yet. */
  flush(): void;
}

export interface LogOptions {
  level: LogLevel;
  /** Takes one line without its end. */
  write: (line: string) => void;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** Interval of lines about the same refusal: often enough to see that it continues, rarely enough for a flood. */
export const SUMMARY_INTERVAL_MS = 60_000;

/** Kinds of refusal that are counted apart; all are of our making, so this is only a belt. */
const MAX_KINDS = 1000;

interface Kind {
  level: LineLevel;
  message: string;
  members: LogMembers;
  /** Since the last line. */
  count: number;
}

/** Creates a log that writes lines of `level` and above. It uses no timer, so nothing must be stopped. */
export function createLog({ level, write, now }: LogOptions): Log {
  const threshold = LOG_LEVELS.indexOf(level);
  const kinds = new Map<string, Kind>();
  let sweptAtMs = now();

  const timeNow = () => new Date(now()).toISOString();

  function line(lineLevel: LineLevel, message: string, members: LogMembers = {}): void {
    if (LOG_LEVELS.indexOf(lineLevel) < threshold) return;
    write(printable(JSON.stringify({ time: timeNow(), level: lineLevel, message, ...members })));
  }

  function flush(): void {
    for (const { level, message, members, count } of kinds.values()) {
      if (count > 0) line(level, message, { ...members, count });
    }
    kinds.clear();
    sweptAtMs = now();
  }

  return {
    debugging: threshold === 0,
    line,
    flush,
    count(lineLevel, message, members, times = 1) {
      if (LOG_LEVELS.indexOf(lineLevel) < threshold) return;
      if (now() - sweptAtMs >= SUMMARY_INTERVAL_MS || kinds.size >= MAX_KINDS) flush();
      const key = `${lineLevel} ${message} ${members.code}`;
      const kind = kinds.get(key);
      if (kind === undefined) {
        line(lineLevel, message, times === 1 ? members : { ...members, count: times });
        kinds.set(key, { level: lineLevel, message, members: { code: members.code }, count: 0 });
      } else {
        kind.count += times;
      }
    },
  };
}
