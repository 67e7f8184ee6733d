/**
 * What the document's schemas say of events and what `accept` takes of them are the same, but for what JSON Schema has no
 * words for: that is listed here, and nothing else may differ.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import fc from "fast-check";
import { accept } from "../../../domain/event/accept.ts";
import { EVENT_TYPES, type EventType } from "../../../domain/event/event.ts";
import { isObject } from "../../../domain/event/json.ts";
import { parseTimestamp } from "../../../domain/event/timestamp.ts";
import { misfit, pointerOf } from "./documented.ts";

const WIDE = "\u{1F600}";

/** Values around every bound that a member has. */
const ids = [
  undefined,
  null,
  "",
  ".",
  "..",
  "...",
  "u1",
  0,
  -1.5,
  "x".repeat(256),
  "x".repeat(257),
  WIDE.repeat(256),
  WIDE.repeat(257),
  "\ud800",
  true,
  {},
  [],
];
const timestamps = [
  undefined,
  null,
  "",
  "2025-03-15",
  "2025-03-15T14:30",
  "2025-03-15t14:30:00z",
  "2025-03-15T14:30:00.123456789+02:00",
  "2025-03-15T14:30:00,5-0230",
  "2025-03-15T14:30+02",
  "2025-03-15T24:00",
  "2025-03-15T14:30:60Z",
  "2025-02-30",
  "2025-13-01",
  "2025-03-15T25:00",
  "0000-01-01T00:00+01:00",
  "20250315",
  "2025-3-15",
  "2025-03-15 14:30",
  "2025-03-15T14",
  "2025-03-15T14:30:00.Z",
  "2025-03-15T14:30:00+2",
  ` ${"2025-03-15"}`,
  "2025-03-15\n",
  `2025-03-15T14:30:00.${"1".repeat(108)}`,
  `2025-03-15T14:30:00.${"1".repeat(109)}`,
  1_700_000_000_000,
];
const texts = [undefined, null, "", "Order Completed", "\ud800", 1, {}];
const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, n]));
const maps = [
  undefined,
  null,
  {},
  { a: 1 },
  many(500),
  many(501),
  [],
  [1],
  "x",
  1,
  { ["\ud800"]: 1 },
  JSON.parse('{"__proto__":1}'),
];
const contexts = [...maps, { traits: { a: 1 } }, { traits: many(501) }];
const messageIds = [
  undefined,
  null,
  "",
  "m1",
  "x".repeat(255),
  "x".repeat(256),
  WIDE.repeat(255),
  "\ud800",
  1,
  true,
];

const members = {
  userId: ids,
  anonymousId: ids,
  groupId: ids,
  previousId: ids,
  event: texts,
  name: texts,
  category: texts,
  traits: maps,
  properties: maps,
  context: contexts,
  integrations: maps,
  timestamp: timestamps,
  messageId: messageIds,
  somethingElse: [undefined, null, 1, "x", {}],
};

/** Mostly good events with one or two members that are anything, or events of nothing but anything. */
const anyMember = fc.record(
  Object.fromEntries(Object.entries(members).map(([name, values]) => [name, fc.constantFrom(...values)])),
  { requiredKeys: [] },
);
const good = { userId: "u1", event: "E", groupId: "g1", previousId: "a1" };
const items = fc.oneof(
  anyMember,
  fc.tuple(anyMember, fc.subarray(Object.keys(members), { maxLength: 2 })).map(([any, names]) => ({
    ...good,
    ...Object.fromEntries(names.filter((name) => name in any).map((name) => [name, any[name]])),
  })),
);

/** As it comes from outside: nothing is `undefined` there. */
const asSent = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

function rejectionOf(item: unknown, type?: EventType) {
  return accept(structuredClone(item), { receivedAt: Date.now(), newId: () => "m", type }).rejection;
}

/** Why `accept` may refuse what fits the schema. */
function isBeyondSchemas(item: unknown, code: string): boolean {
  if (!isObject(item)) return false;
  const member = code.replace(/^invalid_/, "").replaceAll(
    /_([a-z])/g,
    (_, letter: string) => letter.toUpperCase(),
  );
  const value = item[member];
  switch (code) {
    case "invalid_timestamp":
      return typeof value === "string" && parseTimestamp(value) === undefined;
    case "too_many_traits": // Of context.traits, which an identify without traits takes.
      return isObject(item.context) && !isObject(item.traits);
    case "ill_formed_key":
    case "too_deep":
    case "event_too_large":
      return true;
    default:
      return typeof value === "string" && !value.isWellFormed();
  }
}

function compare(pointer: string, { item, type }: { item: unknown; type?: EventType }): "taken" | "refused" {
  const wrong = misfit(pointer, item);
  const rejection = rejectionOf(item, type);
  const what = JSON.stringify(item).slice(0, 1000);
  if (rejection === undefined) {
    strictEqual(wrong, undefined, `the schema refuses what is taken: ${what}`);
    return "taken";
  }
  if (wrong === undefined) {
    ok(
      isBeyondSchemas(item, rejection.code),
      `the schema takes what is refused: ${rejection.message}: ${what}`,
    );
  }
  return "refused";
}

const RUNS = 4000;

Deno.test("the schema of an event accepts what accept() accepts, and rejects what it rejects", () => {
  const seen = { taken: 0, refused: 0 };
  const types = fc.constantFrom(...EVENT_TYPES, "other", null, undefined);
  fc.assert(
    fc.property(items, types, (members, type) => {
      seen[compare("/components/schemas/Event", { item: asSent({ ...members, type }) })]++;
    }),
    { numRuns: RUNS },
  );
  ok(seen.taken > RUNS / 20 && seen.refused > RUNS / 20, JSON.stringify(seen));
});

Deno.test("the schema of each type, which a path implies, does so too", () => {
  for (const type of EVENT_TYPES) {
    const name = type.charAt(0).toUpperCase() + type.slice(1);
    const pointer = pointerOf("components", "schemas", name);
    const seen = { taken: 0, refused: 0 };
    fc.assert(
      fc.property(items, (members) => {
        seen[compare(pointer, { item: asSent(members), type })]++;
      }),
      { numRuns: RUNS / 4 },
    );
    ok(seen.taken > 0 && seen.refused > 0, `${type}: ${JSON.stringify(seen)}`);
  }
});

Deno.test("each value of each member, alone in a valid event, is accepted or rejected by both", () => {
  const beyond: string[] = [];
  for (const type of EVENT_TYPES) {
    for (const [name, values] of Object.entries(members)) {
      for (const value of values) {
        const item = asSent({ ...good, type, [name]: value });
        compare("/components/schemas/Event", { item });
        const code = rejectionOf(item)?.code;
        if (code !== undefined && misfit("/components/schemas/Event", item) === undefined) beyond.push(code);
      }
    }
  }
  deepStrictEqual([...new Set(beyond)].toSorted(), [
    "ill_formed_key",
    "invalid_anonymous_id",
    "invalid_event",
    "invalid_group_id",
    "invalid_message_id",
    "invalid_previous_id",
    "invalid_timestamp",
    "invalid_user_id",
    "too_many_traits",
  ]);
});
