/** The accepted events in the order of the journal. */
import { ERASED_LINE, linesOf } from "./chunk.ts";
import { endOfJournal, readJournal } from "./read_journal.ts";
import type { Store } from "../store/store.ts";

/**
 * Yields the lines of JSON of each entry up to the end that the journal has now, without those that were erased, and how
 * many events are through of how many.
 */
export async function* exportEvents(
  store: Store,
): AsyncGenerator<{ lines: string[]; done: number; total: number }> {
  const { end: upTo, events: total } = await endOfJournal(store);
  let done = 0;
  for await (const { chunk } of readJournal(store, { upTo })) {
    done += chunk.n;
    const lines = linesOf(chunk).filter((line) => line !== ERASED_LINE);
    if (lines.length > 0) yield { lines, done, total };
  }
}
