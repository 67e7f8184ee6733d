/**
 * Lanes: each process has some slots for commits, each with a key of its own that only it sets. A commit checks the key's
 * stamp and sets it to the attempt's id: so a repeated or late write fails, and the key tells what became of an attempt
 * whose answer was lost, or was a false "not written".
 */
import type { Clock } from "../store/clock.ts";
import { StorageFault, StorageUnavailable } from "../store/errors.ts";
import type { Key } from "../store/keys.ts";
import type { Store, Write } from "../store/store.ts";

/** A slot of a process for one commit at a time. */
export interface Lane {
  readonly key: Key;
  /** The stamp that the key has, as far as this process knows. */
  stamp: string;
  /** Resolves when the commit under way is decided; `undefined` if the lane is free. */
  busy: PromiseWithResolvers<void> | undefined;
}

/** Thrown if the lane is gone: another process took this one for dead. Nothing that it writes in its lanes lands any more. */
export class Evicted extends StorageUnavailable {
  override name = "Evicted";
}

/** What writing in a lane needs. */
export interface LaneOptions {
  store: Store;
  clock: Clock;
  newId(): string;
  /** Whether this process is closing: then it no longer waits for storage. */
  isClosed(): boolean;
}

/** Longest pause between two looks at a lane while storage does not answer, in ms. */
const MAX_PAUSE_MS = 1_000;

/**
 * Writes once, in a lane, and gives the stamp of the write; `undefined` if it was not written, and never will be. Waits
 * until one of the two is known. Throws {@link Evicted}, and {@link StorageFault} if storage refused.
 */
export async function writeInLane(
  options: LaneOptions,
  lane: Lane,
  { attempt, write }: { attempt: string; write: Write },
): Promise<string | undefined> {
  try {
    const stamp = await options.store.commit({
      ...write,
      checks: [{ key: lane.key, stamp: lane.stamp }, ...write.checks],
      sets: [[lane.key, attempt], ...write.sets],
    });
    if (stamp !== null) return lane.stamp = stamp;
  } catch (error) {
    if (!(error instanceof StorageUnavailable) || error instanceof StorageFault) throw error;
  }
  return await outcomeOf(options, lane, attempt);
}

/** What became of an attempt: the lane tells; it is overwritten until it has moved, after which the attempt can't land. */
async function outcomeOf(
  { store, clock, newId, isClosed }: LaneOptions,
  lane: Lane,
  attempt: string,
): Promise<string | undefined> {
  for (let tries = 0;; tries++) {
    try {
      const there = await store.get<string>(lane.key);
      if (there.stamp === null) throw new Evicted("another process has evicted this one");
      if (there.value === attempt) return lane.stamp = there.stamp;
      // An older overwrite has landed.
      if (there.stamp !== lane.stamp) return void (lane.stamp = there.stamp);
      const stamp = await store.commit({
        checks: [{ key: lane.key, stamp: lane.stamp }],
        sets: [[lane.key, newId()]],
      });
      if (stamp !== null) return void (lane.stamp = stamp);
    } catch (error) {
      if (error instanceof Evicted || !(error instanceof StorageUnavailable) || isClosed()) throw error;
    }
    await clock.sleep(Math.min(2 ** tries, MAX_PAUSE_MS) * clock.random());
  }
}
