/**
 * How it works: an oracle written from the sentences of the contract, as naively as can be, says who owns each event of
 * an anonymous id. The fold at once, and the fold step by step (stored and read again now and then, and folded anew
 * where a step says so, as settling does it) must both come to the same.
 */
import { BEGINNING, pack } from "../../../domain/event/position.ts";
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import {
  type Anonymous,
  anonymousFromJson,
  anonymousToJson,
  createLinks,
  emptyAnonymous,
  evolveAnonymous,
  foldAnonymous,
  MAX_OWNERS,
  MAX_RUNS,
  NO_OWNER,
  ownerAt,
  ownerOf,
  ownersOf,
} from "../../../domain/profile/anonymous.ts";
import { EVENT_TYPES } from "../../../domain/event/event.ts";
import { type Fact, linkedBy, type Mark } from "../../../domain/profile/fact.ts";
import {
  emptyPerson,
  evolvePerson,
  joinPersons,
  type Person,
  STATE_BYTES,
} from "../../../domain/profile/person.ts";
import { traitsOf } from "../../../domain/profile/register.ts";
import { factWith, moments, personSays, placed, runs, traitMaps } from "./facts.ts";

/** All that an anonymous id is made of, whoever owns it. */
function joinOf(state: Anonymous): Person {
  return [...state.parts.values()].reduce(joinPersons, emptyPerson());
}

const ID = "a";

interface Link {
  user: string;
  mark: Mark;
}

const byMark = (a: Mark, b: Mark) => a[0] - b[0] || (a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0);

/**
 * The links that count, by time, then arrival. With the first by which 50 users have owned the id (or the runs are as many
 * as there may be) it has become a placeholder: that is the last one.
 */
function linksOf(facts: Fact[]): { links: Link[]; end: Mark | undefined } {
  const all = facts.filter((fact) =>
    fact.type === "identify" && fact.userId !== undefined && fact.anonymousId === ID ||
    fact.type === "alias" && fact.previousId === ID
  ).map((fact): Link => ({ user: fact.userId!, mark: [fact.at, fact.place] }))
    .sort((a, b) => byMark(a.mark, b.mark));
  const last = all.findIndex((_, index) => {
    const some = all.slice(0, index + 1);
    const runCount = some.filter(({ user }, n) => user !== some[n - 1]?.user).length;
    return runCount === MAX_RUNS || new Set(some.map(({ user }) => user)).size === MAX_OWNERS;
  });
  return last === -1
    ? { links: all, end: undefined }
    : { links: all.slice(0, last + 1), end: all[last]!.mark };
}

/** The first link takes everything before it, and holds until a later link to another user; of a placeholder nobody does. */
function ownerBy({ links, end }: ReturnType<typeof linksOf>, mark: Mark): string | undefined {
  if (end !== undefined && byMark(end, mark) < 0) return undefined;
  let owner = links[0]?.user;
  for (const link of links) if (byMark(link.mark, mark) < 0) owner = link.user;
  return owner;
}

/** What the contract says of an anonymous id with these facts. */
function expected(facts: Fact[]): unknown {
  const counted = linksOf(facts);
  const { links, end } = counted;
  const own = facts.filter((fact) => linkedBy(fact) !== ID);
  const owned = new Map<string, Fact[]>(links.map(({ user }) => [user, []]));
  for (const fact of own) {
    const owner = ownerBy(counted, [fact.at, fact.place]) ?? NO_OWNER;
    owned.set(owner, [...owned.get(owner) ?? [], fact]);
  }
  const cuts: { user: string; marks: Mark[] }[] = [];
  for (const { user, mark } of links) {
    const last = cuts.at(-1);
    if (last?.user === user) last.marks.push(mark);
    else cuts.push({ user, marks: [mark] });
  }
  return {
    owner: end === undefined ? links.at(-1)?.user : undefined,
    end: end ?? null,
    owners: [...new Set(links.map(({ user }) => user))].sort(),
    runs: cuts.map(({ user, marks }) => [user, marks[0], marks.at(-1)]),
    parts: [...owned].sort(([a], [b]) => a < b ? -1 : 1).map((
      [owner, some],
    ) => [owner, personSays(some.reduce((person, fact) => evolvePerson(person, fact), emptyPerson()))]),
  };
}

