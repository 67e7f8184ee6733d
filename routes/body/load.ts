/**
 * The load of a body: the cost of parsing it and accepting its events, in units of one structural byte, some 0.25 µs.
 * It is known before the body is parsed, except for the number of events.
 */

/** Inflated bytes that cost as much as a structural byte: texts, numbers and short strings parse at 1 to 15 ns a byte. */
export const BYTES_PER_UNIT = 16;

/**
 * Units of a value in a text with an integer beyond 2^53: the text is parsed twice and traversed, to keep the digits.
 */
export const UNITS_PER_EXACT_VALUE = 3;

/** Units of an event in addition to its structure: checking and storing the smallest takes 3 to 8 µs. */
export const UNITS_PER_EVENT = 24;

/** Free units of any body, so that small ones need no examination. */
const FREE_UNITS = 500;

/** Units that a byte on the wire pays for. Honest events need 0.07 a byte plain, and 0.8 to 1.5 compressed. */
const UNITS_PER_BYTE = 1;
const UNITS_PER_COMPRESSED_BYTE = 4;

/** The free load of a body by its size on the wire. A credit must pay for more. */
export function freeLoad(wireBytes: number, isCompressed: boolean): number {
  return FREE_UNITS + wireBytes * (isCompressed ? UNITS_PER_COMPRESSED_BYTE : UNITS_PER_BYTE);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const BRACKET = 0x5b;
const BRACE = 0x7b;

/**
 * Counts `{`, `[` and `:` outside strings, that is objects, arrays and members: they make JSON expensive to parse.
 * Commas between numbers do not: 4 MiB of `1,` parse as fast as events. Up to `enough` the count may include characters
 * in strings, which is faster; it stops beyond `most`.
 */
export function structureOf(bytes: Uint8Array, { enough, most }: { enough: number; most: number }): number {
  if (bytes.length <= enough) return bytes.length;
  const all = countEverywhere(bytes, enough);
  return all <= enough ? all : countOutsideStrings(bytes, most);
}

/** Counts `{`, `[`, `:` and `,` outside strings: each value, about. Beyond `most` it does not count on. */
export function valuesOf(bytes: Uint8Array, most: number): number {
  return countOutsideStrings(bytes, most, COMMA);
}

function countEverywhere(bytes: Uint8Array, most: number): number {
  let count = 0;
  for (let i = 0; i < bytes.length && count <= most; i++) {
    const byte = bytes[i];
    if (byte === COLON || byte === BRACE || byte === BRACKET) count++;
  }
  return count;
}

function countOutsideStrings(bytes: Uint8Array, most: number, other = COLON): number {
  let count = 0;
  let isInString = false;
  for (let i = 0; i < bytes.length && count <= most; i++) {
    const byte = bytes[i];
    if (byte === QUOTE) isInString = !isInString;
    else if (byte === BACKSLASH) i++; // Outside a string it is no JSON, which the parser finds out.
    else if (!isInString && (byte === COLON || byte === BRACE || byte === BRACKET || byte === other)) count++;
  }
  return count;
}
