/** Secrets at rest: encrypted with `SECRETS_KEY` where it is set, by AES-256-GCM. */
import { createCipheriv, createDecipheriv, hash } from "node:crypto";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { JsonObject } from "../../domain/event/json.ts";

/** Secrets as they are stored: plain JSON, or encrypted. A stored format. */
export type Sealed = { plain: string } | { nonce: Uint8Array; sealed: Uint8Array; tag: Uint8Array };

/** Seals and opens secrets. */
export interface Sealing {
  seal(secrets: JsonObject): Sealed;
  /** `undefined` if they were sealed with another key. */
  open(sealed: Sealed): JsonObject | undefined;
}

const ALGORITHM = "aes-256-gcm";
const NONCE_BYTES = 12;

/** Creates the sealing of a key; without a key secrets are stored as they are. */
export function createSealing(
  secretsKey: string | undefined,
  randomBytes: (bytes: Uint8Array) => void,
): Sealing {
  const key = secretsKey === undefined
    ? undefined
    : hash("sha256", `signalfold secrets ${secretsKey}`, "buffer");
  return {
    seal(secrets) {
      const plain = JSON.stringify(secrets);
      if (key === undefined) return { plain };
      const nonce = new Uint8Array(NONCE_BYTES);
      randomBytes(nonce);
      const cipher = createCipheriv(ALGORITHM, key, nonce);
      const sealed = new Uint8Array([...cipher.update(plain, "utf8"), ...cipher.final()]);
      return { nonce, sealed, tag: new Uint8Array(cipher.getAuthTag()) };
    },
    open(stored) {
      if ("plain" in stored) return parseExact(stored.plain) as JsonObject;
      if (key === undefined) return undefined;
      try {
        const decipher = createDecipheriv(ALGORITHM, key, stored.nonce);
        decipher.setAuthTag(stored.tag);
        const text = decipher.update(stored.sealed, undefined, "utf8") + decipher.final("utf8");
        return parseExact(text) as JsonObject;
      } catch {
        return undefined;
      }
    },
  };
}
