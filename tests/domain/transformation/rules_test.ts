/** Rules as tables: a rule, the event before and the event after; and the laws of all rules as properties. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { hash } from "node:crypto";
import fc from "fast-check";
import { jsonBytes, type JsonObject, MAX_DEPTH } from "../../../domain/event/json.ts";
import { parseExact } from "../../../domain/event/exact_json.ts";
import { MAX_EVENT_BYTES, type StoredEvent } from "../../../domain/event/event.ts";
import {
  MAX_PATHS,
  MAX_RULES,
  MAX_VALUES,
  type Rule,
  rulesSchema,
} from "../../../domain/transformation/rule.ts";
import { MAX_PATH_LENGTH } from "../../../domain/transformation/path.ts";
import { compileRules } from "../../../domain/transformation/run_rules.ts";

const sha256 = (text: string) => hash("sha256", text, "hex");

const HEAD = {
  type: "track",
  messageId: "m",
  userId: "jane",
  event: "Order Completed",
  timestamp: "2026-01-01T00:00:00.000Z",
  receivedAt: "2026-01-01T00:00:00.000Z",
};

const eventWith = (members: object) => ({ ...HEAD, ...members }) as unknown as StoredEvent;
const rulesOf = (rules: unknown): Rule[] => rulesSchema.parse(rules);

/** Applies rules to an event with the members, and gives the result without the members of {@link HEAD}. */
function changed(rules: unknown, members: object): unknown {
  const event = eventWith(members);
  const before = JSON.stringify(event);
  const result = compileRules(rulesOf(rules))(event);
  strictEqual(JSON.stringify(event), before, "the original stays as it is");
  if (result === null) return null;
  return Object.fromEntries(
    Object.entries(result).filter(([name, value]) => HEAD[name as keyof typeof HEAD] !== value),
  );
}

const ORDER = {
  properties: { total: 50, products: [{ sku: "a", price: 10 }, { sku: "b", price: 40 }, "gift"] },
};

