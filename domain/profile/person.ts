/**
 * The state of one person by one log: of a user, or of an owner's share of an anonymous id.
 *
 * The fold is a join: traits are registers, first and last times are minimum and maximum, counts add over disjoint
 * logs. So the same facts give the same state in any order and any split, as long as they fit {@link STATE_BYTES}.
 */
import { EVENT_TYPES } from "../event/event.ts";
import { type Fact, type Mark, precedes } from "./fact.ts";
import { jsonBytes } from "../event/json.ts";
import { joinRegisters, NO_ROOM, type Register, type Registers, setRegister } from "./register.ts";

/**
 * Names, traits and ids come from the public, so a state is bounded: what does not fit is counted as dropped, shown on
 * the profile, and still in the log. With the newest part of the log it stays below 500 KB, so that an actor and its
 * share of other keys can always be written by one atomic operation (800 KiB).
 */
export const STATE_BYTES = 400_000;

/** How often an event happened, first and last (ms). */
export type Tally = [count: number, first: number, last: number];

/** The state; times in ms. */
export interface Person {
  traits: Registers;
  /** Group id to the earliest time of joining. */
  groups: Map<string, number>;
  /** How many events, in the order of {@link EVENT_TYPES}. */
  counts: number[];
  /** Track events by name. */
  events: Map<string, Tally>;
  /** Earliest and latest event; `Infinity` and `-Infinity` before the first. */
  first: number;
  last: number;
  /** Time and position of the newest event with a context: the context itself is read from the journal. */
  context: Mark | null;
  /** Bytes of traits, groups and event names. */
  bytes: number;
  /** Number of dropped traits, groups, and track events of new names. */
  dropped: number;
}

/** The state before any event. */
export function emptyPerson(): Person {
  return {
    traits: new Map(),
    groups: new Map(),
    counts: EVENT_TYPES.map(() => 0),
    events: new Map(),
    first: Infinity,
    last: -Infinity,
    context: null,
    bytes: 0,
    dropped: 0,
  };
}

/** Bytes that a tally or the time of joining takes besides the name. */
const TALLY_BYTES = 44;

/** Folds one fact into a person, within `limitBytes`. Mutates and returns `person`. */
export function evolvePerson(person: Person, fact: Fact, limitBytes = STATE_BYTES): Person {
  const { at, place } = fact;
  const type = EVENT_TYPES.indexOf(fact.type);
  person.counts[type] = (person.counts[type] ?? 0) + 1;
  if (at < person.first) person.first = at;
  if (at > person.last) person.last = at;
  if (fact.name !== undefined) tally(person, fact.name, at, limitBytes);
  if (fact.groupId !== undefined) join(person, fact.groupId, at, limitBytes);
  // Read once: large traits are made anew each time.
  const traits = fact.type === "identify" ? fact.traits : undefined;
  if (traits !== undefined) {
    for (const name of Object.keys(traits)) {
      const roomBytes = limitBytes - person.bytes;
      const gained = setRegister(person.traits, name, { value: traits[name], at, place, roomBytes });
      if (gained === NO_ROOM) person.dropped++;
      else person.bytes += gained;
    }
  }
  if (fact.hasContext) person.context = later(person.context, [at, place]);
  return person;
}

function tally(person: Person, name: string, at: number, limitBytes: number): void {
  const old = person.events.get(name);
  if (old !== undefined) {
    old[0]++;
    if (at < old[1]) old[1] = at;
    if (at > old[2]) old[2] = at;
    return;
  }
  const bytes = jsonBytes(name) + TALLY_BYTES;
  if (person.bytes + bytes > limitBytes) person.dropped++;
  else {
    person.events.set(name, [1, at, at]);
    person.bytes += bytes;
  }
}

function join(person: Person, groupId: string, at: number, limitBytes: number): void {
  const joined = person.groups.get(groupId);
  if (joined !== undefined) {
    if (at < joined) person.groups.set(groupId, at);
    return;
  }
  const bytes = jsonBytes(groupId) + TALLY_BYTES;
  if (person.bytes + bytes > limitBytes) person.dropped++;
  else {
    person.groups.set(groupId, at);
    person.bytes += bytes;
  }
}

function later(a: Mark | null, b: Mark): Mark {
  return a === null || precedes(a, b) ? b : a;
}

/** Joins `from` into `into`, whose logs are disjoint. Mutates and returns `into`, which shares nothing mutable after. */
export function joinPersons(into: Person, from: Person): Person {
  joinRegisters(into.traits, from.traits);
  for (const [groupId, at] of from.groups) {
    into.groups.set(groupId, Math.min(at, into.groups.get(groupId) ?? Infinity));
  }
  from.counts.forEach((count, type) => into.counts[type] = (into.counts[type] ?? 0) + count);
  for (const [name, [count, first, last]] of from.events) {
    const mine = into.events.get(name);
    if (mine === undefined) into.events.set(name, [count, first, last]);
    else into.events.set(name, [mine[0] + count, Math.min(mine[1], first), Math.max(mine[2], last)]);
  }
  into.first = Math.min(into.first, from.first);
  into.last = Math.max(into.last, from.last);
  if (from.context !== null) into.context = later(into.context, from.context);
  into.bytes += from.bytes;
  into.dropped += from.dropped;
  return into;
}

/** How many events a person is made of. */
export function eventCountOf(person: Person): number {
  return person.counts.reduce((sum, count) => sum + count, 0);
}

/** A person as JSON: the stored format of {@link FOLD_VERSION}. Times that are not there are `null`. */
export type PersonJson = [
  traits: [string, ...Register][],
  groups: [string, number][],
  counts: number[],
  events: [string, ...Tally][],
  first: number | null,
  last: number | null,
  context: Mark | null,
  bytes: number,
  dropped: number,
];

/** The stored form of a person; it may share parts with it, so write it before the person changes. */
export function personToJson(person: Person): PersonJson {
  const traits: [string, ...Register][] = [];
  for (const [name, [value, at, place]] of person.traits) traits.push([name, value, at, place]);
  const events: [string, ...Tally][] = [];
  for (const [name, [count, first, last]] of person.events) events.push([name, count, first, last]);
  const seen = person.first !== Infinity;
  return [
    traits,
    [...person.groups],
    person.counts,
    events,
    seen ? person.first : null,
    seen ? person.last : null,
    person.context,
    person.bytes,
    person.dropped,
  ];
}

/** A person from its stored form. */
export function personFromJson(json: PersonJson): Person {
  const [traits, groups, counts, events, first, last, context, bytes, dropped] = json;
  return {
    traits: new Map(traits.map(([name, value, at, place]) => [name, [value, at, place]])),
    groups: new Map(groups),
    counts,
    events: new Map(events.map(([name, count, from, to]) => [name, [count, from, to]])),
    first: first ?? Infinity,
    last: last ?? -Infinity,
    context,
    bytes,
    dropped,
  };
}
