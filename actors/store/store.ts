/** Deno KV, as the rest of signalfold sees it: the only file that names it. Facts behind it: `docs/decisions/`. */
import { createPrivately, isDatabaseFile } from "./database_file.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { Key } from "./keys.ts";
import { StorageFault, StorageUnavailable } from "./errors.ts";
import { withTimeout } from "./timeout.ts";

/** The value of a key; `stamp` is `null` if there is none. */
export interface Entry<T = unknown> {
  key: Key;
  value: T | null;
  stamp: string | null;
}

/** One atomic write: it is done only if every checked key still has its stamp. */
export interface Write {
  checks: { key: Key; stamp: string | null }[];
  sets: [key: Key, value: unknown][];
  /** Values under keys that end with the stamp of this write; no two keys of one write may be the same. */
  stamped?: [prefix: Key, value: unknown][];
  deletes?: Key[];
}

/** A range of keys: a prefix, or from `start` (within) to `end` (without). */
export type Range = { prefix: Key } | { prefix: Key; start: Key } | { start: Key; end: Key };

/**
 * The store. All functions throw {@link StorageUnavailable} if it does not answer within {@link ANSWER_MS}, and {@link
 * StorageFault} if the file or its disk has a fault.
 */
export interface Store {
  get<T>(key: Key): Promise<Entry<T>>;
  /** Any number of keys, read ten at a time: not one snapshot. */
  getMany<T>(keys: Key[]): Promise<Entry<T>[]>;
  list<T>(
    range: Range,
    options?: { limit?: number; reverse?: boolean; batchSize?: number },
  ): AsyncIterable<Entry<T>>;
  /**
   * Calls `take` with each entry of a range, in order, at most `limit` of them (Infinity for all). An entry costs a
   * fifth of its cost in `getMany`. Not one snapshot.
   */
  scan<T>(range: Range, limit: number, take: (entry: Entry<T>) => void): Promise<void>;
  /** The stamp of the write, or `null` if a check failed: on KV Connect that may still mean that it was written. */
  commit(write: Write): Promise<string | null>;
  close(): void;
}

/** The used calls of Deno KV, so that a test can replace them by faulty ones. */
export type Kv = Pick<Deno.Kv, "get" | "getMany" | "list" | "atomic" | "commitVersionstamp" | "close">;

/** Bounds of a store. */
export const STORE_LIMITS = {
  /** Entries that a scan reads at once: values may have 64 KiB. */
  scanBatch: 128,
};
export type StoreLimits = typeof STORE_LIMITS;

export interface StoreOptions {
  clock: Clock;
  limits: StoreLimits;
}

/** How long one call may take before it counts as unanswered; above the client library's own retries, which never end. */
export const ANSWER_MS = 10_000;

/** SQLite's messages while another process writes; also as a TypeError. */
const LOCKED = /database is locked|SQLITE_BUSY|database table is locked/;

/** Longest time of retries after {@link LOCKED}, which several processes on one file cause. */
const LOCKED_MS = 5_000;

/** The message about stored bytes that are damaged. */
export const DAMAGED = "A value in the database is damaged.";

/**
 * Messages of SQLite and of Deno KV about a fault of the file or its disk, and about damaged values that SQLite cannot
 * detect. They come as TypeError and RangeError.
 */
const FAULT =
  /database or disk is full|read-?only database|disk I\/O error|disk image is malformed|file is not a database|unable to open database file|could not deserialize value/;

/**
 * After this many abandoned calls in a row, one call per period goes through and the others fail at once: the client
 * library retries each abandoned call for ever, so there must be few.
 */
const UNANSWERED_CALLS = 32;
const PROBE_MS = 1_000;

/** Longest time of retries for an unreachable KV Connect server when the store is opened: it may be starting. */
const UNREACHED_MS = 8_000;

/** `getMany` takes at most 10 keys. */
const KEYS_PER_GET = 10;

/**
 * Opens the store at a file path, `:memory:`, an `http(s)://` KV Connect URL, or (`undefined`) the platform's own.
 * A file gets a second handle for reading, since a read on the handle that writes waits some 40 times as long.
 */
export async function openStore(
  url: string | undefined,
  { clock = systemClock, limits = STORE_LIMITS }: Partial<StoreOptions> = {},
): Promise<Store> {
  const unlessLocked = createUnlessLocked(clock);
  const isFile = isDatabaseFile(url);
  if (isFile) await createPrivately(url);
  const writer = await onceReached(clock, () => unlessLocked(() => Deno.openKv(url)));
  const reader = isFile ? await unlessLocked(() => Deno.openKv(url)) : writer;
  return storeOf(writer, { reader, clock, limits });
}

