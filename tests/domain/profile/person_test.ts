import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import type { Fact } from "../../../domain/profile/fact.ts";
import {
  emptyPerson,
  eventCountOf,
  evolvePerson,
  joinPersons,
  type Person,
  personFromJson,
  personToJson,
  STATE_BYTES,
} from "../../../domain/profile/person.ts";
import { personOf, userProfile } from "../../../domain/profile/profile.ts";
import { factWith, HOSTILE_NAMES, mapOf, personFacts, personSays, placed, runs, shuffled } from "./facts.ts";

const fold = (facts: Fact[], from = emptyPerson(), limitBytes = STATE_BYTES): Person =>
  facts.reduce((person, fact) => evolvePerson(person, fact, limitBytes), from);
const stored = (person: Person): Person => personFromJson(JSON.parse(JSON.stringify(personToJson(person))));
const profileOf = (person: Person) =>
  JSON.parse(
    JSON.stringify(
      userProfile("u", person, { anonymousIds: [], version: 1, groupTraits: new Map(), context: {} }),
    ),
  );
/** Bytes of a join are those of its parts, which share names; all else is as in one fold. */
const joinSays = (person: Person) => personSays({ ...person, bytes: 0 });

/** What traits come to: [at, name, value] in the order of arrival, then the traits. One row per sentence. */
const MERGES: [sentence: string, set: [number, string, unknown][], traits: Record<string, unknown>][] = [
  ["traits merge by top-level key", [[1, "a", 1], [2, "b", 2]], { a: 1, b: 2 }],
  ["a value is replaced whole, not merged inside", [[1, "a", { x: 1 }], [2, "a", { y: 2 }]], { a: { y: 2 } }],
  ["the later timestamp wins", [[1, "a", "old"], [2, "a", "new"]], { a: "new" }],
  ["the later timestamp wins where it arrives first", [[2, "a", "new"], [1, "a", "late"]], { a: "new" }],
  ["a tie goes to the later arrival", [[1, "a", "first"], [1, "a", "second"]], { a: "second" }],
  ["null removes", [[1, "a", 1], [2, "a", null]], {}],
  ["null removes what arrives later but is older", [[2, "a", null], [1, "a", 1]], {}],
  ["a null that is late removes nothing newer", [[2, "a", 1], [1, "a", null]], { a: 1 }],
  ["what is newer than a null is there again", [[1, "a", null], [2, "a", 3]], { a: 3 }],
  ["null and a value at one time: the later arrival wins", [[1, "a", 1], [1, "a", null]], {}],
  ["falsy values are values", [[1, "a", 0], [1, "b", ""], [1, "c", false]], { a: 0, b: "", c: false }],
  ["times before 1970 are times", [[-1, "a", "new"], [-2, "a", "late"]], { a: "new" }],
];

for (const [sentence, set, traits] of MERGES) {
  Deno.test(`traits: ${sentence}`, () => {
    const person = fold(
      set.map(([at, name, value], index) =>
        factWith({ type: "identify", place: index + 1, at, traits: { [name]: value } })
      ),
    );
    deepStrictEqual(profileOf(person).traits, traits);
  });
}

Deno.test("the same facts in any order give the same person", () => {
  fc.assert(
    fc.property(
      personFacts.chain((facts) => fc.tuple(fc.constant(facts), shuffled(facts))),
      ([facts, other]) => {
        deepStrictEqual(personSays(fold(other)), personSays(fold(facts)));
      },
    ),
    runs(300),
  );
});

Deno.test("facts in any split give the same person, each part stored and read again", () => {
  fc.assert(
    fc.property(personFacts, fc.array(fc.nat(30)), (facts, cuts) => {
      let person = emptyPerson();
      for (const [index, fact] of facts.entries()) {
        if (cuts.includes(index)) person = stored(person);
        evolvePerson(person, fact);
      }
      deepStrictEqual(personSays(person), personSays(fold(facts)));
    }),
    runs(300),
  );
});

