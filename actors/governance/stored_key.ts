/** A write key as it is stored, and the pure functions that make, change, show and find one. */
import { hash } from "node:crypto";
import type { EventType } from "../../domain/event/event.ts";
import type { RateLimit } from "../../domain/limits/token_bucket.ts";
import type { Author } from "../configuration/registry.ts";

/** A write key as administrators see it; only a digest of the secret is stored. */
export interface WriteKey {
  id: string;
  name: string;
  /** Types that it may send; all if absent. */
  allowedTypes?: EventType[];
  /** No limit if absent. */
  rateLimit?: RateLimit;
  enabled: boolean;
  createdAt: string;
  /** Until when the previous secret is accepted; absent if it no longer is. */
  previousValidUntil?: string;
  /** When an event of the key was last accepted, up to a minute too early; absent if never. Only in lists and changes. */
  lastUsedAt?: string;
  /** Who changed the key last, and when; absent where the last change was made by version 0.3 or older. */
  lastChange?: KeyChange;
}

/** One change of a write key. */
export interface KeyChange extends Author {
  at: string;
}

/** The settings of a new write key. */
export interface NewWriteKey {
  name: string;
  allowedTypes?: EventType[];
  rateLimit?: RateLimit;
  enabled?: boolean;
}

/** A change of a write key; `null` removes a restriction. */
export interface WriteKeyPatch {
  name?: string;
  allowedTypes?: EventType[] | null;
  rateLimit?: RateLimit | null;
  enabled?: boolean;
}

/** A write key as it is stored. */
export interface StoredKey extends Omit<WriteKey, "previousValidUntil" | "lastUsedAt"> {
  digest: string;
  /** The secret before the last rotation; accepted until then (ms since 1970). */
  previous?: { digest: string; validUntil: number };
}

/** A key that was found by one of its digests. */
export interface FoundKey {
  shown: WriteKey;
  /** Ms since 1970; absent for the newest digest. */
  validUntil?: number;
}

/** A new key; `now` in ms since 1970. */
export function newStoredKey(
  { name, allowedTypes, rateLimit, enabled = true }: NewWriteKey,
  { id, digest, now }: { id: string; digest: string; now: number },
): StoredKey {
  return {
    id,
    name,
    ...allowedTypes !== undefined && { allowedTypes },
    ...rateLimit !== undefined && { rateLimit },
    enabled,
    createdAt: new Date(now).toISOString(),
    digest,
  };
}

/** A key with a patch. */
export function patched(key: StoredKey, patch: WriteKeyPatch): StoredKey {
  const { allowedTypes: oldTypes, rateLimit: oldLimit, ...rest } = key;
  const allowedTypes = patch.allowedTypes === undefined ? oldTypes : patch.allowedTypes ?? undefined;
  const rateLimit = patch.rateLimit === undefined ? oldLimit : patch.rateLimit ?? undefined;
  return {
    ...rest,
    ...patch.name !== undefined && { name: patch.name },
    ...patch.enabled !== undefined && { enabled: patch.enabled },
    ...allowedTypes !== undefined && { allowedTypes },
    ...rateLimit !== undefined && { rateLimit },
  };
}

/** A key with a new secret; `undefined` if it has that secret already. */
export function rotated(
  key: StoredKey,
  { digest, validUntil }: { digest: string; validUntil: number },
): StoredKey | undefined {
  // If storage denied a rotation that it did, the second look finds it done.
  if (key.digest === digest) return undefined;
  return { ...key, digest, previous: { digest: key.digest, validUntil } };
}

/** All keys by their digests. */
export function keysByDigest(keys: readonly StoredKey[], now: number): Map<string, FoundKey> {
  const found = new Map<string, FoundKey>();
  for (const key of keys) {
    const shown = publicOf(key, now);
    found.set(key.digest, { shown });
    const { previous } = key;
    if (previous !== undefined) found.set(previous.digest, { shown, validUntil: previous.validUntil });
  }
  return found;
}

/** The key of a digest, unless that digest has expired. */
export function keyAt(found: FoundKey | undefined, now: () => number): WriteKey | undefined {
  if (found?.validUntil !== undefined && now() >= found.validUntil) return undefined;
  return found?.shown;
}

/** A key without its digests. */
export function publicOf(key: StoredKey, now: number): WriteKey {
  const { digest: _, previous, ...rest } = key;
  const isValid = previous !== undefined && previous.validUntil > now;
  return { ...rest, ...isValid && { previousValidUntil: new Date(previous.validUntil).toISOString() } };
}

/** The member for the last use, in ms since 1970. */
export function lastUsed(at: number | undefined): { lastUsedAt?: string } {
  return at === undefined ? {} : { lastUsedAt: new Date(at).toISOString() };
}

/** The digest by which a secret is stored and found: SHA-256 in hex. */
export function digestOfKey(secret: string): string {
  return hash("sha256", secret, "hex");
}

/** Orders keys by their creation, then by id. */
export function oldestFirst(a: WriteKey, b: WriteKey): number {
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}
