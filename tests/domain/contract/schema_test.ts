/** Schemas from outside: which are refused and why, and what the others find wrong. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import fc from "fast-check";
import {
  MAX_KEYWORDS,
  MAX_LEVELS,
  MAX_PATTERNS,
  MAX_SCHEMA_BYTES,
  MAX_SUBSCHEMAS,
} from "../../../domain/contract/schema.ts";
import { MAX_ERRORS } from "../../../domain/event/rejection.ts";
import { readSchema } from "../../../domain/contract/read_schema.ts";
import { checkerOf } from "../../../domain/contract/schema_engine.ts";
import { FORMATS, MAX_FORMAT_LENGTH } from "../../../domain/contract/schema_format.ts";
import { MAX_PATTERN_LENGTH, MAX_PROGRAM, readPattern } from "../../../domain/contract/schema_pattern.ts";

/** A machine that does other things takes its time; what hangs takes longer than anybody waits. */
const PATIENCE_MS = 60_000;

/** What is wrong with a value, `path keyword` of each. */
function check(schema: unknown, value: unknown): string[] {
  const made = readSchema(schema);
  ok(made.problem === undefined, `${JSON.stringify(schema)}: ${JSON.stringify(made.problem)}`);
  return checkerOf(made)(value).map(({ path, keyword }) => `${path} ${keyword}`);
}

const refused = (schema: unknown) => readSchema(schema).problem;