Deno.test("persons of disjoint logs join to the same one in any grouping and order", () => {
  const dealt = personFacts.chain((facts) =>
    fc.tuple(fc.constant(facts), fc.array(fc.nat(3), { minLength: facts.length, maxLength: facts.length }))
  );
  fc.assert(
    fc.property(dealt, ([facts, owners]) => {
      const part = (owner: number) => fold(facts.filter((_, index) => owners[index] === owner));
      const joins = [
        () => joinPersons(joinPersons(joinPersons(part(0), part(1)), part(2)), part(3)),
        () => joinPersons(joinPersons(part(3), part(2)), joinPersons(part(1), part(0))),
        () => joinPersons(part(2), joinPersons(part(0), joinPersons(part(3), part(1)))),
        () => personOf(part(1), [part(0), part(3), part(2)]),
        () => personOf(undefined, [part(0), part(1), part(2), part(3)]),
      ];
      const whole = joinSays(fold(facts));
      for (const join of joins) deepStrictEqual(joinSays(join()), whole);
    }),
    runs(200),
  );
});

Deno.test("a joined profile shares nothing that later facts change", () => {
  fc.assert(
    fc.property(personFacts, personFacts, (facts, more) => {
      const own = fold(facts);
      const shown = personOf(own, []);
      const before = JSON.stringify(personSays(shown));
      fold(more, own);
      strictEqual(JSON.stringify(personSays(shown)), before);
    }),
    runs(100),
  );
});

Deno.test("a person is the same after it was stored and read again", () => {
  fc.assert(
    fc.property(personFacts, (facts) => {
      const person = fold(facts);
      deepStrictEqual(stored(person), person);
    }),
    runs(200),
  );
  deepStrictEqual(stored(emptyPerson()), emptyPerson());
});

for (const name of HOSTILE_NAMES) {
  Deno.test(`"${name}" is data as a trait, as an event and as a group`, () => {
    const map = mapOf([[name, { x: 1 }], ["other", 2]]);
    const person = stored(fold([
      factWith({ type: "identify", place: 1, traits: map }),
      factWith({ type: "track", place: 2, name }),
      factWith({ type: "group", place: 3, groupId: name }),
    ]));
    const profile = profileOf(person);
    deepStrictEqual(profile.traits, map);
    deepStrictEqual(Object.keys(profile.events), [name]);
    strictEqual(Object.getOwnPropertyDescriptor(profile.events, name)?.value.count, 1);
    deepStrictEqual(profile.groups[0].groupId, name);
    strictEqual(({} as Record<string, unknown>).x, undefined);
    const removed = fold(
      [factWith({ type: "identify", place: 4, at: 1, traits: mapOf([[name, null]]) })],
      person,
    );
    deepStrictEqual(profileOf(removed).traits, { other: 2 });
  });
}

Deno.test("first and last times, counts and names are of all events, the context of the newest event with one", () => {
  const person = fold([
    factWith({ place: 1, at: 5000, name: "A", hasContext: true }),
    factWith({ place: 2, at: 1000, name: "A", hasContext: true }),
    factWith({ place: 3, at: 9000, name: "B" }),
    factWith({ place: 4, at: 5000, type: "page", hasContext: true }),
    factWith({ place: 5, at: -1, type: "group", groupId: "g" }),
    factWith({ place: 6, at: 7, type: "group", groupId: "g" }),
  ]);
  deepStrictEqual(person.context, [5000, placed(4)]);
  const iso = (ms: number) => new Date(ms).toISOString();
  deepStrictEqual(profileOf(person), {
    userId: "u",
    anonymousIds: [],
    traits: {},
    groups: [{ groupId: "g", joinedAt: iso(-1), traits: {} }],
    firstSeen: iso(-1),
    lastSeen: iso(9000),
    eventCount: 6,
    counts: { track: 3, identify: 0, page: 1, screen: 0, group: 2, alias: 0 },
    events: {
      A: { count: 2, firstAt: iso(1000), lastAt: iso(5000) },
      B: { count: 1, firstAt: iso(9000), lastAt: iso(9000) },
    },
    context: {},
    version: 1,
  });
});

