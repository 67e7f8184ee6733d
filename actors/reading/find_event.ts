/**
 * Finds an event of the journal by its message id. No index stores positions: it would cost each event a write. Instead,
 * the tail and the dedup index know whether an id exists; each run of the index covers a stretch of the journal, since both
 * are in order of time; many ids contain the time of their creation; and entries have the digests of their ids
 * uncompressed, so that an entry is skipped without inflating it.
 */
import { BEGINNING, earlier, later, type Position } from "../../domain/event/position.ts";
import { timeIn } from "../../domain/event/message_id.ts";
import { digestOf, indexOfDigest, wordsOfHex } from "../dedup/digest.ts";
import { counts } from "../journal/header.ts";
import { addProbes, lookUp, type Probe } from "../dedup/dedup_index.ts";
import type { Journal } from "../journal/journal_state.ts";
import { endBefore, positionIn, readJournal } from "../journal/read_journal.ts";
import { NotServing } from "../store/errors.ts";
import type { Store } from "../store/store.ts";

/** Bounds of a search. */
export const SEARCH_LIMITS = {
  /** Entries of the journal that one search reads: some seconds of reading. */
  searchEntries: 50_000,
};
export type SearchLimits = typeof SEARCH_LIMITS;

/** Entries that are read at once: 10 KB each mostly, at most 64 KB. */
const BATCH = 256;

/**
 * Entries that are searched first if an id has a time: those that were committed up to a minute after it. Clocks may
 * differ by some seconds.
 */
const HINT_ENTRIES = 4_096;
const HINT_BEFORE_MS = 5_000;
const HINT_AFTER_MS = 60_000;

/** Attempts at a lookup whose runs change meanwhile. */
const TRIES = 10;

/** The result of a search: a position, none, or the position before which it must be continued. */
export type Found = { position: Position } | { none: true } | { goOnBefore: Position };

export interface FinderOptions {
  store: Store;
  journal: Journal;
  /** The secret of the digests of message ids. */
  secret: string;
  limits: SearchLimits;
}

/** The positions after one, up to another. */
interface Stretch {
  after: Position;
  upTo: Position;
}

/** Creates the search for events. */
export function createFinder(options: FinderOptions) {
  const { journal, secret, limits: { searchEntries } } = options;
  return {
    /** Finds the newest event with a message id, up to a position if one is given. */
    async find(messageId: string, upTo?: Position): Promise<Found> {
      const digest = wordsOfHex(digestOf(messageId, secret));
      await journal.sync();
      const known = await knownStretchOf(options, digest);
      if (known === "nowhere") return { none: true };
      const stretch = upTo === undefined ? known : {
        // An id that was accepted again, after it had left the window, is before the stretch that the index knows.
        after: upTo <= known.after ? BEGINNING : known.after,
        upTo: earlier(known.upTo, upTo),
      };
      const hinted = await hintedStretch(options, messageId, stretch);
      if (hinted !== undefined) {
        const found = await search(options, digest, { ...hinted, entries: HINT_ENTRIES });
        if ("position" in found) return found;
      }
      return await search(options, digest, { ...stretch, entries: searchEntries });
    },
  };
}

/** The stretch that may hold a digest; tried again while the runs of the dedup index change. */
async function knownStretchOf(options: FinderOptions, digest: Uint32Array): Promise<Stretch | "nowhere"> {
  for (let tries = 0; tries < TRIES; tries++) {
    const stretch = await stretchOf(options, digest);
    if (stretch !== undefined) return stretch;
    await options.journal.sync();
    await options.journal.adoptNewest();
  }
  throw new NotServing("The dedup index keeps changing; retry.", "contention");
}

/** The stretch that may hold a digest, by the tail and the dedup index; `undefined` if the runs changed meanwhile. */
async function stretchOf(
  { store, journal }: FinderOptions,
  digest: Uint32Array,
): Promise<Stretch | "nowhere" | undefined> {
  const tail = journal.tail();
  const view = journal.seen();
  const settled = journal.settled();
  if (tail.has(digest, 0)) return { after: tail.after(), upTo: journal.end() };
  for (const [index, run] of [...view.runs.entries()].reverse()) {
    const probes: Probe[] = [];
    addProbes(probes, { runs: [run], filters: view.filters }, { digests: digest, at: 0 });
    const found = await lookUp(store, digest, probes);
    if (found === undefined) return undefined;
    if (found.length === 0) continue;
    return { after: view.runs[index - 1]?.end ?? BEGINNING, upTo: run.end };
  }
  // Events that have left the window of dedup are older than every run.
  const remembered = view.runs.reduce((sum, run) => sum + run.n, 0);
  if (remembered >= settled.events) return "nowhere";
  return { after: BEGINNING, upTo: settled.position };
}

/** The part of a stretch that was committed at about the time in an id; `undefined` if the id has no time. */
async function hintedStretch(
  { store, journal }: FinderOptions,
  messageId: string,
  stretch: Stretch,
): Promise<Stretch | undefined> {
  const madeMs = timeIn(messageId);
  if (madeMs === undefined) return undefined;
  const before = (ms: number) => endBefore(store, ms, journal.end());
  return {
    after: later(stretch.after, await before(madeMs - HINT_BEFORE_MS)),
    upTo: earlier(stretch.upTo, await before(madeMs + HINT_AFTER_MS)),
  };
}

/** Searches at most `entries` entries from the newest on; gives the position, or the last one that was searched. */
async function search(
  { store, journal }: FinderOptions,
  digest: Uint32Array,
  { after, upTo, entries }: Stretch & { entries: number },
): Promise<Found> {
  if (after >= upTo) return { none: true };
  let reached = upTo;
  let searched = 0;
  for await (const entry of readJournal(store, { after, upTo, reverse: true, batch: BATCH })) {
    if (searched++ >= entries) return { goOnBefore: reached };
    const { header, end } = entry;
    const index = indexOfDigest(header.digests, digest);
    // A copy holds its place for nobody; what was erased holds it, so that a later copy does not count.
    const isFound = index >= 0 && positionIn(entry, index) <= upTo &&
      counts(header, index, journal.tail().copiesOf(end));
    if (isFound) return { position: positionIn(entry, index) };
    reached = positionIn(entry, 0);
  }
  return { none: true };
}
