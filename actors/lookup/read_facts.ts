/** What the index needs of the journal: the facts of the events that may make entries, mostly by headers alone. */
import { parseExact } from "../../domain/event/exact_json.ts";
import { EVENT_TYPES, type StoredEvent } from "../../domain/event/event.ts";
import type { Position } from "../../domain/event/position.ts";
import { type Fact, factOf } from "../../domain/profile/fact.ts";
import { counts, factAt, isWhole } from "../journal/header.ts";
import type { Journal } from "../journal/journal_state.ts";
import { type JournalEntry, linesOfEntry, positionIn, readJournal } from "../journal/read_journal.ts";
import type { Store } from "../store/store.ts";

/** Of one entry of the journal. */
export interface EntryFacts {
  facts: Fact[];
  /** A position behind all its events, and how many they are. */
  end: Position;
  events: number;
}

/** Types that set traits. */
const TYPES = ["identify", "group"];
const MAKES_ENTRIES = EVENT_TYPES.map((type) => TYPES.includes(type));

/** Yields the facts of each entry in order, after a position and up to another. */
export async function* readFacts(
  store: Store,
  journal: Journal,
  { after, upTo }: { after: Position; upTo: Position },
): AsyncGenerator<EntryFacts> {
  // What it knows says which events are copies of others.
  if (journal.end() < upTo) await journal.sync();
  for await (const entry of readJournal(store, { after, upTo })) {
    yield { facts: await factsOf(store, journal, entry), end: entry.end, events: entry.header.n };
  }
}

async function factsOf(store: Store, journal: Journal, entry: JournalEntry): Promise<Fact[]> {
  const { header } = entry;
  const copies = journal.copiesOf(entry);
  const facts: Fact[] = [];
  let lines: string[] | undefined;
  for (let index = 0; index < header.n; index++) {
    if (!MAKES_ENTRIES[header.flags[index]! & 7] || !counts(header, index, copies)) continue;
    const place = positionIn(entry, index);
    if (isWhole(header, index)) {
      facts.push(factAt(header, index, place));
      continue;
    }
    lines ??= await linesOfEntry(store, entry);
    const event = parseExact(lines[index]!) as Partial<StoredEvent>;
    // It may have been erased since its header was read.
    if (event.type !== undefined) facts.push(factOf(event as StoredEvent, place));
  }
  return facts;
}
