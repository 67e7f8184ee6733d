/** A requested replay as it is stored, and the claim of the process that works on it. */
import type { Clock } from "../store/clock.ts";
import { REPLAYS } from "../store/keys.ts";
import type { Entry, Store } from "../store/store.ts";
import type { Outcome } from "./run.ts";

/** The request: everything if there is no scope. */
export interface ReplayRequest {
  /** An actor, as `user/ID`. */
  scope: string | null;
  /** Only compare. */
  verify: boolean;
}

/** A replay, waiting, running, or over. A stored format. */
export interface Replay extends ReplayRequest, Partial<Outcome> {
  id: string;
  state: "waiting" | "running" | "done" | "failed";
  /** When it was requested, last begun, and finished (ms). */
  requestedAt: number;
  startedAt?: number;
  finishedAt?: number;
  /** While a full one runs: how many events there are. */
  totalEvents?: number | undefined;
  /** Why it failed, or why its last try ended early. */
  error?: string | undefined;
  /** How often it was begun, by which process, and until when (ms) others leave it to that one. */
  tries: number;
  owner: string;
  until: number;
}

/** Interval at which a process reports that it is alive, and the time for which others leave its replay to it. */
export const BEAT_MS = 2_000;
export const LEASE_MS = 15_000;

/** All replays that are kept, newest first. */
export async function entriesIn(store: Store): Promise<Entry<Replay>[]> {
  return await Array.fromAsync(store.list<Replay>({ prefix: REPLAYS }, { reverse: true }));
}

/** Whether nothing is left to do. */
export function isOver({ state }: Replay): boolean {
  return state === "done" || state === "failed";
}

/** The end of a replay. */
export function over(
  state: "done" | "failed",
  finishedAt: number,
  rest: Partial<Replay>,
): Partial<Replay> & Pick<Replay, "state"> {
  return { ...rest, state, finishedAt, until: 0 };
}

/** A replay that this process works on until another has taken it. */
export type Claim = ReturnType<typeof createClaim>;

/** Claims a replay by its first write, which checks that no other process has claimed it. */
export function createClaim(
  entry: Entry<Replay> & { value: Replay },
  { store, clock, owner }: { store: Store; clock: Clock; owner: string },
) {
  let { value, stamp } = entry;
  let isLost = false;
  return {
    value: () => value,
    /** Whether another has it now, or it was deleted. */
    isLost: () => isLost,
    /** Changes it; false if the claim is lost. */
    async write(change: Partial<Replay>): Promise<boolean> {
      const next: Replay = { ...value, owner, until: clock.now() + LEASE_MS, ...change };
      const { key } = entry;
      let written = await store.commit({ checks: [{ key, stamp }], sets: [[key, next]] });
      if (written === null) {
        // The write may have been done.
        const there = await store.get<Replay>(key);
        const isMine = there.value?.owner === owner && there.value.until === next.until &&
          there.value.tries === next.tries;
        written = isMine ? there.stamp : null;
      }
      isLost = written === null;
      if (!isLost) [value, stamp] = [next, written];
      return !isLost;
    },
  };
}
