/** The pace of looking at the journal, at orders and at what is due. */
import type { Clock } from "../store/clock.ts";
import type { ForwardLimits } from "../delivery/work.ts";

/** Without destinations a process looks for some so often. */
const LOOK_IDLE_MS = 2_000;

/** Looks again and again, and soon after somebody knows that there is something new. */
export function createLooker(
  { look, clock, limits, hasDestinations }: {
    look(): Promise<void>;
    clock: Clock;
    limits: ForwardLimits;
    hasDestinations(): boolean;
  },
) {
  let isClosed = false;
  let isAwake = false;
  let nudge: PromiseWithResolvers<void> | undefined;

  async function loop(): Promise<void> {
    while (!isClosed) {
      isAwake = false;
      // Storage that does not answer is reported by who needs it; the next look may find it again.
      await look().catch(() => {});
      if (isClosed || isAwake) continue;
      nudge = Promise.withResolvers();
      const stop = clock.timer(hasDestinations() ? limits.lookMs : LOOK_IDLE_MS, nudge.resolve);
      await nudge.promise;
      stop();
      nudge = undefined;
    }
  }

  return {
    start: () => void loop(),
    wake() {
      // Without destinations nobody waits for events.
      if (!hasDestinations()) return;
      isAwake = true;
      nudge?.resolve();
    },
    close() {
      isClosed = true;
      nudge?.resolve();
    },
  };
}
