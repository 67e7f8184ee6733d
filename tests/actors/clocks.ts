/** Clocks for tests. */
import { type Clock, systemClock } from "../../actors/store/clock.ts";

/** A clock that tells the time of day that it is told; waiting goes by the real clock. */
export function clockAt(now: () => number): Clock {
  return { ...systemClock, now };
}
