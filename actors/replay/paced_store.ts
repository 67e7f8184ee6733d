/** A store for long work in a server: it rests between its calls, so that requests and commits are served first. */
import type { Clock } from "../store/clock.ts";
import type { Store } from "../store/store.ts";

/** Bounds of work that must not be noticed. */
export const PACE_LIMITS = {
  /** Work of so many ms is followed by a rest: some commits take as long. */
  pacedWorkMs: 10,
};
export type PaceLimits = typeof PACE_LIMITS;

/** A rest is so many times as long as the work was; the busier the server is, the longer that takes. */
const REST_FACTOR = 3;

/** The longest rest in ms: a lease lasts 5 s. */
const MAX_REST_MS = 1_000;

/** The same store, with rests. All calls of one piece of work share them. */
export function pacedStore(store: Store, { clock, limits }: { clock: Clock; limits: PaceLimits }): Store {
  let sinceMs = clock.monotonic();
  let resting: Promise<void> | undefined;

  async function rest(): Promise<void> {
    const workedMs = clock.monotonic() - sinceMs;
    if (resting === undefined && workedMs < limits.pacedWorkMs) return;
    resting ??= clock.sleep(Math.min(workedMs * REST_FACTOR, MAX_REST_MS)).finally(() => {
      sinceMs = clock.monotonic();
      resting = undefined;
    });
    await resting;
  }

  async function paced<T>(call: () => Promise<T>): Promise<T> {
    const result = await call();
    await rest();
    return result;
  }

  return {
    get: (key) => paced(() => store.get(key)),
    getMany: (keys) => paced(() => store.getMany(keys)),
    scan: (range, limit, take) => paced(() => store.scan(range, limit, take)),
    commit: (write) => paced(() => store.commit(write)),
    async *list(range, options) {
      for await (const entry of store.list(range, options)) {
        // What is done with an entry is work too: it is done when the next is asked for.
        yield entry as never;
        await rest();
      }
    },
    close: store.close,
  };
}
