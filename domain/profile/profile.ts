/** Profiles: states as readers see them, with the names of the HTTP contract. Times are ISO 8601, UTC, milliseconds. */
import { EVENT_TYPES } from "../event/event.ts";
import type { Group } from "./group.ts";
import { emptyPerson, eventCountOf, joinPersons, type Person } from "./person.ts";
import { traitsOf } from "./register.ts";

/** JSON of a profile. */
export type Profile = Record<string, unknown>;

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** What a profile of a person is made of, in addition to the person. */
export interface PersonContext {
  /** Traits of the groups that the person is in; a group that is not there has none. */
  groupTraits: ReadonlyMap<string, Record<string, unknown>>;
  /** The context of the event at `person.context`. */
  context: Record<string, unknown>;
  /** Number of events in the actor's own log. */
  version: number;
}

function personMembers(person: Person, { groupTraits, version, context }: PersonContext): Profile {
  const events: Record<string, unknown> = Object.create(null);
  for (const [name, [count, first, last]] of person.events) {
    events[name] = { count, firstAt: iso(first), lastAt: iso(last) };
  }
  return {
    traits: traitsOf(person.traits),
    groups: [...person.groups].map(([groupId, at]) => ({
      groupId,
      joinedAt: iso(at),
      traits: groupTraits.get(groupId) ?? {},
    })),
    firstSeen: iso(person.first),
    lastSeen: iso(person.last),
    eventCount: eventCountOf(person),
    counts: Object.fromEntries(EVENT_TYPES.map((type, index) => [type, person.counts[index] ?? 0])),
    events,
    context,
    version,
    ...(person.dropped > 0 ? { dropped: person.dropped } : {}),
  };
}

/**
 * The person of a user: the join of their own log and of their share of each of their anonymous ids. Shares nothing
 * mutable with either.
 */
export function personOf(own: Person | undefined, parts: Iterable<Person>): Person {
  const person = emptyPerson();
  if (own !== undefined) joinPersons(person, own);
  for (const part of parts) joinPersons(person, part);
  return person;
}

/** The profile of a user. It has `dropped` only if a bound was reached: dropped data is in the log. */
export function userProfile(
  userId: string,
  person: Person,
  context: PersonContext & { anonymousIds: string[] },
): Profile {
  return { userId, anonymousIds: context.anonymousIds, ...personMembers(person, context) };
}

/** The profile of an anonymous id that no link has claimed. */
export function anonymousProfile(anonymousId: string, person: Person, context: PersonContext): Profile {
  return { anonymousId, ...personMembers(person, context) };
}

/** The profile of a group. */
export function groupProfile(groupId: string, group: Group, memberCount: number): Profile {
  return {
    groupId,
    traits: traitsOf(group.traits),
    memberCount,
    eventCount: group.count,
    firstSeen: iso(group.first),
    lastSeen: iso(group.last),
    version: group.count,
    ...(group.dropped > 0 ? { dropped: group.dropped } : {}),
  };
}
