/** What contracts may cost: which schemas are refused for it, which are not, and that no event costs more than was said. */
import { deepStrictEqual, match, ok } from "node:assert";
import fc from "fast-check";
import { commonContracts } from "../../../domain/contract/common_contracts.ts";
import { readSchema } from "../../../domain/contract/read_schema.ts";
import type { ReadySchema } from "../../../domain/contract/schema.ts";
import { MAX_STEPS } from "../../../domain/contract/schema_cost.ts";
import { checkerOf, engineOf } from "../../../domain/contract/schema_engine.ts";
import { MAX_STORED_EVENT_BYTES } from "../../../domain/event/accept.ts";
import { MAX_ERRORS } from "../../../domain/event/rejection.ts";
import { isObject, jsonBytes, type JsonObject } from "../../../domain/event/json.ts";

const many = <T>(length: number, each: T): T[] => Array.from({ length }, () => each);
const numbers = (length: number) => Array.from({ length }, (_, n) => n);
const text = { type: "string" };
const number = { type: "number" };
const names = (length: number, each: unknown) =>
  Object.fromEntries(numbers(length).map((n) => [`p${n}`, each]));

/** Schemas that are bounded in size, and ask for more work than anybody has time for. */
const TOO_COSTLY: [what: string, schema: unknown, path: string][] = [
  ["every item by many schemas", { allOf: many(200, { items: number }) }, "allOf"],
  ["every item by one of many", { items: { anyOf: many(80, number) } }, "items.anyOf"],
  ["every item by one of many references", {
    properties: { list: { items: { oneOf: many(80, { $ref: "#/$defs/text" }) } } },
    $defs: { text },
  }, "properties.list.items.oneOf"],
  ["items in alternatives in alternatives", {
    items: { anyOf: many(12, { properties: { a: { anyOf: many(12, number) } } }) },
  }, "items.anyOf"],
  ["definitions that fan out", {
    items: { $ref: "#/$defs/a" },
    $defs: {
      a: { anyOf: many(4, { $ref: "#/$defs/b" }) },
      b: { anyOf: many(4, { $ref: "#/$defs/c" }) },
      c: { anyOf: many(4, number) },
    },
  }, "$defs.a.anyOf"],
  ["all items compared, many times", { allOf: many(30, { uniqueItems: true }) }, "allOf"],
  ["contains, many times", { allOf: many(40, { contains: { const: 1 } }) }, "allOf"],
  ["a long text measured many times", { allOf: many(150, { maxLength: 40_000 }) }, "allOf"],
  [
    "many names for every item",
    { items: { allOf: many(2, { properties: names(245, true) }) } },
    "items.allOf",
  ],
  ["many objects compared with every item", {
    items: { enum: numbers(200).map((n) => ({ n })) },
  }, "items.enum"],
  ["all members gone through many times", { allOf: many(80, { additionalProperties: number }) }, "allOf"],
  ["all names gone through many times", { allOf: many(60, { propertyNames: { maxLength: 9 } }) }, "allOf"],
  ["many formats for every item", { items: { anyOf: many(50, { format: "email" }) } }, "items.anyOf"],
  ["a pattern that goes many ways at once", { pattern: "[ab]*a[ab]{90}$" }, "pattern"],
  ["patterns on all names", {
    patternProperties: { "a[^x]{30}y": true, "b[^x]{30}y": true },
    additionalProperties: false,
  }, "patternProperties"],
];

for (const [what, schema, path] of TOO_COSTLY) {
  Deno.test(`${what}: refused, with the keyword that costs it`, () => {
    const { problem } = readSchema(schema);
    deepStrictEqual(problem?.path, path);
    match(problem!.message, /may take \d+ steps per event \(limit 16000000\)/);
  });
}

const id = { type: "string", pattern: "^[A-Za-z0-9_-]{1,64}$" };
const uuid = { type: "string", pattern: "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" };
const codes = numbers(250).map((n) => String.fromCharCode(65 + n / 26, 65 + n % 26));
const money = { type: "number", minimum: 0, multipleOf: 0.01 };

