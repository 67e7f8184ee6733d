/** Membership by intervals against membership by the book, for random conditions, people and moments. */
import { deepStrictEqual } from "node:assert";
import { evaluatePerson } from "../../../domain/audience/evaluate.ts";
import { intervalAt, nextEdge } from "../../../domain/audience/intervals.ts";
import { personAt } from "../../../domain/audience/person.ts";
import { runs } from "../profile/facts.ts";
import { journalOf, membershipAt } from "./oracle.ts";
import { personOf, setOf } from "./people.ts";
import { createRandom, randomCondition, randomEvent, randomMoment } from "./random.ts";

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
