/** What stands of rejected events, and all changes of it: each moves the total, so that a late or repeated one fails. */
import { parseExact } from "../../domain/event/exact_json.ts";
import { isObject, type JsonObject } from "../../domain/event/json.ts";
import type { Clock } from "../store/clock.ts";
import { type Key, REJECTED, REJECTED_COUNT, rejectedCountKey, rejectedKey } from "../store/keys.ts";
import type { ErasedNames, EraseParticipant } from "../erasure/execute.ts";
import { DAMAGED, type Store, type Write } from "../store/store.ts";
import { createTurns } from "../store/serial_queue.ts";
import { type Erased, erasedBy, fateOf, idIn, LOSABLE_MEMBERS } from "./named_in.ts";
import { update } from "../store/conditional_update.ts";
import { StorageFault } from "../store/errors.ts";

/** An event that was not taken, as it is kept. */
export interface RejectedEvent {
  id: string;
  receivedAt: string;
  writeKeyId: string;
  status: number;
  code: string;
  message: string;
  path?: string;
  /** As it was sent, with what its route and its batch said for it. */
  event: Record<string, unknown>;
  /** The event was too large: only its ids and its name are kept. */
  cut?: true;
}

/** What one operation writes or deletes, far below what it may: events and bytes of them. */
export const BATCH_EVENTS = 100;
export const BATCH_BYTES = 400_000;

/** Events that lose a name in one operation: each may have 48 KB. */
const NAMED_EVENTS = 10;

/** A change that another process gets ahead of is tried so often. */
const TRIES = 10;

/**
 * So many of the latest changes the total names: a write that was denied may have been done (KV Connect), and others may
 * have changed it since.
 */
const REMEMBERED = 50;

/** What stands under a key: the event as JSON in UTF-8. */
export type Stored = Omit<RejectedEvent, "id" | "event"> & { at: number; body: Uint8Array };

/** How much is kept: in all, or of one write key. */
export interface Share {
  events: number;
  bytes: number;
}

/** What is kept in all, and the latest changes that made it so. */
export interface Total extends Share {
  /** The last wish for erasure whose person was looked for here; absent is none. */
  erased?: number;
  ops?: string[];
}

/** A change of what is kept; what is kept in all and of each write key follows from what comes and what goes. */
export interface Move {
  added?: readonly Stored[];
  removed?: readonly Stored[];
  erased?: number;
  sets: [Key, unknown][];
  deletes: Key[];
}

/**
 * What to change, by what is kept; nothing if there is nothing to do. Asked again after a write that was denied, and which
 * may have been done so long ago that the total no longer names it: what was changed already must count for nothing.
 */
export type Plan = (total: Total) => Move | undefined | Promise<Move | undefined>;

/** What changing needs; `renew` is called now and then, by who holds a lease. */
export interface RejectedOptions {
  store: Store;
  clock: Clock;
  newId(): string;
  renew?(): Promise<void>;
}