/** Schemas as plans of real shops, apps and sites have them. */
const REAL: Record<string, unknown> = {
  "an order with its products": {
    type: "object",
    required: ["userId", "properties"],
    properties: {
      messageId: uuid,
      userId: id,
      properties: {
        type: "object",
        additionalProperties: false,
        required: ["order_id", "total", "currency", "products"],
        properties: {
          order_id: { type: "string", pattern: "^ord_[0-9]+$" },
          total: money,
          currency: { enum: codes },
          coupon: { type: ["string", "null"], maxLength: 50 },
          shipping: { $ref: "#/$defs/address" },
          billing: { $ref: "#/$defs/address" },
          products: {
            type: "array",
            minItems: 1,
            maxItems: 500,
            uniqueItems: true,
            items: { $ref: "#/$defs/product" },
          },
        },
      },
      context: {
        properties: {
          ip: { anyOf: [{ format: "ipv4" }, { format: "ipv6" }] },
          page: {
            properties: { url: { format: "uri" }, path: { pattern: "^/" }, referrer: { format: "uri" } },
          },
        },
      },
    },
    $defs: {
      address: {
        type: "object",
        required: ["country"],
        properties: {
          country: { enum: codes },
          zip: { type: "string", pattern: "^[A-Z0-9 -]{3,10}$" },
          city: { type: "string", minLength: 1, maxLength: 100 },
          email: { type: "string", format: "email" },
        },
      },
      product: {
        type: "object",
        required: ["product_id", "price", "quantity"],
        properties: {
          product_id: id,
          sku: uuid,
          name: { type: "string", maxLength: 200 },
          price: money,
          quantity: { type: "integer", minimum: 1 },
          currency: { enum: codes },
          category: { enum: ["shirts", "shoes", "stickers"] },
          url: { format: "uri" },
          image_url: { format: "uri" },
          added_at: { format: "date-time" },
          ...names(30, { type: ["string", "number", "boolean", "null"] }),
        },
        additionalProperties: { type: ["string", "number"] },
      },
    },
  },
  "blocks of a page, each of one of twenty kinds": {
    properties: {
      properties: {
        properties: {
          blocks: {
            items: {
              oneOf: numbers(20).map((n) => ({
                required: ["kind"],
                properties: { kind: { const: `kind ${n}` }, value: { type: n % 2 ? "string" : "number" } },
              })),
            },
          },
        },
      },
    },
  },
  "what a plan asks, by its name": {
    allOf: numbers(30).map((n) => ({
      if: { properties: { properties: { properties: { plan: { const: `plan ${n}` } } } } },
      then: { properties: { properties: { required: [`feature_${n}`] } } },
    })),
  },
  "traits of any name": {
    properties: {
      traits: {
        propertyNames: { pattern: "^[a-z][a-z0-9_]{0,63}$" },
        additionalProperties: { anyOf: [{ type: ["string", "number", "boolean", "null"] }, { items: text }] },
        patternProperties: { "_at$": { format: "date-time" }, "^is_": { type: "boolean" } },
      },
    },
  },
  "hundreds of properties": { properties: { properties: { properties: names(450, { type: "string" }) } } },
};

for (const [name, schema] of Object.entries(REAL)) {
  Deno.test(`${name}: not refused`, () => deepStrictEqual(readSchema(schema).problem, undefined));
}

Deno.test("a common contract costs a tenth of the limit", () => {
  for (const { name, schema } of commonContracts("enforce")) {
    const { steps } = readSchema(schema) as ReadySchema;
    ok(steps < MAX_STEPS / 10, `${name}: ${steps}`);
  }
});

/** What the engine does of a schema with one value, in the steps that each thing was seen to take, counted while it does it. */
function workOf({ schema, patterns }: ReadySchema, event: unknown): number {
  let work = 0;
  const counting = new Map([...patterns].map(([source, pattern]) => [source, {
    ...pattern,
    test(value: string) {
      work += 40 + 6 * pattern.instructions * value.length;
      return pattern.test(value);
    },
  }]));
  const engine = engineOf({
    patterns: counting,
    allErrors: true,
    each: (schema) => (value) => {
      work += 1;
      for (const keyword of Object.keys(schema)) work += 1 + workOfKeyword(keyword, { schema, value });
    },
  });
  engine.compile(schema)(event);
  return work;
}

function workOfKeyword(keyword: string, { schema, value }: { schema: JsonObject; value: unknown }): number {
  const members = isObject(value) ? Object.keys(value).length : 0;
  const asked = schema[keyword] as never;
  switch (keyword) {
    case "maxLength":
      return typeof value === "string" ? 2 * value.length : 0;
    case "format":
      return typeof value === "string" ? 4 * value.length : 0;
    case "uniqueItems":
      return Array.isArray(value) ? 10 * jsonBytes(value) : 0;
    case "anyOf":
    case "oneOf":
      return 7 * (asked as unknown[]).length;
    case "contains":
      return Array.isArray(value) ? 10 * value.length : 0;
    case "maxProperties":
      return 10 * members;
    case "propertyNames":
    case "additionalProperties":
      return 20 * members;
    case "required":
      return isObject(value) ? Math.min(members + 1, (asked as string[]).length) : 0;
    case "properties":
    case "dependentSchemas":
    case "dependentRequired":
      return isObject(value) ? Object.keys(asked).length : 0;
    case "enum":
      return 2 * (asked as unknown[]).filter((each) => typeof each === "object").length;
    default:
      return 0;
  }
}

/** A schema, and a value of about so many bytes on which it has most to do. */
interface Hungry {
  schema: unknown;
  value(bytes: number): unknown;
}

const LEAVES: Hungry[] = [
  { schema: { type: "number", minimum: 1, maximum: 0 }, value: () => 1 },
  { schema: { enum: numbers(20).map((n) => ({ n })) }, value: () => ({}) },
  { schema: { required: Object.keys(names(20, 0)), maxProperties: 0 }, value: (bytes) => members(bytes, 1) },
  {
    schema: { maxLength: 0, pattern: "a[ab]{9}$" },
    value: (bytes) => "ab".repeat(Math.max(0, bytes / 2 - 1)),
  },
  { schema: { format: "email" }, value: (bytes) => "a".repeat(Math.max(0, bytes - 2)) },
  { schema: { uniqueItems: true }, value: (bytes) => numbers(Math.max(0, bytes / 6)) },
];