/** A keyword of 2020-12, what it lets through, and what not. */
const KEYWORDS: [schema: unknown, right: unknown[], wrong: unknown[]][] = [
  [true, [1, null], []],
  [false, [], [1, null]],
  [{}, [1, {}], []],
  [{ type: "integer" }, [1, 1.0, -3], [1.5, "1", null]],
  [{ type: ["string", "null"] }, ["", null], [0, {}]],
  [{ enum: ["a", { b: [1] }] }, ["a", { b: [1] }], ["b", { b: [2] }]],
  [{ const: { a: 1, b: 2 } }, [{ b: 2, a: 1 }], [{ a: 1 }]],
  [{ multipleOf: 0.01 }, [99.99, 4500, 0.07], [0.001, 99.995]],
  [{ minimum: 0, exclusiveMaximum: 10 }, [0, 9.9, "x"], [-1, 10]],
  [{ maximum: 5, exclusiveMinimum: 1 }, [5, 2], [6, 1]],
  [{ minLength: 1, maxLength: 2 }, ["a", "😀😀", 5], ["", "abc"]],
  [{ pattern: "^[A-Z]{3}$" }, ["USD", 5], ["usd", "USDX"]],
  [{ pattern: "^\\u0041\\d$" }, ["A1"], ["B1"]],
  [{ prefixItems: [{ type: "string" }], items: { type: "number" } }, [["a", 1, 2], []], [[1], ["a", "b"]]],
  [{ minItems: 1, maxItems: 2 }, [[1]], [[], [1, 2, 3]]],
  [{ uniqueItems: true }, [[1, "1", { a: 1 }]], [[1, 1], [{ a: 1, b: 2 }, { b: 2, a: 1 }]]],
  [{ contains: { const: 1 }, minContains: 2, maxContains: 3 }, [[1, 1], [1, 1, 1]], [[1], [1, 1, 1, 1]]],
  [{ required: ["a"], properties: { a: { type: "string" } } }, [{ a: "" }, 5], [{}, { a: 1 }]],
  [{ required: ["toString", "constructor"] }, [], [{}]],
  [{ properties: { constructor: { type: "string" } } }, [{}, { constructor: "" }], [{ constructor: 1 }]],
  [{ minProperties: 1, maxProperties: 1 }, [{ a: 1 }], [{}, { a: 1, b: 1 }]],
  [{ properties: { a: true }, additionalProperties: false }, [{ a: 1 }], [
    { b: 1 },
    JSON.parse('{"__proto__":1}'),
  ]],
  [{ patternProperties: { "^n_": { type: "number" } } }, [{ n_a: 1, b: "" }], [{ n_a: "" }]],
  [{ propertyNames: { maxLength: 2 } }, [{ ab: 1 }], [{ abc: 1 }]],
  [{ dependentRequired: { a: ["b"] } }, [{ a: 1, b: 1 }, {}], [{ a: 1 }]],
  [{ dependentSchemas: { a: { required: ["b"] } } }, [{ a: 1, b: 1 }], [{ a: 1 }]],
  [{ allOf: [{ minimum: 1 }, { maximum: 2 }] }, [1, 2], [0, 3]],
  [{ anyOf: [{ type: "string" }, { minimum: 5 }] }, ["", 5], [4]],
  [{ oneOf: [{ type: "number" }, { minimum: 5 }] }, [4, ""], [6]],
  [{ not: { type: "string" } }, [1], [""]],
  [{ if: { const: 1 }, then: { type: "string" }, else: { type: "number" } }, [2], [1, ""]],
  [{ $ref: "#/$defs/a", $defs: { a: { type: "string" } } }, [""], [1]],
  [{ $ref: "#/$defs/a~1b%20c", $defs: { "a/b c": { type: "string" } } }, [""], [1]],
  [{ $ref: "#named", $defs: { a: { $anchor: "named", type: "string" } } }, [""], [1]],
  [{ $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/c" }, c: false } }, [], [1]],
  [{ $ref: "#/$defs/a", allOf: [{ minimum: 5 }], $defs: { a: { type: "number" } } }, [5], [4, ""]],
  [{ $ref: "#/$defs/a", $defs: { a: { type: "number" } }, minimum: 5 }, [5], [4, ""]],
  [{ definitions: { a: { type: "string" } }, properties: { x: { $ref: "#/definitions/a" } } }, [{ x: "" }], [{
    x: 1,
  }]],
  [
    {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      $id: "https://example.com/s",
      title: "x",
      description: "x",
      default: 1,
      examples: [1],
      $comment: "x",
      type: "string",
    },
    [""],
    [1],
  ],
];

for (const [schema, right, wrong] of KEYWORDS) {
  Deno.test(`${JSON.stringify(schema).slice(0, 100)} tells right from wrong`, () => {
    for (const value of right) deepStrictEqual(check(schema, value), [], JSON.stringify(value));
    for (const value of wrong) ok(check(schema, value).length > 0, JSON.stringify(value));
  });
}

const VIOLATIONS: [name: string, schema: unknown, value: unknown, violation: object][] = [
  ["a missing member is told by its own path", { properties: { a: { required: ["b"] } } }, { a: {} }, {
    path: "a.b",
    rule: "is required",
    keyword: "required",
    found: "nothing",
  }],
  ["a member too many is told by its own path", { additionalProperties: false }, { x: "y" }, {
    path: "x",
    rule: "is not allowed",
    keyword: "additionalProperties",
    found: '"y"',
  }],
  ["a wrong type says the right one", { properties: { total: { type: "number" } } }, { total: "99" }, {
    path: "total",
    rule: "must be number",
    keyword: "type",
    found: '"99"',
  }],
  ["an enum says its values", { enum: ["a", 1] }, "b", {
    path: "",
    rule: 'must be one of "a", 1',
    keyword: "enum",
    found: '"b"',
  }],
  ["an enum of many says ten", { enum: Array.from({ length: 500 }, (_, n) => n) }, "b", {
    path: "",
    rule: "must be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
    keyword: "enum",
    found: '"b"',
  }],
  ["a place in an array is told by its number", { items: { minimum: 1 } }, [1, 0], {
    path: "1",
    rule: "must be >= 1",
    keyword: "minimum",
    found: "0",
  }],
  ["a key with a slash is told as it is", { properties: { "a/b~": { type: "null" } } }, { "a/b~": 1 }, {
    path: "a/b~",
    rule: "must be null",
    keyword: "type",
    found: "1",
  }],
];

for (const [name, schema, value, violation] of VIOLATIONS) {
  Deno.test(name, () => {
    const made = readSchema(schema);
    ok(made.problem === undefined);
    deepStrictEqual(checkerOf(made)(value), [violation]);
  });
}

const ones = (length: number) => Array.from({ length }, () => 1);
const numbers = (length: number) => Array.from({ length }, (_, n) => n);
const many = <T>(length: number, each: T) => ({ allOf: Array.from({ length }, () => each) });
const deep = (levels: number): unknown => levels === 0 ? {} : { not: deep(levels - 1) };
const REFUSED: [what: string, schema: unknown, path: string, message: RegExp][] = [
  ["no schema", 5, "", /JSON Schema/],
  ["an array", [], "", /JSON Schema/],
  ["a misspelt keyword", { properties: { a: { requird: [] } } }, "properties.a.requird", /not a keyword/],
  ["a keyword of an older draft", { dependencies: {} }, "dependencies", /not a keyword/],
  ["another dialect", { $schema: "http://json-schema.org/draft-07/schema#" }, "$schema", /2020-12/],
  [
    "a wrong value of a keyword",
    { properties: { a: { type: "strin" } } },
    "properties.a.type",
    /must be one of/,
  ],
  [
    "an enum of nothing",
    { properties: { a: { items: { enum: [] } } } },
    "properties.a.items.enum",
    /fewer than 1/,
  ],
  ["a remote reference", { $ref: "https://example.com/s.json" }, "$ref", /in this document/],
  ["a reference to a file", { $ref: "other.json" }, "$ref", /in this document/],
  ["a reference to nothing", { $ref: "#/$defs/none" }, "$ref", /in this document/],
  [
    "a reference to what is no schema",
    { $ref: "#/const", const: { type: "string" } },
    "$ref",
    /in this document/,
  ],
  ["a reference to an annotation", { $ref: "#/examples/0", examples: [{}] }, "$ref", /in this document/],
  ["a reference that is no text", { $ref: 5 }, "$ref", /string/],
  ["another base within", { $defs: { a: { $id: "https://example.com/a" } } }, "$defs.a.$id", /subschema/],
  [
    "an anchor twice",
    { $defs: { a: { $anchor: "x" }, b: { $anchor: "x" } } },
    "$defs.b.$anchor",
    /must be unique/,
  ],
  ["a reference to itself", { $ref: "#" }, "$ref", /recursion/],
  [
    "two that refer to each other",
    { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } } },
    "$defs.b.$ref",
    /recursion/,
  ],
  [
    "a tree",
    { properties: { children: { items: { $ref: "#" } } } },
    "properties.children.items.$ref",
    /recursion/,
  ],
  [
    "a tree by an anchor",
    { $anchor: "n", additionalProperties: { $ref: "#n" } },
    "additionalProperties.$ref",
    /recursion/,
  ],
  [
    "recursion that only some values meet",
    { if: { type: "object", required: ["loop"] }, then: { $ref: "#" } },
    "then.$ref",
    /recursion/,
  ],
  ["one that unfolds to a million", bomb(20), "$defs.l1.allOf.0", /limit of 500 schemas/],
  [
    "unevaluated properties",
    { items: { unevaluatedProperties: false } },
    "items.unevaluatedProperties",
    /additionalProperties/,
  ],
  [
    "unevaluated items",
    { $defs: { a: { unevaluatedItems: true } } },
    "$defs.a.unevaluatedItems",
    /prefixItems/,
  ],
  ["a dynamic reference", { $dynamicRef: "#n" }, "$dynamicRef", /use \$ref|with \$ref/],
  ["a dynamic anchor", { $dynamicAnchor: "n" }, "$dynamicAnchor", /\$defs/],
  ["a format that is not known", { format: "emial" }, "format", /must be one of/],
  ["look-ahead", { pattern: "(?=a)b" }, "pattern", /linear-time/],
  ["a back reference", { pattern: "(a)\\1" }, "pattern", /linear-time/],
  ["a pattern that is none", { pattern: "(" }, "pattern", /linear-time/],
  [
    "a pattern that is none, of names",
    { patternProperties: { "[": true } },
    "patternProperties.[",
    /linear-time/,
  ],
  ["a pattern of a large program", { pattern: `a{${MAX_PROGRAM}}` }, "pattern", /smaller/],
  [
    "a pattern repeated many times over",
    { pattern: "((a{100}){100}){100}" },
    "pattern",
    /linear-time|smaller/,
  ],
  ["a long pattern", { pattern: "a".repeat(MAX_PATTERN_LENGTH + 1) }, "pattern", /at most 500/],
  [
    "many patterns",
    { allOf: Array.from({ length: MAX_PATTERNS + 1 }, (_, n) => ({ pattern: `^${n}$` })) },
    `allOf.${MAX_PATTERNS}.pattern`,
    /limit of 50 patterns/,
  ],
  [
    "many schemas",
    { allOf: Array.from({ length: MAX_SUBSCHEMAS }, () => ({})) },
    `allOf.${MAX_SUBSCHEMAS - 1}`,
    /limit of 500 schemas/,
  ],
  [
    "many keywords",
    many(MAX_KEYWORDS / 4, { minimum: 1, maximum: 2, minLength: 1, maxLength: 2 }),
    "allOf.249.maxLength",
    /limit of 1000 keywords/,
  ],
  [
    "many names that depend",
    { dependentRequired: { a: numbers(MAX_KEYWORDS).map(String) } },
    "dependentRequired",
    /limit of 1000 keywords/,
  ],
  ["a large schema", { const: "x".repeat(MAX_SCHEMA_BYTES) }, "", /at most 32768 bytes/],
  ["a deep schema", deep(40), `${"not.".repeat(31)}not`, /deeper/],
  [
    "a deep value",
    { const: JSON.parse("[".repeat(40) + "]".repeat(40)) },
    `const${".0".repeat(31)}`,
    /deeper/,
  ],
  ["an infinite number", JSON.parse('{"minimum":1e999}'), "minimum", /finite/],
  [
    "a property of a name that the engine passes over",
    JSON.parse('{"properties":{"__proto__":false}}'),
    "properties.__proto__",
    /name/,
  ],
];

