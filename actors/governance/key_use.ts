/** When write keys were last used: kept in memory, written behind answers once in a while, the latest of all processes. */
import { forgetOldest } from "../../domain/limits/bounded_map.ts";
import { writeKeyKey, writeKeyUsedKey } from "../store/keys.ts";
import { tryUpdate } from "../store/conditional_update.ts";
import type { Entry, Store } from "../store/store.ts";

/** The id of the write key that the environment gives; it is not stored. */
export const DEFAULT_KEY_ID = "default";

/** A process stores the use of a key at most this often; the stored time is at most this old. */
export const USE_WRITTEN_MS = 30_000;

/** Keys whose use is remembered: more than can exist at once; beyond it the oldest are forgotten. */
export const MAX_USED_KEYS = 2_000;

/** Attempts at a write that other processes overtake; the next use tries again. */
const TRIES = 3;

interface Use {
  at: number;
  writtenAt: number;
  writing: Promise<void> | undefined;
}

/** The use of write keys. */
export interface KeyUse {
  /** Notes a use (ms since 1970). Costs one lookup in a map. */
  used(id: string, at: number): void;
  /** When each of these was last used, ms since 1970. */
  lastUsed(ids: readonly string[]): Promise<(number | undefined)[]>;
  /** How many keys are remembered. */
  size(): number;
  close(): Promise<void>;
}

/** Creates the use of write keys of a store. */
export function createKeyUse(store: Store): KeyUse {
  const uses = new Map<string, Use>();

  async function write(id: string, use: Use): Promise<void> {
    await tryUpdate(store, { tries: TRIES }, async () => {
      const keys = [writeKeyUsedKey(id), writeKeyKey(id)];
      const [entry, writeKey] = await store.getMany(keys) as [Entry<number>, Entry];
      const isLater = entry.value !== null && entry.value >= use.at;
      // Nothing is kept of a deleted key: it is gone here, or its stamp changes before this is written.
      const isGone = writeKey.stamp === null && id !== DEFAULT_KEY_ID;
      if (isLater || isGone) return { result: undefined };
      const checks = [entry, writeKey].map(({ key, stamp }) => ({ key, stamp }));
      return { result: undefined, write: { checks, sets: [[entry.key, use.at]] } };
    });
  }

  return {
    used(id, at) {
      let use = uses.get(id);
      if (use === undefined) {
        use = { at, writtenAt: -Infinity, writing: undefined };
        uses.set(id, use);
        forgetOldest(uses, MAX_USED_KEYS);
      }
      if (at > use.at) use.at = at;
      if (at - use.writtenAt < USE_WRITTEN_MS || use.writing !== undefined) return;
      const written = use;
      written.writtenAt = at;
      // A hint for people: if storage does not answer, the next use writes it.
      written.writing = write(id, written).catch(() => {}).finally(() => written.writing = undefined);
    },
    async lastUsed(ids) {
      const entries = await store.getMany<number>(ids.map(writeKeyUsedKey));
      return entries.map(({ value }, i) => {
        const own = uses.get(ids[i]!)?.at;
        return value === null ? own : Math.max(value, own ?? value);
      });
    },
    size: () => uses.size,
    async close() {
      await Promise.all([...uses.values()].map(({ writing }) => writing));
    },
  };
}
