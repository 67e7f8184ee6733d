/**
 * Tells other processes whether this one has listeners: it changes one key every {@link BEAT_MS}, and the others read
 * that key now and then. Clocks of two machines are never compared.
 */
import type { Clock } from "../store/clock.ts";
import { LISTENING } from "../store/keys.ts";
import { tryUpdate } from "../store/conditional_update.ts";
import type { Entry, Store } from "../store/store.ts";

/** Interval at which a process with listeners changes the key. */
export const BEAT_MS = 2_000;

/** Attempts at a change of the key that other processes overtake. */
const BEAT_TRIES = 5;

/** Somebody listens if the key has changed within this time: one beat and one read may be late. */
export const LISTENED_MS = 6_000;

/** The value of the key: the process that changed it last. */
interface Beat {
  by: string;
}

/** What a process knows of the listeners of others. */
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
    /**
     * Tells that this process listens. If two processes do so at once, the second retries, since the first must see its
     * beat.
     */
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
