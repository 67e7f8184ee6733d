/** Whether storage takes writes, for `/readyz`: a disk that is full, and a file that is read-only, still answer reads. */
import type { Clock } from "./clock.ts";
import { PROBE } from "./keys.ts";
import type { Store } from "./store.ts";

/** Callers within this time share one write, since the route needs no credential. */
const PROBE_MS = 1_000;

/** Creates the probe: it resolves if storage accepts a small write, and throws the error of the store. */
export function createProbe(
  store: Store,
  { clock, newId }: { clock: Clock; newId(): string },
): () => Promise<void> {
  let probing: Promise<void> | undefined;
  let atMs = -Infinity;

  async function probe(): Promise<void> {
    const { stamp } = await store.get(PROBE);
    // If another process probes at the same time, one of the two has written.
    await store.commit({ checks: [{ key: PROBE, stamp }], sets: [[PROBE, newId()]] });
  }

  return function shared() {
    if (probing === undefined || clock.monotonic() - atMs > PROBE_MS) {
      atMs = clock.monotonic();
      probing = probe();
    }
    return probing;
  };
}