/** The same of a state. */
function says(state: Anonymous): unknown {
  return {
    owner: ownerOf(state),
    end: state.end,
    owners: ownersOf(state).sort(),
    runs: state.runs.map(({ user, first, last }) => [user, first, last]),
    parts: [...state.parts].sort(([a], [b]) => a < b ? -1 : 1).map((
      [owner, part],
    ) => [owner, personSays(part)]),
  };
}

const stored = (state: Anonymous) => anonymousFromJson(JSON.parse(JSON.stringify(anonymousToJson(state))));

/** Step by step, folded anew where a step can't be done in place; stored and read again before the facts named. */
function evolved(facts: Fact[], cuts: number[] = []): { state: Anonymous; refolds: number } {
  let state = emptyAnonymous();
  let refolds = 0;
  for (const [index, fact] of facts.entries()) {
    if (cuts.includes(index)) state = stored(state);
    if (!evolveAnonymous(state, fact, ID)) {
      state = foldAnonymous(facts.slice(0, index + 1), ID);
      refolds++;
    }
  }
  return { state, refolds };
}

/** A history of one anonymous id, as it may stand in its log. */
function histories(users: number, maxLength: number): fc.Arbitrary<Fact[]> {
  return fc.array(
    fc.record({
      link: fc.constantFrom("none" as const, "none" as const, "identify" as const, "alias" as const),
      user: fc.integer({ min: 1, max: users }).map((n) => `u${n}`),
      at: moments,
      type: fc.constantFrom(...EVENT_TYPES.filter((type) => type !== "alias")),
      traits: fc.option(traitMaps, { nil: undefined }),
      hasContext: fc.boolean(),
    }),
    { maxLength },
  ).map((drafts) =>
    drafts.map(({ link, user, at, type, traits, hasContext }, index) => {
      const common = { place: index + 1, at, hasContext };
      if (link === "identify") {
        return factWith({ ...common, type: link, userId: user, anonymousId: ID, traits });
      }
      if (link === "alias") {
        return factWith({ ...common, type: link, userId: user, previousId: ID });
      }
      return factWith({
        ...common,
        type,
        anonymousId: ID,
        name: type === "track" ? `e${index % 3}` : undefined,
        groupId: type === "group" ? `g${index % 3}` : undefined,
        traits: type === "identify" ? traits : undefined,
      });
    })
  );
}

Deno.test("the events of an anonymous id go to its owner at their time, at once and step by step", () => {
  let refolds = 0;
  let inPlace = 0;
  fc.assert(
    fc.property(histories(3, 25), fc.array(fc.nat(25)), (facts, cuts) => {
      const wanted = expected(facts);
      deepStrictEqual(says(foldAnonymous(facts, ID)), wanted);
      const steps = evolved(facts, cuts);
      deepStrictEqual(says(steps.state), wanted);
      deepStrictEqual(stored(steps.state), steps.state);
      if (steps.refolds > 0) refolds++;
      else inPlace++;
      const links = linksOf(facts);
      for (let at = -5000; at <= 13_000; at += 500) {
        for (const place of [BEGINNING, pack(7, 5), placed(99)]) {
          strictEqual(ownerAt(steps.state, [at, place]), ownerBy(links, [at, place]));
        }
      }
    }),
    runs(1000),
  );
  ok(refolds > 50 && inPlace > 50, "both ways were gone");
});