/** A schema that unfolds to 2 to the power of `levels`. */
function bomb(levels: number): unknown {
  const $defs: Record<string, unknown> = { l0: { type: "string" } };
  for (let i = 1; i <= levels; i++) {
    $defs[`l${i}`] = { allOf: [{ $ref: `#/$defs/l${i - 1}` }, { $ref: `#/$defs/l${i - 1}` }] };
  }
  return { $ref: `#/$defs/l${levels}`, $defs };
}

for (const [what, schema, path, message] of REFUSED) {
  Deno.test(`${what} is rejected, with its path`, () => {
    const began = performance.now();
    const problem = refused(schema);
    ok(problem !== undefined);
    strictEqual(problem.path, path);
    match(problem.message, message);
    ok(performance.now() - began < PATIENCE_MS);
  });
}

Deno.test("values at a bound are accepted", () => {
  for (
    const schema of [
      { allOf: Array.from({ length: MAX_SUBSCHEMAS - 1 }, () => ({})) },
      { properties: Object.fromEntries(numbers(MAX_PATTERNS).map((n) => [n, { pattern: `^${n}$` }])) },
      {
        ...many(MAX_KEYWORDS / 4 - 1, { minimum: 1, maximum: 2, minItems: 1, maxItems: 2 }),
        type: "array",
      },
      { const: "x".repeat(MAX_SCHEMA_BYTES - 12) },
      { pattern: `^a{${MAX_PROGRAM - 4}}$` },
      deep(31),
    ]
  ) strictEqual(refused(schema), undefined);
});

