/**
 * Counts of events in a stretch of time: by write key, type and outcome, and by the names of track events.
 *
 * Counts of disjoint stretches add up. Everything here is bounded, since names come from outside: what exceeds a bound
 * is counted as the rest, so that sums are right.
 */
import { EVENT_TYPES, type EventType, type StoredEvent } from "../event/event.ts";
import { type Rejection, sentType } from "../event/rejection.ts";

/** The lengths of time that events are counted by. */
export const PERIODS = ["minute", "hour", "day"] as const;

/** One of {@link PERIODS}. */
export type Period = typeof PERIODS[number];

/** The same in ms. Days are in UTC. */
export const PERIOD_MS: Record<Period, number> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };

/** The names that are kept of a stretch: the most frequent ones, the "1,000 with the rest as one". */
export const MAX_NAMES = 1_000;

/** Names that are held while counting: beyond it the least frequent ones are dropped. */
const HELD_NAMES = 2 * MAX_NAMES;

/** Longest name that is counted separately, in UTF-16 units; longer ones with the same beginning count as one. */
export const MAX_NAME_UNITS = 128;

/** Write keys that are counted apart: more than there may be at once; later ones are counted as {@link OTHER_KEYS}. */
export const MAX_KEYS = 1_100;

/** Pairs of write key and kind of rejection that are counted apart; likewise. */
export const MAX_REJECTIONS = 2_000;

/** Contracts whose violations are counted apart. */
export const MAX_VIOLATED = 1_000;

/** The name for write keys beyond the bound. */
export const OTHER_KEYS = "";

/** The type of a rejected event with an unknown type. */
export const NO_TYPE = "none";

/** The reason of events whose senders got the answer of accepted events: those of suppressed people. */
const DROPPED = "dropped";

const TYPE_INDEX = new Map<string, number>(EVENT_TYPES.map((type, index) => [type, index]));

/** Counts of a stretch of time. */
export interface Counts {
  /** By write key: for each of {@link EVENT_TYPES} the events accepted, and then for each the duplicates. */
  taken: Map<string, number[]>;
  /** By reason, code, type and write key, put together by {@link cellOf}. */
  rejected: Map<string, number>;
  /** Names of accepted track events. The rest of a name's count, if any, is in `otherNames`. */
  names: Map<string, number>;
  otherNames: number;
  /** By mode and contract, with a blank between. */
  violated: Map<string, number>;
}

/** Nothing counted yet. */
export function newCounts(): Counts {
  return { taken: new Map(), rejected: new Map(), names: new Map(), otherNames: 0, violated: new Map() };
}

/** Counts events that the journal has; the receipt of each tells whether it is a duplicate. */
export function countTaken(
  counts: Counts,
  events: readonly StoredEvent[],
  { receipts, writeKeyId }: { receipts: readonly { duplicate: boolean }[]; writeKeyId: string },
): void {
  const row = rowOf(counts, writeKeyId);
  for (let i = 0; i < events.length; i++) {
    const { type, event } = events[i]!;
    const index = TYPE_INDEX.get(type)!;
    if (receipts[i]!.duplicate) row[EVENT_TYPES.length + index]!++;
    else {
      row[index]!++;
      if (type === "track") countName(counts, event!);
    }
  }
}

/** Counts a rejected event; `item` is what was sent, `type` that of the route. */
export function countRejected(
  counts: Counts,
  item: unknown,
  { rejection: { reason, code, isDropped }, writeKeyId, type: implied }: {
    rejection: Rejection;
    writeKeyId: string;
    type?: EventType | undefined;
  },
): void {
  const sent = sentType(item, implied);
  const type = typeof sent === "string" && TYPE_INDEX.has(sent) ? sent : NO_TYPE;
  addRejected(counts, { reason: isDropped ? DROPPED : reason, code, type, writeKeyId }, 1);
}

/** Counts violations of a contract. The mode has no blank. */
export function countViolations(
  { violated }: Counts,
  { mode, contract }: { mode: string; contract: string },
  times: number,
): void {
  const key = `${mode} ${nameKey(contract)}`;
  add(violated, violated.has(key) || violated.size < MAX_VIOLATED ? key : `${mode} `, times);
}

/** The violations of a stretch by mode and contract; `""` for contracts beyond the bound. */
export function violationsOf({ violated }: Counts): { mode: string; contract: string; count: number }[] {
  return [...violated].map(([key, count]) => {
    const blank = key.indexOf(" ");
    return { mode: key.slice(0, blank), contract: key.slice(blank + 1), count };
  });
}

/** A kind of rejected event. */
export function outcomeOf({ reason }: RejectedCell): "rejected" | "suppressed" {
  return reason === DROPPED ? "suppressed" : "rejected";
}

/** A kind of rejected event. */
export interface RejectedCell {
  reason: string;
  code: string;
  type: string;
  writeKeyId: string;
}

/** Reasons, codes, types and ids of write keys are of our making, and have no blanks. */
function cellOf({ reason, code, type, writeKeyId }: RejectedCell): string {
  return `${reason} ${code} ${type} ${writeKeyId}`;
}

/** The rejected events of a stretch, by kind. */
export function rejectedCells(counts: Counts): [cell: RejectedCell, count: number][] {
  return [...counts.rejected].map(([cell, count]) => {
    const [reason, code, type, writeKeyId] = cell.split(" ") as [string, string, string, string];
    return [{ reason, code, type, writeKeyId }, count];
  });
}

