/** Chunks: the values of the journal. Their shape is a stored format: what an old journal holds stays readable. */
import { hash } from "node:crypto";
import { Buffer } from "node:buffer";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { endOf, pack, stampOf, unpack } from "../../domain/event/position.ts";
import { DAMAGED } from "../store/store.ts";
import { compress, decompress } from "../store/codec.ts";
import { StorageFault } from "../store/errors.ts";

/** At most so many events in a chunk. */
export const CHUNK_EVENTS = 1024;

/** Bytes of a message id's digest: SHA-256, cut; and words of 32 bits. */
export const DIGEST_BYTES = 16;
export const DIGEST_WORDS = 4;

/** A chunk as it is stored. */
export interface Chunk {
  /** Version of this format. */
  v: 1;
  /** The attempt that wrote it: tells whose commit stands after a head. */
  commit: string;
  /** When it was committed (ms), never before the chunk before. */
  at: number;
  /** How many events. */
  n: number;
  /** Who sent them: write key ids, each with the number of events in a row. */
  senders: [writeKeyId: string, count: number][];
  /** The digests of the message ids, {@link DIGEST_BYTES} each, uncompressed: dedup needs to inflate nothing. */
  digests: Uint8Array;
  /** Bytes of JSON before compression. */
  rawBytes: number;
  /** The events, a line of JSON each, compressed. */
  body: Uint8Array;
}

/**
 * The digest of a message id, in hex. With the database's secret, so that nobody can choose where it stands in the seen
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

/** Makes a chunk of lines of JSON (`raw`, joined by line feeds) and the digests of their message ids. */
export function makeChunk(
  { raw, digests, ...header }: Pick<Chunk, "commit" | "at" | "senders" | "n"> & {
    raw: Uint8Array;
    digests: Uint32Array;
  },
): Chunk {
  return {
    v: 1,
    ...header,
    digests: new Uint8Array(digests.buffer, digests.byteOffset, digests.byteLength).slice(),
    rawBytes: raw.length,
    body: compress(raw),
  };
}

/**
 * The line of an event that was erased: places, and the digests of message ids, stay what they are. It is JSON of an
 * event that names nobody, so that an older version that reads it passes over it too.
 */
export const ERASED_LINE = "{}";
export const ERASED_EVENT = {} as StoredEvent;

/** A chunk with other lines: `change` gives each, and the same number of them stays. */
export function rewriteChunk(chunk: Chunk, change: (line: string, index: number) => string): Chunk {
  const raw = Buffer.from(linesOf(chunk).map(change).join("\n"));
  return { ...chunk, rawBytes: raw.length, body: compress(raw) };
}

/** The lines of a chunk; of an erased event {@link ERASED_LINE}. Throws {@link StorageFault} where its bytes were damaged. */
export function linesOf(chunk: Chunk): string[] {
  try {
    return decompress(chunk.body).toString().split("\n");
  } catch {
    throw new StorageFault(DAMAGED);
  }
}

/** The events of a chunk; of an erased one an object that names nobody. */
export function eventsOf(chunk: Chunk): StoredEvent[] {
  return linesOf(chunk).map((line) => parseExact(line) as StoredEvent);
}

/** A chunk's number as a stamp, and a stamp as that number. */
export const stampOfSeq = (seq: number): string => stampOf(pack(seq, 0));
export const seqOfStamp = (stamp: string): number => unpack(endOf(stamp))[0];

/** The write key id that sent the event at an index of a chunk. */
export function senderOf(chunk: Pick<Chunk, "senders" | "n">, index: number): string {
  let end = 0;
  for (const [writeKeyId, count] of chunk.senders) if (index < (end += count)) return writeKeyId;
  throw new RangeError(`chunk of ${chunk.n} events has none at ${index}`);
}