/** Patterns that hang engines that go back, and texts that they hang on. */
const EVIL: [pattern: string, text: string][] = [
  ["^(a+)+$", `${"a".repeat(32_000)}!`],
  ["(.*a){25}", `${"a".repeat(24)}${"b".repeat(32_000)}`],
  ["^(a|a)*$", `${"a".repeat(32_000)}b`],
  ["^(a|aa)+$", `${"a".repeat(32_000)}b`],
  ["(x+x+)+y", "x".repeat(32_000)],
  ["^(([a-z])+.)+[A-Z]([a-z])+$", "a".repeat(32_000)],
  ["(a?){30}a{30}", "a".repeat(32_000)],
  ["^\\s+|\\s+$", `x${" ".repeat(32_000)}x`],
  ["\\b[ab]*a[ab]{90}$", `${"ab".repeat(16_000)}${"a".repeat(91)}`],
  ["[\\p{L}\\p{N}]{0,90}x", "é".repeat(16_000)],
];

for (const [pattern, text] of EVIL) {
  Deno.test(`${pattern} takes no longer than its text`, () => {
    const began = performance.now();
    const read = readPattern(pattern);
    ok(read.problem === undefined, pattern);
    read.test(text);
    ok(performance.now() - began < PATIENCE_MS);
    for (const schema of [{ pattern }, { patternProperties: { [pattern]: false } }]) {
      const from = performance.now();
      const made = readSchema(schema);
      if (made.problem !== undefined) match(made.problem.message, /steps per event/);
      else for (const value of [text, { [text]: 1 }]) checkerOf(made)(value);
      ok(performance.now() - from < PATIENCE_MS);
    }
  });
}

