/**
 * A guard over the clock of a process. Times of receipt, and the age of message ids in the dedup index, come from the
 * wall clock; the monotonic clock tells whether it ran or was moved. While the two diverge the process commits nothing,
 * since its timestamps would stay in the journal for ever.
 *
 * From within, a sleep of the machine looks like a wrong clock that is corrected. So a small move is trusted once both
 * clocks have run alike for a while; a large one only if the clock comes back, or if the process is restarted.
 */

import type { Clock } from "./clock.ts";

/** More than setting the time over the network steps by, and less than the hour of a wrong time zone. */
const MAX_STEP_MS = 10 * 60_000;

/**
 * A move up to this is trusted after {@link BELIEVE_MS}: a weekend's sleep. The dedup index tolerates it
 * (`dedup_index.ts`).
 */
const MAX_BELIEVED_MS = 3 * 86_400_000;

/** Time for which both clocks must run alike before a move is trusted. */
const BELIEVE_MS = 60_000;

/** Interval of checks while nothing is committed, so that a sleep is noticed when it ends. */
const LOOK_MS = 5_000;

export interface ClockGuardOptions {
  clock: Pick<Clock, "now" | "monotonic" | "timer">;
  /** Called with one line when the clock was moved, and when it is trusted again, with the reason. */
  onMoved(message: string): void;
}

/** A guard over a clock. */
export interface ClockGuard {
  /** What is wrong with the clock, without a final period; `undefined` if it can be trusted. Costs well under 1 µs. */
  fault(): string | undefined;
  /** Checks the clock now and then until `close`. */
  start(): void;
  close(): void;
}

/** Creates the guard; it trusts the clock as it is now. */
export function createClockGuard({ clock, onMoved }: ClockGuardOptions): ClockGuard {
  /** Wall clock less monotonic clock, as it was when last trusted. */
  let trusted = clock.now() - clock.monotonic();
  /** The offset since the clock was moved, and the monotonic time of its discovery. */
  let moved: { offset: number; sinceMs: number } | undefined;
  let stop = () => {};

  function fault(): string | undefined {
    const mono = clock.monotonic();
    const offset = clock.now() - mono;
    const move = offset - trusted;
    if (Math.abs(move) <= MAX_STEP_MS) {
      // Small steps are followed: over months they add up.
      trusted = offset;
      if (moved !== undefined) onMoved("The clock is correct again; accepting events.");
      moved = undefined;
      return undefined;
    }
    if (moved === undefined || Math.abs(offset - moved.offset) > MAX_STEP_MS) {
      moved = { offset, sinceMs: mono };
      onMoved(
        `${describe(move)}. No events are accepted ${Math.abs(move) <= MAX_BELIEVED_MS ? SOON : LATER}.`,
      );
    }
    moved.offset = offset;
    if (Math.abs(move) <= MAX_BELIEVED_MS && mono - moved.sinceMs >= BELIEVE_MS) {
      trusted = offset;
      moved = undefined;
      onMoved("The clock has run steadily since it was changed; trusting it and accepting events again.");
      return undefined;
    }
    return describe(move);
  }

  function look(): void {
    fault();
    stop = clock.timer(LOOK_MS, look);
  }

  return {
    fault,
    start: look,
    close: () => stop(),
  };
}

const SOON = `until it has run steadily for ${BELIEVE_MS / 1000} s or is set back`;
const LATER = "until it is set back; if the clock is correct now, restart this process";

function describe(moveMs: number): string {
  return `The clock of this server jumped ${lengthOf(Math.abs(moveMs))} ${
    moveMs > 0 ? "ahead" : "back"
  } while it was running`;
}

/** A length of time for people: in days, hours or minutes. */
export function lengthOf(ms: number): string {
  const [unit, name] = ([[86_400_000, "days"], [3_600_000, "hours"], [60_000, "minutes"]] as const)
    .find(([unit]) => ms >= 2 * unit) ?? [60_000, "minutes"];
  return `${Math.round(ms / unit)} ${name}`;
}

/** How far the clock may be from the newest commit before that is worth a line. */
const MAX_BEHIND_MS = MAX_STEP_MS;
const MAX_AHEAD_MS = 86_400_000;

/**
 * The notice of a start about the clock and the newest commit of the journal (`at`, ms; 0 if there is none), if any. No
 * process can know which of the two was wrong, so it continues either way: timestamps in the journal never go back.
 */
export function startNotice(nowMs: number, at: number): string | undefined {
  if (at === 0) return undefined;
  if (at - nowMs > MAX_BEHIND_MS) {
    return `The clock of this server is ${lengthOf(at - nowMs)} behind the newest event of the database. ` +
      "If the clock is wrong, set it and restart.";
  }
  if (nowMs - at > MAX_AHEAD_MS) {
    return `The newest event of the database is ${lengthOf(nowMs - at)} old by the clock of this server. ` +
      "If newer events were sent, the clock is wrong: set it and restart.";
  }
  return undefined;
}
