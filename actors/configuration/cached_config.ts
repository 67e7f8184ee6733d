/**
 * A small value that every process holds in memory and that seldom changes. A mark in the store changes with it, and is
 * read so often that a change takes effect everywhere in 5 s, without a read per event.
 */
import type { Clock } from "../store/clock.ts";
import type { Key } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { createSerialQueue } from "../store/serial_queue.ts";

/** The value is refreshed after a response once it is this old, and before one once it is twice as old. */
const FRESH_MS = 2_000;

/** Watches a mark: calls `load` before the first use, and whenever the mark has changed. */
export function createCachedConfig(
  store: Store,
  { clock, mark, load }: { clock: Clock; mark: Key; load: () => Promise<void> },
) {
  let seen: string | null | undefined;
  let freshAt = -Infinity;
  let refreshing: Promise<void> | undefined;
  const inTurn = createSerialQueue();

  async function look(): Promise<void> {
    const began = clock.monotonic();
    const { stamp } = await store.get(mark);
    if (stamp !== seen) {
      await load();
      seen = stamp;
    }
    freshAt = began;
  }

  /** Queued after a running look, which may have begun before the change, and must not end after this one. */
  function refresh(): Promise<void> {
    const mine = inTurn(look).finally(() => {
      if (refreshing === mine) refreshing = undefined;
    });
    return refreshing = mine;
  }

  function refreshed(): Promise<void> {
    return refreshing ?? refresh();
  }

  return {
    /** Looks now. Use it after a change of one's own: a running look may have begun before it. */
    refresh,
    /** Resolves after a look; callers at the same time share one. */
    refreshed,
    /** `undefined` if the value is fresh. Refreshes it after the response when that is about to end. */
    fresh(): Promise<void> | undefined {
      const ageMs = clock.monotonic() - freshAt;
      if (ageMs <= FRESH_MS) return undefined;
      if (ageMs > 2 * FRESH_MS) return refreshed();
      // A failure now is reported later, when the value is older.
      refreshed().catch(() => {});
      return undefined;
    },
  };
}
