/**
 * Positions: where an event stands in the journal. The only file that knows what one is made of.
 *
 * A position is the number of the chunk (10 bytes, so that a stamp of storage would fit too) and the event's index in it
 * (2 bytes), as 24 hex digits: so the order of the strings is the order of the journal. It never changes.
 */

declare const brand: unique symbol;

/** A place in the journal: 24 lower-case hex digits, 20 of the commit's stamp and 4 of the index in it. */
export type Position = string & { readonly [brand]: "position" };

/** Hex digits of a commit's stamp, and of an index. */
const STAMP_DIGITS = 20;
const INDEX_DIGITS = 4;

/** Events in one commit at the most: what an index of two bytes can say, less one for {@link endOf}. */
export const MAX_COMMIT_EVENTS = 0xffff;

/** The largest version that {@link unpack} takes: twice as much is still exact. */
const MAX_VERSION = 2 ** 52;

/** Before every event that there can be. */
export const BEGINNING = "0".repeat(STAMP_DIGITS + INDEX_DIGITS) as Position;

/** After every event that there can be. */
export const END = "f".repeat(STAMP_DIGITS + INDEX_DIGITS) as Position;

const INDEXES: string[] = [];

/** The position of the event at an index of a commit. */
export function positionOf(stamp: string, index: number): Position {
  return stamp + (INDEXES[index] ??= index.toString(16).padStart(INDEX_DIGITS, "0")) as Position;
}

/** A position behind all events of a commit, and before those of the next. */
export function endOf(stamp: string): Position {
  return stamp + "f".repeat(INDEX_DIGITS) as Position;
}

/** The stamp of the commit in which a position lies. */
export function stampOf(position: Position): string {
  return position.slice(0, STAMP_DIGITS);
}

/** The index of an event in its commit. */
export function indexOf(position: Position): number {
  return parseInt(position.slice(STAMP_DIGITS), 16);
}

/** Negative where `a` comes before `b`, 0 where they are the same. */
export function comparePositions(a: Position, b: Position): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The one of two that comes first, and the one that comes last. */
export const earlier = (a: Position, b: Position): Position => a < b ? a : b;
export const later = (a: Position, b: Position): Position => a < b ? b : a;

/** The last position that there can be before one. */
export function justBefore(position: Position): Position {
  return (BigInt(`0x${position}`) - 1n).toString(16).padStart(STAMP_DIGITS + INDEX_DIGITS, "0") as Position;
}

/** Whether a value from outside is a position that an engine may have given. */
export function isPosition(value: unknown): value is Position {
  return typeof value === "string" && /^000[0-9a-f]{21}$/.test(value);
}

/**
 * A position as two numbers for packed lists: the version that the engine counts (8 bytes of the stamp), and what tells
 * apart the events of one version (2 bytes of the stamp, 2 of the index). Both are exact: a version passes 2^52 after
 * 140 years of a million a second.
 */
export function unpack(position: Position): [version: number, rest: number] {
  const version = parseInt(position.slice(0, 16), 16);
  if (version > MAX_VERSION) throw new RangeError(`position ${position} is out of range`);
  return [version, parseInt(position.slice(16), 16)];
}

/** The position that {@link unpack} took apart. The version's text is kept for the next: neighbours share it. */
export function pack(version: number, rest: number): Position {
  if (version !== packed.version) packed = { version, text: version.toString(16).padStart(16, "0") };
  return packed.text + rest.toString(16).padStart(8, "0") as Position;
}

let packed = { version: 0, text: "0".repeat(16) };
