/**
 * A listener: it has a position in the journal and asks when it is ready for more, so a slow one costs no memory. One that
 * falls too far behind skips the rest, and is told how much. It rests after each turn, so that all share the thread.
 */
import type { StoredEvent } from "../../domain/event/event.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import { BEGINNING, type Position } from "../../domain/event/position.ts";
import { senderOf } from "../journal/header.ts";
import type { Journal } from "../journal/journal_state.ts";
import { linesOfEntry, positionIn, readJournal } from "../journal/read_journal.ts";
import type { Clock } from "../store/clock.ts";
import type { Store } from "../store/store.ts";
import type { Notes } from "./broadcast.ts";
import type { Note } from "./note_windows.ts";

/** A position in the journal, and the number of events up to it. */
export interface LivePosition {
  place: Position;
  count: number;
}

/** News since a listener's last call: events in their order, and notes. */
export interface News {
  /** Events and notes that were skipped, because the listener had fallen too far behind. */
  skipped: number;
  events: { event: StoredEvent; writeKeyId: string; position: LivePosition }[];
  notes: Note[];
  /** Everything up to here was read. */
  position: LivePosition;
}

/** A listener; it occupies its slot until it is closed. */
export interface Listener {
  position(): LivePosition;
  /** News as soon as there is any, or none after `waitMs`; `undefined` once the listener is closed. */
  next(waitMs: number): Promise<News | undefined>;
  close(): void;
}

/** A listener as the feed sees it. */
export interface FeedListener extends Listener {
  /** Begins after a position that was given before, or with the next event. */
  begin(after?: LivePosition): void;
  /** Tells that there may be news. */
  wake(): void;
  /** For how long nobody has asked for news. */
  idleMs(): number;
}

/** Entries that a listener reads in one turn: some ms of work, and a few 100 KB that wait if nobody reads them. */
export const ENTRIES_AT_ONCE = 8;

/** After a turn a listener rests this many times as long, times the number of listeners: all get a third of the thread. */
const REST_FACTOR = 3;
const MAX_REST_MS = 1_000;

export interface ListenerOptions {
  store: Store;
  clock: Clock;
  journal: Journal;
  notes: Notes;
  /** Called with each event's line of JSON before it is parsed; without it only notes are wanted. */
  mayWant: ((line: string) => boolean) | undefined;
  maxBehindEvents: number;
  /** Notes of other processes that were gone before they could be read. */
  lostNotes(): number;
  /** Number of listeners. */
  count(): number;
  onClose(): void;
}

/** How far a listener got. */
interface Progress {
  /** Everything up to here was read. */
  reached: LivePosition;
  nextNote: number;
  lostNotes: number;
}

/** Creates a listener. */
export function createListener(options: ListenerOptions): FeedListener {
  const { clock, journal } = options;
  const progress: Progress = { reached: { place: BEGINNING, count: 0 }, nextNote: 0, lostNotes: 0 };
  const pause = createPause(clock);
  let closed = false;
  let isNews = false;
  let askedMs = clock.monotonic();
  let isAsked = false;
  let restUntilMs = 0;

  async function rest(): Promise<void> {
    while (!closed && restUntilMs - clock.monotonic() > 1) await pause.until(restUntilMs, { isRest: true });
    // Other listeners have their turn even if this one's turn was short.
    await clock.turn();
  }

  async function look(): Promise<News> {
    const began = clock.monotonic();
    const news = await readNews(options, progress);
    const workMs = clock.monotonic() - began;
    restUntilMs = clock.monotonic() + Math.min(MAX_REST_MS, workMs * REST_FACTOR * options.count());
    return news;
  }

  return {
    begin(after) {
      progress.reached = endOf(journal);
      progress.nextNote = options.notes.end();
      progress.lostNotes = options.lostNotes();
      // A position beyond the end is from before the database was restored from a backup: it is ignored.
      if (after !== undefined && after.place < progress.reached.place) progress.reached = after;
    },
    position: () => progress.reached,
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
          const isAtEnd = progress.reached.place >= journal.end();
          if (!isNews && !closed && isAtEnd) await pause.until(untilMs, { isRest: false });
        }
      } finally {
        isAsked = false;
        askedMs = clock.monotonic();
      }
    },
    close() {
      if (closed) return;
      closed = true;
      pause.end();
      options.onClose();
    },
    wake() {
      isNews = true;
      if (!pause.isRest()) pause.end();
    },
    idleMs: () => isAsked ? 0 : clock.monotonic() - askedMs,
  };
}

/** A pause that can be ended early; one at a time. */
function createPause(clock: Clock) {
  let current: { end(): void; isRest: boolean } | undefined;
  return {
    until: (untilMs: number, { isRest }: { isRest: boolean }): Promise<void> =>
      new Promise((resolve) => {
        const cancel = clock.timer(Math.max(0, untilMs - clock.monotonic()), () => current?.end());
        current = {
          isRest,
          end() {
            cancel();
            current = undefined;
            resolve();
          },
        };
      }),
    isRest: () => current?.isRest ?? false,
    end: () => current?.end(),
  };
}

/** The end of the journal. */
function endOf(journal: Journal): LivePosition {
  return { place: journal.end(), count: journal.head().events };
}

/** Reads the news after the listener's position, up to the bound of one turn. */
async function readNews(options: ListenerOptions, progress: Progress): Promise<News> {
  const { journal, notes, mayWant, maxBehindEvents } = options;
  const told = notes.from(progress.nextNote);
  progress.nextNote = notes.end();
  let skipped = options.lostNotes() - progress.lostNotes + told.lost;
  progress.lostNotes = options.lostNotes();
  const events: News["events"] = [];
  const behind = journal.head().events - progress.reached.count;
  if (mayWant === undefined) progress.reached = endOf(journal);
  else if (behind > maxBehindEvents) {
    skipped += behind;
    progress.reached = endOf(journal);
  } else await readOn({ ...options, mayWant }, progress, events);
  return { skipped, events, notes: told.items, position: progress.reached };
}

/** Reads on in the journal, and adds the wanted events. */
async function readOn(
  { store, journal, mayWant }: ListenerOptions & { mayWant(line: string): boolean },
  progress: Progress,
  events: News["events"],
): Promise<void> {
  const upTo = journal.end();
  const { reached } = progress;
  if (reached.place >= upTo) return;
  let { count } = reached;
  let entries = 0;
  for await (const entry of readJournal(store, { after: reached.place, upTo, batch: ENTRIES_AT_ONCE })) {
    const { header, end } = entry;
    const copies = journal.copiesOf(entry);
    for (const [index, line] of (await linesOfEntry(store, entry)).entries()) {
      const place = positionIn(entry, index);
      if (place <= reached.place || copies?.[index] === 1) continue;
      count++;
      if (!mayWant(line)) continue;
      const event = parseExact(line) as StoredEvent;
      // An erased event left its position, and no more.
      if (event.messageId === undefined) continue;
      events.push({ event, writeKeyId: senderOf(header, index), position: { place, count } });
    }
    progress.reached = { place: end, count };
    if (++entries === ENTRIES_AT_ONCE) return;
  }
  // The count of a returning listener may be wrong; at the end it is known.
  if (progress.reached.place >= journal.end()) progress.reached.count = journal.head().events;
}
