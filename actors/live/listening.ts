/**
 * Whether a process has listeners, for the other processes: it moves one key every {@link BEAT_MS}, and the others look at
 * that key now and then. Clocks of two machines are never compared.
 */
import type { Clock } from "../store/clock.ts";
import { LISTENING } from "../store/keys.ts";
import { tryUpdate } from "../store/conditional_update.ts";
import type { Entry, Store } from "../store/store.ts";

/** A process with listeners says so this often. */
export const BEAT_MS = 2_000;

/** A process retries so often if another one says the same at the same time. */
const BEAT_TRIES = 5;

/** Somebody listens as long as the key has moved within this time: a beat and a look may each be late once. */
export const LISTENED_MS = 6_000;

/** What stands under the key: the process that moved it last. */
interface Beat {
  by: string;
}

/** What one process knows of the listeners of others. */
export function createListening(
  { store, id, clock, listenedMs }: { store: Store; id: string; clock: Clock; listenedMs: number },
) {
  let known: string | null = null;
  let heardMs = -Infinity;

  function notice({ value, stamp }: Entry<Beat>): void {
    if (stamp === known) return;
    known = stamp;
    if (value !== null && value.by !== id) heardMs = clock.monotonic();
  }

  return {
    /** Before the first beat it reads no clock, which would be most of the cost of asking. */
    isElsewhere: () => heardMs > -Infinity && clock.monotonic() - heardMs < listenedMs,
    async look(): Promise<void> {
      notice(await store.get<Beat>(LISTENING));
      if (clock.monotonic() - heardMs >= listenedMs) heardMs = -Infinity;
    },
    /** Says that this process listens. Of two that say so at once the second says it again, or the first never knew of it. */
    async beat(): Promise<void> {
      const updated = await tryUpdate(store, { tries: BEAT_TRIES }, async () => {
        const entry = await store.get<Beat>(LISTENING);
        notice(entry);
        const checks = [{ key: LISTENING, stamp: entry.stamp }];
        return { result: undefined, write: { checks, sets: [[LISTENING, { by: id }]] } };
      });
      if (updated?.stamp !== undefined) known = updated.stamp;
    },
  };
}
