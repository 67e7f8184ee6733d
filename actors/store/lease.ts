/**
 * A lease with a fencing token: one key that every write of a settler checks and changes, so that one of two settlers
 * fails, and a late or repeated write fails too. It replaces a check on each actor, of which an operation can have only
 * ten.
 */
import type { Clock } from "./clock.ts";
import type { Key } from "./keys.ts";
import type { Store, Write } from "./store.ts";
import { StorageUnavailable } from "./errors.ts";

/** Time after its last write for which others leave settling to a process. A hint: the token alone makes it exact. */
const LEASE_MS = 5_000;

/** Long work renews the lease when its last write is so old. */
const RENEW_MS = 1_500;

/** Attempts at a write with an unknown outcome. */
const TRIES = 20;

/** Thrown if another process has taken the lease: values that were read under it may be outdated. */
export class LostFence extends Error {
  override name = "LostFence";
}

/** The value of every lease. */
export interface Fenced {
  /** The newest version of the folds that has written under it. */
  fold: number;
  /** Its holder, the time (ms) until which others leave it to them, and its last operation. */
  owner: string;
  until: number;
  op: string;
}

/** A lease that is held. */
export interface Fence<T extends Fenced> {
  /** Its current value, and the stamp of its key. */
  value(): T;
  stamp(): string | null;
  /** Writes, atomically with a `change` of the lease. Throws {@link LostFence} if another process holds it. */
  write(writes: FenceWrite<T>): Promise<void>;
  /** Keeps the lease through long work: call it now and then. */
  renew(): Promise<void>;
}

/**
 * Does work under a lease. A process that has lost it may have read values that another was replacing: an error from
 * that is reported as {@link LostFence}.
 */
export async function workUnder<T extends Fenced>(fence: Fence<T>, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof LostFence || error instanceof StorageUnavailable)) await fence.write({});
    throw error;
  }
}

/** A write under a lease, with changes of the lease itself, and additional checks. */
export interface FenceWrite<T> {
  checks?: Write["checks"];
  sets?: [Key, unknown][];
  deletes?: Key[];
  change?: Partial<T>;
}

/** What taking a lease needs. */
export interface FenceOptions<T extends Fenced> {
  store: Store;
  key: Key;
  /** Its value before it was ever held. */
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

/**
 * Prepares the lease, which is held from the first write on; `undefined` if another process holds it, or if one with a
 * newer fold version has settled.
 */
export async function takeFence<T extends Fenced>(
  { store, key, empty, owner, clock, newId, foldVersion, force }: FenceOptions<T>,
): Promise<Fence<T> | undefined> {
  const entry = await store.get<T>(key);
  let value = entry.value ?? empty;
  let stamp = entry.stamp;
  if (value.fold > foldVersion) return undefined;
  // No lease ends later than `LEASE_MS` from now: one that does was written by a process whose clock was wrong.
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
      // It may have been written: the lease tells.
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
