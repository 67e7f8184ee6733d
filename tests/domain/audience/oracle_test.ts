/** Membership by intervals against membership by the book, for random conditions, people and moments. */
import { deepStrictEqual } from "node:assert";
import { readWhere } from "../../../domain/audience/definition.ts";
import { evaluatePerson } from "../../../domain/audience/evaluate.ts";
import {
  addEvidence,
  type AudienceSet,
  createAudienceSet,
  type Evidence,
  type NamedNode,
} from "../../../domain/audience/evidence.ts";
import { intervalAt, nextEdge } from "../../../domain/audience/intervals.ts";
import {
  joinedGroups,
  joinEvidence,
  linkedIds,
  personAt,
  type PersonEvidence,
} from "../../../domain/audience/person.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { placed, runs } from "../profile/facts.ts";
import { type Definitions, journalOf, membershipAt } from "./oracle.ts";
import { createRandom, randomCondition, randomEvent, randomMoment } from "./random.ts";

/** A set of audiences of definitions. */
function setOf(definitions: Definitions): AudienceSet {
  const named = Object.entries(definitions).map(([name, given]): NamedNode => {
    const read = readWhere(given);
    if ("problems" in read) throw new Error(JSON.stringify({ given, ...read }));
    return { name, where: read.where };
  });
  return createAudienceSet(named);
}

/** A person's evidence, gathered from all events, first the odd ones, so that the order of gathering does not matter. */
function personOf(set: AudienceSet, events: readonly StoredEvent[], userId: string): PersonEvidence {
  const kept = new Map<string, Evidence[]>();
  const indexed = events.map((event, index) => ({ event, index }));
  const shuffled = indexed.toSorted((a, b) => b.index % 2 - a.index % 2);
  shuffled.forEach(({ event, index }) => {
    for (const { kind, id, evidence } of set.evidenceOf(event, placed(index + 1))) {
      const key = `${kind}/${id}`;
      if (!kept.has(key)) kept.set(key, []);
      addEvidence(kept.get(key)!, [evidence]);
    }
  });
  const own = kept.get(`user/${userId}`) ?? [];
  const anonymous = linkedIds(own).map((anonymousId) => {
    return { anonymousId, evidence: kept.get(`anonymous/${anonymousId}`) ?? [] };
  });
  const known = joinEvidence(userId, own, anonymous);
  const groups = new Map(joinedGroups(known).map((id) => [id, kept.get(`group/${id}`) ?? []]));
  return { first: own[0]?.at ?? Infinity, known, groups };
}

Deno.test("membership by intervals is membership by the book, at any moment", () => {
  for (let seed = 1; seed <= runs(1_500).numRuns; seed++) {
    const random = createRandom(seed);
    const one = randomCondition(random);
    const definitions = { one, two: randomCondition(random, ["one"]) };
    const events = Array.from(
      { length: 4 + random.below(14) },
      (_, no) => randomEvent(random, no, randomMoment(random)),
    );
    const set = setOf(definitions);
    const journal = journalOf(events);
    for (const userId of ["u1", "u2"]) {
      const whole = personOf(set, events, userId);
      for (const t of [randomMoment(random), randomMoment(random), 13 * 60_000, 100 * 60_000]) {
        const person = personAt(whole, t);
        for (const [index, name] of ["one", "two"].entries()) {
          const expected = membershipAt({ journal, definitions, userId }, name, t);
          const holds = person && evaluatePerson(set, person).audience(index);
          const stay = holds && intervalAt(holds, t);
          const next = holds && nextEdge(holds, t);
          const found = holds && {
            member: stay !== undefined,
            ...stay && { since: stay.start },
            next: next === Infinity ? undefined : next,
          };
          deepStrictEqual(
            found,
            expected,
            JSON.stringify({ seed, userId, name, t, definitions, events }, null, 1),
          );
        }
      }
    }
  }
});
