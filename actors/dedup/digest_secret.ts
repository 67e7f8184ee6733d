/** The database's secret, that digests of message ids are made with: who sends must not know where they stand. */
import { Buffer } from "node:buffer";
import { type Key, OLD_HEAD, SECRET } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { StorageUnavailable } from "../store/errors.ts";

/** Bytes of a secret: 19 characters as text, so that with most ids it is one block of SHA-256 (55 bytes). */
const SECRET_BYTES = 14;

/** Two who open an empty database at once: one of them makes the secret, the other finds it. */
const TRIES = 10;

/** Thrown for a database that an older version wrote: this one does not read it. */
export class OldDatabase extends Error {
  override name = "OldDatabase";
}

/** Throws {@link OldDatabase} if a version up to 0.3 wrote the database. */
export async function refuseOld(store: Store): Promise<void> {
  if ((await store.get(OLD_HEAD)).stamp === null) return;
  throw new OldDatabase(
    "signalfold 0.3 or older wrote this database. Set KV_URL to a new one, and run: deno task import OLD.db",
  );
}

/** The secret of a database, made when it is opened for the first time. Throws {@link OldDatabase}. */
export async function openSecret(
  store: Store,
  randomBytes: (bytes: Uint8Array) => void,
): Promise<string> {
  await refuseOld(store);
  for (let tries = 0; tries < TRIES; tries++) {
    const { value } = await store.get<string>(SECRET);
    if (value !== null) return value;
    const bytes = new Uint8Array(SECRET_BYTES);
    randomBytes(bytes);
    const write = {
      checks: [{ key: SECRET, stamp: null }],
      sets: [[SECRET, Buffer.from(bytes).toString("base64url")] as [Key, string]],
    };
    // Whether it was written, or another's was, is seen when it is looked at again.
    await store.commit(write).catch((error) => {
      if (!(error instanceof StorageUnavailable)) throw error;
    });
  }
  throw new StorageUnavailable("failed to initialize the database: it accepts no writes");
}
