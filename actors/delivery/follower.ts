/**
 * The one reader of a process that follows the journal for all its destinations. Entries that were just committed are read
 * and parsed once, and kept for those who come later; who is far behind reads the journal itself.
 */
import { parseExact } from "../../domain/event/exact_json.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import type { Position } from "../../domain/event/position.ts";
import { kindOf } from "../../domain/forwarding/filter.ts";
import { ERASED_LINE } from "../journal/body.ts";
import { senderOf } from "../journal/header.ts";
import type { Journal } from "../journal/journal_state.ts";
import {
  type JournalEnd,
  type JournalEntry,
  linesOfEntry,
  positionIn,
  readJournal,
} from "../journal/read_journal.ts";
import type { Store } from "../store/store.ts";

/** Bounds of a follower. */
export const FOLLOWER_LIMITS = {
  /** Bytes of JSON of the newest entries that are kept parsed. */
  keptBytes: 8 * 1024 * 1024,
  /** Entries that are read at once by who is behind. */
  entriesAtOnce: 16,
};
export type FollowerLimits = typeof FOLLOWER_LIMITS;

/** An event of the journal, parsed. */
export interface ReadEvent {
  position: Position;
  event: StoredEvent;
  json: string;
  writeKeyId: string;
}

/** An entry of the journal, parsed, with an index of its events by type and name. */
export interface ReadEntry {
  end: Position;
  /** When it was committed, in ms. */
  at: number;
  /** Number of events, erased ones too. */
  n: number;
  bytes: number;
  events: (ReadEvent | undefined)[];
  kinds: ReadonlyMap<string, readonly number[]>;
}

/** The reader of a process. */
export type Follower = ReturnType<typeof createFollower>;

/** Creates a follower. It reads nothing by itself. */
export function createFollower(
  store: Store,
  { journal, limits }: { journal: Journal; limits: FollowerLimits },
) {
  let known: JournalEnd | undefined;
  let kept: ReadEntry[] = [];
  let keptBytes = 0;
  /** What is kept begins behind this position. */
  let keptAfter: Position | undefined;
  let generation = 0;
  let extending: Promise<void> | undefined;

  function keep(entry: ReadEntry): void {
    kept.push(entry);
    keptBytes += entry.bytes;
    while (keptBytes > limits.keptBytes && kept.length > 1) {
      const oldest = kept.shift()!;
      keptBytes -= oldest.bytes;
      keptAfter = oldest.end;
    }
  }

  /** Reads what is new, for all who wait for it. */
  async function extend(to: Position): Promise<void> {
    const mine = generation;
    keptAfter ??= to;
    const after = kept.at(-1)?.end ?? keptAfter;
    if (after >= to) return;
    for await (const entry of readJournal(store, { after, upTo: to, batch: limits.entriesAtOnce })) {
      const read = await readEntry(store, journal, entry);
      // What was read before it was to be forgotten may name somebody who is gone.
      if (mine !== generation) return;
      keep(read);
    }
  }

  function firstAfter(position: Position): number {
    let [low, high] = [0, kept.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (kept[middle]!.end <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  return {
    /** Looks how far the journal is. */
    async look(): Promise<JournalEnd> {
      // What it knows says which events are copies of others.
      await journal.sync();
      const end = { end: journal.end(), events: journal.head().events };
      if (known === undefined || end.end >= known.end) known = end;
      // From the first look on, what is new is kept.
      keptAfter ??= known.end;
      return known;
    },
    end: () => known,
    /** Counts how often everything was forgotten. */
    generation: () => generation,
    /** Entries that have something behind a position, in order, some at a time; the last may go beyond `upTo`. */
    async read(after: Position, upTo: Position): Promise<readonly ReadEntry[]> {
      if (after >= upTo) return [];
      if (keptAfter !== undefined && after >= keptAfter) {
        if ((kept.at(-1)?.end ?? keptAfter) < upTo) {
          extending ??= extend(upTo).finally(() => extending = undefined);
          await extending;
        }
        if (keptAfter !== undefined && after >= keptAfter) {
          const first = firstAfter(after);
          return kept.slice(first, first + limits.entriesAtOnce);
        }
      }
      const found: ReadEntry[] = [];
      for await (const entry of readJournal(store, { after, upTo, batch: limits.entriesAtOnce })) {
        found.push(await readEntry(store, journal, entry));
        if (found.length >= limits.entriesAtOnce) break;
      }
      return found;
    },
    /** Forgets what is kept: somebody was erased. */
    forget(): void {
      generation++;
      kept = [];
      keptBytes = 0;
      keptAfter = undefined;
    },
  };
}

async function readEntry(store: Store, journal: Journal, entry: JournalEntry): Promise<ReadEntry> {
  const copies = journal.copiesOf(entry);
  const lines = await linesOfEntry(store, entry);
  const kinds = new Map<string, number[]>();
  let bytes = 0;
  const events = lines.map((json, index) => {
    bytes += json.length;
    if (json === ERASED_LINE || copies?.[index] === 1) return undefined;
    const event = parseExact(json) as StoredEvent;
    const kind = kindOf(event);
    const known = kinds.get(kind);
    if (known === undefined) kinds.set(kind, [index]);
    else known.push(index);
    return { position: positionIn(entry, index), event, json, writeKeyId: senderOf(entry.header, index) };
  });
  return { end: entry.end, at: entry.header.at, n: events.length, bytes, events, kinds };
}
