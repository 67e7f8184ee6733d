/**
 * The worst that a contract may do to one event: of each kind of schema the largest that is accepted, held against an event
 * of 32 KiB on which it has most to do. The steps of `schema_cost.ts` are made after what this prints.
 *
 * Run it with `deno run --frozen bench/domain/contract/worst_bench.ts`. Times are those of the processor, in the mean
 * of {@link CALLS}, so that neighbours on the machine count little. The first call also makes code, and runs before it is
 * optimized.
 */
import process from "node:process";
import { readSchema } from "../../../domain/contract/read_schema.ts";
import { checkerOf } from "../../../domain/contract/schema_engine.ts";
import { MAX_STORED_EVENT_BYTES } from "../../../domain/event/accept.ts";
import { MAX_EVENT_BYTES } from "../../../domain/event/event.ts";

const BYTES = MAX_EVENT_BYTES - 100;
const CALLS = 20;

/** So many of one JSON text as go into an event, as an array or as members of short names. */
function items(text: string): unknown {
  return JSON.parse(`[${Array(Math.floor(BYTES / (text.length + 1))).fill(text)}]`);
}
function members(text: string): unknown {
  const all = Array.from(
    { length: BYTES / (text.length + 7) },
    (_, n) => `"${n.toString(36).padStart(3, "a")}":${text}`,
  );
  return JSON.parse(`{${all}}`);
}
const many = <T>(times: number, each: (n: number) => T): T[] =>
  Array.from({ length: times }, (_, n) => each(n));
const names = (times: number) => Object.fromEntries(many(times, (n) => [`p${n}`, { type: "string" }]));

/** A schema that does something so many times, and the value. */
const KINDS: Record<string, [schema: (times: number) => unknown, value: unknown]> = {
  "items by type": [(n) => ({ allOf: many(n, () => ({ items: { type: "number" } })) }), items("1")],
  "items by anyOf": [
    (n) => ({ items: { anyOf: [...many(n, () => ({ type: "string" })), { type: "number" }] } }),
    items("1"),
  ],
  "items by anyOf, const": [
    (n) => ({ items: { anyOf: [...many(n, (each) => ({ const: `x${each}` })), { type: "number" }] } }),
    items("1"),
  ],
  "items by oneOf, required": [
    (n) => ({ items: { oneOf: [...many(n, (each) => ({ required: [`a${each}`] })), { maxProperties: 0 }] } }),
    items("{}"),
  ],
  "items by kind": [
    (n) => ({
      items: { anyOf: [...many(n, (each) => ({ properties: { a: { const: each } } })), { type: "object" }] },
    }),
    items('{"a":-1}'),
  ],
  "items by properties": [(n) => ({ items: { properties: names(n) } }), items('{"p1":""}')],
  "items by objects of an enum": [
    (n) => ({ items: { not: { enum: many(n, (a) => ({ a })) } } }),
    items("{}"),
  ],
  "items by multipleOf": [
    (n) => ({ items: { allOf: many(n, () => ({ multipleOf: 0.01 })) } }),
    items("0.07"),
  ],
  "uniqueItems": [(n) => ({ allOf: many(n, () => ({ uniqueItems: true })) }), many(5_500, (n) => n)],
  "contains": [
    (n) => ({ allOf: many(n, () => ({ contains: { const: 2 }, minContains: 0, maxContains: 9 })) }),
    items("1"),
  ],
  "members by type": [
    (n) => ({ allOf: many(n, () => ({ additionalProperties: { type: "number" } })) }),
    members("1"),
  ],
  "members by pattern": [
    (n) => ({ allOf: many(n, () => ({ patternProperties: { "^[a-z]": { type: "number" } } })) }),
    members("1"),
  ],
  "maxProperties": [(n) => ({ allOf: many(n, () => ({ maxProperties: 99_999 })) }), members("1")],
  "maxLength": [(n) => ({ allOf: many(n, () => ({ maxLength: 99_999 })) }), "a".repeat(BYTES)],
  "format ipv6": [
    (n) => ({ items: { allOf: many(n, () => ({ anyOf: [{ format: "ipv6" }, { type: "string" }] })) } }),
    items('"::::::1"'),
  ],
  ...Object.fromEntries(
    ["^[a-z]*$", "\\b[ab]*a[ab]{20}$", "[ab]*a[ab]{32}$", "^(a+)+$"].map((pattern) => [
      `pattern ${pattern}`,
      [(n: number) => ({ allOf: many(n, () => ({ not: { pattern } })) }), "a".repeat(BYTES)],
    ]),
  ),
};

const cpuMs = () => process.cpuUsage().user / 1000;

for (const [kind, [schemaOf, value]] of Object.entries(KINDS)) {
  let times = 1;
  while (times < 498 && readSchema(schemaOf(times + 1)).problem === undefined) times++;
  const ready = readSchema(schemaOf(times));
  if (ready.problem !== undefined) throw new Error(`${kind}: ${ready.problem.message}`);
  const beganMs = cpuMs();
  const check = checkerOf(ready);
  check(value);
  const firstMs = cpuMs() - beganMs;
  for (let call = 0; call < CALLS; call++) check(value);
  const laterMs = (cpuMs() - beganMs - firstMs) / CALLS;
  const steps = ready.steps * BYTES / MAX_STORED_EVENT_BYTES;
  console.log(
    `${kind}, ${times} times: ${laterMs.toFixed(0)} ms, the first ${firstMs.toFixed(0)} ms, ` +
      `${(laterMs * 1e6 / steps).toFixed(1)} ns a step`,
  );
}
