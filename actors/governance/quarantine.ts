/**
 * Events that were not taken, kept for a week so that they can be sent again. Write keys are public, so anybody can have
 * events refused: what is kept is bounded by the minute and in all, and each key has its share of that. What finds no room
 * is counted, not kept.
 *
 * Written behind the answers, many in one operation. What waits to be written is lost if the process dies.
 */
import type { Clock } from "../store/clock.ts";
import { decodeCursor, encodeCursor } from "../store/cursor.ts";
import { type Key, REJECTED, rejectedKey } from "../store/keys.ts";
import {
  BATCH_BYTES,
  BATCH_EVENTS,
  createRejected,
  type RejectedEvent,
  type Share,
  shown,
  type Stored,
} from "./quarantine_store.ts";
import type { ErasedNames } from "../erasure/execute.ts";
import { DAMAGED, type Store } from "../store/store.ts";
import { InvalidCursor, StorageFault } from "../store/errors.ts";

/** Events that were not taken, for a week. */
export interface Quarantine {
  /** Whether this process keeps another event of a write key in this minute; counts one as dropped if not. */
  hasRoom(writeKeyId: string): boolean;
  /** Keeps an event, behind the answer. Ask {@link Quarantine.hasRoom} first. Never throws. */
  keep(rejected: Omit<RejectedEvent, "id">): void;
  /** Events that found no room since this process started, or came while somebody was erased whose they may be. */
  dropped(): number;
  /** Newest first, without those whose bytes are damaged. */
  list(
    query: { limit: number; cursor?: string },
  ): Promise<{ rejected: RejectedEvent[]; cursor: string | null }>;
  /** Throws {@link StorageFault} where its bytes are damaged. */
  get(id: string): Promise<RejectedEvent | undefined>;
  remove(id: string): Promise<boolean>;
  /** Removes what is older than a week. */
  sweep(): Promise<void>;
}

/** How long a rejected event is kept. */
const KEPT_MS = 7 * 86_400_000;

/** What a process keeps of one minute: some thirteen a second on the long run, which the disk does not notice. */
export const MINUTE_EVENTS = 800;
export const MINUTE_BYTES = 4 * 1024 * 1024;
const MINUTE_MS = 60_000;

/** What is kept in all. */
export const MAX_REJECTED = 10_000;
export const MAX_REJECTED_BYTES = 64 * 1024 * 1024;

/** One event as JSON: a value of the store has at most 64 KiB, and what is larger than an event may be is cut before. */
const MAX_EVENT_BYTES = 48 * 1024;

/** Those that are refused at about the same time are written together. */
const GATHER_MS = 20;

/** Bytes of events in one page of a list. */
const PAGE_BYTES = 4 * 1024 * 1024;

/** What is older than a week is looked for so often, behind a write or a list. */
const SWEEP_MS = 60_000;

interface Waiting {
  id: string;
  stored: Stored;
  /** How many erasures were known to be done when it came. */
  erasures: number;
}

/** What a quarantine needs. */
export interface QuarantineOptions {
  store: Store;
  clock: Clock;
  newId(): string;
  /** How many erasures are fulfilled, as far as this process knows. */
  erasures(): number;
}

/** What a preview of an erasure asks. */
interface Counting {
  count(names: ErasedNames): Promise<number>;
}

