/** Writes gathered into operations, as many in one as KV takes. */
import { type Key, keyBytes } from "./keys.ts";
import type { Range, Store } from "./store.ts";

/**
 * Bounds of the writes that are collected into one operation. Writes that must be together may exceed them, up to the
 * limits of KV (1,000 mutations, 800 KiB).
 */
export const BATCH_LIMITS = {
  writeBytes: 500_000,
  writeMutations: 800,
};
export type BatchLimits = typeof BATCH_LIMITS;

/** The same of keys, of which KV takes 80 KiB. */
const WRITE_KEY_BYTES = 50_000;

/** Keys that are read at once to be deleted: their values come along, of up to 64 KiB. */
const DELETED_AT_ONCE = 200;

/** Writes to be done in one atomic operation. */
export interface Writes {
  sets: [Key, unknown][];
  deletes: Key[];
}

/** About how much of an operation writes take. */
export interface Size {
  mutations: number;
  bytes: number;
  keyBytes: number;
}

/** Writes that are gathered. */
export interface Operations {
  /**
   * Adds writes that must be in one operation; `size` if it is known. Earlier writes are written first if there is no
   * room for both.
   */
  add(writes: Writes, size?: Size): Promise<void>;
  /** Writes the rest. */
  flush(): Promise<void>;
}

/** Begins to gather for `write`, which is called with one operation after the other. */
export function createOperations(
  write: (writes: Writes) => Promise<void>,
  limits: BatchLimits,
): Operations {
  let batch: Writes = { sets: [], deletes: [] };
  let total: Size = { mutations: 0, bytes: 0, keyBytes: 0 };
  async function flush(): Promise<void> {
    const full = batch;
    const isEmpty = total.mutations === 0;
    batch = { sets: [], deletes: [] };
    total = { mutations: 0, bytes: 0, keyBytes: 0 };
    if (!isEmpty) await write(full);
  }
  return {
    async add(writes, size = sizeOf(writes)) {
      if (!fits(joined(total, size), limits)) await flush();
      batch.sets.push(...writes.sets);
      batch.deletes.push(...writes.deletes);
      total = joined(total, size);
    },
    flush,
  };
}

/** Deletes all keys of a range, by `write`. */
export async function deleteRange(
  { store, write, limits }: { store: Store; write(writes: Writes): Promise<void>; limits: BatchLimits },
  range: Range,
): Promise<void> {
  const operations = createOperations(write, limits);
  for await (const { key } of store.list(range, { batchSize: DELETED_AT_ONCE })) {
    await operations.add({ sets: [], deletes: [key] });
  }
  await operations.flush();
}

/** Whether an operation has room for this size. */
export function fits({ mutations, bytes, keyBytes }: Size, limits: BatchLimits): boolean {
  return bytes <= limits.writeBytes && keyBytes <= WRITE_KEY_BYTES && mutations <= limits.writeMutations;
}

/** The size of writes; a value that is not bytes counts as a small one. */
export function sizeOf({ sets, deletes }: Writes): Size {
  let bytes = 0;
  let ofKeys = 0;
  const add = (key: Key) => ofKeys += keyBytes(key);
  for (const [key, value] of sets) {
    add(key);
    bytes += 100 + (value instanceof Uint8Array ? value.length : 200);
  }
  for (const key of deletes) add(key);
  return { mutations: sets.length + deletes.length, bytes: bytes + 2 * ofKeys, keyBytes: ofKeys };
}

function joined(a: Size, b: Size): Size {
  return {
    mutations: a.mutations + b.mutations,
    bytes: a.bytes + b.bytes,
    keyBytes: a.keyBytes + b.keyBytes,
  };
}
