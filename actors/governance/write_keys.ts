/** Write keys: kept as digests, held in memory, looked at again often enough that a change holds everywhere in 5 s. */
import { hash } from "node:crypto";
import { createKeyUse } from "./key_use.ts";
import type { Clock } from "../store/clock.ts";
import { rateLimitKey, WRITE_KEYS, WRITE_KEYS_CHANGED, writeKeyKey, writeKeyUsedKey } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { type Author, createRegistry } from "../configuration/registry.ts";
import { TooManyWriteKeys } from "../store/errors.ts";
import type { RateLimit } from "../../domain/limits/token_bucket.ts";
import type { EventType } from "../../domain/event/event.ts";

/** A write key as administrators see it; the key itself is kept only as a digest. */
export interface WriteKey {
  id: string;
  name: string;
  /** Types that it may send; absent means all. */
  allowedTypes?: EventType[];
  /** What it may send; absent means no limit. */
  rateLimit?: RateLimit;
  enabled: boolean;
  createdAt: string;
  /** Until when the key before the last rotation is taken too, where it still is. */
  previousValidUntil?: string;
  /** When an event of it was last taken, less at most a minute; absent where none ever was. Only in lists and changes. */
  lastUsedAt?: string;
  /** Who changed the key last, and when; absent where the last change was made by version 0.3 or older. */
  lastChange?: KeyChange;
}

/** One change of a write key. */
export interface KeyChange extends Author {
  at: string;
}

/** What a new write key may be. */
export interface NewWriteKey {
  name: string;
  allowedTypes?: EventType[];
  rateLimit?: RateLimit;
  enabled?: boolean;
}

/** What may be changed of a write key; `null` takes a restriction away. */
export interface WriteKeyPatch {
  name?: string;
  allowedTypes?: EventType[] | null;
  rateLimit?: RateLimit | null;
  enabled?: boolean;
}

/** Write keys: changes hold at once in this process, elsewhere within 5 s. */
export interface WriteKeys {
  /** The key with this SHA-256 digest (hex), enabled or not; never stale by more than 5 s. */
  find(digestHex: string): Promise<WriteKey | undefined> | WriteKey | undefined;
  list(): Promise<WriteKey[]>;
  /** Those of some ids that no stored key has. */
  missing(ids: readonly string[]): Promise<string[]>;
  /** Makes a key; the secret is shown this once. Throws {@link TooManyWriteKeys}. */
  create(input: NewWriteKey, author?: Author): Promise<{ key: string; writeKey: WriteKey }>;
  change(id: string, patch: WriteKeyPatch, author?: Author): Promise<WriteKey | undefined>;
  /**
   * Gives a key another secret, shown this once. The one before is taken for so long, and is then refused; the one before
   * that is refused from now on.
   */
  rotate(
    id: string,
    graceMs: number,
    author?: Author,
  ): Promise<{ key: string; writeKey: WriteKey } | undefined>;
  remove(id: string, author?: Author): Promise<boolean>;
  /** Notes that an event of a key was taken, ms since 1970; written down behind, once in a while. Also for a key not stored. */
  used(id: string, at: number): void;
  /** When a key was last used, also one that is not stored. */
  lastUsedAt(id: string): Promise<string | undefined>;
}

/** What is kept of a key. */
interface StoredKey extends Omit<WriteKey, "previousValidUntil" | "lastUsedAt"> {
  digest: string;
  /** What it was before it was rotated, as good as the other until then (ms since 1970). */
  previous?: { digest: string; validUntil: number };
}

/** A key as it is found by one of its digests. */
interface Held {
  key: StoredKey;
  shown: WriteKey;
  /** Ms since 1970; absent for the newest digest. */
  validUntil?: number;
}

/** The author of a change that is made by code of this process, not by a request. */
const SERVER: Author = { by: "server", address: "" };

/** All keys are in the memory of each process, and read again with each change: far more than there are senders. */
export const MAX_WRITE_KEYS = 1_000;

/** What write keys need. */
export interface WriteKeysOptions {
  store: Store;
  clock: Clock;
  newId(): string;
  /** Fills an array with random bytes. */
  randomBytes(bytes: Uint8Array): void;
}

