/** The past: facts, anonymous ids, persons and groups up to a moment or a position, folded again from their logs. */
import { earlier, END, type Position } from "../../domain/event/position.ts";
import { type Anonymous, createLinks, foldOwned } from "../../domain/profile/anonymous.ts";
import { type Fact, factOf } from "../../domain/profile/fact.ts";
import { emptyGroup, evolveGroup, type Group } from "../../domain/profile/group.ts";
import { emptyPerson, eventCountOf, evolvePerson, type Person } from "../../domain/profile/person.ts";
import { personOf } from "../../domain/profile/profile.ts";
import { isLinkEntry, type LogEntry, readLog } from "../settling/actor_log.ts";
import type { createLinked } from "./user_parts.ts";
import { type Actor, placeOfLog, type View, type Views, type ViewsOptions } from "./consistent_read.ts";

/** A past in ms since 1970: what happened up to `at`, of the events that were received up to `asOf`. */
export interface Past {
  at?: number;
  asOf?: number;
}

/** A past, or the journal up to a position; with at most as many events as `room` allows. */
export interface Stretch extends Past {
  upTo?: Position;
  room?: { events: number };
}

/** Thrown if a past has more events than `room` allows. */
export class TooManyEvents extends RangeError {
  override name = "TooManyEvents";
}

type Linked = ReturnType<typeof createLinked>;

/** The parts of a user, as `userOf` reads them. */
export type UserParts = Awaited<ReturnType<Linked["userOf"]>>;

/** A user in a past: the person, the number of events in their own log, and the anonymous ids that they owned. */
export interface PastUser {
  person: Person;
  version: number;
  anonymousIds: string[];
}

/** Reads of the past. */
export type PastReads = ReturnType<typeof createPast>;

/** Creates the reads of the past. */
export function createPast(options: ViewsOptions, { views, linked }: { views: Views; linked: Linked }) {
  const facts = (view: View, actor: Actor, wanted: Wanted) =>
    pastFacts(options, views, { view, actor, ...wanted });

  /** The links of an anonymous id, folded: who owned it when; and their number. */
  async function links(
    view: View,
    actor: Actor,
    past: Stretch,
  ): Promise<{ state: Anonymous; count: number }> {
    const found = createLinks(actor.id);
    let count = 0;
    for await (const fact of facts(view, actor, { past, wanted: isLinkEntry })) {
      found.add(fact);
      count++;
    }
    return { state: found.fold(), count };
  }

  /** An anonymous id, and the number of its events: first its links, then the events one by one. */
  async function anonymous(view: View, actor: Actor, past: Stretch) {
    let { state, count } = await links(view, actor, past);
    const wanted = (entry: LogEntry) => !isLinkEntry(entry);
    for await (const fact of facts(view, actor, { past, wanted })) {
      foldOwned(state, fact);
      count++;
    }
    return { state, count };
  }

  return {
    facts,
    links,
    anonymous,
    /** A user; `undefined` if they had no events. */
    async person(made: UserParts, userId: string, past: Stretch): Promise<PastUser | undefined> {
      const { view, own, parts, actors, isWhole } = made;
      const person = emptyPerson();
      for await (const fact of facts(view, own, { past })) evolvePerson(person, fact);
      const version = eventCountOf(person);
      if (version === 0) return undefined;
      const { shares, isCut } = await linked.sharesOf([...parts.keys(), ...actors.keys()], async (id) => {
        const actor = actors.get(id) ?? await views.actorOf(view, "anonymous", id);
        return (await anonymous(view, actor, past)).state.parts.get(userId);
      });
      const whole = personOf(person, shares.values());
      if (isCut || !isWhole) whole.dropped++;
      return { person: whole, version, anonymousIds: [...shares.keys()].sort() };
    },
    /** A group; empty if it had no events. */
    async group(view: View, actor: Actor, past: Stretch): Promise<Group> {
      const group = emptyGroup();
      for await (const fact of facts(view, actor, { past })) evolveGroup(group, fact);
      return group;
    },
  };
}

/** The wanted entries of a past. */
interface Wanted {
  past: Stretch;
  wanted?: (entry: LogEntry) => boolean;
}

/**
 * The facts of an actor's past whose entries are wanted, in the order of the journal. Memory holds the positions of all,
 * and some facts at a time, since anybody may send a million events to one id.
 */
async function* pastFacts(
  { store, journal, limits }: ViewsOptions,
  views: Views,
  { view, actor, past, wanted = () => true }: Wanted & { view: View; actor: Actor },
): AsyncGenerator<Fact> {
  const { at = Infinity, asOf = Infinity, upTo = END, room } = past;
  const end = earlier(upTo, view.head);
  const positions: Position[] = [];
  const log = await views.openWith(actor);
  for await (const entry of readLog(store, placeOfLog(view, actor), { log, order: "asc" })) {
    if (entry.at > at) break;
    if (room !== undefined && positions.length > room.events) throw new TooManyEvents();
    if (wanted(entry) && entry.place <= end) positions.push(entry.place);
  }
  if (room !== undefined) room.events -= positions.length;
  positions.sort();
  for (let i = 0; i < positions.length; i += limits.eventsAtOnce) {
    const some = positions.slice(i, i + limits.eventsAtOnce);
    for (const [index, sent] of (await journal.events.at(some)).entries()) {
      if (sent === undefined) continue;
      if (Date.parse(sent.event.receivedAt) <= asOf) yield factOf(sent.event, some[index]!);
    }
  }
}
