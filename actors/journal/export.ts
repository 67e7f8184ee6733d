/** The accepted events in the order of the journal. */
import { type Chunk, ERASED_LINE, linesOf } from "./chunk.ts";
import { HEAD, journalKey } from "../store/keys.ts";
import type { Head } from "./journal_state.ts";
import type { Store } from "../store/store.ts";

/**
 * Yields the lines of JSON of each chunk up to the head that there is now, without those that were erased, and how many
 * events are through of how many.
 */
export async function* exportEvents(
  store: Store,
): AsyncGenerator<{ lines: string[]; done: number; total: number }> {
  const { value: head } = await store.get<Head>(HEAD);
  if (head === null) return;
  let done = 0;
  let expected = 1;
  for await (
    const { key, value } of store.list<Chunk>({ start: journalKey(1), end: journalKey(head.seq + 1) }, {
      batchSize: 64,
    })
  ) {
    if (key[1] !== expected++) throw new Error(`journal has a gap: chunk ${expected - 1} is missing`);
    done += value!.n;
    const lines = linesOf(value!).filter((line) => line !== ERASED_LINE);
    if (lines.length > 0) yield { lines, done, total: head.events };
  }
  if (expected !== head.seq + 1) throw new Error(`journal has a gap: chunk ${expected} is missing`);
}