const text = { $ref: "#/$defs/text" };

/** Schemas and values of which very much is wrong, and what of it is told. */
const WRONG_OFTEN: [what: string, schema: object, value: unknown, told: string[]][] = [
  [
    "no item of thousands that is asked for by reference, in eight ways",
    { anyOf: Array.from({ length: 8 }, () => ({ contains: text })) },
    ones(6_500),
    [...Array.from({ length: 8 }, () => " contains"), " anyOf"],
  ],
  [
    "thousands of items that are no text by reference",
    { items: text },
    ones(3_000),
    numbers(MAX_ERRORS).map((n) => `${n} type`),
  ],
  [
    "thousands of items that break one of two references",
    { items: { anyOf: [text, { $ref: "#/$defs/none" }] } },
    ones(1_000),
    numbers(MAX_ERRORS).map((n) => [`${n / 3 | 0} type`, `${n / 3 | 0} not`, `${n / 3 | 0} anyOf`][n % 3]!),
  ],
];

for (const [what, schema, value, told] of WRONG_OFTEN) {
  Deno.test(`the violations of ${what} are reported in time`, () => {
    const began = performance.now();
    const $defs = { text: { type: "string" }, none: { not: true } };
    const found = check({ ...schema, $defs }, value);
    deepStrictEqual(found.slice(0, MAX_ERRORS + 1), told);
    ok(performance.now() - began < PATIENCE_MS);
  });
}

Deno.test("the violation of contains names the array, whatever its items are", () => {
  const each = { required: ["sku"], properties: { sku: { type: "string" } } };
  const schema = (contains: unknown) => ({
    properties: { a: { contains } },
    required: ["b"],
    $defs: { each },
  });
  for (const contains of [each, { $ref: "#/$defs/each" }, { anyOf: [each, { $ref: "#/$defs/each" }] }]) {
    deepStrictEqual(check(schema(contains), { a: [{}, { sku: 1 }] }), ["b required", "a contains"]);
    deepStrictEqual(check(schema(contains), { a: [{}, { sku: "" }], b: 1 }), []);
  }
});

Deno.test("members of a value may have names with a meaning in JavaScript", () => {
  const named = JSON.parse('{"valueOf":1,"constructor":2,"toString":3,"hasOwnProperty":4,"__proto__":5}');
  for (
    const keyword of [(value: unknown) => ({ const: value }), (value: unknown) => ({ enum: [1, value] })]
  ) {
    deepStrictEqual(check(keyword(named), named), []);
    deepStrictEqual(check(keyword({ ...named, valueOf: 2 }), named).length, 1);
    deepStrictEqual(check(keyword({}), named).length, 1);
    deepStrictEqual(check(keyword(named), {}).length, 1);
    deepStrictEqual(check(keyword({ a: [named] }), { a: [named] }), []);
    for (const name of Object.keys(named)) {
      deepStrictEqual(check(keyword({ a: 1 }), JSON.parse(`{"${name}":false}`)).length, 1, name);
      deepStrictEqual(check(keyword({}), JSON.parse(`{"${name}":false}`)).length, 1, name);
    }
  }
});

