/** The one loop of a conditional update: read, decide, write if nothing has changed since, and otherwise begin again. */
import type { Clock } from "./clock.ts";
import { NotServing, StorageFault, StorageUnavailable } from "./errors.ts";
import type { Store, Write } from "./store.ts";

/** The decision of an attempt: a result, and the write that makes it true. Without a write it is true already. */
export interface Attempt<T> {
  result: T;
  write?: Write;
}

/** A result that is true, and the stamp of the write if there was one. */
export interface Updated<T> {
  result: T;
  stamp: string | undefined;
}

/** How an update tries. */
export interface UpdateOptions {
  /** Attempts before it gives up. */
  tries: number;
  /** With a clock it pauses after a failed attempt, longer each time. */
  clock?: Clock;
}

/** Longest pause between two attempts: an interactive request must not wait for a second. */
const MAX_PAUSE_MS = 200;

/**
 * Attempts an update until its write is done; gives `undefined` after `tries` attempts that other processes overtook.
 * Use it for an update that can be skipped. `attempt` gets the number of failed attempts before it. On KV Connect a
 * write that was refused may be done: the next attempt must recognize that.
 */
export async function tryUpdate<T>(
  store: Pick<Store, "commit">,
  { tries, clock }: UpdateOptions,
  attempt: (failed: number) => Promise<Attempt<T>>,
): Promise<Updated<T> | undefined> {
  for (let failed = 0; failed < tries; failed++) {
    const { result, write } = await attempt(failed);
    if (write === undefined) return { result, stamp: undefined };
    const stamp = await store.commit(write);
    if (stamp !== null) return { result, stamp };
    if (failed + 1 < tries) await clock?.sleep(Math.min(2 ** failed, MAX_PAUSE_MS) * clock.random());
  }
  return undefined;
}

/**
 * Like {@link tryUpdate}, but throws {@link NotServing} if other processes keep changing `named`. With
 * `retriesUnanswered` a write without an answer counts as refused; if the last one was so, it throws {@link
 * StorageUnavailable}.
 */
export async function update<T>(
  store: Pick<Store, "commit">,
  options: UpdateOptions & { named: string; retriesUnanswered?: boolean },
  attempt: (failed: number) => Promise<Attempt<T>>,
): Promise<T> {
  let unanswered: StorageUnavailable | undefined;
  async function commit(write: Write): Promise<string | null> {
    unanswered = undefined;
    try {
      return await store.commit(write);
    } catch (error) {
      // Another attempt does not help if the disk is full.
      const isRetried = error instanceof StorageUnavailable && !(error instanceof StorageFault);
      if (!isRetried || !options.retriesUnanswered) throw error;
      unanswered = error;
      return null;
    }
  }
  const updated = await tryUpdate({ commit }, options, attempt);
  if (updated !== undefined) return updated.result;
  if (unanswered !== undefined) {
    throw new StorageUnavailable(`storage did not accept a change of ${options.named}`, 1, {
      cause: unanswered,
    });
  }
  throw new NotServing(`Other processes keep changing ${options.named}; retry.`, "contention");
}
