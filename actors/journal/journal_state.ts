/**
 * The journal as one process knows it: how far it goes, what of it is not settled yet (the tail), which message ids are
 * in it, and its events by place.
 *
 * What a process knows is complete up to the end that it knows. A process that is alone learns nothing but what it commits
 * itself, so it reads the roster alone to know that it knows everything.
 */
import { type Names, namesOf } from "../../domain/profile/fact.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { endOf, type Position } from "../../domain/event/position.ts";
import { ROSTER, SETTLED } from "../store/keys.ts";
import type { Entry, Store } from "../store/store.ts";
import { ERASED_LINE, type Frame } from "./body.ts";
import { copiesIn, RunsChanged } from "./copies.ts";
import { DEDUP_LIMITS, type Filter, loadFilters, type Run, type SeenView } from "../dedup/dedup_index.ts";
import { createEvents, EVENTS_LIMITS } from "./event_reader.ts";
import { type Columns, FLAGS, type Header, namesAt } from "./header.ts";
import { entriesAt, type JournalEntry, linesOfEntry, readJournal } from "./read_journal.ts";
import { type Checkpoint, NO_CHECKPOINT } from "./subscription.ts";
import { createTail, type Tail, TAIL_LIMITS, type TailEntry } from "./tail.ts";
import { createTickets, type Ticket } from "./tickets.ts";

/** The checkpoint of settling: what is in actors, logs and the dedup index. */
export interface Settled extends Checkpoint {
  /** The generation of actor keys that readers use. */
  generation: number;
  runs: Run[];
  nextRun: number;
  /** How many wishes for erasure are fulfilled; absent is none. */
  erasures?: number;
  /** The latest time of all settled commits (ms), and the latest that the index of times has. */
  maxAt: number;
  timedAt: number;
}

/** How many wishes for erasure are fulfilled. */
export const erasuresOf = ({ erasures = 0 }: Settled): number => erasures;

/** Before the first round. */
export const NOTHING_SETTLED: Settled = {
  ...NO_CHECKPOINT,
  generation: 1,
  runs: [],
  nextRun: 1,
  maxAt: 0,
  timedAt: 0,
};

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

/** A commit of this process that is in the journal. */
export interface OwnCommit {
  stamp: string;
  at: number;
  columns: Columns;
  /** The names of its events, where the columns lack them. */
  names: Names[] | undefined;
  digests: Uint32Array;
  senders: Header["senders"];
  bodies: number[];
  frames: Frame[];
}

/** What a process needs to know that it is alone. */
export interface Alone {
  /** The stamp of the roster while it is alone, as far as it knows. */
  alone(): string | undefined;
  /** Tells the stamp that the roster has. */
  rosterIs(stamp: string | null): void;
}

/** Attempts at reading on while the runs of the dedup index change. */
const TRIES = 10;

/** Whether a value of the settled key is not older than another: an answer may be overtaken by a later one. */
function isSince(value: Settled, other: Settled): boolean {
  return value.position >= other.position && value.generation >= other.generation &&
    erasuresOf(value) >= erasuresOf(other);
}

function sameRuns(a: Settled, b: Settled): boolean {
  return a.runs.length === b.runs.length && a.runs.every((run, index) => run.id === b.runs[index]!.id);
}

/** The journal of a process. */
export type Journal = ReturnType<typeof createJournal>;

