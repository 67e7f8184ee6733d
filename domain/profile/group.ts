/** The state of a group (a company, a team) by its log: traits, number of events, first and last time. */
import type { Fact } from "./fact.ts";
import { NO_ROOM, type Register, type Registers, setRegister } from "./register.ts";
import { STATE_BYTES } from "./person.ts";

/** The state; times in ms, `Infinity` and `-Infinity` before the first event. */
export interface Group {
  traits: Registers;
  count: number;
  first: number;
  last: number;
  bytes: number;
  dropped: number;
}

/** The state before any event. */
export function emptyGroup(): Group {
  return { traits: new Map(), count: 0, first: Infinity, last: -Infinity, bytes: 0, dropped: 0 };
}

/** Folds one `group` fact into a group. Mutates and returns `group`. */
export function evolveGroup(group: Group, fact: Fact): Group {
  const { at, place } = fact;
  group.count++;
  if (at < group.first) group.first = at;
  if (at > group.last) group.last = at;
  // Read once: large traits are made anew each time.
  const { traits } = fact;
  if (traits !== undefined) {
    for (const name of Object.keys(traits)) {
      const roomBytes = STATE_BYTES - group.bytes;
      const gained = setRegister(group.traits, name, { value: traits[name], at, place, roomBytes });
      if (gained === NO_ROOM) group.dropped++;
      else group.bytes += gained;
    }
  }
  return group;
}

/** A group as JSON: the stored format of {@link FOLD_VERSION}. */
export type GroupJson = [
  traits: [string, ...Register][],
  count: number,
  first: number | null,
  last: number | null,
  bytes: number,
  dropped: number,
];

/** The stored form of a group. */
export function groupToJson(group: Group): GroupJson {
  const traits: [string, ...Register][] = [];
  for (const [name, [value, at, place]] of group.traits) traits.push([name, value, at, place]);
  const seen = group.count > 0;
  return [
    traits,
    group.count,
    seen ? group.first : null,
    seen ? group.last : null,
    group.bytes,
    group.dropped,
  ];
}

/** A group from its stored form. */
export function groupFromJson([traits, count, first, last, bytes, dropped]: GroupJson): Group {
  return {
    traits: new Map(traits.map(([name, value, at, place]) => [name, [value, at, place]])),
    count,
    first: first ?? Infinity,
    last: last ?? -Infinity,
    bytes,
    dropped,
  };
}
