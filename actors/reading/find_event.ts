/**
 * Finds an event of the journal by its message id. No index says where one stands: it would cost each event a write. But
 * what there is says nearly as much: the tail and the dedup index know whether an id is there, and each run of the index
 * covers a stretch of the journal, as both are in order of time; many ids say themselves when they were made; and entries
 * bear the digests of their ids uncompressed, so that one is passed over without inflating it.
 */
import { BEGINNING, earlier, later, type Position } from "../../domain/event/position.ts";
import { timeIn } from "../../domain/event/message_id.ts";
import { DIGEST_WORDS, digestOf, digestsIn, wordsOfHex } from "../journal/chunk.ts";
import { addProbes, lookUp, type Probe } from "../journal/dedup_index.ts";
import type { Journal } from "../journal/journal_state.ts";
import { endBefore, positionIn, readJournal } from "../journal/read_journal.ts";
import { NotServing } from "../store/errors.ts";
import type { Store } from "../store/store.ts";

/** Bounds of a search. */
export const SEARCH_LIMITS = {
  /** Entries of the journal that one search looks at: some seconds of reading. */
  searchEntries: 50_000,
};
export type SearchLimits = typeof SEARCH_LIMITS;

/** Entries that are read at once: of 10 KB mostly, 64 KB at the most. */
const BATCH = 256;

/**
 * Entries that are looked at first, where an id says when it was made: those committed up to a minute after it, less what
 * clocks may differ by.
 */
const HINT_ENTRIES = 4_096;
const HINT_BEFORE_MS = 5_000;
const HINT_AFTER_MS = 60_000;

/** Runs that change while they are looked at are looked at again so often. */
const TRIES = 10;

/** What a search gave: a position, or that there is none, or before which position it is to go on. */
export type Found = { place: Position } | { none: true } | { goOnBefore: Position };

/** What finding needs. */
export interface FinderOptions {
  store: Store;
  journal: Journal;
  /** What digests of message ids are made with. */
  secret: string;
  limits: SearchLimits;
}

/** What is behind one position and up to another. */
interface Stretch {
  after: Position;
  upTo: Position;
}

/** Makes what finds events. */
export function createFinder({ store, journal, secret, limits: { searchEntries } }: FinderOptions) {
  const before = (ms: number) => endBefore(store, ms, journal.end());

  /** Where the digest may stand, by what the tail and the dedup index know; `undefined` where the runs changed meanwhile. */
  async function stretchOf(digest: Uint32Array): Promise<Stretch | "nowhere" | undefined> {
    const tail = journal.tail();
    const view = journal.seen();
    const settled = journal.settled();
    if (tail.has(digest, 0)) return { after: tail.after(), upTo: journal.end() };
    for (const [index, run] of [...view.runs.entries()].reverse()) {
      const probes: Probe[] = [];
      addProbes(probes, { runs: [run], filters: view.filters }, { digests: digest, at: 0 });
      const seen = await lookUp(store, digest, probes);
      if (seen === undefined) return undefined;
      if (seen.length === 0) continue;
      const older = view.runs[index - 1];
      return {
        after: older === undefined ? BEGINNING : await before(older.at),
        upTo: earlier(settled.position, await before(run.at + 1)),
      };
    }
    // What has left the window of dedup is older than every run.
    const remembered = view.runs.reduce((sum, run) => sum + run.n, 0);
    if (remembered >= settled.events) return "nowhere";
    const oldest = view.runs[0];
    return { after: BEGINNING, upTo: oldest === undefined ? settled.position : await before(oldest.at) };
  }

  /** Looks through entries from the newest on, as many as are left; gives the position, or the last that was looked at. */
  async function search(
    digest: Uint32Array,
    { after, upTo }: Stretch,
    room: { entries: number },
  ): Promise<Found> {
    if (after >= upTo) return { none: true };
    let reached = upTo;
    for await (const entry of readJournal(store, { after, upTo, reverse: true, batch: BATCH })) {
      if (room.entries-- <= 0) return { goOnBefore: reached };
      const index = indexIn(digestsIn(entry.chunk.digests), digest);
      if (index >= 0 && positionIn(entry, index) <= upTo) return { place: positionIn(entry, index) };
      reached = positionIn(entry, 0);
    }
    return { none: true };
  }

  /** Finds the newest event with a message id, up to a position where that is given. */
  async function find(messageId: string, upTo?: Position): Promise<Found> {
    const digest = wordsOfHex(digestOf(messageId, secret));
    await journal.sync();
    let stretch: Stretch | "nowhere" | undefined;
    for (let tries = 0; stretch === undefined; tries++) {
      if (tries === TRIES) throw new NotServing("The dedup index keeps changing; retry.", "contention");
      stretch = await stretchOf(digest);
      if (stretch === undefined) {
        await journal.sync();
        await journal.adoptNewest();
      }
    }
    if (stretch === "nowhere") return { none: true };
    // An id that was taken again, after it had left the window, stands before what the index knows.
    if (upTo !== undefined) {
      stretch = {
        after: upTo <= stretch.after ? BEGINNING : stretch.after,
        upTo: earlier(stretch.upTo, upTo),
      };
    }
    const madeMs = timeIn(messageId);
    if (madeMs !== undefined) {
      const hinted = {
        after: later(stretch.after, await before(madeMs - HINT_BEFORE_MS)),
        upTo: earlier(stretch.upTo, await before(madeMs + HINT_AFTER_MS)),
      };
      const found = await search(digest, hinted, { entries: HINT_ENTRIES });
      if ("place" in found) return found;
    }
    return await search(digest, stretch, { entries: searchEntries });
  }

  return { find };
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
