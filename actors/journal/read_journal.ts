/**
 * Reads the journal: the one place that knows how its entries are keyed. Whoever follows the journal, searches it or
 * rewrites it does so by positions. An entry is the events of one commit; its key ends with the stamp of the commit, so
 * storage keeps entries in the order in which they were committed.
 */
import { Buffer } from "node:buffer";
import { BEGINNING, END, endOf, type Position, positionOf, stampOf } from "../../domain/event/position.ts";
import { StorageFault } from "../store/errors.ts";
import {
  bodyKey,
  headerKey,
  JOURNAL,
  journalKey,
  journalRange,
  type Key,
  timesBefore,
} from "../store/keys.ts";
import { DAMAGED, type Entry, type Store } from "../store/store.ts";
import {
  type Change,
  changeHeader,
  decodeHeader,
  type Header,
  HEADER_PART_BYTES,
  partsOfHeader,
  timesOfHeader,
  wholeBytes,
} from "./header.ts";
import { ERASED_LINE, linesOfBody, rewriteBody } from "./body.ts";

/** One entry of the journal: some events that were committed in one operation. */
export interface JournalEntry {
  /** A position behind all its events, and before those of the next entry. */
  end: Position;
  header: Header;
}

/** Which part of the journal: the entries that have something behind `after`, up to the one in which `upTo` lies. */
export interface JournalRange {
  after?: Position;
  upTo?: Position;
  /** From the newest on. */
  reverse?: boolean;
  /** Entries that storage gives at once: each has 64 KiB at the most, and some KB mostly. */
  batch?: number;
}

/** Entries that are read at once where the caller does not say. */
const BATCH = 64;

/** How far the journal goes, and about how many events are in it. */
export interface JournalEnd {
  end: Position;
  events: number;
}

/** How far the journal goes now. */
export async function endOfJournal(store: Store): Promise<JournalEnd> {
  for await (
    const { key, value } of store.list<Uint8Array>({ prefix: JOURNAL }, { limit: 1, reverse: true })
  ) {
    return { end: endOf(key[1] as string), events: timesOfHeader(value!).total };
  }
  return { end: BEGINNING, events: 0 };
}

/** The position of the event at an index of an entry. */
export function positionIn({ end }: JournalEntry, index: number): Position {
  return positionOf(stampOf(end), index);
}

/** Yields entries in order. Without `upTo` it ends where the journal did when the last of them was read. */
export async function* readJournal(
  store: Store,
  { after = BEGINNING, upTo = END, reverse = false, batch = BATCH }: JournalRange,
): AsyncGenerator<JournalEntry> {
  const from = stampOf(after);
  const range = journalRange({ from, behind: after === endOf(from), upTo: stampOf(upTo) });
  let waiting: Entry<Uint8Array>[] = [];
  for await (const entry of store.list<Uint8Array>(range, { batchSize: batch, reverse })) {
    const isWhole = entry.value!.length === wholeBytes(entry.value!);
    if (!isWhole || waiting.length > 0) waiting.push(entry);
    else yield { end: endOf(entry.key[1] as string), header: decodeHeader(entry.value!) };
    if (waiting.length < Math.min(batch, HEADERS_AT_ONCE)) continue;
    yield* await entriesOf(store, waiting);
    waiting = [];
  }
  yield* await entriesOf(store, waiting);
}

/** Headers whose further parts are read at once. */
const HEADERS_AT_ONCE = 16;

/** Entries by the first parts of their headers. */
async function entriesOf(store: Store, firsts: readonly Entry<Uint8Array>[]): Promise<JournalEntry[]> {
  const keys: Key[] = [];
  for (const { key, value } of firsts) {
    const parts = Math.ceil(wholeBytes(value!) / HEADER_PART_BYTES);
    for (let part = 1; part < parts; part++) keys.push(headerKey(part, key[1] as string));
  }
  if (keys.length === 0) {
    return firsts.map(({ key, value }) => ({ end: endOf(key[1] as string), header: decodeHeader(value!) }));
  }
  const rest = new Map<string, Uint8Array[]>();
  for (const { key, value } of await store.getMany<Uint8Array>(keys)) {
    if (value === null) throw new StorageFault(DAMAGED);
    const stamp = key[2] as string;
    const mine = rest.get(stamp);
    if (mine === undefined) rest.set(stamp, [value]);
    else mine.push(value);
  }
  return firsts.map(({ key, value }) => {
    const stamp = key[1] as string;
    const parts = [value!, ...rest.get(stamp) ?? []];
    const bytes = parts.length === 1 ? value! : new Uint8Array(Buffer.concat(parts));
    return { end: endOf(stamp), header: decodeHeader(bytes) };
  });
}

