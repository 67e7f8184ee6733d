import { deepStrictEqual } from "node:assert";
import { changesBetween, groupChanges } from "../../../domain/profile/change.ts";
import { emptyGroup, evolveGroup } from "../../../domain/profile/group.ts";
import { emptyPerson, evolvePerson } from "../../../domain/profile/person.ts";
import { factWith } from "./facts.ts";

const AT = Date.parse("2025-03-15T14:30:00.000Z");
const ISO = new Date(AT).toISOString();
const LATER = new Date(AT + 1_000).toISOString();

const personOf = (...facts: Parameters<typeof factWith>[0][]) =>
  facts.reduce(
    (person, each, place) => evolvePerson(person, factWith({ at: AT, place, ...each })),
    emptyPerson(),
  );

Deno.test("nothing differs between a person and the same one", () => {
  const made = () => personOf({ type: "identify", traits: { a: [1] } }, { type: "track", name: "A" });
  deepStrictEqual(changesBetween(made(), made()), { traits: {} });
});

Deno.test("a first event changes everything that it names, from nothing", () => {
  const changes = changesBetween(emptyPerson(), personOf({ type: "track", name: "A" }));
  deepStrictEqual(JSON.parse(JSON.stringify(changes)), {
    traits: {},
    firstSeen: { from: null, to: ISO },
    lastSeen: { from: null, to: ISO },
    eventCount: { from: 0, to: 1 },
    counts: { track: { from: 0, to: 1 } },
    events: { A: { from: null, to: 1 } },
  });
});

Deno.test("set, changed and removed traits are distinguished, whatever their names", () => {
  const before = personOf({ type: "identify", traits: { same: 1, changed: 1, removed: 1 } });
  const traits = JSON.parse('{"same":1,"changed":{"b":2},"removed":null,"__proto__":"new"}');
  const after = personOf(
    { type: "identify", traits: { same: 1, changed: 1, removed: 1 } },
    { type: "identify", traits, at: AT + 1_000 },
  );
  const changes = changesBetween(before, after);
  deepStrictEqual(Object.entries(changes.traits).toSorted(), [
    ["__proto__", { from: null, to: "new" }],
    ["changed", { from: 1, to: { b: 2 } }],
    ["removed", { from: 1, to: null }],
  ]);
  deepStrictEqual(changes.lastSeen, { from: ISO, to: LATER });
  deepStrictEqual(changes.firstSeen, undefined);
});

Deno.test("joining a group, and having joined it earlier, are changes", () => {
  const none = personOf({ type: "page" });
  const joined = personOf({ type: "page" }, { type: "group", groupId: "g", at: AT + 1_000 });
  const earlier = personOf({ type: "page" }, { type: "group", groupId: "g", at: AT + 1_000 }, {
    type: "group",
    groupId: "g",
  });
  deepStrictEqual({ ...changesBetween(none, joined).groups }, { g: { from: null, to: LATER } });
  deepStrictEqual({ ...changesBetween(joined, earlier).groups }, { g: { from: LATER, to: ISO } });
});

Deno.test("the changes of a group are its traits", () => {
  const event = factWith({ type: "group", groupId: "g", traits: { plan: "pro" } });
  const { traits } = groupChanges(emptyGroup(), evolveGroup(emptyGroup(), event));
  deepStrictEqual({ ...traits }, { plan: { from: null, to: "pro" } });
});
