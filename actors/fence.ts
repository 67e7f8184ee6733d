/**
 * The fence: the one key that every write of a settler checks and moves, so that of two settlers one fails, and a write
 * that is repeated or late fails too. It stands in for a check on each actor, of which an operation may hold but ten.
 */
import { FOLD_VERSION } from "../domain/fact.ts";
import type { Settled } from "./journal.ts";
import { type Key, SETTLED } from "./keys.ts";
import { sleep, type Store } from "./store.ts";
import { StorageUnavailable } from "./system.ts";

/** Others leave settling to a process for so long after its last write. A hint: the fence alone makes it exact. */
const LEASE_MS = 5_000;

/** A write whose outcome is not known is tried so often. */
const TRIES = 20;

/** Thrown where another process has moved the fence: what was read under it may be out of date. */
export class LostFence extends Error {
  override name = "LostFence";
}

/** A fence that is held. */
export interface Fence {
  /** What it says now. */
  value(): Settled;
  /** Writes, atomically with `change` of the fence. Throws {@link LostFence} where another holds it. */
  write(writes: { sets?: [Key, unknown][]; deletes?: Key[]; change?: Partial<Settled> }): Promise<void>;
}

/** What taking needs to know. */
export interface FenceOptions {
  store: Store;
  /** This process. */
  owner: string;
  now(): number;
  newId(): string;
  /** Take it even if another's lease still runs. */
  force?: boolean;
}

/** Takes the fence; `undefined` where another process holds it, or one of a newer fold version has settled. */
export async function takeFence(
  { store, owner, now, newId, force }: FenceOptions,
  empty: Settled,
): Promise<Fence | undefined> {
  const entry = await store.get<Settled>(SETTLED);
  let value = entry.value ?? empty;
  let stamp = entry.stamp;
  if (value.fold > FOLD_VERSION) return undefined;
  if (!force && value.owner !== owner && value.until > now()) return undefined;
  const fence: Fence = {
    value: () => value,
    async write({ sets = [], deletes = [], change = {} }) {
      const op = newId();
      const next = { ...value, fold: FOLD_VERSION, owner, until: now() + LEASE_MS, ...change, op };
      for (let tries = 0; tries < TRIES; tries++) {
        const write = {
          checks: [{ key: SETTLED, stamp }],
          sets: [...sets, [SETTLED, next] as [Key, unknown]],
          deletes,
        };
        const written = await store.commit(write).catch((error) => {
          if (error instanceof StorageUnavailable) return null;
          throw error;
        });
        if (written !== null) {
          value = next;
          stamp = written;
          return;
        }
        // Perhaps it was written all the same: the fence tells.
        const there = await store.get<Settled>(SETTLED);
        if (there.value?.op === op) {
          value = next;
          stamp = there.stamp;
          return;
        }
        if (there.stamp !== stamp) throw new LostFence("another process settles");
        await sleep(Math.min(2 ** tries, 200) * (0.5 + Math.random()));
      }
      throw new StorageUnavailable("settling: storage took no write");
    },
  };
  return fence;
}