/** The entries in which positions lie, in their order, each once. Throws where one is missing. */
export async function entriesAt(store: Store, positions: Iterable<Position>): Promise<JournalEntry[]> {
  const stamps = [...new Set([...positions].map(stampOf))].sort();
  const firsts = await store.getMany<Uint8Array>(stamps.map(journalKey));
  for (const { key, value } of firsts) {
    if (value === null) throw new Error(`journal: no entry at ${String(key[1])}`);
  }
  return await entriesOf(store, firsts);
}

/** The lines of JSON of an entry; of an erased event, and of a copy that was blanked, {@link ERASED_LINE}. */
export async function linesOfEntry(store: Store, { end, header }: JournalEntry): Promise<string[]> {
  const stamp = stampOf(end);
  const values = await store.getMany<Uint8Array>(header.bodies.map((_, n) => bodyKey(n, stamp)));
  const lines = values.flatMap(({ value }) => {
    if (value === null) throw new StorageFault(DAMAGED);
    return linesOfBody(value);
  });
  if (lines.length !== header.n) throw new StorageFault(DAMAGED);
  return lines;
}

/** What becomes of a line of an event in an entry that is rewritten. */
export interface Rewriting {
  changeOf(index: number): Change | undefined;
  /** The line of an event that loses a name. */
  lineWithout(line: string, id: string): string;
}

/** The writes that change events of an entry, in header and bodies, and their size; for the holder of the lease. */
export async function rewriteEntry(
  store: Store,
  { end, header }: JournalEntry,
  { changeOf, lineWithout }: Rewriting,
): Promise<{ sets: [Key, Uint8Array][]; deletes: Key[]; bytes: number }> {
  const stamp = stampOf(end);
  const parts = partsOfHeader(changeHeader(header, changeOf));
  const sets = parts.map((bytes, part): [Key, Uint8Array] => [
    part === 0 ? journalKey(stamp) : headerKey(part, stamp),
    bytes,
  ]);
  // A header that has become shorter may have fewer parts.
  const deletes: Key[] = [];
  const values = await store.getMany<Uint8Array>(header.bodies.map((_, n) => bodyKey(n, stamp)));
  let from = 0;
  for (const [n, { key, value }] of values.entries()) {
    if (value === null) throw new StorageFault(DAMAGED);
    const begins = from;
    from += header.bodies[n]!;
    let isChanged = false;
    for (let index = begins; index < from; index++) isChanged ||= changeOf(index) !== undefined;
    if (!isChanged) continue;
    sets.push([
      key,
      rewriteBody(value, (line, index) => {
        const change = changeOf(begins + index);
        if (change === undefined || line === ERASED_LINE) return line;
        return "gone" in change ? ERASED_LINE : lineWithout(line, change.without);
      }),
    ]);
  }
  const before = Math.ceil(sizeOfHeader(header) / HEADER_PART_BYTES);
  for (let part = parts.length; part < before; part++) deletes.push(headerKey(part, stamp));
  return { sets, deletes, bytes: sets.reduce((sum, [, value]) => sum + value.length + 100, 0) };
}

/** At least as many bytes as a header has. */
function sizeOfHeader({ n, texts }: Header): number {
  return 40 + 34 * n + texts.reduce((sum, text) => sum + 4 + 3 * text.length, 0) + 4_096;
}

/**
 * A position behind all that was committed before a moment (ms), up to one that is given. Clocks of several processes
 * differ, so it goes by the latest time that any entry up to a place has. Settling has written down some of these.
 */
export async function endBefore(store: Store, ms: number, upTo: Position): Promise<Position> {
  let reached = BEGINNING;
  for await (const { value } of store.list<Position>(timesBefore(ms), { limit: 1, reverse: true })) {
    reached = value!;
  }
  if (reached >= upTo) return upTo;
  for await (const { end, header } of readJournal(store, { after: reached, upTo })) {
    if (header.at >= ms) break;
    reached = end;
  }
  return reached;
}
