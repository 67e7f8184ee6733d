/** Which other processes commit: they announce themselves, so that a winner leaves the others their turn. */
import { PROCESSES, processKey } from "./keys.ts";
import { sleep, type Store } from "./store.ts";

/** A process that commits announces itself this often, and counts as gone after three times as long. */
const BEAT_MS = 3_000;

/** What stands under a process's key. */
interface Beat {
  id: string;
  at: number;
}

/** Announces a process and knows of others. */
export function createProcesses(store: Store, { id, now }: { id: string; now(): number }) {
  let others = false;
  let beatAt = -Infinity;
  let beating: Promise<void> | undefined;

  async function beat(): Promise<void> {
    const mine = await store.get<Beat>(processKey(id));
    // Each write checks the key that it changes: a late one fails.
    await store.commit({
      checks: [{ key: mine.key, stamp: mine.stamp }],
      sets: [[mine.key, { id, at: now() }]],
    });
    let found = false;
    for await (const { key, value, stamp } of store.list<Beat>({ prefix: PROCESSES })) {
      if (value!.id === id) continue;
      if (Math.abs(now() - value!.at) < 3 * BEAT_MS) found = true;
      else if (now() - value!.at > 100 * BEAT_MS) {
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
      if (performance.now() - beatAt < BEAT_MS) return;
      beatAt = performance.now();
      // A hint: without it commits are as exact, only less fair.
      beating = beat().catch(() => {});
    },
    /** Takes the announcement back. */
    async close(): Promise<void> {
      await beating;
      if (beatAt === -Infinity) return;
      const mine = await Promise.race([store.get<Beat>(processKey(id)), sleep(1_000)]);
      if (mine?.stamp) {
        await store.commit({ checks: [{ key: mine.key, stamp: mine.stamp }], sets: [], deletes: [mine.key] });
      }
    },
  };
}