/** Makes what changes the rejected events of a store. */
export function createRejected({ store, clock, newId, renew }: RejectedOptions) {
  /** One change at a time in this process: all move the total. */
  const inTurn = createTurns();

  function move(plan: Plan): Promise<void> {
    return inTurn(() => moveNow(plan));
  }

  async function moveNow(plan: Plan): Promise<void> {
    await renew?.();
    let op: string | undefined;
    await update(store, { named: "the quarantine", tries: TRIES, clock }, async () => {
      const entry = await store.get<Total>(REJECTED_COUNT);
      // Storage denied a write that it did.
      if (op !== undefined && entry.value?.ops?.includes(op)) return { result: undefined };
      const planned = await plan(entry.value ?? { events: 0, bytes: 0 });
      if (planned === undefined) return { result: undefined };
      op = newId();
      const ops = [...entry.value?.ops ?? [], op].slice(-REMEMBERED);
      const total: Total = { events: 0, bytes: 0, ...entry.value, ops };
      if (planned.erased !== undefined) total.erased = planned.erased;
      const shares = await counted(total, planned);
      // All that changes a share changes the total too, so its stamp is enough.
      const write: Write = {
        checks: [{ key: entry.key, stamp: entry.stamp }],
        sets: [
          [entry.key, total],
          ...shares.flatMap(([key, share]): [Key, Share][] => share.events > 0 ? [[key, share]] : []),
          ...planned.sets,
        ],
        deletes: [
          ...shares.flatMap(([key, share]) => share.events > 0 ? [] : [key]),
          ...planned.deletes,
        ],
      };
      return { result: undefined, write };
    });
  }

  /** Brings the total and the shares of the write keys to where a change leads; gives the shares that it touches. */
  async function counted(total: Total, { added = [], removed = [] }: Move): Promise<[Key, Share][]> {
    const shares = await sharesOf([...added, ...removed].map(keyOf));
    for (const [some, sign] of [[added, 1], [removed, -1]] as const) {
      for (const stored of some) {
        const bytes = bytesOf(stored);
        for (const count of [total, shares.get(keyOf(stored))!]) {
          count.events = Math.max(0, count.events + sign);
          count.bytes = Math.max(0, count.bytes + sign * bytes);
        }
      }
    }
    return [...shares].map(([id, share]) => [rejectedCountKey(id), share]);
  }

  /** What is kept of each of some write keys. */
  async function sharesOf(writeKeyIds: readonly string[]): Promise<Map<string, Share>> {
    const ids = [...new Set(writeKeyIds)];
    const found = await store.getMany<Share>(ids.map(rejectedCountKey));
    return new Map(ids.map((id, n) => [id, found[n]!.value ?? { events: 0, bytes: 0 }]));
  }

  /** Deletes those of some ids that are there; gives how many. */
  async function removeAll(ids: readonly string[]): Promise<number> {
    let removed = 0;
    for (let from = 0; from < ids.length; from += BATCH_EVENTS) {
      const keys = ids.slice(from, from + BATCH_EVENTS).map(rejectedKey);
      let count = 0;
      await move(async () => {
        const there = (await store.getMany<Stored>(keys)).filter(({ value }) => value !== null);
        count = there.length;
        if (count === 0) return undefined;
        return { removed: there.map(({ value }) => value!), sets: [], deletes: there.map(({ key }) => key) };
      });
      removed += count;
    }
    return removed;
  }

  /** As in the journal: of another user's event the name of somebody who is erased goes, and the event stays. */
  async function withoutNames(found: readonly string[], { ids }: Erased): Promise<void> {
    for (let from = 0; from < found.length; from += NAMED_EVENTS) {
      const keys = found.slice(from, from + NAMED_EVENTS).map(rejectedKey);
      await move(async () => {
        const removed: Stored[] = [];
        const sets: [Key, Stored][] = [];
        for (const { key, value } of await store.getMany<Stored>(keys)) {
          if (value === null) continue;
          const event = eventOf(value);
          // It was whole when it was found; it is found as it is when this is tried again.
          if (event === undefined) throw new StorageFault(DAMAGED);
          for (const member of LOSABLE_MEMBERS) {
            if (ids.has(idIn(event[member]) ?? "")) delete event[member];
          }
          removed.push(value);
          sets.push([key, { ...value, body: new TextEncoder().encode(JSON.stringify(event)) }]);
        }
        if (sets.length === 0) return undefined;
        return { removed, added: sets.map(([, stored]) => stored), sets, deletes: [] };
      });
    }
  }

  /** The ids of those that name somebody, and so go; and of those of other people that only lose the name. */
  async function findNamed(erased: Erased): Promise<{ going: string[]; losing: string[] }> {
    const going: string[] = [];
    const losing: string[] = [];
    for await (const { key, value } of store.list<Stored>({ prefix: REJECTED }, { batchSize: 20 })) {
      await renew?.();
      const event = eventOf(value!);
      // What is damaged may be anybody's.
      const fate = event === undefined ? "goes" : fateOf(event, {
        text: textOf(value!),
        words: `${value!.message} ${value!.path ?? ""}`,
      }, erased);
      if (fate === "goes") going.push(key[1] as string);
      else if (fate === "loses its names") losing.push(key[1] as string);
    }
    return { going, losing };
  }

  return {
    move,
    sharesOf,
    removeAll,
    /** How many {@link erase} would remove. Changes nothing. */
    async count(names: ErasedNames): Promise<number> {
      return (await findNamed(erasedBy(names))).going.length;
    },
    /**
     * Removes all that name a person whom the wish of a number erases, and what is so damaged that nobody can tell whom it
     * names; gives how many. After its first step no process keeps an event any more that came before it knew of that
     * (`quarantine.ts`), and what was kept before is found.
     */
    async erase(names: ErasedNames, no: number): Promise<number> {
      await move((total) => {
        if ((total.erased ?? 0) >= no) return undefined;
        return { erased: no, sets: [], deletes: [] };
      });
      const erased = erasedBy(names);
      const { going, losing } = await findNamed(erased);
      await withoutNames(losing, erased);
      return await removeAll(going);
    },
  };
}

/** Rejected events of a person go with the person. */
export const rejectedEvents: EraseParticipant = {
  erase: (names, no, options) => createRejected(options).erase(names, no),
};

/** Whose share an event is of, and how much; of what is damaged nobody may be able to tell. */
function keyOf({ writeKeyId }: Partial<Stored>): string {
  return typeof writeKeyId === "string" ? writeKeyId : "";
}

function bytesOf({ body }: Partial<Stored>): number {
  return body instanceof Uint8Array ? body.length : 0;
}

/** The JSON of a stored event. Throws where its bytes are no text. */
function textOf({ body }: Partial<Stored>): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(body);
}

/** The event that a stored one holds; undefined where its bytes are damaged. */
function eventOf(stored: Partial<Stored>): JsonObject | undefined {
  try {
    const event: unknown = parseExact(textOf(stored));
    return isObject(event) ? event : undefined;
  } catch {
    return undefined;
  }
}

/** A rejected event as it is shown; undefined where its bytes are damaged. */
export function shown(id: string, stored: Stored): RejectedEvent | undefined {
  const event = eventOf(stored);
  if (event === undefined) return undefined;
  const { at: _, body: __, ...rest } = stored;
  return { id, ...rest, event };
}
