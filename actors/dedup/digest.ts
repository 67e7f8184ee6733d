/** Digests of message ids: SHA-256 with the database's secret, cut. In memory they are words, without an object each. */
import { hash } from "node:crypto";
import { Buffer } from "node:buffer";

/** Bytes of a message id's digest, and words of 32 bits. */
export const DIGEST_BYTES = 16;
export const DIGEST_WORDS = 4;

/**
 * The digest of a message id, in hex. With the database's secret, so that nobody can choose where it stands in the dedup
 * index: many in one part would make that too large to be written.
 */
export function digestOf(messageId: string, secret: string): string {
  return hash("sha256", secret + messageId, "hex").slice(0, DIGEST_BYTES * 2);
}

/** Digests in hex, put together, as words: {@link DIGEST_WORDS} each. */
export function wordsOfHex(hex: string): Uint32Array {
  return digestsIn(Buffer.from(hex, "hex"));
}

/** The digests that stand in bytes, as words. Only words are compared with words: the machine's order of bytes will do. */
export function digestsIn(bytes: Uint8Array): Uint32Array {
  const isAligned = bytes.byteOffset % 4 === 0;
  const { buffer, byteOffset } = isAligned ? bytes : bytes.slice();
  return new Uint32Array(buffer, byteOffset, bytes.length / 4);
}

/** The same digests as bytes. */
export function bytesOfDigests(digests: Uint32Array): Uint8Array {
  return new Uint8Array(digests.buffer, digests.byteOffset, digests.byteLength);
}

/** Those digests of a row whose numbers are given, in their order. */
export function pickDigests(digests: Uint32Array, kept: readonly number[]): Uint32Array {
  const picked = new Uint32Array(kept.length * DIGEST_WORDS);
  for (const [to, at] of kept.entries()) {
    picked.set(digests.subarray(at * DIGEST_WORDS, (at + 1) * DIGEST_WORDS), to * DIGEST_WORDS);
  }
  return picked;
}

/** The first index of a digest in a row, from an index on; -1 if it is not there. */
export function indexOfDigest(row: Uint32Array, digest: Uint32Array, from = 0): number {
  for (let at = from * DIGEST_WORDS; at < row.length; at += DIGEST_WORDS) {
    let i = 0;
    while (i < DIGEST_WORDS && row[at + i] === digest[i]) i++;
    if (i === DIGEST_WORDS) return at / DIGEST_WORDS;
  }
  return -1;
}
