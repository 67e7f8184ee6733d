/**
 * What comes, as it comes, for whoever listens: events from the journal itself, in its order and without gaps; duplicates
 * and rejections as notes (`broadcast.ts`), as far as they can be had.
 *
 * The journal is the buffer. A listener has a place in it and asks when it is ready for more, so one that reads slowly
 * costs no memory; one that falls behind too far passes over the rest and is told how much that was. All listeners
 * together get a share of the thread. While nobody listens nothing runs.
 */
import { BEGINNING, type Position } from "../../domain/event/position.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { linesOf, senderOf } from "../journal/chunk.ts";
import { positionIn, readJournal } from "../journal/read_journal.ts";
import type { Journal } from "../journal/journal_state.ts";
import { createNotes, type Notes } from "./broadcast.ts";
import { BEAT_MS, LISTENED_MS } from "./listening.ts";
import type { Note } from "./note_windows.ts";
import type { Clock } from "../store/clock.ts";
import type { Store } from "../store/store.ts";
import { TooManyListeners } from "../store/errors.ts";

/** A place in the journal, and how many events are in it up to there. */
export interface LivePosition {
  place: Position;
  count: number;
}

/** What came since a listener last asked: what was passed over first, then events in their order, then notes. */
export interface News {
  /** Events and notes that were passed over, as the listener had fallen behind too far. */
  skipped: number;
  events: { event: StoredEvent; writeKeyId: string; position: LivePosition }[];
  notes: Note[];
  /** Up to here everything was looked at. */
  position: LivePosition;
}

/** Somebody who listens; it takes room until it is closed. */
export interface Listener {
  position(): LivePosition;
  /** What came, as soon as something did, or nothing after `waitMs`; `undefined` once it is closed. */
  next(waitMs: number): Promise<News | undefined>;
  close(): void;
}

/** What comes, as it comes, in all processes. */
export interface Live {
  /**
   * Whether notes are wanted, here or in another process, or may be. Cheap enough to ask for each request: now and then it
   * has storage looked at, behind the answer. `atMs` says when the request came: another look at a clock would be most of
   * the cost.
   */
  wanted(atMs: number): boolean;
  /** Tells of what did not go into the journal; passed over where nobody listens. */
  tell(notes: readonly Note[]): void;
  /**
   * Begins after a position that was given before, or with what comes from now on. `mayWant` is asked of each event's line
   * of JSON before that is parsed; without it no events are wanted, only notes. Throws {@link TooManyListeners}.
   */
  listen(
    options: { after?: LivePosition | undefined; mayWant?: ((line: string) => boolean) | undefined },
  ): Promise<Listener>;
  /** Closes all listeners, and lets nobody listen any more. */
  end(): void;
}

/** Listeners of one process: people who look, not programs that forward. */
export const MAX_LISTENERS = 32;

/** A listener that is further behind, having read slowly or been away, passes over what is between. */
export const MAX_BEHIND_EVENTS = 50_000;

/** How long what this process commits waits for more, so that listeners are woken some times a second, not at each commit. */
const WAKE_MS = 50;

/** How often the head is read while somebody listens: what other processes commit shows within a second. */
const LOOK_MS = 500;

/** Entries that a listener looks at in one turn: some ms of work, and a few 100 KB that wait where nobody reads them. */
export const ENTRIES_AT_ONCE = 8;

/** After a turn a listener rests for so many times as long, times the number of listeners: all get a third of the thread. */
const REST_FACTOR = 3;
const MAX_REST_MS = 1_000;

/** A listener that has not asked for so long, as nobody reads what it gave, is closed: it takes another's room. */
export const STALLED_MS = 60_000;

/** Bounds of the feed. */
export const LIVE_LIMITS = {
  maxBehindEvents: MAX_BEHIND_EVENTS,
  stalledMs: STALLED_MS,
  listenedMs: LISTENED_MS,
  /** What the times between two looks are multiplied by: tests live faster. */
  pace: 1,
};
export type LiveLimits = typeof LIVE_LIMITS;

