/** Write keys: kept as digests, held in memory, looked at again often enough that a change holds everywhere in 5 s. */
import { hash } from "node:crypto";
import { WRITE_KEYS, WRITE_KEYS_CHANGED, writeKeyKey } from "./keys.ts";
import type { Store } from "./store.ts";
import { StorageUnavailable, TooManyWriteKeys, type WriteKey, type WriteKeys } from "./system.ts";

/** What is kept of a key. */
type StoredKey = WriteKey & { digest: string };

/** Keys are looked at again behind an answer after this time, and before one after twice as long. */
const FRESH_MS = 2_000;

/** A change that another process gets ahead of is tried so often. */
const TRIES = 10;

/** All keys are in the memory of each process, and read again with each change: far more than there are senders. */
export const MAX_WRITE_KEYS = 1_000;

/** What write keys need. */
export interface WriteKeysOptions {
  store: Store;
  now(): number;
  newId(): string;
  /** Fills an array with random bytes. */
  randomBytes(bytes: Uint8Array): void;
}

/** Opens the write keys of a store. */
export async function openWriteKeys(options: WriteKeysOptions): Promise<WriteKeys> {
  const { store, now, newId } = options;
  let byDigest = new Map<string, StoredKey>();
  let changed: string | null | undefined;
  let freshAt = -Infinity;
  let refreshing: Promise<void> | undefined;

  async function refresh(): Promise<void> {
    const began = performance.now();
    const { stamp } = await store.get(WRITE_KEYS_CHANGED);
    if (stamp !== changed) {
      const keys = new Map<string, StoredKey>();
      for await (const { value } of store.list<StoredKey>({ prefix: WRITE_KEYS })) {
        keys.set(value!.digest, value!);
      }
      byDigest = keys;
      changed = stamp;
    }
    freshAt = began;
  }

  function refreshed(): Promise<void> {
    return refreshing ??= refresh().finally(() => refreshing = undefined);
  }

  /** Writes a key and the mark of change. `change` gets what is there; it gives what shall be, or `undefined` to leave it. */
  async function update(id: string, change: (there: StoredKey | null) => StoredKey | null | undefined) {
    for (let tries = 0; tries < TRIES; tries++) {
      const entry = await store.get<StoredKey>(writeKeyKey(id));
      const mark = await store.get(WRITE_KEYS_CHANGED);
      const next = change(entry.value);
      if (next === undefined) return entry.value;
      const written = await store.commit({
        checks: [{ key: entry.key, stamp: entry.stamp }, { key: mark.key, stamp: mark.stamp }],
        sets: [
          [WRITE_KEYS_CHANGED, newId()],
          ...(next === null ? [] : [[entry.key, next] as [typeof entry.key, StoredKey]]),
        ],
        deletes: next === null ? [entry.key] : [],
      });
      if (written === null) continue;
      // Not `refreshed`: a read under way may have begun before the write.
      await refresh();
      return next ?? entry.value;
    }
    throw new StorageUnavailable("write keys are being changed by another process too often");
  }

  await refresh();
  return {
    find(digestHex) {
      const ageMs = performance.now() - freshAt;
      if (ageMs <= FRESH_MS) return publicOf(byDigest.get(digestHex));
      if (ageMs <= 2 * FRESH_MS) {
        // Behind the answer: what fails now fails louder when the keys are older.
        refreshed().catch(() => {});
        return publicOf(byDigest.get(digestHex));
      }
      return refreshed().then(() => publicOf(byDigest.get(digestHex)));
    },
    async list() {
      await refreshed();
      const keys = [...byDigest.values()].map((key) => publicOf(key)!);
      return keys.sort((a, b) =>
        a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : a.id < b.id ? -1 : 1
      );
    },
    async create({ name, allowedTypes, enabled = true }) {
      await refreshed();
      if (byDigest.size >= MAX_WRITE_KEYS) {
        throw new TooManyWriteKeys(`there are ${MAX_WRITE_KEYS} write keys`);
      }
      const key = newWriteKey(options.randomBytes);
      const stored: StoredKey = {
        id: newId(),
        name,
        ...(allowedTypes === undefined ? {} : { allowedTypes }),
        enabled,
        createdAt: new Date(now()).toISOString(),
        digest: hash("sha256", key, "hex"),
      };
      await update(stored.id, () => stored);
      return { key, writeKey: publicOf(stored)! };
    },
    async change(id, patch) {
      const changed = await update(id, (there) => {
        if (there === null) return undefined;
        const { allowedTypes: old, ...rest } = there;
        const allowedTypes = patch.allowedTypes === undefined ? old : patch.allowedTypes ?? undefined;
        return {
          ...rest,
          ...(patch.name === undefined ? {} : { name: patch.name }),
          ...(patch.enabled === undefined ? {} : { enabled: patch.enabled }),
          ...(allowedTypes === undefined ? {} : { allowedTypes }),
        };
      });
      return publicOf(changed ?? undefined);
    },
    async remove(id) {
      // Where storage denied a write that it did, it is gone at the second look: it was there at the first.
      let wasThere = false;
      await update(id, (there) => {
        if (there === null) return undefined;
        wasThere = true;
        return null;
      });
      return wasThere;
    },
  };
}

function publicOf(key: StoredKey | undefined): WriteKey | undefined {
  if (key === undefined) return undefined;
  const { digest: _, ...rest } = key;
  return rest;
}

const LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789";

/** A write key: `c` and 24 of a-z0-9, some 124 bits; one client of the family insists on the shape. */
export function newWriteKey(randomBytes: (bytes: Uint8Array) => void): string {
  let key = "c";
  const bytes = new Uint8Array(64);
  while (key.length < 25) {
    randomBytes(bytes);
    // Bytes beyond the largest multiple of 36 would favour some letters.
    for (const byte of bytes) if (byte < 252 && key.length < 25) key += LETTERS[byte % 36];
  }
  return key;
}
