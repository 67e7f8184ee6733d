/** A limit on the wait for a promise. The work itself continues; only the wait ends. */
import type { Clock } from "./clock.ts";

/** The time to wait, and what happens then: `onTimeout` gives the result, or throws. */
export interface Timeout<L> {
  clock: Clock;
  ms: number;
  onTimeout(): L;
}

/** Waits for a promise, at most `ms`. */
export async function withTimeout<T, L>(
  work: Promise<T>,
  { clock, ms, onTimeout }: Timeout<L>,
): Promise<T | L> {
  const late = Promise.withResolvers<void>();
  const cancel = clock.timer(ms, late.resolve);
  try {
    return await Promise.race([work, late.promise.then(onTimeout)]);
  } finally {
    cancel();
  }
}
