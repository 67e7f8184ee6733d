/**
 * The journal as the watch knows it: every event of it, which of them count, and the places of each actor's. Of all events
 * with one message id the first counts, and again one after which the window of dedup has passed. Whether it has, the runs
 * of the dedup index decide; so where it may have, the settler's verdict is learnt from what it marks.
 */
import { BEGINNING, type Position } from "../../domain/event/position.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { type ActorName, actorsOf, factOf } from "../../domain/profile/fact.ts";
import type { JournalEnd } from "../../actors/journal/read_journal.ts";

/** An event of the journal. */
export interface Journaled {
  /** As it stands there; as it was sent where it is erased. */
  event: StoredEvent;
  erased: boolean;
  /** Whether it is a copy, which counts for nobody; `undefined` while nobody has decided it. */
  copy: boolean | undefined;
  place: Position;
  commit: string;
  /** The latest time (ms) of all commits up to its own. */
  at: number;
}

/** The journal of a history. */
export type WatchedJournal = ReturnType<typeof createWatchedJournal>;

/** Makes an empty journal; a window of 0 is for ever. */
export function createWatchedJournal(windowMs: number) {
  const journal: Journaled[] = [];
  const byId = new Map<string, Journaled[]>();
  const byPlace = new Map<Position, Journaled>();
  const places = new Map<ActorName, Position[]>();
  const named = new Set<ActorName>();
  /** The ends that there were, and how many events are before each. */
  const heads: JournalEnd[] = [{ end: BEGINNING, events: 0 }];
  const undecided = new Set<Journaled>();

  /** Puts an event that counts among the places of its actors. */
  function name({ event, place }: Journaled): void {
    for (const name of actorsOf(factOf(event, place))) {
      named.add(name);
      const mine = places.get(name) ?? [];
      if (!places.has(name)) places.set(name, mine);
      let at = mine.length;
      while (at > 0 && mine[at - 1]! > place) at--;
      mine.splice(at, 0, place);
    }
  }

  return {
    journal,
    places,
    named,
    heads,
    at: (place: Position): Journaled => byPlace.get(place)!,
    /** The events with a message id that count, or may. */
    placesOf: (messageId: string): readonly Journaled[] =>
      (byId.get(messageId) ?? []).filter(({ copy }) => copy !== true),
    /** The last event before that has its message id and counts, or may; and whether the window has surely not passed since. */
    firstOf(messageId: string, at: number): { first: Journaled; isWithin: boolean } | undefined {
      const first = (byId.get(messageId) ?? []).findLast(({ copy }) => copy !== true);
      return first && { first, isWithin: windowMs === 0 || at - first.at <= windowMs };
    },
    /** Adds an event. */
    add(journaled: Journaled): void {
      const { event, place, copy } = journaled;
      journal.push(journaled);
      byPlace.set(place, journaled);
      byId.set(event.messageId, [...byId.get(event.messageId) ?? [], journaled]);
      if (copy === undefined) undecided.add(journaled);
      if (copy === false) name(journaled);
    },
    /** The end of the journal is a further one. */
    endsAt: (end: Position): void => void heads.push({ end, events: journal.length }),
    /** Learns whether events up to a place are copies. */
    decide(upTo: Position, isCopy: (journaled: Journaled) => boolean): void {
      for (const journaled of undecided) {
        if (journaled.place > upTo) continue;
        undecided.delete(journaled);
        journaled.copy = isCopy(journaled);
        if (!journaled.copy) name(journaled);
      }
    },
    /** Whether nobody knows yet of some of the first events whether they count. */
    isUndecided: (events: number): boolean =>
      undecided.size > 0 && journal.slice(0, events).some((each) => undecided.has(each)),
    /** Names all events anew, after some have changed. */
    nameAll(): void {
      places.clear();
      for (const journaled of journal) if (!journaled.erased && journaled.copy === false) name(journaled);
    },
    /** How many events up to a place count, those that were erased too. */
    counted: (upTo: Position): number =>
      journal.filter(({ place, copy }) => place <= upTo && copy === false).length,
  };
}

/** How many of some positions in order are not beyond a bound. */
export function countUpTo(positions: readonly Position[], bound: Position): number {
  let low = 0;
  let high = positions.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (positions[middle]! <= bound) low = middle + 1;
    else high = middle;
  }
  return low;
}