const FORMATTED: Record<string, [right: string[], wrong: string[]]> = {
  "date-time": [["2025-03-15T14:30:00Z", "2025-03-15T14:30:00.123+02:00"], [
    "2025-03-15",
    "2025-02-30T00:00:00Z",
    "2025-03-15T14:30:00",
  ]],
  date: [["2025-03-15", "2024-02-29"], ["2025-02-29", "15.3.2025", "2025-03-15T00:00:00Z"]],
  time: [["14:30:00Z", "14:30:00.5+02:00"], ["14:30", "24:00:00Z", "14:30:00"]],
  email: [["jane@example.com", "a.b+c@d.example.org"], ["jane", "jane@", "@example.com", "a b@example.com"]],
  uri: [["https://example.com/a?b#c", "mailto:jane@example.com", "urn:isbn:1"], [
    "/pricing",
    "example.com",
    "http://a b",
    "",
  ]],
  uuid: [["0195a0f2-9d1c-7c3e-8a52-5d5b8d0a6d11", "00000000-0000-0000-0000-000000000000"], [
    "0195a0f29d1c7c3e8a525d5b8d0a6d11",
    "x",
  ]],
  ipv4: [["203.0.113.42"], ["203.0.113.256", "203.0.113", "::1"]],
  ipv6: [["2001:db8::1", "::"], ["203.0.113.42", "2001:db8:::1"]],
  hostname: [["example.com", "localhost", "a-b.c"], ["-a.com", "a..b", "a_b", "x".repeat(64), ""]],
};

Deno.test("each format has its table", () => {
  deepStrictEqual(Object.keys(FORMATTED).sort(), Object.keys(FORMATS).sort());
});

for (const [format, [right, wrong]] of Object.entries(FORMATTED)) {
  Deno.test(`${format} is asserted, within a time that does not hang`, () => {
    for (const text of right) deepStrictEqual(check({ format }, text), [], text);
    for (const text of wrong) deepStrictEqual(check({ format }, text), [" format"], text);
    deepStrictEqual(check({ format }, 5), [], "what is no text has no format");
    const began = performance.now();
    for (const unit of ["a", "1", ".", ":", "@", "a.", "0:", "a@", "%", "-", " ", "é"]) {
      for (const length of [MAX_FORMAT_LENGTH, 32_000]) {
        FORMATS[format]!(unit.repeat(length / unit.length));
        FORMATS[format]!(`http://${unit.repeat(length / unit.length)}!`);
      }
    }
    ok(performance.now() - began < PATIENCE_MS);
    strictEqual(FORMATS[format]!("1".repeat(MAX_FORMAT_LENGTH + 1)), false);
  });
}

Deno.test("a text longer than the limit of formats matches none", () => {
  const uri = (units: number) => "https://example.com/".padEnd(units, "x");
  ok(FORMATS.uri!(uri(MAX_FORMAT_LENGTH)));
  ok(!FORMATS.uri!(uri(MAX_FORMAT_LENGTH + 1)));
  // RFC 1123, section 2.1, and RFC 1035, section 2.3.4: 253 letters, digits, hyphens and dots.
  const host = (units: number) => "abcdefg.".repeat(32).slice(-units);
  ok(FORMATS.hostname!(`${host(252)}a`));
  ok(!FORMATS.hostname!(`${host(253)}a`));
});

/** Amounts in hundredths as clients have them: up to where a double holds no more hundredths. */
const hundredths = fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n });
const asNumber = (decimal: bigint, places: number): number => Number(`${decimal}e-${places}`);

Deno.test("every amount of hundredths is a multiple of 0.01, and of its other steps, however large", () => {
  fc.assert(fc.property(hundredths, fc.integer({ min: 1, max: 10_000 }), (amount, step) => {
    const whole = BigInt(step);
    deepStrictEqual(check({ multipleOf: 0.01 }, asNumber(amount, 2)), []);
    deepStrictEqual(check({ multipleOf: asNumber(whole, 2) }, asNumber(amount / whole * whole, 2)), []);
  }));
});

Deno.test("an amount that is a thousandth off is no multiple of 0.01, as long as a double tells", () => {
  const off = fc.integer({ min: 1, max: 9 }).map(BigInt);
  const tellable = fc.bigInt({ min: 0n, max: 10n ** 12n });
  fc.assert(fc.property(tellable, off, (amount, thousandths) => {
    deepStrictEqual(check({ multipleOf: 0.01 }, asNumber(amount * 10n + thousandths, 3)), [" multipleOf"]);
  }));
});

