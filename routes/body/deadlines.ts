/** Deadlines for work that may never end, such as reading the rest of a body. */

/** Interval of checks while there are deadlines. */
const SWEEP_MS = 250;

/** The error of a passed deadline; a class of its own, so that it is not mistaken for another error. */
export class DeadlinePassed extends Error {
  override name = "DeadlinePassed";
}

/** Promises with deadlines. */
export interface Deadlines {
  /** Settles like `work`, or is rejected with {@link DeadlinePassed} soon after `atMs`; `work` itself continues. */
  within<T>(work: Promise<T>, atMs: number): Promise<T>;
}

interface Deadline {
  atMs: number;
  reject: (error: DeadlinePassed) => void;
}

/**
 * Creates deadlines on one timer: one timer each would cost more than reading a body. The timer ends when there are no
 * deadlines.
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
