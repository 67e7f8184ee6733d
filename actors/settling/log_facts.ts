/** The facts of an actor's log, read from the journal: for what must be folded again, or up to some time only. */
import { type Anonymous, createLinks, foldOwned, isLinkOf } from "../../domain/profile/anonymous.ts";
import type { Position } from "../../domain/event/position.ts";
import type { Fact } from "../../domain/profile/fact.ts";
import { isLinkEntry, type LogEntry, type LogPlace, type OpenLog, readLog } from "./actor_log.ts";
import type { Store } from "../store/store.ts";

/** Where logs are read. */
export interface History {
  store: Store;
  factsAt(places: readonly Position[]): Promise<Fact[]>;
  limits: HistoryLimits;
  /** Called now and then in long work, by who holds a lease. */
  renew?(): Promise<void>;
}

/** Bounds of reading the events of logs. */
export const HISTORY_LIMITS = {
  /** Events read at once: some chunks if they are far apart, and 60 MB of memory if they are made to take much. */
  eventsAtOnce: 100,
};
export type HistoryLimits = typeof HISTORY_LIMITS;

/** The facts of the settled part of a log, in the order of the journal. Holds the places of all in memory. */
export async function* factsOfLog(
  { store, factsAt, limits, renew }: History,
  actor: LogPlace,
  { log, wanted = () => true }: { log: OpenLog; wanted?: (entry: LogEntry) => boolean },
): AsyncGenerator<Fact> {
  const places: Position[] = [];
  for await (const entry of readLog(store, actor, { log, order: "asc" })) {
    if (wanted(entry)) places.push(entry.place);
  }
  places.sort();
  for (let i = 0; i < places.length; i += limits.eventsAtOnce) {
    await renew?.();
    yield* await factsAt(places.slice(i, i + limits.eventsAtOnce));
  }
}

/**
 * Folds the log of an anonymous id, and facts that are not in it yet, from the start: first the links, which say whose
 * each event is, then the events one by one, so that memory holds no more than the places. Goes over `fresh` twice.
 */
export async function foldAnonymousLog(
  history: History,
  actor: LogPlace,
  { log, fresh }: { log: OpenLog | undefined; fresh: Iterable<Fact> | AsyncIterable<Fact> },
): Promise<Anonymous> {
  const links = createLinks(actor.id);
  if (log !== undefined) {
    for await (const fact of factsOfLog(history, actor, { log, wanted: isLinkEntry })) links.add(fact);
  }
  for await (const fact of fresh) links.add(fact);
  const state = links.fold();
  if (log !== undefined) {
    const wanted = (entry: LogEntry) => !isLinkEntry(entry);
    for await (const fact of factsOfLog(history, actor, { log, wanted })) foldOwned(state, fact);
  }
  for await (const fact of fresh) if (!isLinkOf(fact, actor.id)) foldOwned(state, fact);
  return state;
}