/** What is off by more than rounding, however small or large it is; and what is not. */
const OFF: [step: number, wrong: number[], right: number[]][] = [
  [1, [1e-9, 5.000000004, 1125899906842624.5, -0.5], [0, 5, -7, 9007199254740991, 1e300, 0.7 + 0.1 + 0.2]],
  [2, [9007199254740991, 1125899906842625], [9007199254740992, 1125899906842624]],
  [0.01, [11258999068426.245, 1e-11, 0.0100000001, 1e-300], [
    11258999068426.24,
    11258999068426.25,
    0.1 + 0.2,
    1000.1 - 1000,
    10_000_000.1 + 0.2,
  ]],
  [0.07, [0.08, 7.0000001], [0.07, 0.14, 7, 700_000_000_000.07 - 0.07]],
  [7, [1e300], [7e15, 49]],
  [1e-7, [1.5e-7], [1e-7, 3e-7, 123.4567891]],
];

for (const [step, wrong, right] of OFF) {
  Deno.test(`a multiple of ${step} is one but for rounding`, () => {
    for (const value of wrong) {
      deepStrictEqual(check({ multipleOf: step }, value), [" multipleOf"], `${value}`);
    }
    for (const value of right) deepStrictEqual(check({ multipleOf: step }, value), [], `${value}`);
  });
}

Deno.test("a number that is not a multiple of a step as written is rejected, as long as a double can hold all its digits", () => {
  const amount = fc.bigInt({ min: 10n, max: 10n ** 9n });
  fc.assert(fc.property(amount, fc.bigInt({ min: 2n, max: 10_000n }), fc.nat(4), (value, step, places) => {
    const told = check({ multipleOf: asNumber(step, places) }, asNumber(value, places)).length === 0;
    strictEqual(told, value % step === 0n);
  }));
});

Deno.test("a sum of amounts as JavaScript adds them is a multiple of 0.01", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 100_000 }), { maxLength: 50 }), (cents) => {
    deepStrictEqual(check({ multipleOf: 0.01 }, cents.reduce((sum, each) => sum + each / 100, 0)), []);
  }));
});

Deno.test("numbers whose quotient is not a number are checked correctly", () => {
  deepStrictEqual(check({ multipleOf: 0.5 }, 1e308), []);
  deepStrictEqual(check({ multipleOf: 0.3 }, 1e308), [" multipleOf"]);
  deepStrictEqual(check({ multipleOf: 7 }, "text"), []);
});

Deno.test("reading a schema does not change it, and gives the same result the second time", () => {
  const schema = {
    $ref: "#/$defs/a",
    type: "array",
    $defs: { a: { items: { $ref: "#/$defs/b" } }, b: { type: "array" } },
  };
  const before = JSON.stringify(schema);
  deepStrictEqual([check(schema, [[]]), check(schema, [1]), check(schema, [[]])], [[], ["0 type"], []]);
  strictEqual(JSON.stringify(schema), before);
});

const names = fc.constantFrom("a", "b", "n_a", "total", "constructor", "");
const small = fc.jsonValue({ maxDepth: 2 });
const count = fc.integer({ min: 0, max: 5 });

/** Schemas of all keywords, most of which say something, and some of which are wrong. */
const { schema: anySchema } = fc.letrec<{ schema: unknown }>((tie) => {
  const list = fc.array(tie("schema"), { minLength: 1, maxLength: 3 });
  const map = fc.dictionary(names, tie("schema"), { maxKeys: 3 });
  return {
    schema: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.boolean(),
      fc.record({
        type: fc.constantFrom("string", "number", "integer", "object", "array", ["null", "boolean"]),
        enum: fc.array(small, { minLength: 1, maxLength: 3 }),
        const: small,
        pattern: fc.constantFrom("^a", "[0-9]{2}", "(a|b)*$", "(?=a)"),
        format: fc.constantFrom(...Object.keys(FORMATS)),
        minimum: fc.integer(),
        multipleOf: fc.double({ min: 0.01, max: 5, noNaN: true }),
        minLength: count,
        maxItems: count,
        minProperties: count,
        uniqueItems: fc.boolean(),
        required: fc.uniqueArray(names, { maxLength: 2 }),
        dependentRequired: fc.dictionary(names, fc.uniqueArray(names, { maxLength: 2 })),
        $ref: fc.constantFrom("#", "#/$defs/a", "#/properties/a", "#x", "#/none"),
        $anchor: fc.constantFrom("x", "y"),
      }, { requiredKeys: [] }),
      fc.record({
        $defs: map,
        properties: map,
        patternProperties: fc.dictionary(fc.constantFrom("^n_", "a", "["), tie("schema"), { maxKeys: 2 }),
        dependentSchemas: map,
        allOf: list,
        anyOf: list,
        oneOf: list,
        prefixItems: list,
        not: tie("schema"),
        if: tie("schema"),
        then: tie("schema"),
        else: tie("schema"),
        items: tie("schema"),
        contains: tie("schema"),
        propertyNames: tie("schema"),
        additionalProperties: tie("schema"),
        $ref: fc.constantFrom("#", "#/$defs/a", "#/properties/b"),
      }, { requiredKeys: [] }),
    ),
  };
});

