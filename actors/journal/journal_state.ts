/**
 * The journal as one process knows it: how far it goes, what of it is not settled yet (the tail), which message ids are
 * in it, and its events by place.
 *
 * What a process knows is complete up to the head that it knows: a commit that checks this head's stamp therefore fails
 * if anything was appended that it does not know.
 */
import { type Names, namesOf } from "../../domain/profile/fact.ts";
import { endOf, stampOf } from "../../domain/event/position.ts";
import { type Chunk, digestsIn, eventsOf, seqOfStamp, stampOfSeq } from "./chunk.ts";
import { endOfHead, type Head, type JournalEntry, readJournal } from "./read_journal.ts";
import { createEvents, EVENTS_LIMITS } from "./event_reader.ts";
import { type Checkpoint, NO_CHECKPOINT } from "./subscription.ts";
import { HEAD, SETTLED } from "../store/keys.ts";
import { DEDUP_LIMITS, type Filter, loadFilters, type Run, type SeenView } from "./dedup_index.ts";
import type { Entry, Store } from "../store/store.ts";
import { createTail, type Tail, TAIL_LIMITS } from "./tail.ts";

/** A head, with the stamp of its key. */
export type KnownHead = Head & { stamp: string | null };

/** The checkpoint of settling: what is in actors, logs and the dedup index. */
export interface Settled extends Checkpoint {
  /** The generation of actor keys that readers use. */
  generation: number;
  runs: Run[];
  nextRun: number;
  /** How many wishes for erasure are fulfilled; absent is none. */
  erasures?: number;
}

/** How many wishes for erasure are fulfilled. */
export const erasuresOf = ({ erasures = 0 }: Settled): number => erasures;

/** Before the first round. */
export const NOTHING_SETTLED: Settled = { ...NO_CHECKPOINT, generation: 1, runs: [], nextRun: 1 };

/** Bounds of a journal. */
export const JOURNAL_LIMITS = {
  ...EVENTS_LIMITS,
  ...TAIL_LIMITS,
  ...DEDUP_LIMITS,
  /** Entries read in one go when catching up: bounds the memory that a long way takes. */
  catchUpEntries: 64,
  /** A process lets another's settling trim its tail once it holds so many events. */
  trimEvents: 8_192,
};
export type JournalLimits = typeof JOURNAL_LIMITS;

/** Called with each chunk that was read rather than written by this process, before it is in the tail. */
export type ChunkListener = (chunk: Chunk) => void;

/** A chunk that this process has written. */
export interface NewChunk {
  seq: number;
  chunk: Chunk;
  /** Its lines of JSON, joined by line feeds. */
  raw: Uint8Array;
  names: Names[];
  digests: Uint32Array;
}

/** Whether a value of the settled key is not older than another: an answer may be overtaken by a later one. */
function isSince(value: Settled, other: Settled): boolean {
  return value.position >= other.position && value.generation >= other.generation &&
    erasuresOf(value) >= erasuresOf(other);
}

const seqOf = ({ position }: Settled): number => seqOfStamp(stampOf(position));

function sameRuns(a: Settled, b: Settled): boolean {
  return a.runs.length === b.runs.length && a.runs.every((run, index) => run.id === b.runs[index]!.id);
}

/** The journal of a process. */
export type Journal = ReturnType<typeof createJournal>;

