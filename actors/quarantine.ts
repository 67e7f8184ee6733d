/**
 * Events that were not taken, kept for a week so that they can be sent again. Write keys are public, so anybody can have
 * events refused: what is kept is bounded by the minute and in all, and what finds no room is counted, not kept.
 *
 * Written behind the answers, many in one operation. What waits to be written is lost if the process dies.
 */
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { type Key, REJECTED, REJECTED_COUNT, rejectedKey } from "./keys.ts";
import { sleep, type Store } from "./store.ts";
import { InvalidCursor, type Quarantine, type RejectedEvent, StorageUnavailable } from "./system.ts";
import { createTurns } from "./turns.ts";

/** How long a rejected event is kept. */
const KEPT_MS = 7 * 86_400_000;

/** What a process keeps of one minute: some six a second on the long run, which the disk does not notice. */
export const MINUTE_EVENTS = 400;
export const MINUTE_BYTES = 2 * 1024 * 1024;
const MINUTE_MS = 60_000;

/** What is kept in all. */
export const MAX_REJECTED = 10_000;
export const MAX_REJECTED_BYTES = 64 * 1024 * 1024;

/** One event as JSON: a value of the store has at most 64 KiB, and what is larger than an event may be is cut before. */
const MAX_EVENT_BYTES = 48 * 1024;

/** What one operation writes or deletes, far below what it may. */
const BATCH_EVENTS = 100;
const BATCH_BYTES = 400_000;

/** Those that are refused at about the same time are written together. */
const GATHER_MS = 20;

/** Bytes of events in one page of a list. */
const PAGE_BYTES = 4 * 1024 * 1024;

/** A change that another process gets ahead of is tried so often. */
const TRIES = 10;

/** What is older than a week is looked for so often, behind a write or a list. */
const SWEEP_MS = 60_000;

/** What stands under a key: the event as JSON in UTF-8. */
type Stored = Omit<RejectedEvent, "id" | "event"> & { at: number; body: Uint8Array };

interface Waiting {
  id: string;
  stored: Stored;
}

/** What is kept in all, and the change that made it so. */
interface Total {
  events: number;
  bytes: number;
  op?: string;
}

/** A change of what is kept. */
interface Move {
  next: Total;
  sets: [Key, unknown][];
  deletes: Key[];
}

/** What to change, by what is kept; nothing if there is nothing to do. */
type Plan = (total: Total) => Move | undefined | Promise<Move | undefined>;

