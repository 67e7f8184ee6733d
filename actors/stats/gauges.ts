/** How things stand in this process, for figures: what is asked for while storage is down is answered too. */
import type { Clock } from "../store/clock.ts";
import { withTimeout } from "../store/timeout.ts";
import type { Journal } from "../journal/journal_state.ts";
import type { Gauges, Stats } from "../system.ts";

/** Figures are told with what is known where storage does not answer in this time: who asks for them does not wait much longer. */
const STORAGE_MS = 1_000;

/** Journal positions as a process knows them. */
export function statsOf(journal: Journal): Stats {
  const head = journal.head().events;
  const settled = journal.settledNow().events;
  return { head, settled, unsettled: head - settled };
}

/** See `System.gauges`. */
export async function gaugesOf(journal: Journal, clock: Clock): Promise<Gauges> {
  const storageAnswers = await withTimeout(journal.sync().then(() => true, () => false), {
    clock,
    ms: STORAGE_MS,
    onTimeout: () => false,
  });
  const tail = journal.tail();
  const { runs, filters } = journal.seen();
  let filterBytes = 0;
  for (const filter of filters.values()) filterBytes += filter.byteLength;
  return {
    ...statsOf(journal),
    storageAnswers,
    tail: { events: tail.events(), bytes: tail.bytes() },
    seen: { runs: runs.length, ids: runs.reduce((sum, { n }) => sum + n, 0), filterBytes },
  };
}
