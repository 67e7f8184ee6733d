/** The accepted events in the order of the journal. */
import { BEGINNING, type Position } from "../../domain/event/position.ts";
import { ERASED_LINE, linesOf } from "./chunk.ts";
import { endOfJournal, positionIn, readJournal } from "./read_journal.ts";
import type { Store } from "../store/store.ts";

/** Some events in the order of the journal. */
export interface ExportedEvents {
  /** Each event as a line of JSON, and its position. */
  lines: string[];
  positions: Position[];
  /** How many events of the journal are through, of how many; only a hint if the export began in the middle. */
  done: number;
  total: number;
}

/**
 * Yields the lines of JSON of each entry after a position, up to the end that the journal has now, without those that
 * were erased.
 */
export async function* exportEvents(
  store: Store,
  { after = BEGINNING }: { after?: Position } = {},
): AsyncGenerator<ExportedEvents> {
  const { end: upTo, events: total } = await endOfJournal(store);
  if (after >= upTo) return;
  let done = 0;
  for await (const entry of readJournal(store, { after, upTo })) {
    done += entry.chunk.n;
    const lines: string[] = [];
    const positions: Position[] = [];
    for (const [index, line] of linesOf(entry.chunk).entries()) {
      const position = positionIn(entry, index);
      if (line === ERASED_LINE || position <= after) continue;
      lines.push(line);
      positions.push(position);
    }
    if (lines.length > 0) yield { lines, positions, done, total };
  }
}
