/** Digests of message ids in memory: words without an object for each, so that there is nothing to collect. */
import { DIGEST_WORDS } from "./digest.ts";

/** A set is at most so full: beyond it a look-up meets too many others. */
const MAX_FULL = 0.6;

/** A set of digests. */
export type DigestSet = ReturnType<typeof createDigestSet>;

/**
 * A set with room for so many digests, which grows as it needs to: open addressing over their first words, which are as
 * good as random, since digests are made with a secret. A slot of zeros is an empty one: no digest is nothing but zeros.
 */
export function createDigestSet(expected: number) {
  let slots = 16;
  while (slots * MAX_FULL < expected) slots *= 2;
  let table = new Uint32Array(slots * DIGEST_WORDS);
  let size = 0;

  /** Where the digest number `at` stands in the table, or where it would: its place there, negative if it does not. */
  function find(digests: Uint32Array, at: number): number {
    const from = at * DIGEST_WORDS;
    const [a, b, c, d] = [digests[from]!, digests[from + 1]!, digests[from + 2]!, digests[from + 3]!];
    const mask = table.length - 1;
    let slot = (a * DIGEST_WORDS) & mask;
    for (;; slot = (slot + DIGEST_WORDS) & mask) {
      if (table[slot] === a && table[slot + 1] === b && table[slot + 2] === c && table[slot + 3] === d) {
        return slot;
      }
      if ((table[slot]! | table[slot + 1]! | table[slot + 2]! | table[slot + 3]!) === 0) return -slot - 1;
    }
  }

  function put(digests: Uint32Array, at: number): boolean {
    const slot = find(digests, at);
    if (slot >= 0) return false;
    const from = at * DIGEST_WORDS;
    for (let i = 0; i < DIGEST_WORDS; i++) table[-slot - 1 + i] = digests[from + i]!;
    return true;
  }

  function grow(): void {
    const old = table;
    table = new Uint32Array(old.length * 2);
    for (let at = 0; at * DIGEST_WORDS < old.length; at++) {
      const from = at * DIGEST_WORDS;
      if ((old[from]! | old[from + 1]! | old[from + 2]! | old[from + 3]!) !== 0) put(old, at);
    }
  }

  return {
    size: () => size,
    /** Whether digest number `at` of a row is in the set. */
    has: (digests: Uint32Array, at: number): boolean => size > 0 && find(digests, at) >= 0,
    /** Adds digest number `at` of a row; false where it was there. */
    add(digests: Uint32Array, at: number): boolean {
      if (size >= (table.length / DIGEST_WORDS) * MAX_FULL) grow();
      const isNew = put(digests, at);
      if (isNew) size++;
      return isNew;
    },
  };
}
