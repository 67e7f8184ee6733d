/** Whether a process's memory stays where it is. */

/** A look at the resident memory of a process. */
export interface Sample {
  /** Since the load began. */
  seconds: number;
  megabytes: number;
}

/** Growth over the second half that is still none: what garbage that is not collected yet makes of a sample. */
const SHARE = 0.05;
const MEGABYTES = 10;

/** What the samples say. */
export interface MemoryVerdict {
  /** Slope of the least-squares line through the second half. */
  megabytesPerMinute: number;
  /** What that line grows over the second half, and what it may. */
  growth: number;
  allowed: number;
  flat: boolean;
}

/**
 * Judges the second half of a run, by the line of least squares through its samples: flat where the line grows by no more
 * than {@link SHARE} of their mean, or {@link MEGABYTES}, whichever is more. A leak of a kilobyte for each of 400 events a
 * second is 24 MB a minute. Needs at least three samples in the second half.
 */
export function judgeMemory(samples: readonly Sample[]): MemoryVerdict {
  const endS = samples.at(-1)?.seconds ?? 0;
  const half = samples.filter(({ seconds }) => seconds >= endS / 2);
  if (half.length < 3) {
    throw new RangeError(`memory needs 3 samples in the second half, found ${half.length}`);
  }
  const meanS = half.reduce((sum, { seconds }) => sum + seconds, 0) / half.length;
  const mean = half.reduce((sum, { megabytes }) => sum + megabytes, 0) / half.length;
  let above = 0;
  let below = 0;
  for (const { seconds, megabytes } of half) {
    above += (seconds - meanS) * (megabytes - mean);
    below += (seconds - meanS) ** 2;
  }
  const slope = above / below;
  const growth = slope * (half.at(-1)!.seconds - half[0]!.seconds);
  const allowed = Math.max(MEGABYTES, mean * SHARE);
  return { megabytesPerMinute: slope * 60, growth, allowed, flat: growth <= allowed };
}
