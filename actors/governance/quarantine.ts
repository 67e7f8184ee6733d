/**
 * Rejected events, kept for a week so that they can be sent again. Write keys are public, so anybody can have events
 * rejected: what is kept is bounded per minute and in all, and each key has its share. Events for which there is no room
 * are counted, not kept.
 *
 * They are written after the responses, many in one operation. If the process dies, waiting events are lost.
 */
import type { Clock } from "../store/clock.ts";
import { decodeCursor, encodeCursor } from "../store/cursor.ts";
import { type Key, REJECTED, rejectedKey } from "../store/keys.ts";
import { BATCH_BYTES, BATCH_EVENTS, createRejected } from "./quarantine_store.ts";
import {
  count,
  fits,
  NOTHING,
  type RejectedEvent,
  type Share,
  shown,
  type Stored,
} from "./rejected_event.ts";
import { matches, mayMatch, type RejectedFilter } from "./quarantine_filter.ts";
import { countNamed } from "./quarantine_erasure.ts";
import type { ErasedNames } from "../erasure/execute.ts";
import { DAMAGED, type Store } from "../store/store.ts";
import { InvalidCursor, StorageFault } from "../store/errors.ts";

/** Rejected events of a week. */
export interface Quarantine {
  /** Whether this process keeps another event of a write key in this minute; if not, counts one as dropped. */
  hasRoom(writeKeyId: string): boolean;
  /** Keeps an event, after the response. Call {@link Quarantine.hasRoom} first. Never throws. */
  keep(rejected: Omit<RejectedEvent, "id">): void;
  /** Number of events since this process started that were not kept: no room, or possibly of an erased person. */
  dropped(): number;
  /** Newest first, without damaged events. A page may be short, or empty, although there is a cursor. */
  list(query: ListQuery): Promise<{ rejected: RejectedEvent[]; cursor: string | null }>;
  /** Throws {@link StorageFault} if the event is damaged. */
  get(id: string): Promise<RejectedEvent | undefined>;
  remove(id: string): Promise<boolean>;
  /** Removes events that are older than a week. */
  sweep(): Promise<void>;
}

/** A page of the list. */
export interface ListQuery {
  limit: number;
  cursor?: string;
  filter?: RejectedFilter;
}

/** How long a rejected event is kept. */
const KEPT_MS = 7 * 86_400_000;

/** Events that a process keeps in one minute: some thirteen a second, which the disk does not notice. */
export const MINUTE_EVENTS = 800;
export const MINUTE_BYTES = 4 * 1024 * 1024;
const MINUTE_MS = 60_000;

/** Events that are kept in all. */
export const MAX_REJECTED = 10_000;
export const MAX_REJECTED_BYTES = 64 * 1024 * 1024;

/** Largest event as JSON: a value of the store has at most 64 KiB, and larger events are cut before. */
const MAX_EVENT_BYTES = 48 * 1024;

/** Events that are rejected at about the same time are written together. */
const GATHER_MS = 20;

/** Bytes of events in one page of a list. */
const PAGE_BYTES = 4 * 1024 * 1024;

/** Bytes of events that are searched for one page. */
const SEARCH_BYTES = 16 * 1024 * 1024;

/** Time between two searches for old events, after a write or a list. */
const SWEEP_MS = 60_000;

/** An event that waits to be written. */
interface Waiting {
  id: string;
  stored: Stored;
  /** Number of erasures that were known to be done when it came. */
  erasures: number;
}

export interface QuarantineOptions {
  store: Store;
  clock: Clock;
  newId(): string;
  /** Number of completed erasures, as far as this process knows. */
  erasures(): number;
}

/** What a preview of an erasure needs. */
interface Counting {
  count(names: ErasedNames): Promise<number>;
}

/** What a process keeps in the current minute. */
interface Minute {
  began: number;
  all: Share;
  keys: Map<string, Share>;
}

/** What a quarantine remembers. */
interface State {
  rejected: ReturnType<typeof createRejected>;
  waiting: Waiting[];
  minute: Minute;
  dropped: number;
  /** The last erasure whose person was searched for in the stored events, as last seen. */
  searched: number;
  sweptMs: number;
  /** Resolves when nothing waits to be written. */
  working: Promise<void> | undefined;
}

