/** The database's secret, that digests of message ids are made with: who sends must not know where they stand. */
import { Buffer } from "node:buffer";
import { HEAD, type Key, SECRET } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { StorageUnavailable } from "../store/errors.ts";

/** Bytes of a secret: 19 characters as text, so that with most ids it is one block of SHA-256 (55 bytes). */
const SECRET_BYTES = 14;

/** Two who open an empty database at once: one of them makes the secret, the other finds it. */
const TRIES = 10;

/**
 * The secret of a database, made when it is opened for the first time. A journal that was begun without one goes on
 * without: the digests of its ids stay what they are.
 */
export async function openSecret(
  store: Store,
  randomBytes: (bytes: Uint8Array) => void,
): Promise<string> {
  for (let tries = 0; tries < TRIES; tries++) {
    const [secret, head] = await store.getMany<string>([SECRET, HEAD]);
    if (secret!.value !== null) return secret!.value;
    if (head!.value !== null) return "";
    const bytes = new Uint8Array(SECRET_BYTES);
    randomBytes(bytes);
    const write = {
      checks: [{ key: SECRET, stamp: null }, { key: HEAD, stamp: null }],
      sets: [[SECRET, Buffer.from(bytes).toString("base64url")] as [Key, string]],
    };
    // Whether it was written, or another's was, is seen when it is looked at again.
    await store.commit(write).catch((error) => {
      if (!(error instanceof StorageUnavailable)) throw error;
    });
  }
  throw new StorageUnavailable("failed to initialize the database: it accepts no writes");
}
