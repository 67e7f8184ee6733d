/** Ids in the forms that services want, worked out of message ids: the same one for each attempt. */
import { createHash } from "node:crypto";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Crockford's alphabet, which ULIDs are written in. */
const ULID_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** An id as a UUID: itself if it is one, otherwise one of version 8 (RFC 9562) made of its digest. */
export function uuidOf(id: string): string {
  if (UUID.test(id)) return id.toLowerCase();
  const digest = createHash("sha256").update(id).digest();
  digest[6] = digest[6]! & 0x0f | 0x80;
  digest[8] = digest[8]! & 0x3f | 0x80;
  const hex = digest.toString("hex").slice(0, 32);
  return [[0, 8], [8, 12], [12, 16], [16, 20], [20, 32]].map(([from, to]) => hex.slice(from, to)).join("-");
}

/** An id as a ULID of a time (ms since 1970): its random part is made of the digest of the id. */
export function ulidOf(id: string, ms: number): string {
  const digest = createHash("sha256").update(id).digest();
  let value = BigInt(ms) << 80n |
    BigInt(`0x${digest.toString("hex").slice(0, 20)}`);
  let text = "";
  for (let n = 0; n < 26; n++) {
    text = ULID_ALPHABET[Number(value & 31n)] + text;
    value >>= 5n;
  }
  return text;
}