/** Creates the quarantine of a store. */
export function createQuarantine(options: QuarantineOptions) {
  const { clock, newId, erasures } = options;
  const rejected = createRejected(options);
  const state: State = {
    rejected,
    waiting: [],
    minute: newMinute(-Infinity),
    dropped: 0,
    searched: 0,
    sweptMs: -Infinity,
    working: undefined,
  };

  const written = async (): Promise<void> => {
    while (state.working !== undefined) await state.working;
  };

  return {
    hasRoom(writeKeyId: string): boolean {
      const has = hasRoomInMinute(state, writeKeyId, clock.monotonic());
      if (!has) state.dropped++;
      return has;
    },
    keep(event: Omit<RejectedEvent, "id">): void {
      const stored = storedOf(event, clock.now());
      if (stored === undefined) {
        state.dropped++;
        return;
      }
      countInMinute(state.minute, stored);
      state.waiting.push({ id: newId(), stored, erasures: Math.max(erasures(), state.searched) });
      state.working ??= work(state, options);
    },
    dropped: () => state.dropped,
    async list(query: ListQuery) {
      await written();
      await sweepIfDue(state, options);
      return await listPage(options, query);
    },
    async get(id: string) {
      await written();
      return await readOne(options, id);
    },
    /** Number of events that would be erased with a person. */
    async count(names: ErasedNames) {
      await written();
      return await countNamed(names, options);
    },
    async remove(id: string) {
      await written();
      return await rejected.removeAll([id]) === 1;
    },
    sweep: () => sweep(state, options),
    /** Resolve when nothing waits to be written. */
    flush: written,
    close: written,
  } satisfies Quarantine & Counting & { flush(): Promise<void>; close(): Promise<void> };
}

/** The stored form of a rejected event; `undefined` if it is too large. */
function storedOf({ event, ...rest }: Omit<RejectedEvent, "id">, now: number): Stored | undefined {
  const body = new TextEncoder().encode(JSON.stringify(event));
  return body.length > MAX_EVENT_BYTES ? undefined : { ...rest, at: now, body };
}

async function readOne({ store, clock }: QuarantineOptions, id: string): Promise<RejectedEvent | undefined> {
  const { value } = await store.get<Stored>(rejectedKey(id));
  if (value === null || clock.now() - value.at >= KEPT_MS) return undefined;
  const whole = shown(id, value);
  if (whole === undefined) throw new StorageFault(DAMAGED);
  return whole;
}

/** Writes everything that waits. Events that storage does not accept are counted as dropped. */
async function work(state: State, options: QuarantineOptions): Promise<void> {
  do {
    await options.clock.sleep(GATHER_MS);
    while (state.waiting.length > 0) {
      const batch = takeBatch(state);
      state.dropped += batch.length - await writeBatch(state, batch, options.store).catch(() => 0);
    }
    await sweepIfDue(state, options).catch(() => {});
  } while (state.waiting.length > 0);
  // In the same step as the last check: the next event begins anew.
  state.working = undefined;
}

async function sweepIfDue(state: State, options: QuarantineOptions): Promise<void> {
  if (options.clock.monotonic() - state.sweptMs >= SWEEP_MS) await sweep(state, options);
}

/** Deletes old events from the oldest on: ids sort by time, and the first event that is young enough ends it. */
async function sweep(state: State, options: QuarantineOptions): Promise<void> {
  const { store, clock } = options;
  state.sweptMs = clock.monotonic();
  const old: string[] = [];
  for await (const { key, value } of store.list<Stored>({ prefix: REJECTED }, { batchSize: 20 })) {
    if (clock.now() - value!.at < KEPT_MS) break;
    old.push(key[1] as string);
  }
  await state.rejected.removeAll(old);
}

function hasRoomInMinute(state: State, writeKeyId: string, nowMs: number): boolean {
  if (nowMs - state.minute.began > MINUTE_MS) state.minute = newMinute(nowMs);
  const { all, keys } = state.minute;
  return fits(1, { own: keys.get(writeKeyId) ?? NOTHING, all, max: OF_A_MINUTE });
}

function newMinute(began: number): Minute {
  return { began, all: { ...NOTHING }, keys: new Map() };
}