Deno.test("an anonymous id is the same for the same facts in any order of arrival, but for ties", () => {
  // Distinct times: of a tie the later arrival comes after.
  const distinct = histories(3, 20).map((facts) =>
    facts.map((fact, index) => ({ ...fact, at: fact.at + index }))
  );
  const cases = distinct.chain((facts) =>
    fc.tuple(
      fc.constant(facts),
      fc.shuffledSubarray(facts, { minLength: facts.length, maxLength: facts.length }),
    )
  );
  /** Without places, which differ. */
  const bare = (facts: Fact[]) => {
    const state = evolved(facts.map((fact, index) => ({ ...fact, place: placed(index + 1) }))).state;
    return {
      runs: state.runs.map(({ user, first, last }) => [user, first[0], last[0]]),
      parts: [...state.parts].sort(([a], [b]) => a < b ? -1 : 1).map(([owner, part]) => [
        owner,
        part.counts,
        part.first,
        part.last,
        { ...traitsOf(part.traits) },
        part.context?.[0] ?? null,
      ]),
    };
  };
  fc.assert(fc.property(cases, ([facts, other]) => deepStrictEqual(bare(other), bare(facts))), runs(300));
});

Deno.test("nothing is lost or doubled between owners", () => {
  fc.assert(
    fc.property(histories(4, 30), (facts) => {
      const own = facts.filter((fact) => linkedBy(fact) !== ID);
      const whole = own.reduce((person, fact) => evolvePerson(person, fact), emptyPerson());
      const says = (person: typeof whole) => personSays({ ...person, bytes: 0 });
      deepStrictEqual(says(joinOf(evolved(facts).state)), says(whole));
    }),
    runs(200),
  );
});

Deno.test("an anonymous id with too many owners is a placeholder from then on, at once and step by step", () => {
  let reached = 0;
  let after = 0;
  const many = fc.array(
    fc.tuple(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 0, max: 300 }), fc.boolean()),
    {
      minLength: 150,
      maxLength: 220,
    },
  );
  fc.assert(
    fc.property(many, (drafts) => {
      const facts = drafts.map(([user, at, isLink], index) =>
        factWith({
          place: index + 1,
          at,
          anonymousId: ID,
          type: isLink ? "identify" : "page",
          userId: isLink ? `u${user}` : undefined,
        })
      );
      const wanted = expected(facts);
      deepStrictEqual(says(foldAnonymous(facts, ID)), wanted);
      deepStrictEqual(says(evolved(facts).state), wanted);
      const { state } = evolved(facts);
      if (state.end === null) return;
      reached++;
      if (state.parts.has(NO_OWNER)) after++;
    }),
    runs(25),
  );
  ok(reached > 0 && after > 0, "the bound was reached, and events came after it");
});

Deno.test("the owners of an anonymous id with too many owners are the same in any order of arrival", () => {
  const facts = Array.from({ length: 240 }, (_, at) =>
    factWith({
      at,
      anonymousId: ID,
      ...at % 3 === 0 ? { type: "identify", userId: `u${at % 71}` } : { name: `e${at}` },
    }));
  const bare = (order: Fact[]) => {
    const { state } = evolved(order.map((fact, index) => ({ ...fact, place: placed(index + 1) })));
    return {
      end: state.end?.[0],
      runs: state.runs.map(({ user, first, last }) => [user, first[0], last[0]]),
      parts: [...state.parts].map(([owner, { events }]) => [owner, [...events.keys()].sort()]).sort(),
    };
  };
  const wanted = bare(facts);
  ok(wanted.end !== undefined && wanted.parts.some(([owner]) => owner === NO_OWNER));
  const orders = fc.shuffledSubarray(facts, { minLength: facts.length, maxLength: facts.length });
  fc.assert(fc.property(orders, (order) => deepStrictEqual(bare(order), wanted)), runs(20));
});

