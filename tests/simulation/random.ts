/** Randomness that one seed decides: whoever draws in the same order draws the same. */

/** Draws from a sequence. */
export type Random = ReturnType<typeof createRandom>;

/** Makes a sequence of a seed (any integer). The generator is sfc32, after Chris Doty-Humphrey's PractRand. */
export function createRandom(seed: number) {
  let a = seed | 0;
  let b = Math.floor(seed / 2 ** 32) | 0;
  let c = 0x9e3779b9 | 0;
  let counter = 1;

  function next(): number {
    const sum = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum | 0;
    return (sum >>> 0) / 2 ** 32;
  }
  // Seeds in a row begin alike: their likeness is gone after some rounds.
  for (let i = 0; i < 12; i++) next();

  return {
    /** From 0 up to, but not, 1. */
    next,
    /** An integer from 0 up to, but not, `n`. */
    below: (n: number): number => Math.floor(next() * n),
    /** A number from `low` up to, but not, `high`. */
    between: (low: number, high: number): number => low + next() * (high - low),
    /** True in a share of all cases. */
    chance: (share: number): boolean => next() < share,
    /** One of some. */
    pick: <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)]!,
  };
}
