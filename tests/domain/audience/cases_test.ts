/**
 * What each condition means, as tables: a sentence, the condition, what happened, the day that is asked for, and whether the
 * person is a member then. `day 3: Order Completed 60` is a track event with `properties.total`; `day 3: plan=pro` sets a
 * trait, `day 3: joins acme`, `day 3: acme industry=Technology`, `day 3: sees Pricing` speak for themselves.
 */
import { strictEqual } from "node:assert";
import { evaluatePerson } from "../../../domain/audience/evaluate.ts";
import { intervalAt } from "../../../domain/audience/intervals.ts";
import { personAt } from "../../../domain/audience/person.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { type Definitions, journalOf, membershipAt } from "./oracle.ts";
import { personOf, setOf } from "./people.ts";

type Json = Record<string, unknown>;
type Row = [sentence: string, condition: Json, happened: string[], day: number, isMember: boolean];

const DAY = 86_400_000;
const START = Date.parse("2026-01-01T00:00:00Z");

/** Days since the start as a time: day 1.5 is noon of the second day. */
const timeOf = (day: number) => START + day * DAY;

function eventOf(line: string, index: number): StoredEvent {
  const [, day, what] = /^day ([\d.]+): (.*)$/.exec(line)!;
  const timestamp = new Date(timeOf(Number(day))).toISOString();
  const base = { messageId: `m${index}`, timestamp, receivedAt: timestamp, userId: "jane" };
  const trait = /^(\w+ )?(\w+)=(.*)$/.exec(what!);
  if (trait !== null) {
    const value: unknown = trait[3] === "nothing"
      ? null
      : /^\d+$/.test(trait[3]!)
      ? Number(trait[3])
      : trait[3];
    const traits = { [trait[2]!]: value };
    return trait[1] === undefined
      ? { ...base, type: "identify", traits }
      : { ...base, userId: "owner", type: "group", groupId: trait[1].trim(), traits };
  }
  const joined = /^joins (\w+)$/.exec(what!);
  if (joined !== null) return { ...base, type: "group", groupId: joined[1]!, traits: {} };
  const seen = /^sees (\w+)$/.exec(what!);
  if (seen !== null) return { ...base, type: "page", name: seen[1]! };
  const [, event, total] = /^(.*?)(?: ([\d.]+|"\d+"))?$/.exec(what!)!;
  const properties = total === undefined ? {} : { total: JSON.parse(total) as unknown };
  return { ...base, type: "track", event: event!, properties };
}

const ORDER = { event: "Order Completed" };

