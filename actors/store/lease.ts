/**
 * The fence: the one key that every write of a settler checks and moves, so that of two settlers one fails, and a write
 * that is repeated or late fails too. It stands in for a check on each actor, of which an operation may hold but ten.
 */
import type { Clock } from "./clock.ts";
import type { Key } from "./keys.ts";
import type { Store, Write } from "./store.ts";
import { StorageUnavailable } from "./errors.ts";

/** Others leave settling to a process for so long after its last write. A hint: the fence alone makes it exact. */
const LEASE_MS = 5_000;

/** Long work renews the lease when its last write is so old. */
const RENEW_MS = 1_500;

/** A write whose outcome is not known is tried so often. */
const TRIES = 20;

/** Thrown where another process has moved the fence: what was read under it may be out of date. */
export class LostFence extends Error {
  override name = "LostFence";
}

/** What every fence says. */
export interface Fenced {
  /** The newest version of the folds that has written under it. */
  fold: number;
  /** Who holds it, until when (ms) others leave it to them, and its last operation. */
  owner: string;
  until: number;
  op: string;
}

/** A fence that is held. */
export interface Fence<T extends Fenced> {
  /** What it says now, and the stamp of its key. */
  value(): T;
  stamp(): string | null;
  /** Writes, atomically with `change` of the fence. Throws {@link LostFence} where another holds it. */
  write(writes: FenceWrite<T>): Promise<void>;
  /** Keeps the lease through long work: call it now and then. */
  renew(): Promise<void>;
}

/**
 * Does work under a fence. Who has lost it may have read what another was replacing: whatever that leads to is no fault,
 * and is told as {@link LostFence}.
 */
export async function workUnder<T extends Fenced>(fence: Fence<T>, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof LostFence || error instanceof StorageUnavailable)) await fence.write({});
    throw error;
  }
}

/** A write under a fence, with what it changes of the fence itself, and what must not have moved besides it. */
export interface FenceWrite<T> {
  checks?: Write["checks"];
  sets?: [Key, unknown][];
  deletes?: Key[];
  change?: Partial<T>;
}

/** What taking needs to know. */
export interface FenceOptions<T extends Fenced> {
  store: Store;
  key: Key;
  /** What it says before it was ever held. */
  empty: T;
  /** This process. */
  owner: string;
  clock: Clock;
  newId(): string;
  /** The version of the folds that this process has. */
  foldVersion: number;
  /** Take it even if another's lease still runs. */
  force?: boolean;
}

/** Takes the fence; `undefined` where another process holds it, or one of a newer fold version has settled. */
export async function takeFence<T extends Fenced>(
  { store, key, empty, owner, clock, newId, foldVersion, force }: FenceOptions<T>,
): Promise<Fence<T> | undefined> {
  const entry = await store.get<T>(key);
  let value = entry.value ?? empty;
  let stamp = entry.stamp;
  if (value.fold > foldVersion) return undefined;
  // A lease that ends later than one can is of a clock that was wrong.
  const leftMs = value.until - clock.now();
  if (!force && value.owner !== owner && leftMs > 0 && leftMs <= LEASE_MS) return undefined;
  let last: Promise<void> = Promise.resolve();
  let wroteMs = clock.monotonic();
  // One after the other: each checks the stamp that the one before has left.
  const inTurn = (writes: FenceWrite<T>) => last = last.catch(() => {}).then(() => write(writes));
  return {
    value: () => value,
    stamp: () => stamp,
    write: inTurn,
    async renew() {
      if (clock.monotonic() - wroteMs > RENEW_MS) await inTurn({});
    },
  };

  async function write({ checks = [], sets = [], deletes = [], change = {} }: FenceWrite<T>): Promise<void> {
    const op = newId();
    wroteMs = clock.monotonic();
    const next = { ...value, fold: foldVersion, owner, until: clock.now() + LEASE_MS, ...change, op };
    for (let tries = 0; tries < TRIES; tries++) {
      const write = {
        checks: [{ key, stamp }, ...checks],
        sets: [...sets, [key, next] as [Key, unknown]],
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
      const there = await store.get<T>(key);
      if (there.value?.op === op) {
        value = next;
        stamp = there.stamp;
        return;
      }
      if (there.stamp !== stamp) throw new LostFence("another process settles");
      const others = checks.length === 0 ? [] : await store.getMany(checks.map((check) => check.key));
      if (others.some((other, index) => other.stamp !== checks[index]!.stamp)) {
        throw new LostFence("another process has changed the checked values");
      }
      await clock.sleep(Math.min(2 ** tries, 200) * (0.5 + clock.random()));
    }
    throw new StorageUnavailable("settling: storage accepted no write");
  }
}
