/** What a commit is made of: the requests that share it, of their events those that are new, and the values to write. */
import type { Position } from "../../domain/event/position.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { namesOf } from "../../domain/profile/fact.ts";
import { bodyPrefix, headerPrefix, JOURNAL, type Key } from "../store/keys.ts";
import { makeBodies } from "../journal/body.ts";
import { pickDigests, wordsOfHex } from "../dedup/digest.ts";
import { createDigestSet, type DigestSet } from "../dedup/digest_set.ts";
import { columnsOf, encodeHeader, partsOfHeader, sendersOf } from "../journal/header.ts";
import type { OwnCommit } from "../journal/journal_state.ts";

/** What the commit of one event gave. */
export interface Receipt {
  messageId: string;
  duplicate: boolean;
}

/** Bounds of a commit. */
export const COMMIT_LIMITS = {
  /** Some bytes of JSON in a frame before compression: small, so that reading one event inflates little. */
  frameBytes: 32 * 1024,
  /** Bytes of frames in one value. */
  bodyBytes: 60_000,
  /** One atomic operation takes 800 KiB: header and bodies must fit with room to spare. */
  commitBytes: 600_000,
  /** A group gathers requests up to so much JSON, so that a commit stays quick; a single request may be larger. */
  groupBytes: 1024 * 1024,
  /** Likewise of events: preparing them holds the thread, 15 to 30 µs each. */
  groupEvents: 2_500,
};
export type CommitLimits = typeof COMMIT_LIMITS;

/** An event of another journal. */
export interface StoredBefore {
  /** `undefined` if it was erased there: then only its digest is appended. */
  event: StoredEvent | undefined;
  /** The digest of its message id, in hex. */
  digest: string;
  writeKeyId: string;
}

/** A request that waits. */
export interface Request {
  events: StoredEvent[];
  lines: string[];
  /** The digests of its message ids in hex, put together; and as words, once they are needed. */
  digests: string;
  words: Uint32Array | undefined;
  /** The sender of all its events, or of each. */
  writeKeyId: string | readonly string[];
  bytes: number;
  /** When it came, by the monotonic clock. */
  cameMs: number;
  /** The version of the suppression list by which its events were judged; `undefined` for what is appended anyway. */
  judged: number | undefined;
  resolve(receipts: Receipt[]): void;
  reject(error: unknown): void;
}

/** The digests of a request. */
export function wordsOf(request: Request): Uint32Array {
  return request.words ??= wordsOfHex(request.digests);
}

/** The digests of a group's events, as words in a row. */
export function digestsOf(group: readonly Request[]): Uint32Array {
  if (group.length === 1) return wordsOf(group[0]!);
  let hex = "";
  for (const { digests } of group) hex += digests;
  return wordsOfHex(hex);
}

/** Of each event of a group, whether its id is in the journal (1), and how many are. */
export interface Known {
  isKnown: Uint8Array;
  hits: number;
}

/** The events of a group that are not in the journal yet. */
export interface Fresh {
  lines: string[];
  digests: Uint32Array;
  events: StoredEvent[];
  writeKeyIds: string[];
  /** Of each event of the group, whether one before it has the same id (1). */
  isRepeat: Uint8Array;
}

/** The events of a group that are not in the journal yet; of two with one id, the first. */
export function freshOf(group: readonly Request[], digests: Uint32Array, { isKnown }: Known): Fresh {
  const count = isKnown.length;
  const fresh: Fresh = { lines: [], digests, events: [], writeKeyIds: [], isRepeat: new Uint8Array(count) };
  const taken = createDigestSet(count);
  const kept: number[] = [];
  let at = 0;
  for (const { lines, events, writeKeyId } of group) {
    for (let index = 0; index < events.length; index++, at++) {
      if (!taken.add(digests, at)) fresh.isRepeat[at] = 1;
      else if (isKnown[at] === 0) {
        kept.push(at);
        fresh.lines.push(lines[index]!);
        fresh.events.push(events[index]!);
        fresh.writeKeyIds.push(typeof writeKeyId === "string" ? writeKeyId : writeKeyId[index]!);
      }
    }
  }
  if (kept.length < count) fresh.digests = pickDigests(digests, kept);
  return fresh;
}

/** What an attempt writes, and what the process takes in once it is written. */
export interface Prepared {
  /** Of header and bodies. */
  bytes: number;
  stamped: [Key, Uint8Array][];
  own: Omit<OwnCommit, "stamp">;
}

/** What an attempt says of itself. */
export interface Attempt {
  commit: string;
  at: number;
  total: number;
  /** Up to where all ids are known; `undefined` if the process is alone. */
  known: Position | undefined;
}

/** The header and the bodies of a commit; `undefined` where they don't fit one atomic operation. */
export function prepare(
  { lines, digests, events, writeKeyIds }: Fresh,
  { commit, at, total, known }: Attempt,
  limits: CommitLimits,
): Prepared | undefined {
  const columns = columnsOf(events);
  const made = makeBodies(lines, limits);
  const senders = sendersOf(writeKeyIds);
  const facts = { commit, at, total, known, senders, bodies: made.counts };
  const header = encodeHeader(facts, columns, digests);
  const bytes = header.length + made.bytes;
  if (bytes > limits.commitBytes) return undefined;
  const stamped: [Key, Uint8Array][] = partsOfHeader(header).map((
    part,
    n,
  ) => [n === 0 ? JOURNAL : headerPrefix(n), part]);
  for (const [n, body] of made.values.entries()) stamped.push([bodyPrefix(n), body]);
  const names = columns.isThin ? events.map(namesOf) : undefined;
  return {
    bytes,
    stamped,
    own: { at, columns, names, digests, senders, bodies: made.counts, frames: made.frames },
  };
}

/** How the events of a group were found. */
export interface Outcome {
  fresh: Fresh;
  known: Known;
  /** Ids that are known because an earlier attempt of this group has written them. */
  ours: DigestSet | undefined;
  /** Of the fresh events, those that are copies of another's (1). */
  copies: Uint8Array | undefined;
}

/** Gives each request its receipts: a duplicate is an event that does not count. */
export function answer(
  group: readonly Request[],
  digests: Uint32Array,
  { fresh: { isRepeat }, known, ours, copies }: Outcome,
): void {
  let at = 0;
  let inFresh = 0;
  for (const { events, resolve } of group) {
    resolve(events.map(({ messageId }) => {
      const isRepeated = isRepeat[at] === 1;
      const isKnown = known.hits > 0 && known.isKnown[at] === 1;
      let duplicate = isRepeated || (isKnown && ours?.has(digests, at) !== true);
      if (!isRepeated && !isKnown && copies?.[inFresh++] === 1) duplicate = true;
      at++;
      return { messageId, duplicate };
    }));
  }
}