/** Makes the journal; call `sync` before the first use. */
export function createJournal(store: Store, limits: JournalLimits) {
  let settled: Settled = NOTHING_SETTLED;
  let settledNow: Settled = NOTHING_SETTLED;
  let filters: ReadonlyMap<number, Filter> = new Map();
  let tail: Tail = createTail(NOTHING_SETTLED.position, { ...limits, before: 0 });
  let newestAt = 0;
  let epoch = 0;
  let membership: Alone = { alone: () => undefined, rosterIs() {} };
  let running: Promise<void> | undefined;
  let queued: Promise<void> | undefined;
  let adopting: Promise<void> | undefined;
  const tickets = createTickets();
  /** Commits of this process that wait to be read, and the copies in those that were. */
  const verdicts = new Map<string, { copies: Uint8Array | undefined } | undefined>();
  const followers: (() => void)[] = [];
  const events = createEvents(store, limits);

  /** Learns all that was committed before, in whatever process. */
  async function catchUp(): Promise<void> {
    const alone = membership.alone();
    // A commit under way may be written, though not answered: another process may have read it and shown it.
    if (alone === undefined || tickets.pending() > 0 || tickets.underWay() > 0) return await readOn();
    const [roster, settledEntry] = await store.getMany<Settled>([ROSTER, SETTLED]);
    noteSettled(settledEntry!.value);
    membership.rosterIs(roster!.stamp);
    if (roster!.stamp !== alone) return await readOn();
    await follow();
  }

  /** Reads the journal on, up to its end. */
  async function readOn(): Promise<void> {
    for (let tries = 1;; tries++) {
      const reading = store.get<Settled>(SETTLED);
      reading.catch(() => {});
      try {
        const isFar = await readEntries(reading);
        noteSettled((await reading).value);
        await follow();
        if (!isFar) return;
      } catch (error) {
        if (!(error instanceof RunsChanged) || tries === TRIES) throw error;
        await adoptNewest();
      }
    }
  }

  /** Reads entries behind the tail; true if there are many, and what is settled may be a better place to begin. */
  async function readEntries(reading: Promise<Entry<Settled>>): Promise<boolean> {
    let count = 0;
    for await (const entry of readJournal(store, { after: tail.end(), batch: limits.catchUpEntries })) {
      if (count++ >= limits.catchUpEntries && count % limits.catchUpEntries === 1) {
        noteSettled((await reading).value);
        if (settledNow.position > tail.end()) return true;
      }
      await read(entry);
    }
    return false;
  }

  function noteSettled(value: Settled | null): void {
    if (value !== null && isSince(value, settledNow)) settledNow = value;
  }

  /** Takes in what is settled, if that matters now. */
  async function follow(): Promise<void> {
    const isFar = settledNow.position > tail.end() || settledNow.generation !== settled.generation ||
      erasuresOf(settledNow) !== erasuresOf(settled);
    if (isFar) await adoptNewest();
    else if (settledNow.position > settled.position && tail.events() > limits.trimEvents) {
      // A hint: it may fail or come late, the tail is only longer then.
      adopting ??= adoptNewest().catch(() => {}).finally(() => adopting = undefined);
    }
  }

  async function read(entry: JournalEntry): Promise<void> {
    const { end, header } = entry;
    // Meanwhile this process may have committed what it was about to read.
    if (end <= tail.end()) return;
    const judged = copiesIn(header, { store, has: tail.has, after: tail.after(), seen: () => seen() });
    const copies = judged instanceof Promise ? await judged : judged;
    // What is thin says the names of its events in its bodies alone.
    const lines = header.isThin ? await linesOfEntry(store, entry) : undefined;
    if (verdicts.has(header.commit)) verdicts.set(header.commit, { copies });
    newestAt = Math.max(newestAt, header.at);
    tail.append({
      end,
      n: header.n,
      names: () => namesIn(header, lines),
      digests: header.digests,
      copies,
      bytes: bytesOf(header.texts),
    });
  }

  /** Takes in what is settled: loads the filters first, then changes list, filters and tail in one synchronous step. */
  async function adoptNewest(): Promise<void> {
    noteSettled((await store.get<Settled>(SETTLED)).value);
    const target = settledNow;
    const isSame = target.position === settled.position && target.generation === settled.generation &&
      sameRuns(target, settled) && erasuresOf(target) === erasuresOf(settled);
    if (isSame) return;
    const loaded = await loadFilters(store, target.runs, { loaded: filters, limits });
    adopt(target, loaded);
  }

  function adopt(next: Settled, loaded: ReadonlyMap<number, Filter>): void {
    if (!isSince(next, settled)) return;
    if (next.position > tail.end()) {
      tail = createTail(next.position, { ...limits, before: next.events });
      epoch++;
    }
    if (next.generation !== settled.generation) epoch++;
    if (erasuresOf(next) > erasuresOf(settled)) {
      // What was read before may be of somebody who is gone.
      events.forget();
      epoch++;
    }
    settled = next;
    noteSettled(next);
    filters = loaded;
    newestAt = Math.max(newestAt, next.maxAt);
    tail.trim(next.position);
  }

  const seen = (): SeenView => ({ runs: settled.runs, filters });

  function shared(act: () => Promise<void>): Promise<void> {
    return running = act().finally(() => running = undefined);
  }

  return {
    /** Tells what knows whether this process is alone. */
    join: (alone: Alone) => void (membership = alone),
    /** How many events count up to the end that is known, and the latest time of a commit (ms). */
    head: () => ({ events: tail.counted(), at: newestAt }),
    /** A position behind all that is known; all up to it is in the tail or settled. */
    end: (): Position => tail.end(),
    /** What is settled as this process knows it, and as it last read it: the tail begins at the former, or before. */
    settled: () => settled,
    settledNow: () => settledNow,
    tail: () => tail,
    /** Changes when the tail was begun anew or the actors' generation changed: views before and after don't join. */
    epoch: () => epoch,
    /** The runs and filters that go with the tail. */
    seen,
    /**
     * Knows, when it resolves, all that was committed before it was called, in whatever process. Callers share reads.
     */
    sync(): Promise<void> {
      if (running === undefined) return shared(catchUp);
      // The read under way may have begun before the commit that this caller must see: it waits for the next.
      return queued ??= running.catch(() => {}).then(() => {
        queued = undefined;
        return shared(catchUp);
      });
    },
    /** Begins a commit with these ids. */
    begin: (digests: Uint32Array): Ticket => tickets.begin(digests),
    /** It was not written, or `sync` has read it. */
    drop: tickets.drop,
    /** Takes in a commit that this process has made alone, when its turn comes. */
    committed(ticket: Ticket, commit: OwnCommit): void {
      const end = endOf(commit.stamp);
      const entry = tailEntryOf(end, commit);
      tickets.finish(ticket, end, () => {
        newestAt = Math.max(newestAt, commit.at);
        // One that is known already may have been rewritten since: then what this process wrote is out of date.
        if (tail.append(entry)) events.keep(commit);
      });
    },
    /** Whether an id is in a commit of this process that is under way; whether it is in the journal, but in no run. */
    isUnderWay: tickets.isUnderWay,
    underWay: tickets.underWay,
    has: (digests: Uint32Array, at: number): boolean =>
      tail.has(digests, at) || tickets.isPending(digests, at),
    /** Remembers the copies of a commit of this process, once it is read, for {@link copiesOfOwn}. */
    expect: (commit: string) => void verdicts.set(commit, undefined),
    forgetOwn: (commit: string) => void verdicts.delete(commit),
    /** The copies in a commit of this process that was expected, once it is read. */
    async copiesOfOwn(commit: string, stamp: string): Promise<Uint8Array | undefined> {
      const verdict = verdicts.get(commit);
      if (verdict !== undefined) return verdict.copies;
      // Settling has passed it already, and marked what does not count.
      const [entry] = await entriesAt(store, [endOf(stamp)]);
      return markedIn(entry!.header);
    },
    /** The copies in an entry that is known (1); `undefined` if there are none. */
    copiesOf: ({ end, header }: JournalEntry): Uint8Array | undefined =>
      tail.copiesOf(end) ?? markedIn(header),
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

/** The copies that settling has marked in a header; `undefined` if there are none. */
export function markedIn({ flags }: Header): Uint8Array | undefined {
  return flags.some((flag) => (flag & FLAGS.copy) !== 0)
    ? flags.map((flag) => (flag & FLAGS.copy) === 0 ? 0 : 1)
    : undefined;
}

function tailEntryOf(end: Position, { columns, names, digests }: OwnCommit): TailEntry {
  const n = columns.flags.length;
  return {
    end,
    n,
    names: () => names ?? Array.from({ length: n }, (_, index) => namesAt(columns, index)),
    digests,
    copies: undefined,
    bytes: bytesOf(columns.texts),
  };
}

function bytesOf(texts: readonly string[]): number {
  let bytes = 0;
  for (const text of texts) bytes += 4 * text.length;
  return bytes;
}

/** The names of the events of a header; `undefined` for those that were erased. */
function namesIn(header: Header, lines: string[] | undefined): (Names | undefined)[] {
  return Array.from({ length: header.n }, (_, index) => {
    if ((header.flags[index]! & (FLAGS.erased | FLAGS.copy)) !== 0) return undefined;
    if (lines === undefined) return namesAt(header, index);
    return lines[index] === ERASED_LINE ? undefined : namesOf(parseExact(lines[index]!) as StoredEvent);
  });
}
