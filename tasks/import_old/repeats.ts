/**
 * Finds the message ids that a journal has more than once. In version 0.3 each such event counted, since its id was
 * forgotten when the window of deduplication had passed.
 *
 * How it works: a first pass notes all digests in a Bloom filter, two bytes for each. A digest that the filter seems to
 * know is a candidate; few of those came only once. Only candidates are held as text.
 */
import { Buffer } from "node:buffer";

/** Bits of the filter at least, at most, and for each digest. */
const MIN_BITS = 2 ** 16;
const MAX_BITS = 2 ** 32;
const BITS_PER_DIGEST = 16;

/** Hex digits of a word of a digest; words are as good as random. */
const WORD_DIGITS = 8;

/** The repeated digests of a journal. */
export interface Repeats {
  /** Notes a digest. Call it for each event in a first pass. */
  note(digest: string): void;
  /** Which copy of a digest this is, from 1. Call it for each event in a second pass, in order. */
  next(digest: string): number;
}

/** Begins to look for repeats among about `expected` digests. */
export function createRepeats(expected: number): Repeats {
  let bits = MIN_BITS;
  while (bits < expected * BITS_PER_DIGEST && bits < MAX_BITS) bits *= 2;
  const filter = new Uint8Array(bits / 8);
  const copies = new Map<string, number>();
  return {
    note(digest) {
      let isKnown = true;
      const bytes = Buffer.from(digest, "hex");
      for (let at = 0; at * WORD_DIGITS < digest.length; at++) {
        const bit = bytes.readUInt32LE(at * 4) % bits;
        const mask = 1 << (bit % 8);
        const byte = Math.floor(bit / 8);
        if ((filter[byte]! & mask) === 0) isKnown = false;
        filter[byte]! |= mask;
      }
      if (isKnown) copies.set(digest, 0);
    },
    next(digest) {
      const before = copies.get(digest);
      if (before === undefined) return 1;
      copies.set(digest, before + 1);
      return before + 1;
    },
  };
}