const TABLES: Record<string, Row[]> = {
  traits: [
    ["a trait equals", { traits: { plan: "pro" } }, ["day 1: plan=pro"], 2, true],
    ["before it was set it does not", { traits: { plan: "pro" } }, ["day 1: A", "day 3: plan=pro"], 2, false],
    [
      "the latest value counts",
      { traits: { plan: "pro" } },
      ["day 1: plan=pro", "day 2: plan=free"],
      3,
      false,
    ],
    [
      "a late value does not overwrite a newer one",
      { traits: { plan: "pro" } },
      ["day 2: plan=pro", "day 1: plan=free"],
      3,
      true,
    ],
    [
      "a removed trait is absent",
      { traits: { plan: { $exists: false } } },
      ["day 1: plan=pro", "day 2: plan=nothing"],
      3,
      true,
    ],
    ["somebody without any trait has none", { traits: { plan: { $exists: false } } }, ["day 1: A"], 2, true],
    ["a text is no number", { traits: { age: { $gte: 18 } } }, ["day 1: age=old"], 2, false],
  ],
  count: [
    ["one event is enough", ORDER, ["day 1: Order Completed"], 2, true],
    ["another event is not", ORDER, ["day 1: Order Refunded"], 2, false],
    [
      "two are needed and there is one",
      { ...ORDER, count: { $gte: 2 } },
      ["day 1: Order Completed"],
      2,
      false,
    ],
    [
      "two are needed and there are two",
      { ...ORDER, count: { $gte: 2 } },
      ["day 1: Order Completed", "day 1: Order Completed"],
      2,
      true,
    ],
    ["at most one, and there is none", { ...ORDER, count: { $lte: 1 } }, ["day 1: A"], 2, true],
    ["a number of its own is an equality", { ...ORDER, count: 1 }, ["day 1: Order Completed"], 2, true],
    [
      "only events that satisfy `where` count",
      { ...ORDER, where: { "properties.total": { $gte: 50 } } },
      ["day 1: Order Completed 49"],
      2,
      false,
    ],
    ["a page by its name", { type: "page", name: "Pricing" }, ["day 1: sees Pricing"], 2, true],
    ["another page", { type: "page", name: "Pricing" }, ["day 1: sees Home"], 2, false],
  ],
  windows: [
    ["the last moment of a window", { ...ORDER, within: "30d" }, ["day 1: Order Completed"], 30.99, true],
    ["the end of a window is outside", { ...ORDER, within: "30d" }, ["day 1: Order Completed"], 31, false],
    ["the moment of the event is inside", { ...ORDER, within: "30d" }, ["day 1: Order Completed"], 1, true],
    [
      "of two orders one has left the window",
      { ...ORDER, count: { $gte: 2 }, within: "30d" },
      ["day 1: Order Completed", "day 20: Order Completed"],
      40,
      false,
    ],
    [
      "a late order counts as if it had been in time",
      { ...ORDER, count: { $gte: 2 }, within: "30d" },
      ["day 20: Order Completed", "day 15: Order Completed"],
      40,
      true,
    ],
    [
      "between 60 and 30 days ago",
      { ...ORDER, between: ["60d", "30d"] },
      ["day 1: Order Completed"],
      40,
      true,
    ],
    ["too new for it", { ...ORDER, between: ["60d", "30d"] }, ["day 1: Order Completed"], 30.99, false],
    ["its beginning is inside", { ...ORDER, between: ["60d", "30d"] }, ["day 1: Order Completed"], 31, true],
    ["its end is outside", { ...ORDER, between: ["60d", "30d"] }, ["day 1: Order Completed"], 61, false],
    ["since a day, which is inside", { ...ORDER, since: "2026-01-02" }, ["day 1: Order Completed"], 5, true],
    [
      "until a day, which is outside",
      { ...ORDER, until: "2026-01-02" },
      ["day 1: Order Completed"],
      5,
      false,
    ],
  ],
  last: [
    ["nobody who never did it", { ...ORDER, last: { moreThan: "14d" } }, ["day 1: A"], 40, false],
    ["exactly so long ago", { ...ORDER, last: { moreThan: "14d" } }, ["day 1: Order Completed"], 15, true],
    [
      "not long enough ago",
      { ...ORDER, last: { moreThan: "14d" } },
      ["day 1: Order Completed"],
      14.99,
      false,
    ],
    [
      "the last one counts",
      { ...ORDER, last: { moreThan: "14d" } },
      ["day 1: Order Completed", "day 10: Order Completed"],
      20,
      false,
    ],
  ],
  sum: [
    [
      "the sum of nothing is 0",
      { sum: "properties.total", ...ORDER, value: { $lte: 0 } },
      ["day 1: A"],
      2,
      true,
    ],
    [
      "numbers are added",
      { sum: "properties.total", ...ORDER, value: { $gt: 100 } },
      ["day 1: Order Completed 60", "day 2: Order Completed 50"],
      3,
      true,
    ],
    [
      "decimals are added exactly",
      { sum: "properties.total", ...ORDER, value: { $gt: 0.3 } },
      ["day 1: Order Completed 0.1", "day 2: Order Completed 0.2"],
      3,
      false,
    ],
    [
      "a text is ignored",
      { sum: "properties.total", ...ORDER, value: { $gte: 60 } },
      ['day 1: Order Completed "60"'],
      2,
      false,
    ],
    [
      "what left the window is taken off",
      { sum: "properties.total", ...ORDER, value: { $gt: 100 }, within: "30d" },
      ["day 1: Order Completed 60", "day 20: Order Completed 50"],
      31,
      false,
    ],
  ],
  sequence: [
    [
      "both steps in order",
      { sequence: [{ event: "A" }, { event: "B" }] },
      ["day 1: A", "day 2: B"],
      3,
      true,
    ],
    ["the wrong order", { sequence: [{ event: "A" }, { event: "B" }] }, ["day 1: B", "day 2: A"], 3, false],
    [
      "at the same time the journal's order counts",
      { sequence: [{ event: "A" }, { event: "B" }] },
      ["day 1: B", "day 1: A"],
      3,
      false,
    ],
    [
      "the second step at the last moment",
      { sequence: [{ event: "A" }, { event: "B", within: "1d" }] },
      ["day 1: A", "day 2: B"],
      3,
      true,
    ],
    [
      "the second step too late",
      { sequence: [{ event: "A" }, { event: "B", within: "1d" }] },
      ["day 1: A", "day 2.01: B"],
      3,
      false,
    ],
    [
      "another first step may begin it",
      { sequence: [{ event: "A" }, { event: "B", within: "1d" }] },
      ["day 1: A", "day 2.5: A", "day 3: B"],
      4,
      true,
    ],
    [
      "nothing came in time",
      { sequence: [{ event: "A" }, { not: { event: "B" }, within: "1d" }] },
      ["day 1: A"],
      2,
      true,
    ],
    [
      "it may still come",
      { sequence: [{ event: "A" }, { not: { event: "B" }, within: "1d" }] },
      ["day 1: A"],
      1.99,
      false,
    ],
    [
      "it came at the last moment",
      { sequence: [{ event: "A" }, { not: { event: "B" }, within: "1d" }] },
      ["day 1: A", "day 2: B"],
      3,
      false,
    ],
    [
      "`within` beside it ends it",
      { sequence: [{ event: "A" }, { event: "B" }], within: "7d" },
      ["day 1: A", "day 2: B"],
      9,
      false,
    ],
  ],
  groups: [
    [
      "one group is enough",
      { group: { traits: { industry: "Technology" } } },
      ["day 1: joins acme", "day 1: acme industry=Technology"],
      2,
      true,
    ],
    [
      "before joining it does not hold",
      { group: { traits: { industry: "Technology" } } },
      ["day 0: A", "day 3: joins acme", "day 1: acme industry=Technology"],
      2,
      false,
    ],
    [
      "a change of the group changes its members",
      { group: { traits: { industry: "Technology" } } },
      ["day 1: joins acme", "day 1: acme industry=Technology", "day 2: acme industry=Food"],
      3,
      false,
    ],
    [
      "all groups, and one differs",
      { group: { traits: { size: { $gte: 5 } } }, match: "all" },
      ["day 1: joins acme", "day 1: acme size=9", "day 1: joins tiny", "day 1: tiny size=2"],
      2,
      false,
    ],
    ["all groups of nobody", { group: { traits: { size: 1 } }, match: "all" }, ["day 1: A"], 2, false],
    ["none of no groups", { group: { traits: { size: 1 } }, match: "none" }, ["day 1: A"], 2, true],
    [
      "none, and one does",
      { group: { traits: { size: 1 } }, match: "none" },
      ["day 1: joins acme", "day 1: acme size=1"],
      2,
      false,
    ],
  ],
  "all, any, not": [
    ["all hold", { all: [ORDER, { event: "A" }] }, ["day 1: A", "day 2: Order Completed"], 3, true],
    ["one of all is missing", { all: [ORDER, { event: "A" }] }, ["day 1: A"], 3, false],
    ["one of any holds", { any: [ORDER, { event: "A" }] }, ["day 1: A"], 3, true],
    ["`not` holds from the first event on", { not: ORDER }, ["day 1: A"], 1, true],
    ["`not` ends with the event", { not: ORDER }, ["day 1: A", "day 2: Order Completed"], 2, false],
    ["another audience", { audience: "buyers" }, ["day 1: Order Completed"], 2, true],
    ["not in another audience", { not: { audience: "buyers" } }, ["day 1: Order Completed"], 2, false],
  ],
};

for (const [kind, rows] of Object.entries(TABLES)) {
  for (const [sentence, condition, happened, day, isMember] of rows) {
    Deno.test(`${kind}: ${sentence}`, () => {
      const definitions: Definitions = { buyers: ORDER, asked: condition };
      const set = setOf(definitions);
      const events = happened.map(eventOf);
      const person = personAt(personOf(set, events, "jane"), timeOf(day))!;
      const holds = evaluatePerson(set, person).audience(1);
      strictEqual(intervalAt(holds, timeOf(day)) !== undefined, isMember);
      // The book says the same.
      const question = { journal: journalOf(events), definitions, userId: "jane" };
      strictEqual(membershipAt(question, "asked", timeOf(day))!.member, isMember);
    });
  }
}