/** A store over open handles of one database. */
export function storeOf(
  writer: Kv,
  { reader = writer, clock, limits }: StoreOptions & { reader?: Kv },
): Store {
  const answered = createAnswered(clock);
  const unlessLocked = createUnlessLocked(clock);
  return {
    async get<T>(key: Key) {
      const entry = await answered(() => unlessLocked(() => reader.get<T>(key as Deno.KvKey)));
      return { key, value: entry.value, stamp: entry.versionstamp };
    },
    async getMany<T>(keys: Key[]) {
      const groups: Deno.KvKey[][] = [];
      for (let i = 0; i < keys.length; i += KEYS_PER_GET) {
        groups.push(keys.slice(i, i + KEYS_PER_GET) as Deno.KvKey[]);
      }
      const read = (group: Deno.KvKey[]) =>
        unlessLocked(() => reader.getMany<T[]>(group)) as Promise<Deno.KvEntryMaybe<T>[]>;
      const entries: Entry<T>[] = [];
      for (const group of await answered(() => Promise.all(groups.map(read)))) {
        for (const { value, versionstamp } of group) {
          entries.push({ key: keys[entries.length]!, value, stamp: versionstamp });
        }
      }
      return entries;
    },
    async *list<T>(range: Range, options: { limit?: number; reverse?: boolean; batchSize?: number } = {}) {
      const entries = reader.list<T>(range as Deno.KvListSelector, options);
      for (;;) {
        const next = await answered(() => unlessLocked(() => entries.next()));
        if (next.done) return;
        yield { key: next.value.key as Key, value: next.value.value, stamp: next.value.versionstamp };
      }
    },
    async scan<T>(range: Range, limit: number, take: (entry: Entry<T>) => void) {
      const options = {
        ...(limit === Infinity ? {} : { limit }),
        batchSize: Math.min(limit, limits.scanBatch),
      };
      const entries = reader.list<T>(range as Deno.KvListSelector, options);
      await answered(async () => {
        for (;;) {
          const next = await unlessLocked(() => entries.next());
          if (next.done) return;
          take({ key: next.value.key as Key, value: next.value.value, stamp: next.value.versionstamp });
        }
      });
    },
    async commit({ checks, sets, stamped, deletes }) {
      const result = await answered(() =>
        unlessLocked(() => {
          const operation = writer.atomic();
          for (const { key, stamp } of checks) {
            operation.check({ key: key as Deno.KvKey, versionstamp: stamp });
          }
          for (const [key, value] of sets) operation.set(key as Deno.KvKey, value);
          if (stamped !== undefined) {
            // The type of a key lacks this part, which the function's own documentation shows in one.
            const stamp = writer.commitVersionstamp() as unknown as string;
            for (const [prefix, value] of stamped) operation.set([...prefix, stamp] as Deno.KvKey, value);
          }
          if (deletes !== undefined) { for (const key of deletes) operation.delete(key as Deno.KvKey); }
          return operation.commit();
        })
      );
      return result.ok ? result.versionstamp : null;
    },
    close() {
      if (reader !== writer) reader.close();
      writer.close();
    },
  };
}

/** Makes the function that retries, with jitter, while the database is locked by another process. */
function createUnlessLocked(clock: Clock) {
  return async <T>(call: () => Promise<T>): Promise<T> => {
    const began = clock.monotonic();
    for (let waitMs = 2;; waitMs = Math.min(waitMs * 2, 100)) {
      try {
        return await call();
      } catch (error) {
        const locked = error instanceof Error && LOCKED.test(error.message);
        if (!locked || clock.monotonic() - began > LOCKED_MS) throw error;
        await clock.sleep(waitMs * (0.5 + clock.random()));
      }
    }
  };
}

/** Retries while the server of a KV Connect URL is unreachable, or reports that it cannot serve. */
async function onceReached<T>(clock: Clock, open: () => Promise<T>): Promise<T> {
  const began = clock.monotonic();
  for (;;) {
    try {
      return await open();
    } catch (error) {
      const unreached = error instanceof Error && /failed to connect|\b50[0-4]\b/.test(error.message);
      if (!unreached || clock.monotonic() - began > UNREACHED_MS) throw error;
      await clock.sleep(200 * (0.5 + clock.random()));
    }
  }
}

/** Makes the function that waits for a call's answer within {@link ANSWER_MS}. */
function createAnswered(clock: Clock) {
  let unanswered = 0;
  let probeMs = -Infinity;
  /** Any answer shows that storage is back, also one to an abandoned call. */
  const heard = () => void (unanswered = 0);
  return async <T>(call: () => Promise<T>): Promise<T> => {
    if (unanswered >= UNANSWERED_CALLS) {
      if (clock.monotonic() - probeMs < PROBE_MS) throw new StorageUnavailable("storage does not answer");
      probeMs = clock.monotonic();
    }
    try {
      const answer = call();
      answer.then(heard, heard);
      return await withTimeout<T, never>(answer, {
        clock,
        ms: ANSWER_MS,
        onTimeout() {
          unanswered++;
          throw new Error(`no answer within ${ANSWER_MS} ms`);
        },
      });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (FAULT.test(message)) throw new StorageFault(`storage: ${message}`, { cause: error });
      // Any other TypeError is ours: a value or a key over a limit.
      const isOurs = error instanceof TypeError || error instanceof RangeError;
      if (isOurs && !LOCKED.test(message)) throw error;
      throw new StorageUnavailable(`storage: ${message}`, 1, { cause: error });
    }
  };
}
