/** The state of this process, for figures: it is available even if storage is down. */
import type { Clock } from "../store/clock.ts";
import { withTimeout } from "../store/timeout.ts";
import type { Journal } from "../journal/journal_state.ts";
import { readJournal } from "../journal/read_journal.ts";
import type { Store } from "../store/store.ts";

/** Journal positions as numbers of events, and how many of them are not settled yet. */
export interface Stats {
  head: number;
  settled: number;
  unsettled: number;
  /** Of each subscription, by its name, how many events it is behind the end of the journal. */
  subscriptions: Record<string, { lagEvents: number }>;
}

/** Of the unsettled events, how long ago the oldest was committed, in ms; 0 if all are settled. One read. */
export async function oldestUnsettledMs(store: Store, journal: Journal, nowMs: number): Promise<number> {
  const { position } = journal.settledNow();
  for await (const { header } of readJournal(store, { after: position, upTo: journal.end(), batch: 1 })) {
    return Math.max(0, nowMs - header.at);
  }
  return 0;
}

/** The state of this process. */
export interface Gauges extends Stats {
  /** Whether storage answered just now: if not, head, settled and unsettled are as last known. */
  storageAnswers: boolean;
  /** The unsettled events, as this process holds them. */
  tail: { events: number; bytes: number };
  /** The dedup index: its runs, the message ids in them, and the bytes of memory of its filters. */
  seen: { runs: number; ids: number; filterBytes: number };
}

/** If storage does not answer in this time, figures are reported with what is known. */
const STORAGE_MS = 1_000;

/** Journal positions as a process knows them. */
export function statsOf(journal: Journal): Stats {
  const head = journal.head().events;
  const settled = journal.settledNow().events;
  const lagEvents = head - settled;
  return { head, settled, unsettled: lagEvents, subscriptions: { settling: { lagEvents } } };
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