Deno.test("an id that 55 users link in turn has no owner after the fiftieth, and each keeps their interval", () => {
  const facts: Fact[] = [];
  for (let n = 1; n <= 55; n++) {
    facts.push(
      factWith({ place: 2 * n, at: 2 * n, type: "identify", userId: `u${n}`, anonymousId: ID }),
      factWith({ place: 2 * n + 1, at: 2 * n + 1, anonymousId: ID, name: `after ${n}` }),
    );
  }
  for (const state of [foldAnonymous(facts, ID), evolved(facts).state, evolved(facts, [30, 99, 100]).state]) {
    const names = (owner: string) => [...state.parts.get(owner)?.events.keys() ?? []];
    for (let n = 1; n < 50; n++) deepStrictEqual(names(`u${n}`), [`after ${n}`]);
    deepStrictEqual(names("u50"), []);
    deepStrictEqual(names(NO_OWNER), ["50", "51", "52", "53", "54", "55"].map((n) => `after ${n}`));
    strictEqual(ownerOf(state), undefined);
    strictEqual(ownersOf(state).length, MAX_OWNERS);
  }
});

Deno.test("of millions of links that count no more, few are held", () => {
  const links = createLinks(ID);
  for (let at = 0; at < 100_000; at++) {
    // Each of another user, from the newest on: so all that came before count no more.
    links.add(factWith({ place: at, at: -at, type: "identify", userId: `u${at}`, anonymousId: ID }));
  }
  const { runs, end } = links.fold();
  deepStrictEqual([runs.length, runs[0]!.user, end], [MAX_OWNERS, "u99999", [-99_950, placed(99_950)]]);
});

Deno.test("alternating users fill a limited number of runs, at once and step by step", () => {
  const facts = Array.from({ length: MAX_RUNS + 200 }, (_, index) =>
    factWith({
      place: index + 1,
      // Most in order, some late: into a run, between two, and before all.
      at: index % 97 === 0 ? -index : index % 13 === 0 ? index * 5 : index * 10,
      type: "identify",
      userId: index % 31 === 0 ? "u3" : index % 2 === 0 ? "u1" : "u2",
      anonymousId: ID,
    }));
  const wanted = expected(facts);
  deepStrictEqual(says(foldAnonymous(facts, ID)), wanted);
  const { state } = evolved(facts);
  deepStrictEqual(says(state), wanted);
  strictEqual(state.runs.length, MAX_RUNS);
  ok(state.end !== null);
});

/** Who owns what: [at, what] in the order of arrival; `u1` is a link to it, a page view is named. One row a sentence. */
const IDENTITY: [sentence: string, history: [number, string][], owned: Record<string, string[]>][] = [
  ["what nobody claimed is the anonymous one's own", [[1, "p1"], [2, "p2"]], { "": ["p1", "p2"] }],
  ["the first link takes everything before it", [[1, "p1"], [2, "u1"]], { u1: ["p1"] }],
  ["and what comes after", [[2, "u1"], [3, "p3"]], { u1: ["p3"] }],
  ["and what comes late", [[2, "u1"], [1, "p1"]], { u1: ["p1"] }],
  ["another user has it from their link on", [[1, "u1"], [3, "u2"], [4, "p4"]], { u1: [], u2: ["p4"] }],
  ["what came before stays where it was", [[1, "u1"], [2, "p2"], [3, "u2"]], { u1: ["p2"], u2: [] }],
  ["an event that comes late goes to who owned then", [[1, "u1"], [3, "u2"], [2, "p2"]], {
    u1: ["p2"],
    u2: [],
  }],
  ["a link that comes late takes what is its own", [[1, "u1"], [4, "p4"], [3, "u2"]], { u1: [], u2: ["p4"] }],
  [
    "a link that comes late and is the first takes everything before it, and up to the next",
    [[1, "p1"], [4, "p4"], [3, "p3"], [5, "u1"], [2, "u2"]],
    { u1: [], u2: ["p1", "p3", "p4"] },
  ],
  [
    "a late link inside another user's time takes from there to that user's next link",
    [[1, "u1"], [3, "p3"], [4, "u1"], [5, "p5"], [2, "u2"]],
    { u1: ["p5"], u2: ["p3"] },
  ],
  ["a link and an event of one time: the later arrival comes after", [[1, "u1"], [2, "p2"], [2, "u2"]], {
    u1: ["p2"],
    u2: [],
  }],
  ["and the other way round", [[1, "u1"], [2, "u2"], [2, "p2"]], { u1: [], u2: ["p2"] }],
  ["two links of one time: the later arrival holds", [[1, "u1"], [1, "u2"], [2, "p2"]], {
    u1: [],
    u2: ["p2"],
  }],
  ["who links again changes nothing", [[1, "u1"], [2, "p2"], [3, "u1"], [4, "p4"]], { u1: ["p2", "p4"] }],
  [
    "it may come back",
    [[1, "u1"], [2, "u2"], [3, "p3"], [4, "u1"], [5, "p5"]],
    { u1: ["p5"], u2: ["p3"] },
  ],
];