/** What the feed needs. */
export interface LiveOptions {
  store: Store;
  journal: Journal;
  /** This process's name. */
  id: string;
  clock: Clock;
  limits: LiveLimits;
}

/** A listener as the feed knows it. */
interface Heard {
  wake(): void;
  close(): void;
  /** For how long nobody has asked it for news. */
  idleMs(): number;
}

/** Makes the feed of a process. */
export function createLive({ store, journal, id, clock, limits }: LiveOptions) {
  const { maxBehindEvents, stalledMs, listenedMs, pace } = limits;
  const listeners = new Set<Heard>();
  const notes = createNotes({ store, id, clock, pace, listenedMs, onNotes: wakeAll });
  let stopWaking: (() => void) | undefined;
  let watching: Promise<void> | undefined;
  let endPause = () => {};
  let ended = false;
  /** Notes of other processes that were gone before they could be read, since the beginning. */
  let lostNotes = 0;

  function wakeAll(): void {
    for (const listener of listeners) listener.wake();
  }

  /** Looks at the head and at the notes of other processes, again and again while somebody listens. */
  async function watch(): Promise<void> {
    let beatenMs = -Infinity;
    for (let isFirst = true; listeners.size > 0 && !ended; isFirst = false) {
      if (clock.monotonic() - beatenMs >= BEAT_MS * pace) {
        beatenMs = clock.monotonic();
        await notes.beat();
      }
      lostNotes += await notes.exchange(isFirst);
      const end = journal.end();
      // Where storage does not answer, listeners find out when they read.
      await journal.sync().catch(() => {});
      if (journal.end() > end) wakeAll();
      for (const listener of listeners) if (listener.idleMs() > stalledMs) listener.close();
      if (listeners.size === 0 || ended) break;
      await new Promise<void>((resolve) => {
        const cancel = clock.timer(LOOK_MS * pace, resolve);
        endPause = () => (cancel(), resolve());
      });
    }
    // In the same step as the last look: who listens next begins anew.
    watching = undefined;
  }

  function leave(listener: Heard): void {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    notes.here(false);
    stopWaking?.();
    stopWaking = undefined;
    endPause();
  }

  const live: Live = {
    wanted: notes.wanted,
    tell: notes.tell,
    async listen({ after, mayWant }): Promise<Listener> {
      if (listeners.size >= MAX_LISTENERS) throw new TooManyListeners(`${MAX_LISTENERS} listen already`);
      const listener = createListener({
        store,
        clock,
        journal,
        notes,
        mayWant,
        maxBehindEvents,
        lostNotes: () => lostNotes,
        count: () => listeners.size,
        onClose: () => leave(listener),
      });
      // Before the head is read, so that no note of what comes after it is missed.
      if (listeners.size === 0) notes.here(true);
      listeners.add(listener);
      watching ??= watch();
      try {
        await journal.sync();
      } catch (error) {
        listener.close();
        throw error;
      }
      listener.begin(after);
      if (ended) listener.close();
      return listener;
    },
    end() {
      ended = true;
      for (const listener of [...listeners]) listener.close();
    },
  };

  return {
    live,
    /** Call it after each commit of this process. */
    moved(): void {
      if (listeners.size === 0 || stopWaking !== undefined) return;
      stopWaking = clock.timer(WAKE_MS, () => {
        stopWaking = undefined;
        wakeAll();
      });
    },
    /** Call it when somebody is erased: notes of any process may name them, and are a hint that may be lost. */
    forget: notes.forget,
    async close(): Promise<void> {
      live.end();
      await watching;
      await notes.close();
    },
  };
}

interface ListenerOptions {
  store: Store;
  clock: Clock;
  journal: Journal;
  notes: Notes;
  mayWant: ((line: string) => boolean) | undefined;
  maxBehindEvents: number;
  lostNotes(): number;
  /** How many listen. */
  count(): number;
  onClose(): void;
}

