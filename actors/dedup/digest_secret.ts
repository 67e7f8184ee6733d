/** The database's secret, that digests of message ids are made with: who sends must not know where they stand. */
import { Buffer } from "node:buffer";
import { update } from "../store/conditional_update.ts";
import { OLD_HEAD, SECRET } from "../store/keys.ts";
import type { Store } from "../store/store.ts";

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
  const how = { named: "the secret of the database", tries: TRIES, retriesUnanswered: true };
  return await update(store, how, async () => {
    const { value } = await store.get<string>(SECRET);
    if (value !== null) return { result: value };
    const bytes = new Uint8Array(SECRET_BYTES);
    randomBytes(bytes);
    const secret = Buffer.from(bytes).toString("base64url");
    const checks = [{ key: SECRET, stamp: null }];
    return { result: secret, write: { checks, sets: [[SECRET, secret]] } };
  });
}