/** Counts an event that a process keeps in this minute. */
function countInMinute({ all, keys }: Minute, stored: Stored): void {
  const { writeKeyId } = stored;
  let own = keys.get(writeKeyId);
  if (own === undefined) keys.set(writeKeyId, own = { ...NOTHING });
  for (const share of [all, own]) count(share, stored, 1);
}

/** Takes as many waiting events as one operation may write. */
function takeBatch(state: State): Waiting[] {
  let bytes = 0;
  let count = 0;
  while (count < state.waiting.length && count < BATCH_EVENTS && bytes < BATCH_BYTES) {
    bytes += state.waiting[count++]!.stored.body.length;
  }
  const batch = state.waiting.slice(0, count);
  state.waiting = state.waiting.slice(count);
  return batch;
}

/** Writes the events of a batch for which there is room; gives how many. */
async function writeBatch(
  state: State,
  batch: readonly Waiting[],
  store: Store,
): Promise<number> {
  const { rejected } = state;
  let kept: Waiting[] = [];
  await rejected.move(async (total) => {
    // Ids are used once: if one is there, the write that was denied was done, and all of it.
    const tried = await store.getMany(kept.map(({ id }) => rejectedKey(id)));
    if (tried.some(({ value }) => value !== null)) return undefined;
    const shares = await rejected.sharesOf(batch.map(({ stored }) => stored.writeKeyId));
    state.searched = Math.max(state.searched, total.erased ?? 0);
    kept = admitted(batch, { total, shares, searched: state.searched });
    if (kept.length === 0) return undefined;
    return {
      added: kept.map(({ stored }) => stored),
      sets: kept.map(({ id, stored }): [Key, Stored] => [rejectedKey(id), stored]),
      deletes: [],
    };
  });
  return kept.length;
}

/**
 * The events for which there is room. An event that may have come before somebody was erased, and for whom the stored
 * events were searched since, may be theirs: it is not kept.
 */
function admitted(
  batch: readonly Waiting[],
  { total, shares, searched }: { total: Share; shares: ReadonlyMap<string, Share>; searched: number },
): Waiting[] {
  const all = { ...total };
  return batch.filter(({ erasures, stored }) => {
    if (erasures < searched) return false;
    const own = shares.get(stored.writeKeyId)!;
    if (!fits(stored.body.length, { own, all, max: IN_ALL })) return false;
    for (const share of [all, own]) count(share, stored, 1);
    return true;
  });
}

/** One page, newest first. A damaged event cannot be sent again: it is left out, and deleted after its week. */
async function listPage(
  { store, clock }: QuarantineOptions,
  { limit, cursor, filter = {} }: ListQuery,
): Promise<{ rejected: RejectedEvent[]; cursor: string | null }> {
  let before = cursor === undefined ? END : idOfCursor(cursor);
  const rejected: RejectedEvent[] = [];
  let bytes = 0;
  let searchedBytes = 0;
  const range = { start: rejectedKey(""), end: rejectedKey(before) };
  for await (const { key, value } of store.list<Stored>(range, { reverse: true, batchSize: 20 })) {
    if (rejected.length === limit || bytes > PAGE_BYTES || searchedBytes > SEARCH_BYTES) {
      return { rejected, cursor: encodeCursor(before) };
    }
    before = key[1] as string;
    searchedBytes += value!.body?.length ?? 0;
    if (clock.now() - value!.at >= KEPT_MS || !mayMatch(filter, value!)) continue;
    const whole = shown(before, value!);
    if (whole === undefined || !matches(filter, whole.event)) continue;
    rejected.push(whole);
    bytes += value!.body.length;
  }
  return { rejected, cursor: null };
}

const OF_A_MINUTE: Share = { events: MINUTE_EVENTS, bytes: MINUTE_BYTES };
const IN_ALL: Share = { events: MAX_REJECTED, bytes: MAX_REJECTED_BYTES };

/** After every id. */
const END = "\uffff";

/** Our own ids are short; a longer one cannot be a key of the store (2 KiB at most). */
const MAX_ID_UNITS = 100;

function idOfCursor(cursor: string): string {
  const id = decodeCursor(cursor);
  const isId = typeof id === "string" && id !== "" && id.length <= MAX_ID_UNITS && id.isWellFormed();
  if (!isId) throw new InvalidCursor("Invalid cursor.");
  return id;
}
