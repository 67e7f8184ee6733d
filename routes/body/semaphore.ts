/** A semaphore: it bounds the work in progress; the rest waits in line for a while. */
import { createDeadlines, DeadlinePassed } from "./deadlines.ts";

/** Longest wait by default: as long as a request may take to be committed. */
export const WAIT_MS = 10_000;

/** Longest line: beyond it the answer is no at once. */
export const MAX_WAITING = 10_000;

/** A bound on work in progress. */
export interface Semaphore {
  /**
   * Requests room: `true` at once if there is some and nobody waits, otherwise a promise of whether there was some in
   * time. After `true` the caller must {@link Semaphore.leave}.
   */
  enter(weight: number): true | Promise<boolean>;
  /** Releases room, all or some of it. */
  leave(weight: number): void;
}

interface Waiting {
  weight: number;
  resolve: (hasRoom: boolean) => void;
}

/** Creates a semaphore with room for weights of `room` in all; one alone may weigh more. First come, first served. */
export function createSemaphore(room: number, now: () => number, { waitMs = WAIT_MS } = {}): Semaphore {
  const deadlines = createDeadlines(now);
  const line: Waiting[] = [];
  let taken = 0;

  const fits = (weight: number) => taken === 0 || taken + weight <= room;

  function advance(): void {
    while (line.length > 0 && fits(line[0]!.weight)) {
      const { weight, resolve } = line.shift()!;
      taken += weight;
      resolve(true);
    }
  }

  async function wait(weight: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiting = { weight, resolve };
    line.push(waiting);
    try {
      return await deadlines.within(promise, now() + waitMs);
    } catch (error) {
      if (!(error instanceof DeadlinePassed)) throw error;
      line.splice(line.indexOf(waiting), 1);
      advance(); // One that weighs less may have stood behind.
      return false;
    }
  }

  return {
    enter(weight) {
      if (line.length === 0 && fits(weight)) {
        taken += weight;
        return true;
      }
      return line.length < MAX_WAITING ? wait(weight) : Promise.resolve(false);
    },
    leave(weight) {
      taken -= weight;
      advance();
    },
  };
}