/** Opens the write keys of a store. */
export async function openWriteKeys(
  options: WriteKeysOptions,
): Promise<WriteKeys & { close(): Promise<void> }> {
  const { store, clock, newId } = options;
  const use = createKeyUse(store);
  let byDigest = new Map<string, Held>();
  const registry = createRegistry<StoredKey>({
    store,
    clock,
    newId,
    named: "write keys",
    mark: WRITE_KEYS_CHANGED,
    prefix: WRITE_KEYS,
    keyOf: writeKeyKey,
    // No versions: going back to one would bring back a secret that was rotated away.
    write: ({ value, at, by, address }) => ({ ...value, lastChange: { at, by, address } }),
    read: (stored) => ({ version: 0, at: "", by: "", address: "", value: stored as StoredKey }),
    idOf: ({ id }) => id,
    onLoad(values) {
      byDigest = new Map();
      for (const { value: key } of values.values()) {
        const shown = publicOf(key!, clock.now());
        byDigest.set(key!.digest, { key: key!, shown });
        const { previous } = key!;
        if (previous !== undefined) {
          byDigest.set(previous.digest, { key: key!, shown, validUntil: previous.validUntil });
        }
      }
    },
  });

  /**
   * Changes a key: `change` gets what is there, and gives what shall be, or `undefined` to leave it. Gives what is there
   * then.
   */
  async function update(
    id: string,
    author: Author,
    change: (there: StoredKey | null) => StoredKey | null | undefined,
  ): Promise<StoredKey | null> {
    const current = () => registry.values().get(id)?.value ?? null;
    await registry.change(author, () => {
      const next = change(current());
      if (next === undefined) return [];
      return [{ id, value: next, deletes: [rateLimitKey(id), writeKeyUsedKey(id)] }];
    });
    return current();
  }

  function held(digestHex: string): WriteKey | undefined {
    const found = byDigest.get(digestHex);
    if (found?.validUntil !== undefined && clock.now() >= found.validUntil) return undefined;
    return found?.shown;
  }

  const stored = () => [...byDigest.values()].filter(({ validUntil }) => validUntil === undefined);

  /** As it is shown: with when it was last used. */
  async function shown(keys: StoredKey[]): Promise<WriteKey[]> {
    const used = await use.lastUsed(keys.map(({ id }) => id));
    return keys.map((key, i) => ({ ...publicOf(key, clock.now()), ...lastUsed(used[i]) }));
  }

  await registry.refresh();
  return {
    find(digestHex) {
      const looking = registry.fresh();
      return looking === undefined ? held(digestHex) : looking.then(() => held(digestHex));
    },
    async list() {
      await registry.refreshed();
      const keys = await shown(stored().map(({ key }) => key));
      return keys.sort((a, b) =>
        a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : a.id < b.id ? -1 : 1
      );
    },
    async missing(ids) {
      await registry.refreshed();
      const known = new Set(stored().map(({ key }) => key.id));
      return ids.filter((id) => !known.has(id));
    },
    async create({ name, allowedTypes, rateLimit, enabled = true }, author = SERVER) {
      const key = newWriteKey(options.randomBytes);
      const made: StoredKey = {
        id: newId(),
        name,
        ...(allowedTypes === undefined ? {} : { allowedTypes }),
        ...(rateLimit === undefined ? {} : { rateLimit }),
        enabled,
        createdAt: new Date(clock.now()).toISOString(),
        digest: hash("sha256", key, "hex"),
      };
      const stands = await update(made.id, author, (there) => {
        // Where storage denied a write that it did, it is there at the second look.
        if (there !== null) return undefined;
        if (stored().length >= MAX_WRITE_KEYS) {
          throw new TooManyWriteKeys(`Write key limit reached (${MAX_WRITE_KEYS}).`);
        }
        return made;
      });
      return { key, writeKey: publicOf(stands ?? made, clock.now()) };
    },
    async change(id, patch, author = SERVER) {
      const changed = await update(id, author, (there) => {
        if (there === null) return undefined;
        const { allowedTypes: oldTypes, rateLimit: oldLimit, ...rest } = there;
        const allowedTypes = patch.allowedTypes === undefined ? oldTypes : patch.allowedTypes ?? undefined;
        const rateLimit = patch.rateLimit === undefined ? oldLimit : patch.rateLimit ?? undefined;
        return {
          ...rest,
          ...(patch.name === undefined ? {} : { name: patch.name }),
          ...(patch.enabled === undefined ? {} : { enabled: patch.enabled }),
          ...(allowedTypes === undefined ? {} : { allowedTypes }),
          ...(rateLimit === undefined ? {} : { rateLimit }),
        };
      });
      return changed === null ? undefined : (await shown([changed]))[0];
    },
    async rotate(id, graceMs, author = SERVER) {
      const key = newWriteKey(options.randomBytes);
      const digest = hash("sha256", key, "hex");
      const validUntil = clock.now() + graceMs;
      const rotated = await update(id, author, (there) => {
        // Where storage denied a write that it did, it is there at the second look.
        if (there === null || there.digest === digest) return undefined;
        return { ...there, digest, previous: { digest: there.digest, validUntil } };
      });
      return rotated === null ? undefined : { key, writeKey: (await shown([rotated]))[0]! };
    },
    async remove(id, author = SERVER) {
      // Where storage denied a write that it did, it is gone at the second look: it was there at the first.
      let wasThere = false;
      await update(id, author, (there) => {
        if (there === null) return undefined;
        wasThere = true;
        return null;
      });
      return wasThere;
    },
    used: use.used,
    async lastUsedAt(id) {
      const [at] = await use.lastUsed([id]);
      return lastUsed(at).lastUsedAt;
    },
    close: use.close,
  };
}

/** Without its digests. */
function publicOf(key: StoredKey, now: number): WriteKey {
  const { digest: _, previous, ...rest } = key;
  const isValid = previous !== undefined && previous.validUntil > now;
  return { ...rest, ...(isValid && { previousValidUntil: new Date(previous.validUntil).toISOString() }) };
}

function lastUsed(at: number | undefined): { lastUsedAt?: string } {
  return at === undefined ? {} : { lastUsedAt: new Date(at).toISOString() };
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
