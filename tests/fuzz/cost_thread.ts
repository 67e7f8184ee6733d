/** Time of a thread as the system counts it: what other processes take meanwhile is no part of it. */
import { sleep } from "../process/server.ts";

/** Time of a thread, in ms. */
export interface ThreadTime {
  /** On a processor. */
  ranMs: number;
  /** Ready to run while other threads had the processors. */
  waitedMs: number;
}

/** Time of the first thread of a process, or by the clock where the system does not tell. */
export function threadTime(pid: number): ThreadTime {
  try {
    const [ran, waited] = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/schedstat`).split(" ");
    return { ranMs: Number(ran) / 1e6, waitedMs: Number(waited) / 1e6 };
  } catch {
    return { ranMs: performance.now(), waitedMs: 0 }; // Not Linux.
  }
}

/** Ms that the first thread of a process was on a processor. */
export function threadMs(pid: number): number {
  return threadTime(pid).ranMs;
}

/** What {@link measured} gives. */
export interface Measured<T> extends ThreadTime {
  result: T;
  /** How long it took, in ms. */
  tookMs: number;
}

/** Does some work, and measures how long it takes and what a process's first thread does meanwhile. */
export async function measured<T>({ pid }: { pid: number }, work: () => Promise<T>): Promise<Measured<T>> {
  const [before, beganMs] = [threadTime(pid), performance.now()];
  const result = await work();
  const after = threadTime(pid);
  return {
    result,
    tookMs: performance.now() - beganMs,
    ranMs: after.ranMs - before.ranMs,
    waitedMs: after.waitedMs - before.waitedMs,
  };
}

/** Waits until a flood's remaining work is done, so that it does not count as the next one's; 20 s at most. */
export async function quiet(server: { pid: number }): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const { ranMs, tookMs } = await measured(server, () => sleep(200));
    if (ranMs < tookMs * 0.2) return;
  }
}
