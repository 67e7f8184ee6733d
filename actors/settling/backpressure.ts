/** What a server has to do with settling: to wake it, to wait for it, and to slow senders when it falls behind. */
import type { Position } from "../../domain/event/position.ts";
import type { Clock } from "../store/clock.ts";
import { erasuresOf, type Journal } from "../journal/journal_state.ts";
import type { Settler } from "./settler.ts";
import { NotServing } from "../store/errors.ts";

/** Bounds of what is unsettled. */
export const BACKPRESSURE_LIMITS = {
  /** Beyond so many unsettled events senders are slowed, more the fuller it is. */
  softEvents: 240_000,
};
export type BackpressureLimits = typeof BACKPRESSURE_LIMITS;

/** The same of bytes of memory for them. */
const SOFT_BYTES = 96 * 1024 * 1024;

/** Beyond so many times the soft bound senders wait until there is room. */
const HARD_FACTOR = 2;

/** Settling that has failed for so long, again and again, needs somebody to look: a fault that passes is over before. */
const FAILING_MS = 15_000;

/** Settling in a process. */
export type Settling = ReturnType<typeof createSettling>;

/** What a settler reports to the process that started it. It may report while it starts. */
export interface SettlerEvents {
  /** A round failed. */
  failed(): void;
  /** `settled` moved: the tail is trimmed. */
  moved(): Promise<void>;
}

/** Since when rounds have failed, one after the other, and when the last did (monotonic ms). */
export interface Failing {
  sinceMs: number;
  lastMs: number;
}

/** What is known of failing once a round has failed. */
export function failedAgain(failing: Failing | undefined, nowMs: number): Failing {
  const goesOn = failing !== undefined && nowMs - failing.lastMs < FAILING_MS;
  return { sinceMs: goesOn ? failing.sinceMs : nowMs, lastMs: nowMs };
}

/** For how long settling has failed, where that is long enough for somebody to look; 0 where it is not, or is over. */
export function failingFor(failing: Failing | undefined, nowMs: number): number {
  if (failing === undefined || nowMs - failing.lastMs > FAILING_MS) return 0;
  const failingMs = nowMs - failing.sinceMs;
  return failingMs < FAILING_MS ? 0 : failingMs;
}

/**
 * How long a sender of so many events waits where the tail exceeds the soft bound by a share of it: longer the fuller it
 * is, so that senders come to the pace of settling (events/s). `undefined` where it waits until there is room.
 */
export function pauseFor(
  events: number,
  { excess, pace }: { excess: number; pace: number },
): number | undefined {
  const share = excess / (HARD_FACTOR - 1);
  if (share >= 1) return undefined;
  return (events / pace) * 1000 * (share / (1 - Math.min(share, 0.9)));
}

/** A pace (events/s), once so many more events were settled in some seconds: a few say nothing of it. */
function paceAfter(pace: number, events: number, seconds: number): number {
  return events > 5_000 ? 0.5 * pace + 0.5 * (events / seconds) : pace;
}

/** What {@link createSettling} joins. */
export interface SettlingOptions {
  clock: Clock;
  journal: Journal;
  limits: BackpressureLimits;
}

/**
 * Joins the journal of a process and its settler. `start` makes the settler and gets what it reports to, which is ready
 * by then: a settler that cannot have a thread reports that at once.
 */
export function createSettling(
  { clock, journal, limits }: SettlingOptions,
  start: (events: SettlerEvents) => Settler,
) {
  const state = { pace: 20_000, movedMs: clock.monotonic(), closed: false };
  let failing: Failing | undefined;

  const settler = start({
    async moved() {
      if (state.closed) return;
      failing = undefined;
      const before = journal.settled().events;
      // A hint: where it fails the tail is only longer, until the next.
      await journal.adoptNewest().catch(() => {});
      const seconds = (clock.monotonic() - state.movedMs) / 1000;
      state.movedMs = clock.monotonic();
      state.pace = paceAfter(state.pace, journal.settled().events - before, seconds);
    },
    failed: () => void (failing = failedAgain(failing, clock.monotonic())),
  });

  const waiting = { clock, journal, hurry: settler.hurry, isClosed: () => state.closed };

  return {
    /** Call it after each commit. */
    wake: settler.wake,
    /** Throws {@link NotServing} where settling has failed for long and nothing was settled, by whomever. */
    check(): void {
      const failingMs = failingFor(failing, clock.monotonic());
      if (failingMs > 0) throw settlingFails(failingMs);
    },
    /** Resolves when everything up to a position is settled, in whatever process. */
    until(position: Position, deadlineMs: number): Promise<void> {
      const isSettled = () => journal.settled().position >= position;
      return hurryUntil(isSettled, {
        ...waiting,
        deadlineMs,
        refusal: () => state.closed ? stopping() : notCaughtUp(),
      });
    },
    /** Resolves when a wish for erasure is fulfilled, by whatever process, and this one has forgotten the person. */
    untilErased(no: number, deadlineMs: number): Promise<void> {
      const isErased = () => erasuresOf(journal.settled()) >= no;
      return hurryUntil(isErased, { ...waiting, deadlineMs, refusal: erasureGoesOn });
    },
    /**
     * Resolves when the tail has room: at once while it is short, then ever slower, and not before there is room when it is
     * full. Whoever asks waits no longer than until `deadlineMs`, by the monotonic clock: it resolves then, and goes on no
     * longer.
     */
    async room(events: number, deadlineMs: number): Promise<void> {
      while (clock.monotonic() < deadlineMs) {
        const tail = journal.tail();
        const excess = Math.max(tail.events() / limits.softEvents, tail.bytes() / SOFT_BYTES) - 1;
        if (excess <= 0 || state.closed) return;
        settler.wake();
        const pauseMs = pauseFor(events, { excess, pace: state.pace });
        if (pauseMs !== undefined) return await clock.sleep(pauseMs);
        await clock.sleep(20);
      }
    },
    /** Stops after the round under way; who waits for settling is told that the server stops. */
    async close(): Promise<void> {
      state.closed = true;
      await settler.close();
    },
  };
}

/** How to wait for a settler. */
interface Waiting {
  clock: Clock;
  journal: Journal;
  deadlineMs: number;
  hurry(): void;
  isClosed(): boolean;
  /** What to throw at the deadline, or when the process stops. */
  refusal(): Error;
}

/** Hurries the settler until something is settled, by whatever process. */
async function hurryUntil(
  isSettled: () => boolean,
  { clock, journal, deadlineMs, hurry, isClosed, refusal }: Waiting,
): Promise<void> {
  const end = clock.monotonic() + deadlineMs;
  for (let waitMs = 2; !isSettled(); waitMs = Math.min(waitMs * 2, 50)) {
    if (isClosed() || clock.monotonic() > end) throw refusal();
    hurry();
    await clock.sleep(waitMs);
    await journal.adoptNewest();
  }
}

function settlingFails(failingMs: number): NotServing {
  return new NotServing(
    `Settling has been failing for ${Math.round(failingMs / 1000)} s; see the server's log (code settling).`,
    "settling_fails",
  );
}

function stopping(): NotServing {
  return new NotServing("The server is stopping.", "stopping");
}

function notCaughtUp(): NotServing {
  return new NotServing("Settling did not catch up with the journal in time; retry.", "settling");
}

function erasureGoesOn(): NotServing {
  return new NotServing(
    "Erasure is still in progress. Repeat the request to check on it.",
    "erasure_under_way",
  );
}
