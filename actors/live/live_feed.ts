/**
 * The live view: events from the journal itself, in its order and without gaps; duplicates and rejections as notes
 * (`broadcast.ts`), on a best-effort basis.
 *
 * The journal is the buffer: listeners (`listener.ts`) pull from it. While nobody listens nothing runs.
 */
import type { Journal } from "../journal/journal_state.ts";
import { createNotes } from "./broadcast.ts";
import { createListener, type FeedListener, type Listener, type LivePosition } from "./listener.ts";
import { lastEvents, type LastQuery, type PastEvent } from "./last_events.ts";
import { BEAT_MS, LISTENED_MS } from "./listening.ts";
import type { Note } from "./note_windows.ts";
import type { Clock } from "../store/clock.ts";
import type { Store } from "../store/store.ts";
import { TooManyListeners } from "../store/errors.ts";

/** The live view of all processes. */
export interface Live {
  /**
   * Whether notes may be wanted, here or in another process. Cheap enough for each request: now and then it has storage
   * read, after the response. `atMs` is the time of the request: reading a clock again would be most of the cost.
   */
  wanted(atMs: number): boolean;
  /** Notes what did not go into the journal; does nothing while nobody listens. */
  tell(notes: readonly Note[]): void;
  /**
   * Begins after a position that was given before, or with the next event. `mayWant` is called with each event's line of
   * JSON before it is parsed; without it only notes are wanted. Throws {@link TooManyListeners}.
   */
  listen(
    options: { after?: LivePosition | undefined; mayWant?: ((line: string) => boolean) | undefined },
  ): Promise<Listener>;
  /** The last events before a listener came, oldest first; of filtered ones, as far as a bounded search goes. */
  last(query: LastQuery): Promise<PastEvent[]>;
  /** Closes all listeners and accepts no more. */
  end(): void;
}

/** Listeners of one process: they are people, not programs that forward. */
export const MAX_LISTENERS = 32;

/** A listener that is further behind, because it read slowly or was away, skips to the end. */
export const MAX_BEHIND_EVENTS = 50_000;

/** Time between a commit of this process and the waking of listeners: they wake some times a second, not per commit. */
const WAKE_MS = 50;

/** Time between two reads of the head while somebody listens: commits of other processes show within a second. */
const LOOK_MS = 500;

/** A listener that has not asked for this long is closed, so that another can take its slot. */
export const STALLED_MS = 60_000;

/** Bounds of the feed. */
export const LIVE_LIMITS = {
  maxBehindEvents: MAX_BEHIND_EVENTS,
  stalledMs: STALLED_MS,
  listenedMs: LISTENED_MS,
  /** Multiplies the times between two looks: tests run faster. */
  pace: 1,
};
export type LiveLimits = typeof LIVE_LIMITS;

export interface LiveOptions {
  store: Store;
  journal: Journal;
  /** This process's name. */
  id: string;
  clock: Clock;
  limits: LiveLimits;
}

/** Creates the feed of a process. */
export function createLive(options: LiveOptions) {
  const { journal, clock, limits } = options;
  const listeners = new Set<FeedListener>();
  const wakeAll = () => listeners.forEach((listener) => listener.wake());
  const notes = createNotes({ ...options, ...limits, onNotes: wakeAll });
  const feed = createWatch(options, { listeners, notes, wakeAll });
  const waking = createWaking(clock, wakeAll);
  let ended = false;

  function leave(listener: FeedListener): void {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    notes.here(false);
    waking.stop();
    feed.endPause();
  }

  const live: Live = {
    wanted: notes.wanted,
    tell: notes.tell,
    async listen({ after, mayWant }): Promise<Listener> {
      refuseTooMany(listeners.size);
      const listener = createListener({
        ...options,
        notes,
        mayWant,
        ...limits,
        lostNotes: feed.lostNotes,
        count: () => listeners.size,
        onClose: () => leave(listener),
      });
      // Before the head is read, so that no later note is missed.
      if (listeners.size === 0) notes.here(true);
      listeners.add(listener);
      feed.begin();
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
    last: (query) => lastEvents(options, query),
    end() {
      ended = true;
      feed.end();
      for (const listener of [...listeners]) listener.close();
    },
  };

  return {
    live,
    /** Call it after each commit of this process. */
    moved(): void {
      if (listeners.size > 0) waking.start();
    },
    /** Call it when a person is erased: notes of any process may name them. Losing notes is fine. */
    forget: notes.forget,
    async close(): Promise<void> {
      live.end();
      await feed.done();
      await notes.close();
    },
  };
}

/** Wakes all listeners after {@link WAKE_MS}; one wake-up for all commits until then. */
function createWaking(clock: Clock, wakeAll: () => void) {
  let cancel: (() => void) | undefined;
  return {
    start(): void {
      cancel ??= clock.timer(WAKE_MS, () => {
        cancel = undefined;
        wakeAll();
      });
    },
    stop(): void {
      cancel?.();
      cancel = undefined;
    },
  };
}

function refuseTooMany(count: number): void {
  if (count >= MAX_LISTENERS) throw new TooManyListeners(`${MAX_LISTENERS} listen already`);
}

/** Watches the head, the notes of other processes and the listeners, while there are listeners. */
function createWatch(
  { journal, clock, limits: { stalledMs, pace } }: LiveOptions,
  { listeners, notes, wakeAll }: {
    listeners: ReadonlySet<FeedListener>;
    notes: ReturnType<typeof createNotes>;
    wakeAll(): void;
  },
) {
  let watching: Promise<void> | undefined;
  let endPause = () => {};
  let ended = false;
  let lostNotes = 0;

  async function watch(): Promise<void> {
    let beatenMs = -Infinity;
    for (let isFirst = true; listeners.size > 0 && !ended; isFirst = false) {
      if (clock.monotonic() - beatenMs >= BEAT_MS * pace) {
        beatenMs = clock.monotonic();
        await notes.beat();
      }
      lostNotes += await notes.exchange(isFirst);
      const end = journal.end();
      // If storage does not answer, listeners find out when they read.
      await journal.sync().catch(() => {});
      if (journal.end() > end) wakeAll();
      for (const listener of listeners) if (listener.idleMs() > stalledMs) listener.close();
      if (listeners.size === 0 || ended) break;
      await new Promise<void>((resolve) => {
        const cancel = clock.timer(LOOK_MS * pace, resolve);
        endPause = () => (cancel(), resolve());
      });
    }
    // In the same step as the last look: the next listener begins anew.
    watching = undefined;
  }

  return {
    begin: () => void (watching ??= watch()),
    endPause: () => endPause(),
    end: () => void (ended = true),
    done: () => watching,
    /** Notes of other processes that were gone before they could be read. */
    lostNotes: () => lostNotes,
  };
}