/** Ways to have a schema do more: each is a schema around another, and the value around its value. */
const AROUND: ((inner: Hungry, { times, each }: { times: number; each: number }) => Hungry)[] = [
  (inner, { times }) => ({ ...inner, schema: { allOf: many(times, inner.schema) } }),
  (inner, { times }) => ({ ...inner, schema: { anyOf: many(times, { allOf: [inner.schema, false] }) } }),
  (inner, { times }) => ({ ...inner, schema: { oneOf: many(times, { not: inner.schema }) } }),
  (inner) => ({ ...inner, schema: { if: inner.schema, then: inner.schema, else: inner.schema } }),
  ({ schema, value }, { times, each }) => ({
    schema: { items: schema, prefixItems: many(times, schema) },
    value: (bytes) => filled(bytes, value(Math.min(each, bytes / 2))),
  }),
  ({ schema, value }, { each }) => ({
    schema: { contains: schema, minContains: 99_999 },
    value: (bytes) => filled(bytes, value(Math.min(each, bytes / 2))),
  }),
  ({ schema, value }, { times, each }) => ({
    schema: {
      additionalProperties: schema,
      patternProperties: { "[a-z]": schema },
      properties: names(times, schema),
    },
    value: (bytes) => members(bytes, value(Math.min(each, bytes / 2))),
  }),
  ({ schema, value }, { times }) => ({
    schema: { properties: names(times, schema), additionalProperties: false },
    value: (bytes) => ({ p0: value(bytes - 20), z: 1 }),
  }),
  ({ schema, value }) => ({
    schema: { properties: { long_name: schema, b: schema } },
    value: (bytes) => ({ b: value(bytes - 10) }),
  }),
  ({ schema, value }) => ({
    schema: { dependentSchemas: { a: { properties: { b: schema } } }, dependentRequired: { a: ["b", "c"] } },
    value: (bytes) => ({ a: 1, b: value(bytes - 20) }),
  }),
  ({ schema }) => ({
    schema: { propertyNames: { anyOf: [schema, { type: "string" }] } },
    value: (bytes) => members(bytes, 1),
  }),
];

const hungry: fc.Arbitrary<Hungry> = fc.tuple(
  fc.constantFrom(...LEAVES),
  fc.array(
    fc.record({
      around: fc.constantFrom(...AROUND),
      times: fc.constantFrom(1, 2, 6),
      each: fc.constantFrom(1, 1, 40, MAX_STORED_EVENT_BYTES),
    }),
    { minLength: 1, maxLength: 4 },
  ),
).map(([leaf, ways]) => ways.reduce((inner, { around, ...how }) => around(inner, how), leaf));

/** As many of one value as fit. */
function filled(bytes: number, each: unknown, moreBytes = 0): unknown[] {
  return many(Math.max(0, Math.floor((bytes - 2) / (jsonBytes(each) + 1 + moreBytes))), each);
}

/** Members of short names, as many as fit. */
function members(bytes: number, each: unknown): JsonObject {
  return Object.fromEntries(
    filled(bytes, each, 6).map((value, n) => [n.toString(36).padStart(3, "a"), value]),
  );
}

Deno.test("no event costs more steps than calculated for its contract", () => {
  let accepted = 0;
  let most = 0;
  fc.assert(
    fc.property(hungry, ({ schema, value }) => {
      const ready = readSchema(schema);
      const event = value(MAX_STORED_EVENT_BYTES);
      if (ready.problem !== undefined || jsonBytes(event) > MAX_STORED_EVENT_BYTES) return;
      accepted++;
      const work = workOf(ready, event);
      most = Math.max(most, work / ready.steps);
      ok(work <= ready.steps, `${work} of ${ready.steps}`);
    }),
    { numRuns: 500 },
  );
  ok(accepted > 100 && most > 0.3, `${accepted} schemas; at most ${most} of the steps`);
});

Deno.test("the violations of a large event are reported within bounds, however many there are", () => {
  const list = numbers(6_000).map(String);
  for (
    const [schema, value] of [
      [{ allOf: many(50, { additionalProperties: false }) }, members(30_000, 1)],
      [{ patternProperties: { "": false } }, members(30_000, 1)],
      [{ items: false }, list],
      [{ items: { allOf: many(60, false) } }, list],
      [{ items: { required: Object.keys(names(2_000, 1)) } }, many(10_000, {})],
      [{ anyOf: many(30, { items: { type: "number" } }) }, list],
    ]
  ) {
    const ready = readSchema(schema);
    ok(ready.problem === undefined, JSON.stringify(ready.problem));
    const found = checkerOf(ready)(value);
    ok(found.length > 0 && found.length <= MAX_ERRORS, JSON.stringify(schema).slice(0, 100));
  }
});
