/** A queue that runs one task at a time. */

/**
 * Creates a queue: it runs tasks one after the other, in the order in which they came. A failed task rejects its own
 * promise, and does not stop the others.
 */
export function createSerialQueue(): <T>(act: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return function inTurn(act) {
    const mine = last.then(act);
    last = mine.catch(() => {});
    return mine;
  };
}
