/**
 * An actor's log: the places of its events in the journal, in order of time, then arrival.
 *
 * The newest entries stand in the actor's value; what is older in sealed pages, each of which holds a stretch of time.
 * An event that comes late goes to the page of its time. So the newest, or any stretch, is read with few values however
 * long the log is and however late some of it came. Adding an entry that is there changes nothing.
 */
import { EVENT_TYPES, type EventType } from "../../domain/event/event.ts";
import { type ActorKind, type Fact, linkedBy, type Mark } from "../../domain/profile/fact.ts";
import {
  BEGINNING as FIRST,
  comparePositions,
  END,
  pack,
  type Position,
  unpack,
} from "../../domain/event/position.ts";
import { type Key, logPrefix, pageKey } from "../store/keys.ts";
import type { Store } from "../store/store.ts";

/** An entry: when it happened (ms), its place, and a tag that says enough of the event to pass over most others. */
export interface LogEntry {
  at: number;
  place: Position;
  tag: number;
}

/** Bounds of a log. */
export const LOG_LIMITS = {
  /** Entries in a sealed page; one grows to twice as many before it is split. */
  pageEntries: 256,
  /** Entries in an actor's value before the oldest are sealed. */
  openEntries: 384,
};
export type LogLimits = typeof LOG_LIMITS;

/** What the first sealed page begins with: before all times that an event can have. */
const BEGINNING: Mark = [-8.64e15, FIRST];

/** The tag of a link in the log of an anonymous id: it is the user's event, not one of its own. */
const LINK_CODE = 6;

/** The tag of an event: its type (or that it is a link) in three bits, and 13 bits of its name's hash. */
export function tagOf(fact: Fact, kind: ActorKind): number {
  const isLink = kind === "anonymous" && linkedBy(fact) !== undefined;
  return (isLink ? LINK_CODE : EVENT_TYPES.indexOf(fact.type)) + 8 * nameHash(fact.name);
}

/** Whether an entry is a link in an anonymous id's log. */
export function isLinkEntry({ tag }: LogEntry): boolean {
  return (tag & 7) === LINK_CODE;
}

/** Whether an entry may be of a type and name; a link may be of any. False means that it is not. */
export function mayBe({ tag }: LogEntry, { type, event }: { type?: EventType; event?: string }): boolean {
  const code = tag & 7;
  if (type !== undefined && code !== LINK_CODE && EVENT_TYPES[code] !== type) return false;
  return event === undefined || tag >> 3 === nameHash(event);
}

function nameHash(name: string | undefined): number {
  if (name === undefined) return 0;
  let hash = 7;
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) | 0;
  return (hash ^ (hash >>> 13)) & 0x1fff;
}

/** Order of a log: by time, then arrival. */
export function compareEntries(a: LogEntry, b: LogEntry): number {
  return a.at - b.at || comparePositions(a.place, b.place);
}

/** The open part of a log, as it stands in the actor's value. */
export interface OpenLog {
  /** Encoded entries. */
  open: Uint8Array;
  /** Where the open part begins; what is before stands in sealed pages. `null` while there are none. */
  from: Mark | null;
  /** The last place that is counted: what pages hold beyond it is of a round that was cut off, and is not settled yet. */
  position?: Position;
}

/** A log without entries. */
export const EMPTY_LOG: OpenLog = { open: new Uint8Array(), from: null };

/** Bytes of an entry at the most: a sign and 53 bits twice, 32 bits, and a tag of 16. */
const ENTRY_BYTES = 27;

let scratch = new Uint8Array(ENTRY_BYTES * LOG_LIMITS.openEntries);

/** Entries as bytes: differences as varints, some 8 bytes an entry. They must be in order. */
export function encodeEntries(entries: readonly LogEntry[]): Uint8Array {
  if (scratch.length < entries.length * ENTRY_BYTES) scratch = new Uint8Array(entries.length * ENTRY_BYTES);
  let end = 0;
  let at = 0;
  let version = 0;
  for (const entry of entries) {
    const [next, rest] = unpack(entry.place);
    end = put(end, signed(entry.at - at));
    end = put(end, signed(next - version));
    end = put(end, rest);
    end = put(end, entry.tag);
    at = entry.at;
    version = next;
  }
  return scratch.slice(0, end);
}

