/** Write keys: stored as digests, held in memory, and refreshed so often that a change takes effect everywhere in 5 s. */
import { createKeyUse } from "./key_use.ts";
import type { Clock } from "../store/clock.ts";
import { rateLimitKey, WRITE_KEYS, WRITE_KEYS_CHANGED, writeKeyKey, writeKeyUsedKey } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { type Author, createRegistry, type Registry } from "../configuration/registry.ts";
import {
  digestOfKey,
  type FoundKey,
  keyAt,
  keysByDigest,
  lastUsed,
  newStoredKey,
  type NewWriteKey,
  oldestFirst,
  patched,
  publicOf,
  rotated,
  type StoredKey,
  type WriteKey,
  type WriteKeyPatch,
} from "./stored_key.ts";
import { TooManyWriteKeys } from "../store/errors.ts";

/** Write keys: a change takes effect at once in this process, elsewhere within 5 s. */
export interface WriteKeys {
  /** The key with this SHA-256 digest (hex), enabled or not; never stale by more than 5 s. */
  find(digestHex: string): Promise<WriteKey | undefined> | WriteKey | undefined;
  list(): Promise<WriteKey[]>;
  /** The id of a key that is named by its id, or the ids of all keys that have this name. */
  named(idOrName: string): Promise<string[]>;
  /** Creates a key; the secret is shown only once. Throws {@link TooManyWriteKeys}. */
  create(input: NewWriteKey, author?: Author): Promise<{ key: string; writeKey: WriteKey }>;
  change(id: string, patch: WriteKeyPatch, author?: Author): Promise<WriteKey | undefined>;
  /**
   * Gives a key a new secret, which is shown only once. The previous secret is accepted for `graceMs`; the one before it
   * is refused from now on.
   */
  rotate(
    id: string,
    graceMs: number,
    author?: Author,
  ): Promise<{ key: string; writeKey: WriteKey } | undefined>;
  remove(id: string, author?: Author): Promise<boolean>;
  /** Notes that an event of a key was accepted (ms since 1970); stored now and then. Also for a key that is not stored. */
  used(id: string, at: number): void;
  /** When a key was last used; also for one that is not stored. */
  lastUsedAt(id: string): Promise<string | undefined>;
}

/** The author of a change that is made by code of this process, not by a request. */
const SERVER: Author = { by: "server", address: "" };

/** Each process holds all keys in memory and reads them again after a change: far more than there are senders. */
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
  let byDigest: ReadonlyMap<string, FoundKey> = new Map();
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
    audited: {
      kind: "write_key",
      members: ({ name, allowedTypes, rateLimit, enabled, digest }) => ({
        name,
        allowedTypes,
        rateLimit,
        enabled,
        credential: digest,
      }),
      hidden: ["credential"],
    },
    onLoad(values) {
      byDigest = keysByDigest([...values.values()].map(({ value }) => value!), clock.now());
    },
  });
  const stored = () => [...registry.values().values()].map(({ value }) => value!);
  const held = (digestHex: string) => keyAt(byDigest.get(digestHex), clock.now);
  const withLastUse = async (keys: readonly StoredKey[]): Promise<WriteKey[]> => {
    const used = await use.lastUsed(keys.map(({ id }) => id));
    return keys.map((key, i) => ({ ...publicOf(key, clock.now()), ...lastUsed(used[i]) }));
  };
  await registry.refresh();
  return {
    find(digestHex) {
      const looking = registry.fresh();
      return looking === undefined ? held(digestHex) : looking.then(() => held(digestHex));
    },
    async list() {
      await registry.refreshed();
      return (await withLastUse(stored())).sort(oldestFirst);
    },
    async named(idOrName) {
      await registry.refreshed();
      if (registry.values().has(idOrName)) return [idOrName];
      return stored().filter(({ name }) => name === idOrName).map(({ id }) => id);
    },
    ...createChanges(options, { registry, withLastUse, count: () => registry.values().size }),
    used: use.used,
    async lastUsedAt(id) {
      const [at] = await use.lastUsed([id]);
      return lastUsed(at).lastUsedAt;
    },
    close: use.close,
  };
}

/** What changes need of the keys that this process holds. */
interface Held {
  registry: Registry<StoredKey>;
  withLastUse(keys: readonly StoredKey[]): Promise<WriteKey[]>;
  count(): number;
}

/** The changes of write keys. */
function createChanges(
  { clock, newId, randomBytes }: WriteKeysOptions,
  { registry, withLastUse, count }: Held,
): Pick<WriteKeys, "create" | "change" | "rotate" | "remove"> {
  /**
   * Changes a key: `change` gets the stored key, and gives its replacement, `null` to delete it, or `undefined` to leave
   * it. Gives the key that is stored afterwards.
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

  return {
    async create(input, author = SERVER) {
      const key = newWriteKey(randomBytes);
      const made = newStoredKey(input, { id: newId(), digest: digestOfKey(key), now: clock.now() });
      const stands = await update(made.id, author, (there) => {
        // If storage denied a write that it did, the key is there at the second look.
        if (there !== null) return undefined;
        if (count() >= MAX_WRITE_KEYS) {
          throw new TooManyWriteKeys(`Write key limit reached (${MAX_WRITE_KEYS}).`);
        }
        return made;
      });
      return { key, writeKey: publicOf(stands ?? made, clock.now()) };
    },
    async change(id, patch, author = SERVER) {
      const changed = await update(id, author, (there) => there === null ? undefined : patched(there, patch));
      return changed === null ? undefined : (await withLastUse([changed]))[0];
    },
    async rotate(id, graceMs, author = SERVER) {
      const key = newWriteKey(randomBytes);
      const next = { digest: digestOfKey(key), validUntil: clock.now() + graceMs };
      const changed = await update(id, author, (there) => there === null ? undefined : rotated(there, next));
      return changed === null ? undefined : { key, writeKey: (await withLastUse([changed]))[0]! };
    },
    async remove(id, author = SERVER) {
      // If storage denied a deletion that it did, the key is gone at the second look: it was there at the first.
      let wasThere = false;
      await update(id, author, (there) => {
        if (there === null) return undefined;
        wasThere = true;
        return null;
      });
      return wasThere;
    },
  };
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
