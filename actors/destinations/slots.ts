/** Requests under way at once: each destination has its share, and one slot that no other can take. */

/** Bounds of concurrency. */
export const SLOT_LIMITS = {
  /** Requests of all destinations of a process. */
  requestsAtOnce: 64,
  /** Requests of one destination. */
  requestsPerDestination: 8,
};
export type SlotLimits = typeof SLOT_LIMITS;

/** The slots of a process. */
export type Slots = ReturnType<typeof createSlots>;

interface Share {
  taken: number;
  /** How many it may have now: it grows with success and halves with failure. */
  width: number;
}

/** Creates slots. */
export function createSlots(limits: SlotLimits) {
  const shares = new Map<string, Share>();
  const waiting = new Set<() => void>();
  let taken = 0;

  /** Slots that are kept for destinations that have none. */
  function reserved(except: string): number {
    let count = 0;
    for (const [id, share] of shares) if (id !== except && share.taken === 0) count++;
    return count;
  }

  function shareOf(id: string): Share {
    let share = shares.get(id);
    if (share === undefined) shares.set(id, share = { taken: 0, width: limits.requestsPerDestination });
    return share;
  }

  return {
    /** Takes part in the sharing. */
    join: (id: string) => void shareOf(id),
    leave: (id: string) => void shares.delete(id),
    /** Takes a slot if there is one; otherwise `wake` is called when one may be free. */
    take(id: string, wake: () => void): boolean {
      const share = shareOf(id);
      const isFirst = share.taken === 0;
      const isFree = share.taken < share.width &&
        (taken + reserved(id) < limits.requestsAtOnce || (isFirst && taken < limits.requestsAtOnce));
      if (!isFree) {
        waiting.add(wake);
        return false;
      }
      share.taken++;
      taken++;
      return true;
    },
    /** Gives a slot back, with how the request went. */
    give(id: string, failed: boolean): void {
      const share = shareOf(id);
      share.taken = Math.max(0, share.taken - 1);
      taken--;
      share.width = failed
        ? Math.max(1, Math.floor(share.width / 2))
        : Math.min(limits.requestsPerDestination, share.width + 1);
      const awake = [...waiting];
      waiting.clear();
      for (const wake of awake) wake();
    },
    taken: () => taken,
  };
}