function createListener(options: ListenerOptions): Listener & Heard & { begin(after?: LivePosition): void } {
  const { store, clock, journal, notes, mayWant, maxBehindEvents } = options;
  /** Up to where everything was looked at, and how many events that is. */
  let reached: LivePosition = { place: BEGINNING, count: 0 };
  let nextNote = 0;
  let lostNotes = 0;
  let closed = false;
  let isNews = false;
  let askedMs = clock.monotonic();
  let isAsked = false;
  let restUntilMs = 0;
  let pause: { end(): void; isRest: boolean } | undefined;

  function goToEnd(): void {
    reached = { place: journal.end(), count: journal.head().events };
  }

  function sleepUntil(untilMs: number, isRest: boolean): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.timer(Math.max(0, untilMs - clock.monotonic()), () => pause?.end());
      pause = {
        isRest,
        end() {
          cancel();
          pause = undefined;
          resolve();
        },
      };
    });
  }

  async function rest(): Promise<void> {
    while (!closed && restUntilMs - clock.monotonic() > 1) await sleepUntil(restUntilMs, true);
    // Others have their turn even if this one has been short.
    await clock.turn();
  }

  /** What there is from the listener's place on, up to the bound of one turn. */
  async function look(): Promise<News> {
    const began = clock.monotonic();
    const news: News = {
      skipped: options.lostNotes() - lostNotes,
      events: [],
      notes: [],
      position: reached,
    };
    lostNotes = options.lostNotes();
    const told = notes.from(nextNote);
    nextNote = notes.end();
    news.notes = told.items;
    news.skipped += told.lost;
    const behind = journal.head().events - reached.count;
    if (mayWant === undefined) goToEnd();
    else if (behind > maxBehindEvents) {
      news.skipped += behind;
      goToEnd();
    } else await readOn(mayWant, news.events);
    news.position = reached;
    const workMs = clock.monotonic() - began;
    restUntilMs = clock.monotonic() + Math.min(MAX_REST_MS, workMs * REST_FACTOR * options.count());
    return news;
  }

  async function readOn(mayWant: (line: string) => boolean, events: News["events"]): Promise<void> {
    const upTo = journal.end();
    if (reached.place >= upTo) return;
    let { count } = reached;
    let entries = 0;
    for await (const entry of readJournal(store, { after: reached.place, upTo, batch: ENTRIES_AT_ONCE })) {
      const { chunk, end } = entry;
      for (const [index, line] of linesOf(chunk).entries()) {
        const place = positionIn(entry, index);
        if (place <= reached.place) continue;
        count++;
        if (!mayWant(line)) continue;
        const event = parseExact(line) as StoredEvent;
        // What was taken out of the journal left its place, and no more.
        if (event.messageId === undefined) continue;
        events.push({ event, writeKeyId: senderOf(chunk, index), position: { place, count } });
      }
      reached = { place: end, count };
      if (++entries === ENTRIES_AT_ONCE) return;
    }
    // Whatever the place that somebody came back with said: at the end it is known.
    if (reached.place >= journal.end()) reached.count = journal.head().events;
  }

  return {
    begin(after) {
      goToEnd();
      nextNote = notes.end();
      lostNotes = options.lostNotes();
      // One of another time of the database, which was put back to a backup since, is none.
      if (after !== undefined && after.place < reached.place) reached = after;
    },
    position: () => reached,
    async next(waitMs) {
      const untilMs = clock.monotonic() + waitMs;
      isAsked = true;
      try {
        for (;;) {
          await rest();
          if (closed) return undefined;
          isNews = false;
          const news = await look();
          if (news.skipped > 0 || news.events.length > 0 || news.notes.length > 0) return news;
          if (clock.monotonic() >= untilMs) return news;
          if (!isNews && !closed && reached.place >= journal.end()) await sleepUntil(untilMs, false);
        }
      } finally {
        isAsked = false;
        askedMs = clock.monotonic();
      }
    },
    close() {
      if (closed) return;
      closed = true;
      pause?.end();
      options.onClose();
    },
    wake() {
      isNews = true;
      if (pause?.isRest === false) pause.end();
    },
    idleMs: () => isAsked ? 0 : clock.monotonic() - askedMs,
  };
}