/** The sign goes to the lowest bit: times before 1970, and places of late events. */
function signed(value: number): number {
  return value < 0 ? -value * 2 - 1 : value * 2;
}

function put(end: number, value: number): number {
  while (value >= 128) {
    scratch[end++] = (value % 128) | 128;
    value = Math.floor(value / 128);
  }
  scratch[end++] = value;
  return end;
}

/** Entries from bytes. */
export function decodeEntries(bytes: Uint8Array): LogEntry[] {
  const entries: LogEntry[] = [];
  let next = 0;
  const take = () => {
    let value = 0;
    for (let unit = 1;; unit *= 128) {
      const byte = bytes[next++]!;
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
  };
  const takeSigned = () => {
    const value = take();
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
  };
  let at = 0;
  let version = 0;
  while (next < bytes.length) {
    at += takeSigned();
    version += takeSigned();
    const place = pack(version, take());
    entries.push({ at, place, tag: take() });
  }
  return entries;
}

/** The entries of both, in order, none twice. */
function merge(a: readonly LogEntry[], b: readonly LogEntry[]): LogEntry[] {
  const all = [...a, ...b].sort(compareEntries);
  return all.filter((entry, index) => index === 0 || compareEntries(all[index - 1]!, entry) !== 0);
}

/** Where a log is kept. */
export interface LogPlace {
  generation: number;
  kind: ActorKind;
  id: string;
}

/** A log with entries added: its open part, and the pages to write. */
export interface GrownLog extends OpenLog {
  pages: [Key, Uint8Array][];
}

/** Adds entries to a log. Reads only the pages that late ones fall in. */
export async function growLog(
  store: Store,
  { generation, kind, id }: LogPlace,
  { log, added, limits }: { log: OpenLog; added: LogEntry[]; limits: LogLimits },
): Promise<GrownLog> {
  const from = log.from;
  const late = from === null ? [] : added.filter((entry) => before(entry, from));
  let open = merge(
    decodeEntries(log.open),
    late.length === 0 ? added : added.filter((entry) => !before(entry, from!)),
  );
  const pages: [Key, Uint8Array][] = [];
  let begins = from;
  while (open.length > limits.openEntries) {
    const sealed = open.slice(0, limits.pageEntries);
    const mark: Mark = begins === null ? BEGINNING : [sealed[0]!.at, sealed[0]!.place];
    pages.push([pageKey(generation, kind, id, mark), encodeEntries(sealed)]);
    open = open.slice(limits.pageEntries);
    begins = [open[0]!.at, open[0]!.place];
  }
  if (late.length > 0) {
    pages.push(
      ...await growPages(store, { generation, kind, id }, { late: late.sort(compareEntries), limits }),
    );
  }
  return { open: encodeEntries(open), from: begins, pages };
}

function before({ at, place }: Omit<LogEntry, "tag">, mark: Mark): boolean {
  return at < mark[0] || (at === mark[0] && place < mark[1]);
}

/** Puts late entries, in order, into the sealed pages of their times. */
async function growPages(
  store: Store,
  place: LogPlace,
  { late, limits: { pageEntries } }: { late: LogEntry[]; limits: LogLimits },
): Promise<[Key, Uint8Array][]> {
  const { generation, kind, id } = place;
  const prefix = logPrefix(generation, kind, id);
  const pages: [Key, Uint8Array][] = [];
  for (let next = 0; next < late.length;) {
    const first = late[next]!;
    const page = await pageAt(store, place, [first.at, first.place]);
    if (page === undefined) throw new Error(`a log has no page for ${first.at}`);
    // The page ends where the one after it begins.
    let end: Mark | undefined;
    const after = { prefix, start: [...page.key, 0] };
    for await (const { key } of store.list(after, { limit: 1 })) {
      end = [key[prefix.length] as number, key[prefix.length + 1] as Position];
    }
    const mine: LogEntry[] = [];
    while (next < late.length && (end === undefined || before(late[next]!, end))) mine.push(late[next++]!);
    const there = decodeEntries(page.value).filter((entry) => end === undefined || before(entry, end));
    const entries = merge(there, mine);
    if (entries.length <= 2 * pageEntries) {
      pages.push([page.key, encodeEntries(entries)]);
      continue;
    }
    // The page that is split comes last: if a round is cut off between, nothing of it is lost.
    for (let i = entries.length - 1 - (entries.length - 1) % pageEntries; i >= 0; i -= pageEntries) {
      const key = i === 0 ? page.key : pageKey(generation, kind, id, [entries[i]!.at, entries[i]!.place]);
      pages.push([key, encodeEntries(entries.slice(i, i + pageEntries))]);
    }
  }
  return pages;
}

/** The sealed page in whose stretch a mark lies. */
async function pageAt(store: Store, { generation, kind, id }: LogPlace, mark: Mark) {
  const start = pageKey(generation, kind, id, BEGINNING);
  const end = [...pageKey(generation, kind, id, mark), 0];
  for await (const entry of store.list<Uint8Array>({ start, end }, { limit: 1, reverse: true })) {
    return { key: entry.key, value: entry.value! };
  }
  return undefined;
}

/** How to read a log. */
export interface LogRange {
  log: OpenLog & {
    /** Entries that are not settled yet, in any order. */
    extra?: LogEntry[];
  };
  order: "asc" | "desc";
  /** Begin after this mark, in the order asked for. */
  after?: Mark | undefined;
}

/** The entries of a log in order, read page by page as they are asked for. */
export async function* readLog(
  store: Store,
  { generation, kind, id }: LogPlace,
  { log, order, after }: LogRange,
): AsyncGenerator<LogEntry> {
  const reverse = order === "desc";
  const prefix = logPrefix(generation, kind, id);
  const inOrder = (entries: LogEntry[]) => {
    const wanted = after === undefined ? entries : entries.filter((entry) => {
      return reverse
        ? before(entry, after)
        : !before(entry, after) && !(entry.at === after[0] && entry.place === after[1]);
    });
    return reverse ? wanted.reverse() : wanted;
  };
  const { extra = [], position: counted = END } = log;
  if (extra.length > 0) {
    yield* mergeInOrder(
      inOrder(merge(extra, [])),
      readLog(store, { generation, kind, id }, {
        log: { ...log, extra: [] },
        order,
        after,
      }),
      reverse ? -1 : 1,
    );
    return;
  }
  const open = inOrder(decodeEntries(log.open));
  if (reverse) yield* open;
  if (log.from !== null) {
    const floor = !reverse && after !== undefined
      ? (await pageAt(store, { generation, kind, id }, after))?.key
      : undefined;
    const start = floor ?? pageKey(generation, kind, id, BEGINNING);
    const end = reverse && after !== undefined
      ? [...pageKey(generation, kind, id, after), 0]
      : [...prefix, Infinity];
    const pages = store.list<Uint8Array>({ start, end }, { reverse, batchSize: 4 });
    // Pages of a round that is not through may stand beyond what the actor's value counts on (it has them itself), hold
    // more than it counts, or have taken over the end of a page that is still whole: a page is read up to the next one.
    const entriesOf = (page: Uint8Array, next: Mark) =>
      inOrder(decodeEntries(page).filter((entry) => before(entry, next) && entry.place <= counted));
    let next = log.from;
    let held: Uint8Array | undefined;
    for await (const { key, value } of pages) {
      const mark: Mark = [key[prefix.length] as number, key[prefix.length + 1] as Position];
      const isCounted = before({ at: mark[0], place: mark[1] }, log.from);
      if (reverse) {
        if (!isCounted) continue;
        yield* entriesOf(value!, next);
        next = mark;
        continue;
      }
      if (!isCounted) break;
      if (held !== undefined) yield* entriesOf(held, mark);
      held = value!;
    }
    if (held !== undefined) yield* entriesOf(held, log.from);
  }
  if (!reverse) yield* open;
}

/** Puts entries, in order, between those of a log in the same order. */
async function* mergeInOrder(
  extra: LogEntry[],
  log: AsyncIterable<LogEntry>,
  sign: 1 | -1,
): AsyncGenerator<LogEntry> {
  let next = 0;
  for await (const entry of log) {
    while (next < extra.length && sign * compareEntries(extra[next]!, entry) < 0) yield extra[next++]!;
    yield entry;
  }
  yield* extra.slice(next);
}
