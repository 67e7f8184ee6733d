/** The accepted events in the order of the journal. */
import { BEGINNING, type Position } from "../../domain/event/position.ts";
import type { Store } from "../store/store.ts";
import { ERASED_LINE } from "./body.ts";
import { counts } from "./header.ts";
import { createJournal, type Journal, JOURNAL_LIMITS, type JournalLimits } from "./journal_state.ts";
import { linesOfEntry, positionIn, readJournal } from "./read_journal.ts";

/** Some events in the order of the journal. */
export interface ExportedEvents {
  /** Each event as a line of JSON, and its position. */
  lines: string[];
  positions: Position[];
  /** How many events of the journal are through, of how many; only a hint if the export began in the middle. */
  done: number;
  total: number;
}

/** What is exported. */
export interface ExportOptions {
  /** Only events behind this position. */
  after?: Position | undefined;
  /** The journal of this process: it knows which events that are not settled yet are copies of others. */
  journal?: Journal;
  /** The bounds that the database is written with, where there is no journal. */
  limits?: JournalLimits;
}

/**
 * Yields the lines of JSON of each entry after a position, up to the end that the journal has now, of the events that count
 * and were not erased.
 */
export async function* exportEvents(
  store: Store,
  { after = BEGINNING, limits = JOURNAL_LIMITS, journal = createJournal(store, limits) }: ExportOptions = {},
): AsyncGenerator<ExportedEvents> {
  await journal.sync();
  const total = journal.head().events;
  const upTo = journal.end();
  if (after >= upTo) return;
  let done = 0;
  for await (const entry of readJournal(store, { after, upTo })) {
    const { header } = entry;
    done = Math.min(total, done + header.n);
    const copies = journal.copiesOf(entry);
    const lines: string[] = [];
    const positions: Position[] = [];
    for (const [index, line] of (await linesOfEntry(store, entry)).entries()) {
      const position = positionIn(entry, index);
      // An event may be erased between the reads of its header and of its line.
      if (line === ERASED_LINE || position <= after || !counts(header, index, copies)) continue;
      lines.push(line);
      positions.push(position);
    }
    if (lines.length > 0) yield { lines, positions, done, total };
  }
}