const ROWS: Record<string, [rule: object, before: object, after: unknown]> = {
  "rename moves a member": [
    { rename: { from: "properties.total", to: "properties.value" } },
    { properties: { total: 1, tax: 2 } },
    { properties: { tax: 2, value: 1 } },
  ],
  "rename reaches into each item of an array": [
    { rename: { from: "properties.products[].price", to: "properties.products[].cost" } },
    ORDER,
    { properties: { total: 50, products: [{ sku: "a", cost: 10 }, { sku: "b", cost: 40 }, "gift"] } },
  ],
  "rename of a member that is not there changes nothing": [
    { rename: { from: "properties.none", to: "properties.value" } },
    ORDER,
    ORDER,
  ],
  "rename can move a container into itself": [
    { rename: { from: "properties", to: "properties.all" } },
    { properties: { total: 1 } },
    { properties: { all: { total: 1 } } },
  ],
  "rename creates the objects on the way": [
    { rename: { from: "properties.total", to: "context.order.total" } },
    { properties: { total: 1 } },
    { properties: {}, context: { order: { total: 1 } } },
  ],
  "copy leaves the source": [
    { copy: { from: "properties.total", to: "properties.value" } },
    { properties: { total: { amount: 1 } } },
    { properties: { total: { amount: 1 }, value: { amount: 1 } } },
  ],
  "copy gives one value to each item of an array": [
    { copy: { from: "properties.total", to: "properties.products[].orderTotal" } },
    ORDER,
    {
      properties: {
        total: 50,
        products: [{ sku: "a", price: 10, orderTotal: 50 }, { sku: "b", price: 40, orderTotal: 50 }, "gift"],
      },
    },
  ],
  "set creates what is missing": [
    { set: { path: "context.source.name", value: "shop" } },
    {},
    { context: { source: { name: "shop" } } },
  ],
  "set replaces null on the way": [
    { set: { path: "properties.a.b", value: 1 } },
    { properties: { a: null } },
    { properties: { a: { b: 1 } } },
  ],
  "set changes nothing where another value is in the way": [
    { set: { path: "properties.total.value", value: 1 } },
    { properties: { total: "text" } },
    { properties: { total: "text" } },
  ],
  "set creates no array": [{ set: { path: "properties.list[].x", value: 1 } }, { properties: {} }, {
    properties: {},
  }],
  "a number in a path names an item": [
    { set: { path: "properties.list.1", value: "x" } },
    { properties: { list: [1, 2, 3] } },
    { properties: { list: [1, "x", 3] } },
  ],
  "a number beyond an array names nothing": [
    { set: { path: "properties.list.3", value: "x" } },
    { properties: { list: [1] } },
    { properties: { list: [1] } },
  ],
  "remove takes several paths, also in arrays": [
    { remove: { paths: ["properties.total", "properties.products[].price", "context"] } },
    { ...ORDER, context: { ip: "1.2.3.4" } },
    { properties: { products: [{ sku: "a" }, { sku: "b" }, "gift"] } },
  ],
  "remove takes all items of an array": [
    { remove: { paths: ["properties.list[]"] } },
    { properties: { list: [1, 2, 3] } },
    { properties: { list: [] } },
  ],
  "keep works within properties, traits and context, and elsewhere changes nothing": [
    { keep: { paths: ["properties.total", "properties.products[].sku"] } },
    {
      properties: { total: 1, tax: 2, products: [{ sku: "a", price: 1 }] },
      traits: { email: "j@x.org" },
      context: { ip: "1.2.3.4" },
      integrations: { All: true },
      name: "Home",
    },
    {
      properties: { total: 1, products: [{ sku: "a" }] },
      traits: {},
      context: {},
      integrations: { All: true },
      name: "Home",
    },
  ],
  "keep of a container keeps all of it": [
    { keep: { paths: ["properties", "properties.total"] } },
    { properties: { total: 1, tax: 2 }, context: { ip: "1" } },
    { properties: { total: 1, tax: 2 }, context: {} },
  ],
  "hash trims and lower-cases": [
    { hash: { paths: ["traits.email", "traits.age", "traits.none"] } },
    { traits: { email: " Jane@Example.com ", age: 42 } },
    { traits: { email: sha256("jane@example.com"), age: sha256("42") } },
  ],
  "hash leaves null": [{ hash: { paths: ["traits.email"] } }, { traits: { email: null } }, {
    traits: { email: null },
  }],
  "hash takes a long integer by its digits": [
    { hash: { paths: ["traits.id"] } },
    { traits: parseExact('{"id":12345678901234567890}') as object },
    { traits: { id: sha256("12345678901234567890") } },
  ],
  "hash calls no toString of an object": [
    { hash: { paths: ["traits.a", "traits.b"] } },
    { traits: { a: { toString: "x" }, b: [{ toString: 1 }, null, 2] } },
    { traits: { a: sha256("[object object]"), b: sha256("[object object],,2") } },
  ],
  "mask leaves the first letter and the domain of an e-mail address": [
    { mask: { paths: ["traits.email", "traits.phone", "traits.list[]"] } },
    { traits: { email: "jane@example.com", phone: 123, list: ["ä@b.org", "a b@c"] } },
    { traits: { email: "j***@example.com", phone: "***", list: ["ä***@b.org", "***"] } },
  ],
  "map replaces known values only": [
    { map: { path: "properties.list[]", values: { a: "A", 1: { one: true }, true: "yes" } } },
    { properties: { list: ["a", "b", 1, true, "toString", null, ["a"]] } },
    { properties: { list: ["A", "b", { one: true }, "yes", "toString", null, ["a"]] } },
  ],
  "coerce to a number": [
    { coerce: { path: "properties.list[]", to: "number" } },
    { properties: { list: ["1.5", " 2 ", "x", "", "0x10", "1e999", true, 3, null, {}] } },
    { properties: { list: [1.5, 2, "x", "", "0x10", "1e999", 1, 3, null, {}] } },
  ],
  "coerce to a string": [
    { coerce: { path: "properties.list[]", to: "string" } },
    { properties: { list: [1.5, true, "x", null, {}] } },
    { properties: { list: ["1.5", "true", "x", null, {}] } },
  ],
  "coerce to a boolean": [
    { coerce: { path: "properties.list[]", to: "boolean" } },
    { properties: { list: ["TRUE", "false", 1, 0, "1", 2, "yes", null] } },
    { properties: { list: [true, false, true, false, true, 2, "yes", null] } },
  ],
  "renameEvent renames a track event": [{ renameEvent: { to: "purchase" } }, {}, { event: "purchase" }],
  "renameEvent leaves other types": [
    { renameEvent: { to: "purchase" } },
    { type: "page", event: undefined, name: "Home" },
    { type: "page", event: undefined, name: "Home" },
  ],
  "where takes only events that meet a condition": [
    { mask: { paths: ["properties.card"] }, where: { event: { $in: ["A", "Order Completed"] } } },
    { properties: { card: "1" } },
    { properties: { card: "***" } },
  ],
  "where leaves other events": [
    { drop: {}, where: { "properties.products.price": { $gte: 100 } } },
    ORDER,
    ORDER,
  ],
  "drop drops": [{ drop: {} }, {}, null],
  "sample of 0 drops": [{ sample: { rate: 0 } }, {}, null],
  "sample of 1 keeps": [{ sample: { rate: 1 } }, {}, {}],
  "names of prototypes are data": [
    { rename: { from: "properties.constructor", to: "properties.toString.valueOf" } },
    { properties: { constructor: 1 } },
    { properties: { toString: { valueOf: 1 } } },
  ],
};

