/** Pages of logs. A user's log is merged with what they own of their anonymous ids' logs. */
import { earlier, END, isPosition, type Position } from "../../domain/event/position.ts";
import { emptyAnonymous, ownerAt } from "../../domain/profile/anonymous.ts";
import type { EventType, StoredEvent } from "../../domain/event/event.ts";
import type { ActorKind, Mark } from "../../domain/profile/fact.ts";
import { derivedEventKey, derivedEventPrefix } from "../store/keys.ts";
import { decodeCursor, encodeCursor } from "../store/cursor.ts";
import type { HistoryLimits } from "../settling/log_facts.ts";
import type { Journal } from "../journal/journal_state.ts";
import type { createLinked } from "./user_parts.ts";
import {
  compareEntries,
  isLinkEntry,
  type LogEntry,
  mayBe,
  type OpenLog,
  readLog,
} from "../settling/actor_log.ts";
import type { ActorHead, Loaded } from "../settling/snapshot.ts";
import type { Store } from "../store/store.ts";
import { type Actor, type Extend, Outdated, type View, type Views } from "./consistent_read.ts";
import { InvalidCursor } from "../store/errors.ts";

/** A page of an actor's log. */
export interface LogQuery {
  limit: number;
  cursor?: string;
  order: "asc" | "desc";
  type?: EventType;
  event?: string;
  /** Whether a user's log shows derived events too. */
  derived?: boolean;
}

/** JSON of events after which a page ends early: 500 events can take 300 MB of memory. */
export const PAGE_LENGTH = 4 * 1024 * 1024;

/** A log to read, and which of its entries; without the actor's state, as there may be many logs. */
interface Source {
  actor: Pick<Actor, "kind" | "id" | "tail"> & {
    loaded: Pick<Loaded<ActorHead>, "key" | "stamp" | "head">;
  };
  open: OpenLog;
  owned(entry: LogEntry): boolean;
}

interface Sources {
  view: View;
  sources: Source[];
}

/** The wanted entries of a log. */
export interface EntriesQuery {
  kind: ActorKind;
  id: string;
  order: "asc" | "desc";
  /** Begin after this mark, in the given order. */
  after?: Mark | undefined;
  /** Skip entries after this position of the journal. */
  upTo?: Position | undefined;
  /** Whether a user's derived events are given too, wanted or not. */
  derived?: boolean | undefined;
  wanted(entry: LogEntry): boolean;
  /**
   * Called for each entry that is read, also for those of another user on a shared anonymous id, of which there may be any
   * number. If true, the entry is given whatever it is, so that a caller can stop.
   */
  ends?(): boolean;
}

/** The entries of a log, as they are read. */
export interface Entries {
  /** Whether there is any event, wanted or not. */
  isKnown: boolean;
  /** The last position that is read. */
  cut: Position;
  entries: AsyncIterable<LogEntry>;
  /** Call it after the last entry: throws {@link Outdated} if a settler moved entries meanwhile. */
  check(): Promise<void>;
}

export interface LogPagesOptions {
  store: Store;
  limits: HistoryLimits;
  journal: Journal;
  views: Views;
  linked: ReturnType<typeof createLinked>;
}

/** A view that is being read. */
interface Reading {
  extend: Extend;
  generation: number;
}

/** Creates the reads of logs. */
export function createLogPages(options: LogPagesOptions) {
  return {
    readLogPage: (
      extend: Extend,
      generation: number,
      page: { kind: ActorKind; id: string; query: LogQuery },
    ) => readLogPage(options, { extend, generation }, page),
    openEntries: (extend: Extend, generation: number, query: EntriesQuery) =>
      openEntries(options, { extend, generation }, query),
  };
}

/** The entries of a log; a user's are merged with what they own of their anonymous ids. */
async function openEntries(
  options: LogPagesOptions,
  reading: Reading,
  { kind, id, order, after, upTo = END, derived = false, wanted, ends = () => false }: EntriesQuery,
): Promise<Entries> {
  const { view, sources } = kind === "user"
    ? await userSources(options, reading, id)
    : await ownSource(options, reading, { kind, id });
  const cut = earlier(upTo, view.head);
  const logs = sources.map(({ actor, open, owned }) => {
    const place = { generation: reading.generation, kind: actor.kind, id: actor.id };
    return filtered(
      readLog(options.store, place, { log: open, order, after }),
      (entry) => entry.place <= cut && (ends() || owned(entry) && wanted(entry)),
    );
  });
  if (derived && kind === "user") logs.push(derivedEntries(options.store, id, { order, after, cut }));
  const entries = mergeOrdered(logs, order);
  // A linked user has events of their own; the tail may remember links of somebody who was erased.
  const { loaded: { head: known }, tail } = sources[0]!.actor;
  return {
    isKnown: known !== undefined || tail.length > 0,
    cut,
    entries,
    async check() {
      // Pages that a settler moved while they were read may hide entries: begin again.
      const values = await options.store.getMany(sources.map(({ actor }) => actor.loaded.key));
      if (values.some(({ stamp }, index) => stamp !== sources[index]!.actor.loaded.stamp)) {
        throw new Outdated();
      }
    },
  };
}

