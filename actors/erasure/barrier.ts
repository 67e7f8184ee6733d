/**
 * The barrier of an erasure: it waits until every process that commits knows the suppression. After that nobody commits
 * an event of the person, so what the journal has by then is all that has to be erased.
 */
import { EVICTED_AT_ONCE, evictionOf, type LaneLimits, membersBeside } from "../lanes/membership.ts";
import type { Settled } from "../journal/journal_state.ts";
import type { Clock } from "../store/clock.ts";
import { ROSTER } from "../store/keys.ts";
import type { Fence } from "../store/lease.ts";
import type { Store } from "../store/store.ts";

/** Time between two looks, and after which settling goes on meanwhile. */
const LOOK_MS = 100;
const WAIT_MS = 1_000;

interface BarrierOptions {
  store: Store;
  clock: Clock;
  newId(): string;
  limits: LaneLimits;
}

/** Creates the barrier: true if all processes know the suppressions of so many requests; those that are dead are evicted. */
export function createBarrier() {
  const heard = new Map<string, { stamp: string | null; sinceMs: number }>();
  return async function allKnow(
    fence: Fence<Settled>,
    options: BarrierOptions,
    no: number,
  ): Promise<boolean> {
    const { store, clock, newId } = options;
    const until = clock.monotonic() + WAIT_MS;
    for (;;) {
      const { stamp: roster } = await store.get(ROSTER);
      const { others } = await membersBeside(options, { heard });
      const ignorant = others.filter(({ beat }) => (beat?.erasures ?? 0) < no);
      if (ignorant.length === 0) return true;
      const dead = ignorant.filter(({ isStale }) => isStale).slice(0, EVICTED_AT_ONCE);
      if (dead.length > 0) {
        await fence.write(evictionOf(dead, { roster, mark: newId() }));
        continue;
      }
      if (clock.monotonic() >= until) return false;
      await clock.sleep(LOOK_MS);
      await fence.renew();
    }
  };
}