/** Makes the quarantine of a store. */
export function createQuarantine({ store, clock, newId, erasures }: QuarantineOptions) {
  const { move, sharesOf, removeAll, count } = createRejected({ store, clock, newId });
  let waiting: Waiting[] = [];
  let minute = { began: -Infinity, events: 0, bytes: 0, keys: new Map<string, Share>() };
  let dropped = 0;
  let working: Promise<void> | undefined;
  /** For how many erasures rejected events were looked through, as last seen. */
  let looked = 0;
  let sweptAt = -Infinity;
  const encoder = new TextEncoder();

  function hasRoom(writeKeyId: string): boolean {
    const nowMs = clock.monotonic();
    if (nowMs - minute.began > MINUTE_MS) minute = { began: nowMs, events: 0, bytes: 0, keys: new Map() };
    const has = fits(1, { own: minute.keys.get(writeKeyId) ?? NOTHING, all: minute, max: OF_A_MINUTE });
    if (!has) dropped++;
    return has;
  }

  function keep({ event, ...rest }: Omit<RejectedEvent, "id">): void {
    const body = encoder.encode(JSON.stringify(event));
    if (body.length > MAX_EVENT_BYTES) {
      dropped++;
      return;
    }
    const { writeKeyId } = rest;
    add(minute, body.length);
    let own = minute.keys.get(writeKeyId);
    if (own === undefined) minute.keys.set(writeKeyId, own = { ...NOTHING });
    add(own, body.length);
    const known = Math.max(erasures(), looked);
    waiting.push({ id: newId(), stored: { ...rest, at: clock.now(), body }, erasures: known });
    working ??= work();
  }

  /** Writes all that waits. What storage does not take is counted as dropped: nobody was promised it. */
  async function work(): Promise<void> {
    do {
      await clock.sleep(GATHER_MS);
      while (waiting.length > 0) {
        const batch = takeBatch();
        dropped += batch.length - await write(batch).catch(() => 0);
      }
      await sweepIfDue().catch(() => {});
    } while (waiting.length > 0);
    // In the same step as the last look at what waits: what comes next begins anew.
    working = undefined;
  }

  function takeBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    while (count < waiting.length && count < BATCH_EVENTS && bytes < BATCH_BYTES) {
      bytes += waiting[count++]!.stored.body.length;
    }
    const batch = waiting.slice(0, count);
    waiting = waiting.slice(count);
    return batch;
  }

  /**
   * Writes those of a batch for which there is room; gives how many. What may have come before somebody was erased, whose
   * rejected events were looked through since, may be theirs: it is not kept.
   */
  async function write(batch: readonly Waiting[]): Promise<number> {
    let room: Waiting[] = [];
    await move(async (total) => {
      // Ids are used once: where one stands, the write that was denied was done, and all of it.
      const tried = await store.getMany(room.map(({ id }) => rejectedKey(id)));
      if (tried.some(({ value }) => value !== null)) return undefined;
      room = [];
      const all = { ...total };
      const shares = await sharesOf(batch.map(({ stored }) => stored.writeKeyId));
      looked = Math.max(looked, total.erased ?? 0);
      for (const each of batch) {
        if (each.erasures < looked) continue;
        const own = shares.get(each.stored.writeKeyId)!;
        const bytes = each.stored.body.length;
        if (!fits(bytes, { own, all, max: IN_ALL })) continue;
        add(all, bytes);
        add(own, bytes);
        room.push(each);
      }
      if (room.length === 0) return undefined;
      return {
        added: room.map(({ stored }) => stored),
        sets: room.map(({ id, stored }): [Key, Stored] => [rejectedKey(id), stored]),
        deletes: [],
      };
    });
    return room.length;
  }

  async function sweepIfDue(): Promise<void> {
    if (clock.monotonic() - sweptAt < SWEEP_MS) return;
    await sweep();
  }

  /** From the oldest on: ids sort by time, and the first that is young enough ends it. */
  async function sweep(): Promise<void> {
    sweptAt = clock.monotonic();
    const old: string[] = [];
    for await (const { key, value } of store.list<Stored>({ prefix: REJECTED }, { batchSize: 20 })) {
      if (clock.now() - value!.at < KEPT_MS) break;
      old.push(key[1] as string);
    }
    await removeAll(old);
  }

  const written = async (): Promise<void> => {
    while (working !== undefined) await working;
  };

  return {
    hasRoom,
    keep,
    dropped: () => dropped,
    async list({ limit, cursor }: { limit: number; cursor?: string }) {
      await written();
      await sweepIfDue();
      const before = cursor === undefined ? END : idOfCursor(cursor);
      const rejected: RejectedEvent[] = [];
      let bytes = 0;
      const range = { start: rejectedKey(""), end: rejectedKey(before) };
      let more = false;
      for await (const { key, value } of store.list<Stored>(range, { reverse: true, batchSize: 20 })) {
        more = rejected.length === limit || bytes > PAGE_BYTES;
        if (more) break;
        if (clock.now() - value!.at >= KEPT_MS) continue;
        const whole = shown(key[1] as string, value!);
        // What is damaged can't be sent again either, and goes when its week is over.
        if (whole === undefined) continue;
        rejected.push(whole);
        bytes += value!.body.length;
      }
      const last = rejected.at(-1);
      return { rejected, cursor: more && last !== undefined ? encodeCursor(last.id) : null };
    },
    async get(id: string) {
      await written();
      const { value } = await store.get<Stored>(rejectedKey(id));
      if (value === null || clock.now() - value.at >= KEPT_MS) return undefined;
      const whole = shown(id, value);
      if (whole === undefined) throw new StorageFault(DAMAGED);
      return whole;
    },
    /** How many would go with somebody who is erased. */
    async count(names: ErasedNames) {
      await written();
      return await count(names);
    },
    async remove(id: string) {
      await written();
      return await removeAll([id]) === 1;
    },
    sweep,
    /** Resolve when nothing waits to be written. */
    flush: written,
    close: written,
  } satisfies Quarantine & Counting & { flush(): Promise<void>; close(): Promise<void> };
}

const NOTHING: Share = { events: 0, bytes: 0 };
const OF_A_MINUTE: Share = { events: MINUTE_EVENTS, bytes: MINUTE_BYTES };
const IN_ALL: Share = { events: MAX_REJECTED, bytes: MAX_REJECTED_BYTES };

/**
 * Whether one more event of so many bytes is kept: a write key has at most as much as there is room left. So no key fills
 * it: one that floods gets half of all, the next half of the rest. Many one after the other do: ten a minute, 14 all.
 */
function fits(bytes: number, { own, all, max }: { own: Share; all: Share; max: Share }): boolean {
  return own.events + 1 <= max.events - all.events && own.bytes + bytes <= max.bytes - all.bytes;
}

function add(share: Share, bytes: number): void {
  share.events++;
  share.bytes += bytes;
}

/** After every id. */
const END = "\uffff";

/** Ids are of our making and short; a longer one is no key of the store (2 KiB at most). */
const MAX_ID_UNITS = 100;

function idOfCursor(cursor: string): string {
  const id = decodeCursor(cursor);
  const isId = typeof id === "string" && id !== "" && id.length <= MAX_ID_UNITS && id.isWellFormed();
  if (!isId) throw new InvalidCursor("Invalid cursor.");
  return id;
}
