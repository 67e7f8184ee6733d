/**
 * JSON whose integers keep their digits. `JSON.parse` rounds an integer beyond 2^53, so that two ids of a database
 * become equal; here it becomes a {@link LongInteger}, which `JSON.stringify` writes as it was sent.
 *
 * Everything that reads an event, or a state that was folded from events, uses {@link parseExact}.
 */

/**
 * Levels at which integers keep their digits: more than an event may have (32) in a batch or in a stored state. Deeper
 * values are rejected anyway.
 */
const EXACT_DEPTH = 64;

/** The first power of ten that no double holds a neighbour of: shorter integers are exact. */
const LONG_DIGITS = 16;

/** In valid JSON, outside of strings: an integer of {@link LONG_DIGITS} digits or more, not a part of another number. */
const LONG_INTEGER = /(?<![-+.\deE])-?[1-9]\d{15,}(?![.\deE])/g;

const ZERO = 48;
const NINE = 57;
const BACKSLASH = "\\";

/** Characters before a number in JSON. */
const BEFORE_NUMBER = ":,[ \n\r\t";

const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/**
 * An integer that a double would show with other digits. A class, since `JSON.stringify` calls `toJSON`, and arithmetic
 * `valueOf`: so it is written exactly, and counts as the nearest number everywhere.
 */
export class LongInteger {
  constructor(readonly digits: string) {}

  toJSON(): unknown {
    return rawJSON(this.digits);
  }

  /** The nearest finite number. */
  valueOf(): number {
    const number = Number(this.digits);
    return Math.min(Math.max(number, -Number.MAX_VALUE), Number.MAX_VALUE);
  }

  toString(): string {
    return this.digits;
  }
}

/** The text of a number, a long integer with its own digits; `undefined` for every other value. */
export function numberText(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return value instanceof LongInteger ? value.digits : undefined;
}

/**
 * Like `JSON.parse`, but integers that a number cannot hold become {@link LongInteger}s. Throws what `JSON.parse`
 * throws.
 */
export function parseExact(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return mayHoldLongInteger(text) ? exact(value, JSON.parse(quoted(text)), 0) : value;
}

/**
 * Whether a text may contain a long integer. A run of 16 digits covers a 16th unit, so only those are checked: some 2 %
 * of the time for parsing.
 */
export function mayHoldLongInteger(text: string): boolean {
  for (let at = LONG_DIGITS - 1; at < text.length; at += LONG_DIGITS) {
    if (!isDigit(text.charCodeAt(at))) continue;
    let start = at;
    while (isDigit(text.charCodeAt(start - 1))) start--;
    let end = at + 1;
    while (isDigit(text.charCodeAt(end))) end++;
    if (end - start >= LONG_DIGITS && isLong(text, start, end)) return true;
    // The next unit to check is after the run.
    at += Math.floor((end - at) / LONG_DIGITS) * LONG_DIGITS;
  }
  return false;
}

/** Whether a run of digits may be a long integer: not a time in microseconds, a fraction, or an id in quotes. */
function isLong(text: string, start: number, end: number): boolean {
  if (end - start === LONG_DIGITS && text.charCodeAt(start) < NINE) return false;
  const before = text[start - 1] === "-" ? start - 2 : start - 1;
  return before < 0 || BEFORE_NUMBER.includes(text[before]!);
}

function isDigit(unit: number): boolean {
  return unit >= ZERO && unit <= NINE;
}

/** Valid JSON with its long integers as strings. */
function quoted(text: string): string {
  let written = "";
  let writtenTo = 0;
  let at = 0;
  while (at < text.length) {
    const quote = text.indexOf('"', at);
    const gapEnd = quote < 0 ? text.length : quote;
    if (gapEnd - at >= LONG_DIGITS) {
      for (const { 0: digits, index } of text.slice(at, gapEnd).matchAll(LONG_INTEGER)) {
        written += `${text.slice(writtenTo, at + index)}"${digits}"`;
        writtenTo = at + index + digits.length;
      }
    }
    at = quote < 0 ? text.length : stringEnd(text, quote);
  }
  return written + text.slice(writtenTo);
}

/** Behind the quote that ends the string that begins at `start`. */
function stringEnd(text: string, start: number): number {
  for (let end = start; (end = text.indexOf('"', end + 1)) >= 0;) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end + 1;
  }
  return text.length;
}

/**
 * The value with the digits of its long integers: those are numbers in it, and strings in the same JSON with long
 * integers in quotes. It compares two trees, since a reviver with the source text takes seconds, and hundreds of
 * megabytes, for a hostile body. Mutates objects and arrays of `value`.
 */
function exact(value: unknown, quotedValue: unknown, depth: number): unknown {
  if (typeof value === "number") {
    // A number that is written with the same digits stays a number: each integer has one form.
    const isRounded = typeof quotedValue === "string" && String(value) !== quotedValue;
    return isRounded ? new LongInteger(quotedValue) : value;
  }
  if (typeof value !== "object" || value === null || depth === EXACT_DEPTH) return value;
  if (Array.isArray(value)) {
    const items = quotedValue as unknown[];
    for (let i = 0; i < value.length; i++) value[i] = exact(value[i], items[i], depth + 1);
    return value;
  }
  const members = value as Record<string, unknown>;
  const quotedMembers = quotedValue as Record<string, unknown>;
  for (const key in members) {
    const member = members[key];
    if (typeof member !== "string") members[key] = exact(member, quotedMembers[key], depth + 1);
  }
  return value;
}

/** A value with plain numbers, for schemas: itself if it has no long integer, otherwise a copy. */
export function withPlainNumbers(value: unknown, depth = 0): unknown {
  if (typeof value !== "object" || value === null || depth > EXACT_DEPTH) return value;
  if (value instanceof LongInteger) return value.valueOf();
  const members = value as Record<string, unknown>;
  let copy: Record<string, unknown> | undefined;
  for (const key in members) {
    const member = members[key];
    if (typeof member !== "object") continue;
    const plain = withPlainNumbers(member, depth + 1);
    if (plain === member) continue;
    copy ??= (Array.isArray(value) ? [...value] : { ...members }) as Record<string, unknown>;
    copy[key] = plain;
  }
  return copy ?? value;
}
