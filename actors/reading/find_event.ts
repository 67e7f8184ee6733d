/**
 * Finds an event of the journal by its message id. No index says where one stands: it would cost each event a write. But
 * what there is says nearly as much: the tail and the seen index know whether an id is there, and each run of the index
 * covers a stretch of the journal, as both are in order of time; many ids say themselves when they were made; and chunks
 * bear the digests of their ids uncompressed, so that one is passed over without inflating it.
 */
import type { Position } from "../../domain/event/position.ts";
import { timeIn } from "../../domain/event/message_id.ts";
import { type Chunk, DIGEST_WORDS, digestOf, digestsIn, placeOf, wordsOfHex } from "../journal/chunk.ts";
import type { Journal } from "../journal/journal_state.ts";
import { journalKey } from "../store/keys.ts";
import { addProbes, lookUp, type Probe } from "../journal/dedup_index.ts";
import type { Store } from "../store/store.ts";
import { NotServing } from "../store/errors.ts";

/** Chunks that one search looks at: some seconds of reading. */
export const SEARCH_CHUNKS = 50_000;

/** Chunks that are read at once: of 10 KB mostly, 64 KB at the most. */
const BLOCK_CHUNKS = 256;

/**
 * Chunks that are looked at first, where an id says when it was made: those committed up to a minute after it, less what
 * clocks may differ by.
 */
const HINT_CHUNKS = 4_096;
const HINT_BEFORE_MS = 5_000;
const HINT_AFTER_MS = 60_000;

/** Runs that change while they are looked at are looked at again so often. */
const TRIES = 10;

/** What a search gave: a place, or that there is none, or from which chunk on (not itself, downwards) it is to go on. */
export type Found = { place: Position } | { none: true } | { goOnBefore: number };

/** What finding needs. */
export interface FinderOptions {
  store: Store;
  journal: Journal;
  /** What digests of message ids are made with. */
  secret: string;
  /** Tests take fewer than {@link SEARCH_CHUNKS}. */
  searchChunks?: number | undefined;
}

/** Chunks `from` to `to`, both within. */
interface Stretch {
  from: number;
  to: number;
}

/** Makes what finds events. */
export function createFinder({ store, journal, secret, searchChunks = SEARCH_CHUNKS }: FinderOptions) {
  const atOf = async (seq: number) => {
    const { value } = await store.get<Chunk>(journalKey(seq));
    if (value === null) throw new Error(`journal has a gap: chunk ${seq} is missing`);
    return value.at;
  };

  /** The first chunk that was committed at a moment (ms) or later; one past the head where none was. */
  async function firstSince(ms: number): Promise<number> {
    let low = 1;
    let high = journal.head().seq + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (await atOf(middle) >= ms) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Where the digest may stand, by what the tail and the seen index know; `undefined` where the runs changed meanwhile. */
  async function stretchOf(digest: Uint32Array): Promise<Stretch | "nowhere" | undefined> {
    const tail = journal.tail();
    const view = journal.seen();
    const settled = journal.settled();
    if (tail.has(digest, 0)) return { from: tail.start() + 1, to: tail.end() };
    for (const [index, run] of [...view.runs.entries()].reverse()) {
      const probes: Probe[] = [];
      addProbes(probes, { runs: [run], filters: view.filters }, { digests: digest, at: 0 });
      const seen = await lookUp(store, digest, probes);
      if (seen === undefined) return undefined;
      if (seen.length === 0) continue;
      const before = view.runs[index - 1];
      return {
        from: before === undefined ? 1 : await firstSince(before.at),
        to: Math.min(settled.seq, await firstSince(run.at + 1) - 1),
      };
    }
    // What has left the window of dedup is older than every run.
    const remembered = view.runs.reduce((sum, run) => sum + run.n, 0);
    if (remembered >= settled.events) return "nowhere";
    const oldest = view.runs[0];
    return { from: 1, to: oldest === undefined ? settled.seq : await firstSince(oldest.at) };
  }

  /** Looks through chunks from the newest on, as many as are left; gives the place, and the last chunk looked at. */
  async function search(digest: Uint32Array, { from, to }: Stretch, room: { chunks: number }) {
    let reached = to + 1;
    while (reached > from && room.chunks > 0) {
      const count = Math.min(BLOCK_CHUNKS, room.chunks, reached - from);
      let place: Position | undefined;
      const range = { start: journalKey(reached - count), end: journalKey(reached) };
      await store.scan<Chunk>(range, Infinity, ({ key, value }) => {
        const index = indexIn(digestsIn(value!.digests), digest);
        if (index >= 0) place = placeOf(key[1] as number, index);
      });
      reached -= count;
      room.chunks -= count;
      if (place !== undefined) return { place, reached };
    }
    return { place: undefined, reached };
  }

  /** Finds the newest event with a message id, in the chunks before one (not itself) where that is given. */
  async function find(messageId: string, before?: number): Promise<Found> {
    const digest = wordsOfHex(digestOf(messageId, secret));
    await journal.sync();
    let stretch: Stretch | "nowhere" | undefined;
    for (let tries = 0; stretch === undefined; tries++) {
      if (tries === TRIES) throw new NotServing("The index of message ids keeps changing.", "contention");
      stretch = await stretchOf(digest);
      if (stretch === undefined) {
        await journal.sync();
        await journal.adoptNewest();
      }
    }
    if (stretch === "nowhere") return { none: true };
    // An id that was taken again, after it had left the window, stands before what the index knows.
    if (before !== undefined) {
      stretch = { from: before <= stretch.from ? 1 : stretch.from, to: Math.min(stretch.to, before - 1) };
    }
    const room = { chunks: searchChunks };
    const madeMs = timeIn(messageId);
    if (madeMs !== undefined && stretch.to - stretch.from > BLOCK_CHUNKS) {
      const from = Math.max(stretch.from, await firstSince(madeMs - HINT_BEFORE_MS));
      const to = Math.min(stretch.to, from + HINT_CHUNKS, await firstSince(madeMs + HINT_AFTER_MS));
      const { place } = await search(digest, { from, to }, room);
      if (place !== undefined) return { place };
    }
    const { place, reached } = await search(digest, stretch, room);
    if (place !== undefined) return { place };
    return reached <= stretch.from ? { none: true } : { goOnBefore: reached };
  }

  return { find, firstSince };
}

/** The number of a digest in a row of them; -1 where it is not there. */
function indexIn(row: Uint32Array, digest: Uint32Array): number {
  for (let at = 0; at < row.length; at += DIGEST_WORDS) {
    let i = 0;
    while (i < DIGEST_WORDS && row[at + i] === digest[i]) i++;
    if (i === DIGEST_WORDS) return at / DIGEST_WORDS;
  }
  return -1;
}