Deno.test("2,000 traits of 100 bytes fit", () => {
  const person = emptyPerson();
  for (let i = 0; i < 2000; i++) {
    evolvePerson(
      person,
      factWith({ type: "identify", place: i + 1, traits: { [`trait_${i}`]: "x".repeat(100) } }),
    );
  }
  strictEqual(person.dropped, 0);
  strictEqual(person.traits.size, 2000);
});

Deno.test("3,000 distinct event names fit", () => {
  const person = emptyPerson();
  for (let i = 0; i < 3000; i++) evolvePerson(person, factWith({ place: i + 1, name: `Some Event ${i}` }));
  strictEqual(person.dropped, 0);
  strictEqual(person.events.size, 3000);
});

/** Facts that overflow a small state in each way. */
const LIMIT = 2000;
const large = fc.array(
  fc.record({
    at: fc.integer({ min: 0, max: 9 }),
    type: fc.constantFrom("track" as const, "identify" as const, "group" as const),
    name: fc.integer({ min: 0, max: 30 }).map((n) => `n${n}`),
    bytes: fc.integer({ min: 0, max: 300 }),
    isNumber: fc.boolean(),
  }),
  { minLength: 20, maxLength: 60 },
).map((drafts) =>
  drafts.map(({ at, type, name, bytes, isNumber }, index) =>
    factWith({
      place: index + 1,
      at,
      type,
      userId: "u",
      name: type === "track" ? name : undefined,
      groupId: type === "group" ? name : undefined,
      traits: type === "identify" ? { [name]: isNumber ? bytes : "ü".repeat(bytes / 2) } : undefined,
    })
  )
);

Deno.test("a state never exceeds its bound, knows its size, and counts what it drops, wherever it is stored", () => {
  fc.assert(
    fc.property(large, fc.nat(60), (facts, cut) => {
      const person = emptyPerson();
      for (const fact of facts) {
        evolvePerson(person, fact, LIMIT);
        ok(person.bytes <= LIMIT);
      }
      const again = fold(facts.slice(cut), stored(fold(facts.slice(0, cut), emptyPerson(), LIMIT)), LIMIT);
      deepStrictEqual(personSays(again), personSays(person));
      const kept = fold(facts);
      strictEqual(eventCountOf(person), facts.length);
      strictEqual(profileOf(person).dropped, person.dropped > 0 ? person.dropped : undefined);
      if (person.dropped === 0) deepStrictEqual(personSays(person), personSays(kept));
    }),
    runs(200),
  );
});

Deno.test("a stored full state of any kind stays below 500 KB", () => {
  const kinds: Record<string, (i: number) => Partial<Fact>> = {
    "short traits of long numbers": (i) => ({
      type: "identify",
      traits: { [i.toString(36)]: -1.2345678901234567e-300 },
    }),
    "long traits": (i) => ({ type: "identify", traits: { [i.toString(36)]: "\u0000".repeat(4000) } }),
    "event names": (i) => ({ name: i.toString(36) }),
    groups: (i) => ({ type: "group", groupId: i.toString(36) }),
  };
  for (const [kind, more] of Object.entries(kinds)) {
    const person = emptyPerson();
    for (let i = 0; person.dropped === 0; i++) {
      evolvePerson(person, factWith({ place: 2 ** 50 + i, at: -62_167_219_200_000 + i, ...more(i) }));
    }
    const { length } = new TextEncoder().encode(JSON.stringify(personToJson(person)));
    ok(length < 500_000, `${kind}: ${length}`);
    ok(person.bytes <= STATE_BYTES);
  }
});

Deno.test("a trait that was removed or shrank makes room for another", () => {
  const set = (place: number, traits: Record<string, unknown>) =>
    factWith({ type: "identify", place, at: place, traits });
  const person = fold(
    [
      set(1, { a: "x".repeat(1800) }),
      set(2, { b: "y".repeat(1000) }),
      set(3, { a: null }),
      set(4, { b: "z".repeat(1000) }),
    ],
    emptyPerson(),
    LIMIT,
  );
  strictEqual(person.dropped, 1);
  deepStrictEqual(profileOf(person).traits, { b: "z".repeat(1000) });
});