for (const [name, [rule, before, after]] of Object.entries(ROWS)) {
  Deno.test(`rules: ${name}`, () => deepStrictEqual(changed([rule], before), after));
}

Deno.test("rules run in their order: what remove took, keep does not bring back", () => {
  const rules = [{ remove: { paths: ["properties.email"] } }, {
    keep: { paths: ["properties.email", "properties.total"] },
  }];
  deepStrictEqual(changed(rules, { properties: { email: "j@x.org", total: 1, tax: 2 } }), {
    properties: { total: 1 },
  });
});

Deno.test("where sees the event as the steps before have left it", () => {
  const rules = [{ coerce: { path: "properties.total", to: "number" } }, {
    set: { path: "properties.large", value: true },
    where: { "properties.total": { $gte: 50 } },
  }];
  deepStrictEqual(changed(rules, { properties: { total: "60" } }), {
    properties: { total: 60, large: true },
  });
  deepStrictEqual(changed(rules, { properties: { total: "40" } }), { properties: { total: 40 } });
});

Deno.test("a sample keeps the same people, and about as many as its rate", () => {
  const run = compileRules(rulesOf([{ sample: { rate: 0.25 } }]));
  const stays = (userId: string, event: string) => run(eventWith({ userId, event })) !== null;
  const people = Array.from({ length: 4_000 }, (_, n) => `user_${n}`);
  const kept = people.filter((id) => stays(id, "A"));
  deepStrictEqual(people.filter((id) => stays(id, "B")), kept);
  ok(kept.length > 900 && kept.length < 1_100, String(kept.length));
});

Deno.test("copies of copies grow no further than 32 KiB and nest no deeper than 32 levels", () => {
  const doubling = Array.from({ length: MAX_RULES }, (_, n) => ({
    copy: { from: "properties", to: `properties.p${n}` },
  }));
  const copied = compileRules(rulesOf(doubling))(
    eventWith({ properties: { text: "x".repeat(500) } }),
  );
  ok(jsonBytes(copied) < 2.5 * MAX_EVENT_BYTES, String(jsonBytes(copied)));
  const nesting = Array.from(
    { length: MAX_RULES },
    () => ({ rename: { from: "properties", to: "properties.p" } }),
  );
  const nested = changed(nesting, { properties: { x: 1 } });
  strictEqual(JSON.stringify(nested).split("{").length - 1, MAX_DEPTH);
  const setting = [{ set: { path: "properties.list[].x", value: "y".repeat(1_000) } }];
  const set = changed(setting, { properties: { list: Array.from({ length: 2_000 }, () => ({})) } });
  ok(jsonBytes(set) < 2 * MAX_EVENT_BYTES, String(jsonBytes(set)));
});

const BAD: Record<string, [rules: unknown, message: RegExp]> = {
  "no rule": [[], /at least one rule/],
  "no operation": [[{}], /exactly one of .*got none/],
  "two operations": [[{ drop: {}, sample: { rate: 1 } }], /got drop and sample/],
  "an unknown operation": [[{ explode: {} }], /explode/],
  "an unknown setting": [[{ drop: { now: true } }], /now/],
  "an empty path": [[{ remove: { paths: [""] } }], /1 to 500 characters/],
  "a long path": [[{ remove: { paths: ["p".repeat(MAX_PATH_LENGTH + 1)] } }], /1 to 500 characters/],
  "a deep path": [[{ remove: { paths: [Array(MAX_DEPTH).fill("a").join(".")] } }], /fewer than 32 steps/],
  "a path with two dots": [[{ remove: { paths: ["a..b"] } }], /name before and after each dot/],
  "brackets within a name": [[{ remove: { paths: ["a[0].b"] } }], /only at the end/],
  "a prototype": [[{ set: { path: "properties.__proto__.x", value: 1 } }], /__proto__/],
  "a messageId": [[{ set: { path: "messageId", value: "x" } }], /messageId, which cannot be changed/],
  "a type": [[{ remove: { paths: ["type"] } }], /type, which cannot be changed/],
  "no paths": [[{ remove: { paths: [] } }], /at least one path/],
  "too many paths": [[{ remove: { paths: Array(MAX_PATHS + 1).fill("a") } }], /at most 100 paths/],
  "too many rules": [Array(MAX_RULES + 1).fill({ drop: {} }), /at most 100 rules/],
  "too many values": [
    [{
      map: {
        path: "a",
        values: Object.fromEntries(Array.from({ length: MAX_VALUES + 1 }, (_, n) => [n, n])),
      },
    }],
    /at most 1000 values/,
  ],
  "no value": [[{ set: { path: "a" } }], /JSON value/],
  "an array with no place for its items": [
    [{ copy: { from: "properties.products[].price", to: "properties.price" } }],
    /same arrays as from/,
  ],
  "a rename of items": [
    [{ rename: { from: "properties.tags[]", to: "properties.tags[]" } }],
    /not end with \[\]/,
  ],
  "an unknown operator": [[{ drop: {}, where: { total: { $gtee: 1 } } }], /total\.\$gtee/],
  "a condition that is none": [[{ drop: {}, where: 5 }], /must be an object/],
  "a rate above 1": [[{ sample: { rate: 1.5 } }], /from 0 to 1/],
  "a type that is none": [[{ coerce: { path: "a", to: "date" } }], /one of string, number, boolean/],
};

