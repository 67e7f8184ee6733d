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

/**
 * Joins the journal of a process and its settler. `start` makes the settler and gets what it reports to, which is ready
 * by then: a settler that cannot have a thread reports that at once.
 */
export function createSettling(
  { clock, journal, limits }: { clock: Clock; journal: Journal; limits: BackpressureLimits },
  start: (events: SettlerEvents) => Settler,
) {
  /** Events settled in a second, as lately seen. */
  let pace = 20_000;
  let movedMs = clock.monotonic();
  let closed = false;
  /** Since when rounds have failed, one after the other, and when the last did. */
  let failing: { sinceMs: number; lastMs: number } | undefined;

  const settler = start({
    async moved() {
      if (closed) return;
      failing = undefined;
      const before = journal.settled().events;
      // A hint: where it fails the tail is only longer, until the next.
      await journal.adoptNewest().catch(() => {});
      const events = journal.settled().events - before;
      const seconds = (clock.monotonic() - movedMs) / 1000;
      movedMs = clock.monotonic();
      if (events > 5_000) pace = 0.5 * pace + 0.5 * (events / seconds);
    },
    failed() {
      const lastMs = clock.monotonic();
      const goesOn = failing !== undefined && lastMs - failing.lastMs < FAILING_MS;
      failing = { sinceMs: goesOn ? failing!.sinceMs : lastMs, lastMs };
    },
  });

  return {
    /** Call it after each commit. */
    wake: settler.wake,
    /** Throws {@link NotServing} where settling has failed for long and nothing was settled, by whomever. */
    check(): void {
      if (failing === undefined || clock.monotonic() - failing.lastMs > FAILING_MS) return;
      const failingMs = clock.monotonic() - failing.sinceMs;
      if (failingMs < FAILING_MS) return;
      const forS = Math.round(failingMs / 1000);
      throw new NotServing(
        `settling has failed for ${forS} s: this server's log says why, with the code settling`,
        "settling_fails",
      );
    },
    /** Resolves when everything up to a position is settled, in whatever process. */
    async until(position: Position, deadlineMs: number): Promise<void> {
      const end = clock.monotonic() + deadlineMs;
      for (let waitMs = 2; journal.settled().position < position; waitMs = Math.min(waitMs * 2, 50)) {
        if (closed) throw new NotServing("The server is stopping.", "stopping");
        if (clock.monotonic() > end) {
          throw new NotServing("Settling has not caught up with the journal in time.", "settling");
        }
        settler.hurry();
        await clock.sleep(waitMs);
        await journal.adoptNewest();
      }
    },
    /** Resolves when a wish for erasure is fulfilled, by whatever process, and this one has forgotten the person. */
    async untilErased(no: number, deadlineMs: number): Promise<void> {
      const end = clock.monotonic() + deadlineMs;
      for (let waitMs = 2; erasuresOf(journal.settled()) < no; waitMs = Math.min(waitMs * 2, 50)) {
        if (closed || clock.monotonic() > end) {
          throw new NotServing(
            "the erasure goes on: ask again, to know when it is done",
            "erasure_under_way",
          );
        }
        settler.hurry();
        await clock.sleep(waitMs);
        await journal.adoptNewest();
      }
    },
    /**
     * Resolves when the tail has room: at once while it is short, then ever slower, so that senders come to the pace
     * of settling, and not before there is room when it is full. Whoever asks waits no longer than until `deadlineMs`, by
     * the monotonic clock: it resolves then, and goes on no longer.
     */
    async room(events: number, deadlineMs: number): Promise<void> {
      while (clock.monotonic() < deadlineMs) {
        const tail = journal.tail();
        const excess = Math.max(tail.events() / limits.softEvents, tail.bytes() / SOFT_BYTES) - 1;
        if (excess <= 0 || closed) return;
        settler.wake();
        const share = excess / (HARD_FACTOR - 1);
        if (share < 1) {
          return await clock.sleep((events / pace) * 1000 * (share / (1 - Math.min(share, 0.9))));
        }
        await clock.sleep(20);
      }
    },
    /** Stops after the round under way; who waits for settling is told that storage is not there. */
    async close(): Promise<void> {
      closed = true;
      await settler.close();
    },
  };
}
