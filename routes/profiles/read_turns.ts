/** Bounds how many reads run at once, by the memory and time that they may take. */
import type { Outcome } from "../handler/handle.ts";
import type { Problem } from "../http/problem.ts";
import type { Semaphore } from "../body/semaphore.ts";

/**
 * Reads in progress; others wait in line. An answer can be some MB of JSON, and take twenty times as much memory, and
 * anybody with a write key can make it so.
 */
export const READS_AT_ONCE = 16;

/** Longest time of a read in line: a few large profiles before it take the thread for seconds, and then it is its turn. */
export const READ_WAIT_MS = 30_000;

/** A profile is 3.5 MiB of JSON at the most, and 80 MB of memory if it is of nothing but `{}`: so it counts as three. */
export const PROFILE_WEIGHT = 3;

/** A past folds a log again, so few are in progress: each counts as this many reads. */
export const PAST_WEIGHT = 4;

/** Reads when it is its turn. */
export async function inTurn(
  reads: Semaphore,
  weight: number,
  read: () => Promise<Outcome>,
): Promise<Outcome> {
  const entered = reads.enter(weight);
  if (entered !== true && !await entered) return TOO_MANY_READS;
  try {
    return await read();
  } finally {
    reads.leave(weight);
  }
}

const TOO_MANY_READS: Problem = {
  reason: "unavailable",
  code: "overloaded",
  detail: "Too many reads are waiting.",
  retryAfterS: 1,
};
