/** Entries of the journal as they stand in a store, read by the product's own functions: header, bodies and all. */
import { Buffer } from "node:buffer";
import { endOf, type Position } from "../../domain/event/position.ts";
import { linesOfBody } from "../../actors/journal/body.ts";
import { bytesOfDigests, DIGEST_BYTES } from "../../actors/dedup/digest.ts";
import { decodeHeader, type Header, HEADER_PART_BYTES, wholeBytes } from "../../actors/journal/header.ts";
import { bodyKey, headerKey, journalKey, type Key } from "../../actors/store/keys.ts";

/** An entry, whole. */
export interface StoredEntry {
  stamp: string;
  end: Position;
  header: Header;
  /** The lines of its events. */
  lines: string[];
  /** The digests of its message ids, in hex. */
  digests: string[];
}

/** The entry of a stamp, by the values of a store; `undefined` if there is none. Throws where a part is missing. */
export function entryAt(valueOf: (key: Key) => unknown, stamp: string): StoredEntry | undefined {
  const first = valueOf(journalKey(stamp)) as Uint8Array | undefined;
  if (first === undefined) return undefined;
  const count = Math.ceil(wholeBytes(first) / HEADER_PART_BYTES);
  const parts = Array.from({ length: count }, (_, n) => n === 0 ? first : bytesAt(headerKey(n, stamp)));
  const header = decodeHeader(new Uint8Array(Buffer.concat(parts)));
  const lines = header.bodies.flatMap((_, n) => linesOfBody(bytesAt(bodyKey(n, stamp))));
  return { stamp, end: endOf(stamp), header, lines, digests: hexIn(bytesOfDigests(header.digests)) };

  function bytesAt(key: Key): Uint8Array {
    const value = valueOf(key);
    if (value === undefined) throw new Error(`${key.join("/")} is missing`);
    return value as Uint8Array;
  }
}

/** Digests in bytes, each in hex. */
export function hexIn(digests: Uint8Array): string[] {
  return Array.from({ length: digests.length / DIGEST_BYTES }, (_, i) => {
    return digests.subarray(i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES).toHex();
  });
}