/** Makes the journal; call `sync` before the first use. */
export function createJournal(store: Store, limits: JournalLimits) {
  let head: KnownHead = { seq: 0, events: 0, commit: "", at: 0, stamp: null };
  let settled: Settled = NOTHING_SETTLED;
  let settledNow: Settled = NOTHING_SETTLED;
  let filters: ReadonlyMap<number, Filter> = new Map();
  let tail: Tail = createTail(0, limits);
  let epoch = 0;
  let running: Promise<void> | undefined;
  let queued: Promise<void> | undefined;
  let adopting: Promise<void> | undefined;
  const listeners: ChunkListener[] = [];
  const followers: (() => void)[] = [];
  const events = createEvents(store, limits);

  /** Reads head and settled, and the journal up to the head. */
  async function catchUp(): Promise<void> {
    const [headEntry, settledEntry] = await store.getMany([HEAD, SETTLED]) as [Entry<Head>, Entry<Settled>];
    const newest = headEntry.value;
    if (settledEntry.value !== null && isSince(settledEntry.value, settledNow)) {
      settledNow = settledEntry.value;
    }
    const far = seqOf(settledNow) > tail.end() || settledNow.generation !== settled.generation ||
      erasuresOf(settledNow) !== erasuresOf(settled);
    if (far) await adoptNewest();
    else if (settledNow.position > settled.position && tail.events() > limits.trimEvents) {
      // A hint: it may fail or come late, the tail is only longer then.
      adopting ??= adoptNewest().catch(() => {}).finally(() => adopting = undefined);
    }
    if (newest === null || newest.seq < head.seq) return;
    const range = {
      after: endOf(stampOfSeq(tail.end())),
      upTo: endOfHead(newest).end,
      batch: limits.catchUpEntries,
    };
    if (range.after < range.upTo) { for await (const entry of readJournal(store, range)) read(entry); }
    if (newest.seq >= head.seq) head = { ...newest, stamp: headEntry.stamp };
  }

  function read({ end, chunk }: JournalEntry): void {
    const seq = seqOfStamp(stampOf(end));
    // Meanwhile this process may have committed what it was about to read.
    if (seq <= tail.end()) return;
    for (const listener of listeners) listener(chunk);
    tail.append({ seq, names: eventsOf(chunk).map(namesOf), digests: digestsIn(chunk.digests) });
  }

  /** Takes in what is settled: loads the filters first, then changes list, filters and tail in one synchronous step. */
  async function adoptNewest(): Promise<void> {
    const { value } = await store.get<Settled>(SETTLED);
    if (value !== null && isSince(value, settledNow)) settledNow = value;
    const target = settledNow;
    const isSame = target.position === settled.position && target.generation === settled.generation &&
      sameRuns(target, settled) && erasuresOf(target) === erasuresOf(settled);
    if (isSame) return;
    const loaded = await loadFilters(store, target.runs, { loaded: filters, limits });
    adopt(target, loaded);
  }

  function adopt(next: Settled, loaded: ReadonlyMap<number, Filter>): void {
    if (!isSince(next, settled)) return;
    if (seqOf(next) > tail.end()) {
      tail = createTail(seqOf(next), limits);
      epoch++;
    }
    if (next.generation !== settled.generation) epoch++;
    if (erasuresOf(next) > erasuresOf(settled)) {
      // What was read before may be of somebody who is gone.
      events.forget();
      epoch++;
    }
    settled = next;
    if (isSince(next, settledNow)) settledNow = next;
    filters = loaded;
    tail.trim(seqOf(next));
  }

  return {
    /** The head that is known; all up to it is in the tail or settled. */
    head: () => head,
    /** The same as a position behind all its events. */
    end: () => endOfHead(head).end,
    /** What is settled as this process knows it, and as it last read it: the tail begins at the former, or before. */
    settled: () => settled,
    settledNow: () => settledNow,
    tail: () => tail,
    /** Changes when the tail was begun anew or the actors' generation changed: views before and after don't join. */
    epoch: () => epoch,
    /** The runs and filters that go with the tail. */
    seen: (): SeenView => ({ runs: settled.runs, filters }),
    onChunk: (listener: ChunkListener) => void listeners.push(listener),
    /**
     * Knows, when it resolves, all that was committed before it was called, in whatever process. Callers share reads.
     */
    sync(): Promise<void> {
      if (running === undefined) {
        return running = catchUp().finally(() => running = undefined);
      }
      // The read under way may have begun before the commit that this caller must see: it waits for the next.
      return queued ??= running.catch(() => {}).then(() => {
        queued = undefined;
        return running = catchUp().finally(() => running = undefined);
      });
    },
    /** Takes in a commit of this process. */
    committed(next: KnownHead, chunks: NewChunk[]): void {
      for (const { seq, chunk, raw, names, digests } of chunks) {
        // One that is known already may have been rewritten since: then what this process wrote is out of date.
        if (tail.append({ seq, names, digests })) events.keep(seq, chunk, raw);
      }
      if (next.seq > head.seq) head = next;
    },
    /** Calls a listener after each commit of this process: what others commit is found by looking. */
    onAdvance: (listener: () => void) => void followers.push(listener),
    /** Call it once a commit is answered. */
    advanced(): void {
      for (const follower of followers) follower();
    },
    adoptNewest,
    /** The events of the journal by place. */
    events,
  };
}
