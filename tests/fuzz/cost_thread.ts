/** Time of a thread as the system counts it: what other processes take meanwhile is no part of it. */

/** Ms that the first thread of a process was on a processor, or of this one by the clock where the system does not tell. */
export function threadMs(pid: number): number {
  try {
    return Number(Deno.readTextFileSync(`/proc/${pid}/task/${pid}/schedstat`).split(" ", 1)[0]) / 1e6;
  } catch {
    return performance.now(); // Not Linux.
  }
}