/** A user's derived events, which are in no log. */
async function* derivedEntries(
  store: Store,
  userId: string,
  { order, after, cut }: { order: "asc" | "desc"; after: Mark | undefined; cut: Position },
): AsyncGenerator<LogEntry> {
  const prefix = derivedEventPrefix(userId);
  const mark = after === undefined ? undefined : derivedEventKey(userId, after[0], after[1]);
  const range = mark === undefined
    ? { prefix }
    : order === "asc"
    ? { prefix, start: [...mark, 0] }
    : { prefix, end: mark };
  for await (const { key } of store.list(range, { reverse: order === "desc", batchSize: 50 })) {
    const [at, place] = key.slice(-2) as [number, Position];
    if (place <= cut) yield { at, place, tag: 0 };
  }
}

/** One page of a log; a user's is merged with what they own of their anonymous ids. */
async function readLogPage(
  options: LogPagesOptions,
  reading: Reading,
  { kind, id, query }: { kind: ActorKind; id: string; query: LogQuery },
): Promise<{ events: StoredEvent[]; cursor: string | null } | null> {
  const cursor = query.cursor === undefined ? undefined : logCursor(query.cursor, query.order);
  const { isKnown, cut, entries: merged, check } = await openEntries(options, reading, {
    kind,
    id,
    order: query.order,
    after: cursor?.after,
    // Pages would have holes if they had events that came after the first page's view.
    upTo: cursor?.cut,
    derived: query.derived,
    wanted: (entry) => mayBe(entry, query),
  });
  if (!isKnown) return null;
  const events: StoredEvent[] = [];
  let last: LogEntry | undefined;
  let batch: LogEntry[] = [];
  let more = false;
  let pageLength = 0;
  const take = async () => {
    const found = await options.journal.events.at(batch.map(({ place }) => place));
    for (const [index, sent] of found.entries()) {
      if (sent === undefined) continue;
      const { event, length } = sent;
      if (query.type !== undefined && event.type !== query.type) continue;
      if (query.event !== undefined && !(event.type === "track" && event.event === query.event)) continue;
      if (events.length === query.limit || pageLength >= PAGE_LENGTH) {
        more = true;
        break;
      }
      events.push(event);
      pageLength += length;
      last = batch[index];
    }
    batch = [];
  };
  for await (const entry of merged) {
    batch.push(entry);
    if (batch.length >= Math.min(options.limits.eventsAtOnce, query.limit - events.length + 1)) await take();
    if (more) break;
  }
  if (!more) await take();
  await check();
  const next = more && last !== undefined ? encodeCursor([cut, last.at, last.place, query.order]) : null;
  return { events, cursor: next };
}

async function sourceOf({ views }: LogPagesOptions, actor: Actor, owned: Source["owned"]): Promise<Source> {
  const { kind, id, tail, loaded: { key, stamp, head } } = actor;
  return {
    actor: { kind, id, tail, loaded: { key, stamp, head } },
    open: await views.openWith(actor),
    owned,
  };
}

async function ownSource(
  options: LogPagesOptions,
  { extend }: Reading,
  { kind, id }: { kind: ActorKind; id: string },
): Promise<Sources> {
  const { view, actor } = await options.views.readActor(extend, kind, id);
  return { view, sources: [await sourceOf(options, actor, () => true)] };
}

async function userSources(
  options: LogPagesOptions,
  reading: Reading,
  userId: string,
): Promise<Sources> {
  const { view, own, parts, actors } = await options.linked.userOf(
    reading.extend,
    reading.generation,
    userId,
  );
  const sources: Source[] = [await sourceOf(options, own, () => true)];
  for (const id of new Set([...parts.keys(), ...actors.keys()])) {
    const actor = actors.get(id) ?? await options.views.actorOf(view, "anonymous", id);
    const { runs, end } = await options.views.stateOf(view, actor);
    const links = { ...emptyAnonymous(), runs, end };
    const owned = (entry: LogEntry) => {
      return !isLinkEntry(entry) && ownerAt(links, [entry.at, entry.place]) === userId;
    };
    sources.push(await sourceOf(options, actor, owned));
  }
  return { view, sources };
}

async function* filtered<T>(items: AsyncIterable<T>, wanted: (item: T) => boolean): AsyncGenerator<T> {
  for await (const item of items) if (wanted(item)) yield item;
}

/** Merges logs, each in order, into one in order. */
async function* mergeOrdered(
  logs: AsyncGenerator<LogEntry>[],
  order: "asc" | "desc",
): AsyncGenerator<LogEntry> {
  const sign = order === "asc" ? 1 : -1;
  const heads = await Promise.all(logs.map((log) => log.next()));
  for (;;) {
    let first = -1;
    for (const [index, head] of heads.entries()) {
      if (head.done) continue;
      if (first < 0 || sign * compareEntries(head.value, heads[first]!.value) < 0) first = index;
    }
    if (first < 0) return;
    yield heads[first]!.value as LogEntry;
    heads[first] = await logs[first]!.next();
  }
}

function logCursor(cursor: string, order: "asc" | "desc"): { cut: Position; after: Mark } {
  const value = decodeCursor(cursor);
  const valid = Array.isArray(value) && value.length === 4 && Number.isSafeInteger(value[1]) &&
    isPosition(value[0]) && isPosition(value[2]);
  if (!valid) throw new InvalidCursor("Invalid cursor.");
  if (value[3] !== order) {
    throw new InvalidCursor(
      `Invalid cursor: it belongs to order=${value[3]}, this request has order=${order}.`,
    );
  }
  return { cut: value[0], after: [value[1], value[2]] };
}