Deno.test("any schema is rejected or checks values, and never throws", () => {
  let made = 0;
  let right = 0;
  let wrong = 0;
  fc.assert(
    fc.property(
      anySchema,
      fc.array(fc.jsonValue({ maxDepth: 4 }), { minLength: 3, maxLength: 6 }),
      (schema, values) => {
        const compiled = readSchema(schema);
        if (compiled.problem !== undefined) return;
        made++;
        const check = checkerOf(compiled);
        for (const value of values) {
          if (check(value).length > 0) wrong++;
          else right++;
        }
      },
    ),
    { numRuns: 400 },
  );
  ok(made > 50 && right > 100 && wrong > 50, `${made} schemas, ${right} right, ${wrong} wrong`);
});

Deno.test("a value that a schema accepts is rejected by its negation, and accepted by the double negation", () => {
  const alone = anySchema.filter((schema) => !/"\$|"#/.test(JSON.stringify(schema)));
  let wrong = 0;
  fc.assert(
    fc.property(alone, fc.array(fc.jsonValue({ maxDepth: 3 }), { minLength: 5 }), (schema, values) => {
      if (refused(schema) !== undefined) return;
      for (const value of values) {
        const isRight = (of: unknown) => check({ properties: { v: of } }, { v: value }).length === 0;
        const expected = isRight(schema);
        if (!expected) wrong++;
        strictEqual(isRight({ not: schema }), !expected);
        for (
          const same of [{ not: { not: schema } }, { anyOf: [false, schema] }, { if: schema, else: false }]
        ) {
          strictEqual(isRight(same), expected);
        }
      }
    }),
  );
  ok(wrong > 20, `${wrong} wrong`);
});

/** One definition that refers to the next, and so on; the first is a text. */
function chain(length: number, each: (next: unknown) => unknown = (next) => next): unknown {
  const $defs: Record<string, unknown> = { l0: { type: "string" } };
  for (let i = 1; i < length; i++) $defs[`l${i}`] = each({ $ref: `#/$defs/l${i - 1}` });
  return { $ref: `#/$defs/l${length - 1}`, $defs };
}

Deno.test("a chain of references as long as allowed is accepted, and a longer one refused", () => {
  deepStrictEqual(check(chain(MAX_LEVELS - 1), 5), [" type"]);
  match(refused(chain(MAX_LEVELS))!.message, /limit of 64 nested schemas/);
  const wide = (next: unknown) => ({ properties: { a: next } });
  deepStrictEqual(check(chain(MAX_LEVELS / 4, wide), {}), []);
  match(refused(chain(MAX_LEVELS, wide))!.message, /limit of 64 nested schemas/);
});

Deno.test("a definition may be used many times", () => {
  const money = {
    type: "object",
    required: ["amount"],
    properties: { amount: { multipleOf: 0.01 }, currency: {} },
  };
  const schema = (places: number) => ({
    properties: Object.fromEntries(numbers(places).map((n) => [`p${n}`, { $ref: "#/$defs/money" }])),
    $defs: { money },
  });
  deepStrictEqual(check(schema(100), { p0: { amount: 0.5 }, p99: {} }), ["p99.amount required"]);
  deepStrictEqual(refused(schema(200)), {
    path: "properties.p166.$ref",
    message: "exceeds the limit of 500 schemas (a reference counts as its target)",
  });
});

Deno.test("very many violations are not all reported, and do not take memory each", () => {
  const found = check({ items: { type: "string" } }, ones(16_000));
  ok(found.length > 0 && found.length <= MAX_ERRORS, `${found.length}`);
});
