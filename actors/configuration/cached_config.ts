/**
 * Something small that every process holds in memory and that seldom changes: a mark in the store changes with it, and
 * is looked at often enough that a change holds everywhere in 5 s, without a read for each event.
 */
import type { Clock } from "../store/clock.ts";
import type { Key } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { createTurns } from "../store/serial_queue.ts";

/** What is known is looked at again behind an answer after this time, and before one after twice as long. */
const FRESH_MS = 2_000;

/** Watches a mark: `load` is called before the first use, and again whenever the mark was seen to have changed. */
export function createWatched(
  store: Store,
  { clock, mark, load }: { clock: Clock; mark: Key; load: () => Promise<void> },
) {
  let seen: string | null | undefined;
  let freshAt = -Infinity;
  let refreshing: Promise<void> | undefined;
  const inTurn = createTurns();

  async function look(): Promise<void> {
    const began = clock.monotonic();
    const { stamp } = await store.get(mark);
    if (stamp !== seen) {
      await load();
      seen = stamp;
    }
    freshAt = began;
  }

  /** After a look that is under way: that may have begun before what is to be seen, and must not end after this one. */
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
    /** Looks now: after a change of one's own, as a look that is under way may have begun before it. */
    refresh,
    /** Resolves when it was looked at; who asks at the same time shares the look. */
    refreshed,
    /** Nothing where what is known is fresh; looks behind the answer when that is about to end. */
    fresh(): Promise<void> | undefined {
      const ageMs = clock.monotonic() - freshAt;
      if (ageMs <= FRESH_MS) return undefined;
      if (ageMs > 2 * FRESH_MS) return refreshed();
      // What fails now fails louder when it is older.
      refreshed().catch(() => {});
      return undefined;
    },
  };
}
