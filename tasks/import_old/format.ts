/**
 * The stored format of version 0.3, as far as an import needs it: its keys and its values. It never changes; so nothing
 * here follows a change of the present format.
 */
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { decompress } from "../../actors/store/codec.ts";
import type { Key } from "../../actors/store/keys.ts";

/** How far the journal goes: a {@link Head}; absent in a database without events. */
export const HEAD: Key = ["head"];
/** The secret of the digests: text; absent in a journal that was begun by a still older version. */
export const SECRET: Key = ["secret"];
/** How far the journal is settled: a {@link Settled}. */
export const SETTLED: Key = ["settled"];
/** The number of requested erasures: `{ pushed }`. */
export const ERASING: Key = ["erasing"];
/** The number of suppressed digests: `{ count }`; and their pages. */
export const SUPPRESSED: Key = ["suppressed"];
export const suppressedPage = (page: number): Key => ["suppressed", page];
/** The receipts of erasures by the digest of the person: a {@link Receipt} each. */
export const RECEIPTS: Key = ["erased"];
/** Write keys, contracts, the versions of contracts, and when a write key was last used (ms). */
export const WRITE_KEYS: Key = ["writeKey"];
export const CONTRACTS: Key = ["contract"];
export const CONTRACT_VERSIONS: Key = ["contractVersion"];
export const WRITE_KEYS_USED: Key = ["writeKeyUsed"];
/** A chunk of the journal: a {@link Chunk}; from 1, without gaps. */
export const chunkKey = (seq: number): Key => ["journal", seq];
export const JOURNAL: Key = ["journal"];

/** Digests in a page, and bytes of a digest. */
export const PAGE_DIGESTS = 3_000;
export const DIGEST_BYTES = 16;

/** The last chunk, the number of events up to it, and the attempt that wrote it at a time (ms). */
export interface Head {
  seq: number;
  events: number;
  commit: string;
  at: number;
}

/** The number of completed erasures; none if absent. */
export interface Settled {
  erasures?: number;
}

/** What was erased of a person, all in all. */
export interface Receipt {
  at: number;
  suppressed: boolean;
  erased: { events: number; logs: number; groups: number; rejected: number };
}

/** A part of the journal: lines of JSON, compressed, with the digests of their message ids and runs of senders. */
export interface Chunk {
  v: 1;
  commit: string;
  n: number;
  senders: [writeKeyId: string, count: number][];
  digests: Uint8Array;
  body: Uint8Array;
}

/** The line of an erased event. */
export const ERASED_LINE = "{}";

/** The digest of a message id, in hex. */
export function digestOf(messageId: string, secret: string): string {
  return hash("sha256", secret + messageId, "hex").slice(0, DIGEST_BYTES * 2);
}

/** One event of the journal, as it is stored. */
export interface StoredLine {
  line: string;
  /** In hex. */
  digest: string;
  writeKeyId: string;
}

/** The events of a chunk; `undefined` if its parts do not fit together, or its bytes are damaged. */
export function linesOf({ n, senders, digests, body }: Chunk): StoredLine[] | undefined {
  let lines: string[];
  try {
    lines = decompress(body).toString().split("\n");
  } catch {
    return undefined;
  }
  const sentBy = senders.flatMap(([writeKeyId, count]) => Array<string>(count).fill(writeKeyId));
  const fits = lines.length === n && sentBy.length === n && digests.length === n * DIGEST_BYTES;
  if (!fits) return undefined;
  const hex = Buffer.from(digests).toString("hex");
  const digit = DIGEST_BYTES * 2;
  return lines.map((line, at) => ({
    line,
    digest: hex.slice(at * digit, (at + 1) * digit),
    writeKeyId: sentBy[at]!,
  }));
}