Deno.test("bad rules are refused with their place", () => {
  for (const [name, [rules, message]] of Object.entries(BAD)) {
    const { error } = rulesSchema.safeParse(rules);
    ok(error !== undefined, name);
    match(JSON.stringify(error.issues), message, name);
  }
});

const NAMES = ["a", "b", "list", "constructor", "toString", "0"];
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom<unknown>(null, true, 0, 1.5, "x", "j@x.org", " 7 ", parseExact("12345678901234567890")),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...NAMES), tie("value"), { maxKeys: 3 }),
  ),
})).value;
const path = fc.tuple(
  fc.constantFrom("properties", "traits", "context", "userId", "event"),
  fc.array(fc.constantFrom(...NAMES, "list[]", "a[]"), { maxLength: 4 }),
).map(([root, rest]) => [root, ...rest].join("."));
const some = fc.array(path, { minLength: 1, maxLength: 3 });
const anyRule = fc.oneof(
  fc.record({ rename: fc.record({ from: path, to: path }) }),
  fc.record({ copy: fc.record({ from: path, to: path }) }),
  fc.record({ set: fc.record({ path, value: json }) }),
  fc.record({ remove: fc.record({ paths: some }) }),
  fc.record({ keep: fc.record({ paths: some }) }),
  fc.record({ hash: fc.record({ paths: some }) }),
  fc.record({ mask: fc.record({ paths: some }) }),
  fc.record({ map: fc.record({ path, values: fc.constant({ x: 1, true: [], 0: null }) }) }),
  fc.record({ coerce: fc.record({ path, to: fc.constantFrom("string", "number", "boolean") }) }),
  fc.record({ sample: fc.record({ rate: fc.double({ min: 0, max: 1, noNaN: true }) }) }),
).filter((rule) => rulesSchema.safeParse([rule]).success);
const condition = fc.constantFrom<object>(
  { type: "track" },
  { "properties.a": { $exists: true } },
  { $or: [{ "traits.list": { $gt: 0 } }, { event: { $ne: "x" } }] },
);
const someRule = fc.tuple(anyRule, fc.option(condition)).map(([rule, where]) => ({
  ...rule,
  ...where && { where },
}));
const members = fc.record({ properties: json, traits: json, context: json }, { requiredKeys: [] });

Deno.test("no rule throws, changes the original, or changes messageId and type; equal input gives equal output", () => {
  fc.assert(
    fc.property(fc.array(someRule, { minLength: 1, maxLength: 8 }), members, (rules, more) => {
      const event = eventWith(more);
      const before = JSON.stringify(event);
      const run = compileRules(rulesOf(rules));
      const result = run(event);
      strictEqual(JSON.stringify(event), before);
      strictEqual(JSON.stringify(run(event)), JSON.stringify(result));
      if (result === null) return;
      deepStrictEqual([result.messageId, result.type], ["m", "track"]);
      ok(jsonBytes(result) <= 3 * MAX_EVENT_BYTES);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("the result shares nothing with the original or with another result", () => {
  fc.assert(
    fc.property(fc.array(someRule, { minLength: 1, maxLength: 5 }), members, (rules, more) => {
      const event = eventWith(more);
      const run = compileRules(rulesOf(rules));
      const [one, other] = [run(event), run(event)];
      const seen = new Set<unknown>();
      for (const value of [event, one, other]) {
        for (const part of partsOf(value)) ok(!seen.has(part));
        for (const part of partsOf(value)) seen.add(part);
      }
    }),
    { numRuns: 500 },
  );
});

/** All objects and arrays of a value, except long integers, which never change. */
function partsOf(value: unknown): object[] {
  if (typeof value !== "object" || value === null || "digits" in value) return [];
  return [value, ...Object.values(value as JsonObject).flatMap(partsOf)];
}
