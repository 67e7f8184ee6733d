/** Changes of the stored rejected events. Each change moves the total, so that a late or repeated one fails. */
import { update } from "../store/conditional_update.ts";
import type { Clock } from "../store/clock.ts";
import { type Key, REJECTED_COUNT, rejectedCountKey, rejectedKey } from "../store/keys.ts";
import { createSerialQueue } from "../store/serial_queue.ts";
import type { Store } from "../store/store.ts";
import { count, NOTHING, type Share, type Stored, writeKeyOf } from "./rejected_event.ts";

/** Events, and bytes of them, in one operation: far below what an operation may have. */
export const BATCH_EVENTS = 100;
export const BATCH_BYTES = 400_000;

/** Attempts at a change that other processes overtake. */
const TRIES = 10;

/**
 * The latest changes that the total names: a write that was denied may have been done (KV Connect), and others may have
 * changed the total since.
 */
const REMEMBERED = 50;

/** How much is kept in all, and the latest changes. */
export interface Total extends Share {
  /** The last erasure request whose person was searched for here; absent if none was. */
  erased?: number;
  ops?: string[];
}

/** A change; the total and the share of each write key follow from `added` and `removed`. */
export interface Move {
  added?: readonly Stored[];
  removed?: readonly Stored[];
  erased?: number;
  sets: [Key, unknown][];
  deletes: Key[];
}

/**
 * Decides what to change, given what is kept; `undefined` if there is nothing to do. It is called again after a write
 * that was denied, and which may have been done so long ago that the total no longer names it: it must not count what was
 * changed already.
 */
export type Plan = (total: Total) => Move | undefined | Promise<Move | undefined>;

/** What changing needs; `renew` is called now and then by the holder of a lease. */
export interface RejectedOptions {
  store: Store;
  clock: Clock;
  newId(): string;
  renew?(): Promise<void>;
}

/** Creates the changes of a store's rejected events. */
export function createRejected({ store, clock, newId, renew }: RejectedOptions) {
  /** One change at a time in this process: all move the total. */
  const inTurn = createSerialQueue();

  async function moveNow(plan: Plan): Promise<void> {
    await renew?.();
    let op: string | undefined;
    await update(store, { named: "the quarantine", tries: TRIES, clock }, async () => {
      const entry = await store.get<Total>(REJECTED_COUNT);
      // Storage denied a write that it did.
      if (op !== undefined && entry.value?.ops?.includes(op)) return { result: undefined };
      const planned = await plan(entry.value ?? { ...NOTHING });
      if (planned === undefined) return { result: undefined };
      op = newId();
      const ops = [...entry.value?.ops ?? [], op].slice(-REMEMBERED);
      const total: Total = { ...NOTHING, ...entry.value, ops };
      if (planned.erased !== undefined) total.erased = planned.erased;
      const { added = [], removed = [] } = planned;
      const shares = await sharesOf([...added, ...removed].map(writeKeyOf));
      countMove(planned, { total, shares });
      const kept = [...shares].map(([id, share]): [Key, Share] => [rejectedCountKey(id), share]);
      return {
        result: undefined,
        write: {
          // Every change of a share changes the total too, so its stamp is enough.
          checks: [{ key: entry.key, stamp: entry.stamp }],
          sets: [[entry.key, total], ...kept.filter(([, { events }]) => events > 0), ...planned.sets],
          deletes: [
            ...kept.filter(([, { events }]) => events === 0).map(([key]) => key),
            ...planned.deletes,
          ],
        },
      };
    });
  }

  const move = (plan: Plan) => inTurn(() => moveNow(plan));

  /** How much is kept of each of some write keys. */
  async function sharesOf(writeKeyIds: readonly string[]): Promise<Map<string, Share>> {
    const ids = [...new Set(writeKeyIds)];
    const found = await store.getMany<Share>(ids.map(rejectedCountKey));
    return new Map(ids.map((id, n) => [id, found[n]!.value ?? { ...NOTHING }]));
  }

  return {
    move,
    sharesOf,
    /** Deletes the events with these ids; gives how many there were. */
    async removeAll(ids: readonly string[]): Promise<number> {
      let removed = 0;
      for (let from = 0; from < ids.length; from += BATCH_EVENTS) {
        const keys = ids.slice(from, from + BATCH_EVENTS).map(rejectedKey);
        let found = 0;
        await move(async () => {
          const there = (await store.getMany<Stored>(keys)).filter(({ value }) => value !== null);
          found = there.length;
          if (found === 0) return undefined;
          return {
            removed: there.map(({ value }) => value!),
            sets: [],
            deletes: there.map(({ key }) => key),
          };
        });
        removed += found;
      }
      return removed;
    },
  };
}

/** Brings the total and the shares of the write keys up to date with a change. */
function countMove(
  { added = [], removed = [] }: Move,
  { total, shares }: { total: Total; shares: ReadonlyMap<string, Share> },
): void {
  for (const [some, sign] of [[added, 1], [removed, -1]] as const) {
    for (const stored of some) {
      for (const share of [total, shares.get(writeKeyOf(stored))!]) count(share, stored, sign);
    }
  }
}
