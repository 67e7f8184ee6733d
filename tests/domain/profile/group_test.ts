import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import type { Fact } from "../../../domain/profile/fact.ts";
import {
  emptyGroup,
  evolveGroup,
  type Group,
  groupFromJson,
  groupToJson,
} from "../../../domain/profile/group.ts";
import { STATE_BYTES } from "../../../domain/profile/person.ts";
import { groupProfile } from "../../../domain/profile/profile.ts";
import { factWith, groupSays, HOSTILE_NAMES, mapOf, personFacts, runs, shuffled } from "./facts.ts";

const fold = (facts: Fact[], from = emptyGroup()): Group =>
  facts.reduce((group, fact) => evolveGroup(group, fact), from);
const stored = (group: Group): Group => groupFromJson(JSON.parse(JSON.stringify(groupToJson(group))));
const groupFacts = personFacts.map((facts) => facts.map((fact) => ({ ...fact, type: "group" as const })));

Deno.test("the same facts in any order and any split give the same group, stored and read again between", () => {
  const cases = groupFacts.chain((facts) =>
    fc.tuple(fc.constant(facts), shuffled(facts), fc.array(fc.nat(30)))
  );
  fc.assert(
    fc.property(cases, ([facts, other, cuts]) => {
      let group = emptyGroup();
      for (const [index, fact] of other.entries()) {
        if (cuts.includes(index)) group = stored(group);
        evolveGroup(group, fact);
      }
      deepStrictEqual(groupSays(group), groupSays(fold(facts)));
      deepStrictEqual(stored(group), group);
    }),
    runs(200),
  );
});

Deno.test("a group never exceeds its bound and shows what it dropped", () => {
  const group = emptyGroup();
  for (let i = 0; i < 60; i++) {
    evolveGroup(group, factWith({ type: "group", place: i + 1, traits: { [`t${i}`]: "x".repeat(10_000) } }));
    ok(group.bytes <= STATE_BYTES);
  }
  ok(group.dropped > 0);
  strictEqual(groupProfile("g", group, 0).dropped, group.dropped);
  strictEqual(group.traits.size + group.dropped, 60);
  strictEqual(groupProfile("g", fold([factWith({ type: "group" })]), 0).dropped, undefined);
});

for (const name of HOSTILE_NAMES) {
  Deno.test(`"${name}" is data as a trait of a group`, () => {
    const traits = mapOf([[name, { polluted: true }]]);
    const group = stored(fold([factWith({ type: "group", groupId: "g", traits })]));
    deepStrictEqual(JSON.parse(JSON.stringify(groupProfile("g", group, 1))).traits, traits);
    strictEqual(({} as Record<string, unknown>).polluted, undefined);
  });
}
