/** Facts for tests of the folds: made by hand, made at random, and compared as what they say. */
import fc from "fast-check";
import { EVENT_TYPES } from "../../../domain/event/event.ts";
import { pack, type Position } from "../../../domain/event/position.ts";
import type { Fact } from "../../../domain/profile/fact.ts";
import type { Group } from "../../../domain/profile/group.ts";
import type { Person } from "../../../domain/profile/person.ts";

/** Runs of a property: the environment's `FC_RUNS` times as many, for a longer hunt. */
export function runs(usual: number): { numRuns: number } {
  return { numRuns: Math.ceil(usual * Number(Deno.env.get("FC_RUNS") ?? 1)) };
}

/** The first event of the commit with a number. */
export const placed = (n: number): Position => pack(n, 0);

/** A fact with no more than is given; a track call by default. A number stands for {@link placed}. */
export function factWith(
  { place = 1, ...more }: Partial<Omit<Fact, "place">> & { place?: Position | number },
): Fact {
  return {
    place: typeof place === "number" ? placed(place) : place,
    at: 0,
    type: "track",
    name: undefined,
    userId: undefined,
    anonymousId: undefined,
    groupId: undefined,
    previousId: undefined,
    traits: undefined,
    hasContext: false,
    ...more,
  };
}

/** Names that are data, and have been code elsewhere. */
export const HOSTILE_NAMES = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", ""];

/** A map with the members given as entries; `__proto__` becomes one too, as it does in `JSON.parse`. */
export function mapOf(entries: [string, unknown][]): Record<string, unknown> {
  return JSON.parse(
    `{${entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)}}`,
  );
}

const names = fc.constantFrom("email", "plan", "name", ...HOSTILE_NAMES);
const values = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 5 }) },
  { weight: 2, arbitrary: fc.constant(null) },
  fc.constantFrom("", "x", false, true, 1e300, "ü😀"),
  fc.constant([{ a: null }]),
);

/** Traits, of few names so that they meet. */
export const traitMaps = fc.array(fc.tuple(names, values), { maxLength: 4 }).map(mapOf);

/** When things happen: few moments so that they tie, some before 1970. */
export const moments = fc.integer({ min: -4, max: 12 }).map((n) => n * 1000);

/** Facts as they may stand in one person's log, in the order of the journal. */
export const personFacts: fc.Arbitrary<Fact[]> = fc.array(
  fc.record({
    at: moments,
    type: fc.constantFrom(...EVENT_TYPES),
    name: names,
    groupId: fc.constantFrom("g1", "g2", ...HOSTILE_NAMES.slice(0, 3)),
    traits: fc.option(traitMaps, { nil: undefined }),
    hasContext: fc.boolean(),
    gap: fc.integer({ min: 1, max: 2000 }),
  }),
  { maxLength: 30 },
).map((drafts) => {
  let place = 0;
  return drafts.map(({ at, type, name, groupId, traits, hasContext, gap }) =>
    factWith({
      place: place += gap,
      at,
      type,
      userId: "u",
      name: type === "track" ? name : undefined,
      groupId: type === "group" ? groupId : undefined,
      traits: type === "identify" || type === "group" ? traits : undefined,
      hasContext,
    })
  );
});

/** The same items in any order. */
export function shuffled<T>(items: readonly T[]): fc.Arbitrary<T[]> {
  return fc.shuffledSubarray([...items], { minLength: items.length, maxLength: items.length });
}

function byName<T extends unknown[]>(entries: T[]): T[] {
  return entries.sort(([a], [b]) => String(a) < String(b) ? -1 : 1);
}

/** What a person says, whatever the order in which its maps were filled. */
export function personSays(person: Person): unknown {
  return {
    ...person,
    traits: byName([...person.traits]),
    groups: byName([...person.groups]),
    events: byName([...person.events]),
  };
}

/** The same of a group. */
export function groupSays(group: Group): unknown {
  return { ...group, traits: byName([...group.traits]) };
}
