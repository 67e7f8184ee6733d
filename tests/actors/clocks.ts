/** Clocks for tests. */
import { type Clock, systemClock } from "../../actors/store/clock.ts";

/** A clock that tells the time of day that it is told; waiting goes by the real clock. */
export function clockAt(now: () => number): Clock {
  return { ...systemClock, now };
}

/** A clock by which no time passes but what a test adds, however slow the machine is; waiting goes by the real one. */
export function stillClock(): { clock: Clock; add(ms: number): void } {
  let monotonicMs = 0;
  return {
    clock: { ...systemClock, monotonic: () => monotonicMs },
    add: (ms) => void (monotonicMs += ms),
  };
}
