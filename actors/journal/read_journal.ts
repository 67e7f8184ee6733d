/**
 * Reads the journal: the one place that knows how its entries are keyed, and that notices where one is missing. Whoever
 * follows the journal, searches it or rewrites it does so by positions.
 */
import { BEGINNING, END, endOf, type Position, positionOf, stampOf } from "../../domain/event/position.ts";
import { HEAD, journalKey, type Key } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { type Chunk, seqOfStamp, stampOfSeq } from "./chunk.ts";

/** The value of the head key. */
export interface Head {
  /** The last chunk, and the number of events up to it. */
  seq: number;
  events: number;
  /** The attempt that wrote it, and when (ms): never before the one before. */
  commit: string;
  at: number;
}

/** One entry of the journal: some events that were committed in one operation. */
export interface JournalEntry {
  /** A position behind all its events, and before those of the next entry. */
  end: Position;
  chunk: Chunk;
}

/** Which part of the journal: the entries that have something behind `after`, up to the one in which `upTo` lies. */
export interface JournalRange {
  after?: Position;
  upTo?: Position;
  /** From the newest on. */
  reverse?: boolean;
  /** Entries that storage gives at once: each has 64 KiB at the most, and some 10 KB mostly. */
  batch?: number;
}

/** Entries that are read at once where the caller does not say. */
const BATCH = 64;

/** How far the journal goes, and how many events are in it. */
export interface JournalEnd {
  end: Position;
  events: number;
}

/** How far the journal goes now. */
export async function endOfJournal(store: Store): Promise<JournalEnd> {
  const { value } = await store.get<Head>(HEAD);
  return endOfHead(value);
}

/** The same, by a value of the head key. */
export function endOfHead(head: Head | null): JournalEnd {
  return head === null || head.seq === 0
    ? { end: BEGINNING, events: 0 }
    : { end: endOf(stampOfSeq(head.seq)), events: head.events };
}

/** The position of the event at an index of an entry. */
export function positionIn({ end }: JournalEntry, index: number): Position {
  return positionOf(stampOf(end), index);
}

/** Yields entries in order; none is left out, or this throws. Without `upTo` it ends where the journal did when asked. */
export async function* readJournal(
  store: Store,
  { after = BEGINNING, upTo = END, reverse = false, batch = BATCH }: JournalRange,
): AsyncGenerator<JournalEntry> {
  const isEnd = after === endOf(stampOf(after));
  const first = Math.max(1, seqOfStamp(stampOf(after)) + (isEnd ? 1 : 0));
  const last = upTo === END ? (await store.get<Head>(HEAD)).value?.seq ?? 0 : seqOfStamp(stampOf(upTo));
  let expected = reverse ? last : first;
  const range = { start: journalKey(first), end: journalKey(last + 1) };
  for await (const { key, value } of store.list<Chunk>(range, { batchSize: batch, reverse })) {
    const seq = key[1] as number;
    if (seq !== expected) break;
    expected += reverse ? -1 : 1;
    yield { end: endOf(stampOfSeq(seq)), chunk: value! };
  }
  const isWhole = reverse ? expected < first : expected > last;
  if (!isWhole) throw missing(expected);
}

/** The entries in which positions lie, in their order, each once. Throws where one is missing. */
export async function entriesAt(store: Store, positions: Iterable<Position>): Promise<JournalEntry[]> {
  const stamps = [...new Set([...positions].map(stampOf))].sort();
  const entries = await store.getMany<Chunk>(stamps.map((stamp) => journalKey(seqOfStamp(stamp))));
  return entries.map(({ key, value }) => {
    const seq = key[1] as number;
    if (value === null) throw missing(seq);
    return { end: endOf(stampOfSeq(seq)), chunk: value };
  });
}

/** The key under which an entry stands: for the erasing of events, which alone rewrites one. */
export function keyOfEntry({ end }: JournalEntry): Key {
  return journalKey(seqOfStamp(stampOf(end)));
}

/**
 * A position behind all that was committed before a moment (ms), up to one that is given. Entries are in order of time, so
 * it is found by halving.
 */
export async function endBefore(store: Store, ms: number, upTo: Position): Promise<Position> {
  let low = 1;
  let high = seqOfStamp(stampOf(upTo)) + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const { value } = await store.get<Chunk>(journalKey(middle));
    if (value === null) throw missing(middle);
    if (value.at >= ms) high = middle;
    else low = middle + 1;
  }
  return low === 1 ? BEGINNING : endOf(stampOfSeq(low - 1));
}

function missing(seq: number): Error {
  return new Error(`journal has a gap: entry ${seq} is missing`);
}