/** Makes the quarantine of a store. */
export function createQuarantine({ store, now, newId }: { store: Store; now(): number; newId(): string }) {
  let waiting: Waiting[] = [];
  let minute = { began: -Infinity, events: 0, bytes: 0 };
  let dropped = 0;
  let working: Promise<void> | undefined;
  /** All changes move the total. */
  const inTurn = createTurns();
  let sweptAt = -Infinity;
  const encoder = new TextEncoder();

  function hasRoom(): boolean {
    const nowMs = performance.now();
    if (nowMs - minute.began > MINUTE_MS) minute = { began: nowMs, events: 0, bytes: 0 };
    const has = minute.events < MINUTE_EVENTS && minute.bytes < MINUTE_BYTES;
    if (!has) dropped++;
    return has;
  }

  function keep({ event, ...rest }: Omit<RejectedEvent, "id">): void {
    const body = encoder.encode(JSON.stringify(event));
    if (body.length > MAX_EVENT_BYTES) {
      dropped++;
      return;
    }
    minute.events++;
    minute.bytes += body.length;
    waiting.push({ id: newId(), stored: { ...rest, at: now(), body } });
    working ??= work();
  }

  /** Writes all that waits. What storage does not take is counted as dropped: nobody was promised it. */
  async function work(): Promise<void> {
    do {
      await sleep(GATHER_MS);
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

  /** Writes those of a batch for which there is room; gives how many. */
  async function write(batch: readonly Waiting[]): Promise<number> {
    let room: Waiting[] = [];
    await move((total) => {
      room = [];
      const next = { ...total };
      for (const each of batch) {
        const bytes = next.bytes + each.stored.body.length;
        if (next.events >= MAX_REJECTED || bytes > MAX_REJECTED_BYTES) continue;
        next.events++;
        next.bytes = bytes;
        room.push(each);
      }
      if (room.length === 0) return undefined;
      return {
        next,
        sets: room.map(({ id, stored }): [Key, Stored] => [rejectedKey(id), stored]),
        deletes: [],
      };
    });
    return room.length;
  }

  /** Deletes those of some ids that are there; gives how many. */
  async function removeAll(ids: readonly string[]): Promise<number> {
    let removed = 0;
    for (let from = 0; from < ids.length; from += BATCH_EVENTS) {
      const keys = ids.slice(from, from + BATCH_EVENTS).map(rejectedKey);
      let count = 0;
      await move(async ({ events, bytes }) => {
        const there = (await store.getMany<Stored>(keys)).filter(({ value }) => value !== null);
        count = there.length;
        if (count === 0) return undefined;
        const freed = there.reduce((sum, { value }) => sum + value!.body.length, 0);
        const next = { events: Math.max(0, events - count), bytes: Math.max(0, bytes - freed) };
        return { next, sets: [], deletes: there.map(({ key }) => key) };
      });
      removed += count;
    }
    return removed;
  }

  /** As in the journal: of another user's event the name of somebody who is erased goes, and the event stays. */
  function withoutNames(id: string, ids: ReadonlySet<string>): Promise<void> {
    return move(async ({ events, bytes }) => {
      const { key, value } = await store.get<Stored>(rejectedKey(id));
      if (value === null) return undefined;
      const { event } = shown(id, value);
      for (const member of NAMES) if (ids.has(textOf(event[member]) ?? "")) delete event[member];
      const body = new TextEncoder().encode(JSON.stringify(event));
      const next = { events, bytes: Math.max(0, bytes - value.body.length + body.length) };
      return { next, sets: [[key, { ...value, body }]], deletes: [] };
    });
  }

  /** One change at a time in this process: all move the total. */
  function move(plan: Plan): Promise<void> {
    return inTurn(() => moveNow(plan));
  }

  /** Makes a change with the new total, so that a late or repeated one fails. */
  async function moveNow(plan: Plan): Promise<void> {
    let op: string | undefined;
    for (let tries = 0; tries < TRIES; tries++) {
      const entry = await store.get<Total>(REJECTED_COUNT);
      // Storage denied a write that it did.
      if (op !== undefined && entry.value?.op === op) return;
      const planned = await plan(entry.value ?? { events: 0, bytes: 0 });
      if (planned === undefined) return;
      op = newId();
      const written = await store.commit({
        checks: [{ key: entry.key, stamp: entry.stamp }],
        sets: [[entry.key, { ...planned.next, op }], ...planned.sets],
        deletes: planned.deletes,
      });
      if (written !== null) return;
      await sleep(2 ** tries * Math.random());
    }
    throw new StorageUnavailable("the quarantine is being changed by other processes too often");
  }

  async function sweepIfDue(): Promise<void> {
    if (performance.now() - sweptAt < SWEEP_MS) return;
    await sweep();
  }

  /** From the oldest on: ids sort by time, and the first that is young enough ends it. */
  async function sweep(): Promise<void> {
    sweptAt = performance.now();
    const old: string[] = [];
    for await (const { key, value } of store.list<Stored>({ prefix: REJECTED }, { batchSize: 20 })) {
      if (now() - value!.at < KEPT_MS) break;
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
        if (now() - value!.at >= KEPT_MS) continue;
        rejected.push(shown(key[1] as string, value!));
        bytes += value!.body.length;
      }
      const last = rejected.at(-1);
      return { rejected, cursor: more && last !== undefined ? encodeCursor(last.id) : null };
    },
    async get(id: string) {
      await written();
      const { value } = await store.get<Stored>(rejectedKey(id));
      return value === null || now() - value.at >= KEPT_MS ? undefined : shown(id, value);
    },
    async remove(id: string) {
      await written();
      return await removeAll([id]) === 1;
    },
    async erase({ userId, anonymousIds = [] }: { userId?: string; anonymousIds?: readonly string[] }) {
      await written();
      const found: string[] = [];
      const named: string[] = [];
      const ids = new Set(anonymousIds);
      for await (const { key, value } of store.list<Stored>({ prefix: REJECTED }, { batchSize: 20 })) {
        const { event } = shown(key[1] as string, value!);
        const id = key[1] as string;
        const user = textOf(event.userId);
        if (userId !== undefined && user === userId) found.push(id);
        else if (NAMES.some((member) => ids.has(textOf(event[member]) ?? ""))) {
          (user === undefined ? found : named).push(id);
        }
      }
      for (const id of named) await withoutNames(id, ids);
      return await removeAll(found);
    },
    sweep,
    /** Resolves when nothing waits to be written. */
    close: written,
  } satisfies Quarantine & { close(): Promise<void> };
}

/** Members that name an anonymous id. */
const NAMES = ["anonymousId", "previousId"] as const;

/** An id as it is read: numbers are their text, and what is empty or something else is none. */
function textOf(id: unknown): string | undefined {
  if (typeof id === "number") return String(id);
  return typeof id === "string" && id !== "" ? id : undefined;
}

/** After every id. */
const END = "\uffff";

function shown(id: string, { at: _, body, ...rest }: Stored): RejectedEvent {
  return { id, ...rest, event: JSON.parse(new TextDecoder().decode(body)) };
}

function idOfCursor(cursor: string): string {
  const id = decodeCursor(cursor);
  if (typeof id !== "string") throw new InvalidCursor("cursor: not one that a page before gave");
  return id;
}
