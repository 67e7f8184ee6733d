/** Deadlines for what may never come, such as the rest of a body. */

/** How often deadlines are looked at while there are some. */
const SWEEP_MS = 250;

/** What a promise is rejected with whose deadline has passed; a class of its own, so that no other error is taken for it. */
export class DeadlinePassed extends Error {
  override name = "DeadlinePassed";
}

/** Promises with deadlines. */
export interface Deadlines {
  /** Settles as `work` does, or is rejected with {@link DeadlinePassed} soon after `atMs`; `work` itself goes on. */
  within<T>(work: Promise<T>, atMs: number): Promise<T>;
}

interface Deadline {
  atMs: number;
  reject: (error: DeadlinePassed) => void;
}

/**
 * Many deadlines on one timer: one each would cost more than reading the body does. The timer ends by itself when it
 * finds nothing to wait for.
 */
export function createDeadlines(now: () => number): Deadlines {
  const waiting = new Set<Deadline>();
  let isArmed = false;

  function arm(): void {
    isArmed = true;
    setTimeout(sweep, SWEEP_MS);
  }

  function sweep(): void {
    const nowMs = now();
    for (const deadline of waiting) {
      if (deadline.atMs > nowMs) continue;
      waiting.delete(deadline);
      deadline.reject(new DeadlinePassed());
    }
    isArmed = false;
    if (waiting.size > 0) arm();
  }

  return {
    within(work, atMs) {
      return new Promise((resolve, reject) => {
        const deadline: Deadline = { atMs, reject };
        waiting.add(deadline);
        if (!isArmed) arm();
        work.then((value) => {
          waiting.delete(deadline);
          resolve(value);
        }, (error) => {
          waiting.delete(deadline);
          reject(error);
        });
      });
    },
  };
}
