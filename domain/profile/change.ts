/** The change of a state by one event: two folds, compared. */
import { EVENT_TYPES } from "../event/event.ts";
import type { Group } from "./group.ts";
import { eventCountOf, type Person } from "./person.ts";
import { type Registers, traitsOf } from "./register.ts";

/** A value before and after; `null` if there is none. */
export interface Change<T = unknown> {
  from: T | null;
  to: T | null;
}

/** The differences of a profile. Equal members are absent, except for the traits. */
export interface Changes {
  traits: Record<string, Change>;
  groups?: Record<string, Change<string>>;
  anonymousIds?: { added: string[] };
  firstSeen?: Change<string>;
  lastSeen?: Change<string>;
  eventCount?: Change<number>;
  counts?: Record<string, Change<number>>;
  events?: Record<string, Change<number>>;
}

/** The differences between a person and the same person one event later. Times are ISO 8601, UTC, milliseconds. */
export function changesBetween(before: Person, after: Person): Changes {
  const groups = changedIn(isoOf(before.groups), isoOf(after.groups));
  const counts = changedIn(countsOf(before), countsOf(after));
  const events = changedIn(talliesOf(before), talliesOf(after));
  const [firstSeen, lastSeen] = [
    change(iso(before.first), iso(after.first)),
    change(iso(before.last), iso(after.last)),
  ];
  const eventCount = change(eventCountOf(before), eventCountOf(after));
  return {
    traits: traitChanges(before.traits, after.traits),
    ...groups && { groups },
    ...firstSeen && { firstSeen },
    ...lastSeen && { lastSeen },
    ...eventCount && { eventCount },
    ...counts && { counts },
    ...events && { events },
  };
}

/** The traits that differ between two states of one group. */
export function groupChanges(before: Group, after: Group): Pick<Changes, "traits"> {
  return { traits: traitChanges(before.traits, after.traits) };
}

function traitChanges(before: Registers, after: Registers): Record<string, Change> {
  return changedIn(Object.entries(traitsOf(before)), Object.entries(traitsOf(after))) ?? {};
}

/** The differences between two maps; `undefined` if there are none. A name such as `__proto__` is data. */
function changedIn<T>(
  before: Iterable<[string, T]>,
  after: Iterable<[string, T]>,
): Record<string, Change<T>> | undefined {
  const old = new Map(before);
  const now = new Map(after);
  const changes: Record<string, Change<T>> = Object.create(null);
  for (const name of new Set([...old.keys(), ...now.keys()])) {
    const differs = change(old.get(name) ?? null, now.get(name) ?? null);
    if (differs !== undefined) changes[name] = differs;
  }
  return Object.keys(changes).length > 0 ? changes : undefined;
}

function change<T>(from: T | null, to: T | null): Change<T> | undefined {
  return JSON.stringify(from) === JSON.stringify(to) ? undefined : { from, to };
}

function iso(ms: number): string | null {
  return Number.isFinite(ms) ? new Date(ms).toISOString() : null;
}

function* isoOf(times: Iterable<[string, number]>): Generator<[string, string]> {
  for (const [name, ms] of times) yield [name, new Date(ms).toISOString()];
}

function countsOf({ counts }: Person): [string, number][] {
  return EVENT_TYPES.map((type, index) => [type, counts[index] ?? 0]);
}

function* talliesOf({ events }: Person): Generator<[string, number]> {
  for (const [name, [count]] of events) yield [name, count];
}
