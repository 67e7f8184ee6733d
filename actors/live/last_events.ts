/** The events before a listener came, so that a live view does not begin empty. */
import { parseExact } from "../../domain/event/exact_json.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import type { Position } from "../../domain/event/position.ts";
import { senderOf } from "../journal/header.ts";
import type { Journal } from "../journal/journal_state.ts";
import { linesOfEntry, positionIn, readJournal } from "../journal/read_journal.ts";
import type { Clock } from "../store/clock.ts";
import type { Store } from "../store/store.ts";

/** An event with its write key and position. */
export interface PastEvent {
  event: StoredEvent;
  writeKeyId: string;
  position: Position;
}

/** Which events are wanted. */
export interface LastQuery {
  /** At most this many, the newest. */
  count: number;
  /** Up to this position. */
  upTo: Position;
  /** Called with each event's line of JSON before it is parsed. */
  mayWant(line: string): boolean;
  wants(past: PastEvent): boolean;
}

/** Events that are searched: with filters that match little, the search must end. */
const SEARCHED_EVENTS = 20_000;

/** Entries read at once. */
const ENTRIES_AT_ONCE = 8;

/** Other requests get their turn after this time. */
const TURN_MS = 5;

/** The last wanted events up to a position, oldest first. */
export async function lastEvents(
  { store, journal, clock }: { store: Store; journal: Journal; clock: Clock },
  { count, upTo, mayWant, wants }: LastQuery,
): Promise<PastEvent[]> {
  const found: PastEvent[] = [];
  let searched = 0;
  let turnMs = clock.monotonic();
  for await (const entry of readJournal(store, { upTo, reverse: true, batch: ENTRIES_AT_ONCE })) {
    const copies = journal.copiesOf(entry);
    const lines = await linesOfEntry(store, entry);
    for (let index = lines.length - 1; index >= 0; index--) {
      const position = positionIn(entry, index);
      if (position > upTo || copies?.[index] === 1 || !mayWant(lines[index]!)) continue;
      const event = parseExact(lines[index]!) as StoredEvent;
      // An erased event left its position, and no more.
      if (event.messageId === undefined) continue;
      const past = { event, writeKeyId: senderOf(entry.header, index), position };
      if (wants(past)) found.push(past);
      if (found.length === count) return found.reverse();
    }
    searched += lines.length;
    if (searched >= SEARCHED_EVENTS) break;
    if (clock.monotonic() - turnMs > TURN_MS) {
      await clock.turn();
      turnMs = clock.monotonic();
    }
  }
  return found.reverse();
}
