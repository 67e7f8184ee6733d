/** Acts that take turns. */

/**
 * Makes a line: what is given to it is done one after the other, in the order in which it came. One that fails rejects
 * its own promise, and holds up nobody.
 */
export function createTurns(): <T>(act: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return function inTurn(act) {
    const mine = last.then(act);
    last = mine.catch(() => {});
    return mine;
  };
}