for (const [sentence, history, owned] of IDENTITY) {
  Deno.test(`ownership: ${sentence}`, () => {
    const facts = history.map(([at, what], index) =>
      what.startsWith("u")
        ? factWith({
          place: index + 1,
          at,
          type: index % 2 ? "alias" : "identify",
          userId: what,
          anonymousId: ID,
          previousId: ID,
        })
        : factWith({ place: index + 1, at, anonymousId: ID, name: what })
    );
    for (
      const state of [foldAnonymous(facts, ID), evolved(facts).state, evolved(facts, [1, 2, 3, 4]).state]
    ) {
      const mine = [...state.parts].map(([owner, part]) => [owner, [...part.events.keys()].sort()]);
      deepStrictEqual(Object.fromEntries(mine), owned);
    }
  });
}

Deno.test("an anonymous id of many owners with many traits can be stored, at once and step by step", () => {
  const facts: Fact[] = [];
  for (let i = 0; i < MAX_OWNERS; i++) {
    facts.push(
      factWith({ place: 2 * i + 1, at: 2 * i, type: "identify", userId: `u${i}`, anonymousId: ID }),
      factWith({
        place: 2 * i + 2,
        at: 2 * i + 1,
        anonymousId: ID,
        type: "identify",
        traits: { [`t${i}`]: "x".repeat(30_000) },
      }),
    );
  }
  const { state } = evolved(facts);
  deepStrictEqual(says(foldAnonymous(facts, ID)), says(state));
  const { length } = JSON.stringify(anonymousToJson(state));
  ok(length < 700_000, `${length} bytes`);
  ok([...state.parts.values()].some((part) => part.dropped > 0));
});

Deno.test("runs of users with the longest ids can be stored, at once and step by step alike", () => {
  const facts = Array.from({ length: MAX_RUNS + 10 }, (_, index) =>
    factWith({
      place: index + 1,
      at: index % 7 === 0 ? index * 5 : index * 10,
      type: "identify",
      userId: (index % 2 ? "\u0000" : "😀").repeat(256),
      anonymousId: ID,
    }));
  const { state } = evolved(facts);
  deepStrictEqual(says(foldAnonymous(facts, ID)), says(state));
  const { length } = new TextEncoder().encode(JSON.stringify(anonymousToJson(state)));
  ok(length < 300_000, `${length} bytes`);
});

Deno.test("a full anonymous id stays within its bound and drops the same at once and step by step", () => {
  const facts = Array.from({ length: 60 }, (_, index) =>
    factWith({
      place: index + 1,
      at: index % 5 === 0 ? 1000 - index : index,
      anonymousId: ID,
      ...(index % 9 === 8
        ? { type: "identify", userId: `u${index % 4}` }
        : { type: "identify", traits: { [`t${index % 25}`]: "x".repeat(1000 + index * 500) } }),
    }));
  const { state } = evolved(facts);
  deepStrictEqual(says(foldAnonymous(facts, ID)), says(state));
  const bytes = [...state.parts.values()].reduce((sum, part) => sum + part.bytes, 0);
  ok(bytes <= STATE_BYTES);
  ok([...state.parts.values()].some((part) => part.dropped > 0));
});