/** The accepted events and duplicates of a stretch, by write key and type, without empty ones. */
export function takenCells(
  counts: Counts,
): { writeKeyId: string; type: EventType; accepted: number; duplicate: number }[] {
  return [...counts.taken].flatMap(([writeKeyId, row]) =>
    EVENT_TYPES.map((type, index) => ({
      writeKeyId,
      type,
      accepted: row[index]!,
      duplicate: row[EVENT_TYPES.length + index]!,
    })).filter(({ accepted, duplicate }) => accepted + duplicate > 0)
  );
}

/** The most frequent names, at most `limit`, and the number of events without one of them. Ties are sorted by name. */
export function topNames(
  counts: Counts,
  limit: number,
): { names: [name: string, count: number][]; other: number } {
  const sorted = [...counts.names].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const rest = sorted.slice(limit).reduce((sum, [, count]) => sum + count, 0);
  return { names: sorted.slice(0, limit), other: counts.otherNames + rest };
}

/**
 * Keeps at most `limit` names, like Misra and Gries ("Finding repeated elements", 1982; Agarwal and others, "Mergeable
 * summaries", 2012, show that such counts can be added and cut again): the count of the name of rank `limit` + 1 is
 * subtracted from every name, and names without a rest are dropped. Whenever a name loses some, `limit` others lose as
 * much; so through any number of such cuts and sums no name loses more than one part in `limit` + 1 of all named
 * events.
 */
export function keepNames(counts: Counts, limit: number): void {
  const { names } = counts;
  if (names.size <= limit) return;
  const inOrder = Float64Array.from(names.values()).sort();
  const taken = inOrder[inOrder.length - 1 - limit]!;
  for (const [name, count] of names) {
    if (count > taken) names.set(name, count - taken);
    else names.delete(name);
    counts.otherNames += Math.min(count, taken);
  }
}

/** Adds counts of another stretch. */
export function addCounts(into: Counts, from: Counts): void {
  for (const [writeKeyId, row] of from.taken) {
    const sum = rowOf(into, writeKeyId);
    for (let i = 0; i < row.length; i++) sum[i]! += row[i]!;
  }
  for (const [cell, count] of rejectedCells(from)) addRejected(into, cell, count);
  for (const [name, count] of from.names) add(into.names, name, count);
  into.otherNames += from.otherNames;
  if (into.names.size > HELD_NAMES) keepNames(into, MAX_NAMES);
  for (const violation of violationsOf(from)) countViolations(into, violation, violation.count);
}

/** The same counts with all write keys merged, for the bound. */
export function joinKeys(counts: Counts): Counts {
  const joined: Counts = { ...counts, taken: new Map(), rejected: new Map() };
  for (const row of counts.taken.values()) {
    const sum = rowOf(joined, OTHER_KEYS);
    for (let i = 0; i < row.length; i++) sum[i]! += row[i]!;
  }
  for (const [cell, count] of rejectedCells(counts)) {
    addRejected(joined, { ...cell, writeKeyId: OTHER_KEYS }, count);
  }
  return joined;
}

/** Stored counts. The shape is a stored format: old databases stay readable. */
export interface StoredCounts {
  v: 1;
  taken: [string, number[]][];
  rejected: [string, number][];
  names: [string, number][];
  otherNames: number;
  violated: [string, number][];
}

/** Counts for storage, with at most `limit` names; the given counts stay as they are. */
export function toStored(counts: Counts, maxNames = MAX_NAMES): StoredCounts {
  const kept = { ...counts, names: new Map(counts.names) };
  keepNames(kept, maxNames);
  return {
    v: 1,
    taken: [...counts.taken],
    rejected: [...counts.rejected],
    names: [...kept.names],
    otherNames: kept.otherNames,
    violated: [...counts.violated],
  };
}

/** Counts that were stored. */
export function fromStored({ taken, rejected, names, otherNames, violated }: StoredCounts): Counts {
  return {
    taken: new Map(taken),
    rejected: new Map(rejected),
    names: new Map(names),
    otherNames,
    violated: new Map(violated),
  };
}

function rowOf(counts: Counts, writeKeyId: string): number[] {
  const { taken } = counts;
  const row = taken.get(writeKeyId);
  if (row !== undefined) return row;
  if (writeKeyId !== OTHER_KEYS && taken.size >= MAX_KEYS) return rowOf(counts, OTHER_KEYS);
  const made = new Array<number>(2 * EVENT_TYPES.length).fill(0);
  taken.set(writeKeyId, made);
  return made;
}

function addRejected(counts: Counts, cell: RejectedCell, times: number): void {
  const { rejected } = counts;
  const key = cellOf(cell);
  const known = rejected.has(key) || rejected.size < MAX_REJECTIONS;
  add(rejected, known ? key : cellOf({ ...cell, writeKeyId: OTHER_KEYS }), times);
}

function countName(counts: Counts, name: string): void {
  const { names } = counts;
  const key = nameKey(name);
  const before = names.get(key);
  if (before === undefined && names.size >= HELD_NAMES) keepNames(counts, MAX_NAMES);
  names.set(key, (before ?? 0) + 1);
}

/**
 * The text by which a name is counted: the beginning of a long one. It is copied through bytes, since a part of a
 * string would keep all of it in memory, and could end in half a character.
 */
export function nameKey(name: string): string {
  if (name.length <= MAX_NAME_UNITS) return name;
  return new TextDecoder().decode(new TextEncoder().encode(`${name.slice(0, MAX_NAME_UNITS - 1)}…`));
}

function add(map: Map<string, number>, key: string, times: number): void {
  map.set(key, (map.get(key) ?? 0) + times);
}
