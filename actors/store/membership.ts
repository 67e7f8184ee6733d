/** Which other processes commit: they announce themselves, so that a winner leaves the others their turn. */
import type { Clock } from "./clock.ts";
import { PROCESSES, processKey } from "./keys.ts";
import type { Store } from "./store.ts";
import { withTimeout } from "./timeout.ts";

/** A process that commits announces itself this often, and counts as gone after three times as long. */
const BEAT_MS = 3_000;

/** A process that stops waits this long for the deletion of its announcement. */
const CLOSE_MS = 1_000;

/** The value of a process's key. */
interface Beat {
  id: string;
  at: number;
}

/** Announces a process and knows of others. */
export function createProcesses(store: Store, { id, clock }: { id: string; clock: Clock }) {
  let others = false;
  let beatAt = -Infinity;
  let beating: Promise<void> | undefined;

  async function beat(): Promise<void> {
    const mine = await store.get<Beat>(processKey(id));
    // Each write checks the key that it changes: a late one fails.
    await store.commit({
      checks: [{ key: mine.key, stamp: mine.stamp }],
      sets: [[mine.key, { id, at: clock.now() }]],
    });
    let found = false;
    for await (const { key, value, stamp } of store.list<Beat>({ prefix: PROCESSES })) {
      if (value!.id === id) continue;
      if (Math.abs(clock.now() - value!.at) < 3 * BEAT_MS) found = true;
      else if (clock.now() - value!.at > 100 * BEAT_MS) {
        await store.commit({ checks: [{ key, stamp }], sets: [], deletes: [key] });
      }
    }
    others = found;
  }

  return {
    /** Whether others were about when last seen. */
    others: () => others,
    /** Announces this process if it is time. Call it while committing. */
    announce(): void {
      if (clock.monotonic() - beatAt < BEAT_MS) return;
      beatAt = clock.monotonic();
      // A hint: without it commits are as exact, only less fair.
      beating = beat().catch(() => {});
    },
    /** Takes the announcement back, as far as storage answers: it would be out of date soon anyway. */
    async close(): Promise<void> {
      if (beatAt === -Infinity) return;
      const takeBack = async () => {
        await beating;
        const mine = await store.get<Beat>(processKey(id));
        if (mine.stamp === null) return;
        await store.commit({ checks: [{ key: mine.key, stamp: mine.stamp }], sets: [], deletes: [mine.key] });
      };
      await withTimeout(takeBack().catch(() => {}), { clock, ms: CLOSE_MS, onTimeout() {} });
    },
  };
}
