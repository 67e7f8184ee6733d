/** The supported JSON Schema: its keywords, their values, and its bounds. */
import type { JsonObject } from "../event/json.ts";
import { FORMATS } from "./schema_format.ts";
import type { Pattern } from "./schema_pattern.ts";

/** A JSON Schema: an object of keywords, or all (`true`) or nothing (`false`). */
export type Schema = JsonObject | boolean;

/** Bytes of a schema as JSON: as of an event, and far more than a description of one needs. */
export const MAX_SCHEMA_BYTES = 32 * 1024;

/** Schemas in a schema, after references are replaced. Each becomes code. */
export const MAX_SUBSCHEMAS = 500;

/**
 * Keywords in a schema, including the names in `dependentRequired`. The engine generates code for this many in some 50
 * ms.
 */
export const MAX_KEYWORDS = 1_000;

/** Schemas within each other, by reference or not. An event has 32 levels; the engine's stack has room for some 320. */
export const MAX_LEVELS = 64;

/** Different patterns in a schema, including those of property names. Each becomes a program. */
export const MAX_PATTERNS = 50;

/** A problem of a schema, and its path, dotted from the root. */
export interface SchemaProblem {
  path: string;
  message: string;
}

/** A schema that can be held against events: its references are resolved, its annotations are left out. */
export interface ReadySchema {
  schema: Schema;
  /** Its patterns by their text: making one takes a millisecond. */
  patterns: ReadonlyMap<string, Pattern>;
  /** Steps for the worst event. */
  steps: number;
  problem?: undefined;
}

/** Thrown for an unsupported schema. Only the reader of schemas throws and catches it. */
export class Refusal extends Error {
  constructor(readonly path: readonly string[], message: string) {
    super(message);
  }
}

/** Keywords whose value is a schema, and those whose value is an array or an object of schemas. */
export const SCHEMA_IN = new Set(
  ["additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else"],
);
export const SCHEMAS_IN = new Set(
  [
    "allOf",
    "anyOf",
    "oneOf",
    "prefixItems",
    "properties",
    "patternProperties",
    "dependentSchemas",
    "$defs",
    "definitions",
  ],
);

/** Keywords that do not affect validity, or only for schemas that refer to them. */
export const NOTES = new Set(
  [
    "$schema",
    "$id",
    "$comment",
    "$anchor",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
  ].concat(
    ["deprecated", "readOnly", "writeOnly", "contentEncoding", "contentMediaType", "contentSchema"],
  ),
);

/** Keywords of 2020-12 that contracts do not support, and their replacements. */
export const REFUSED: Readonly<Record<string, string>> = {
  unevaluatedProperties: "is not supported: list the properties in one schema, with additionalProperties",
  unevaluatedItems: "is not supported: describe the items in one schema, with prefixItems and items",
  $dynamicRef: "is not supported: refer to a definition with $ref",
  $dynamicAnchor: "is not supported: name the schema under $defs or with $anchor",
  $id: "is not supported in a subschema: use $defs or $anchor",
};

/** The first keyword of each ready schema, where the engine can count. */
export const EACH = "$each";

const schema = { $ref: "#" };
const schemas = { type: "array", items: schema, minItems: 1 };
const namedSchemas = {
  type: "object",
  additionalProperties: schema,
  // The engine ignores this name.
  propertyNames: { not: { const: "__proto__" } },
};
const text = { type: "string" };
const number = { type: "number" };
const count = { type: "integer", minimum: 0 };
const names = { type: "array", items: text, uniqueItems: true };
const type = { enum: ["array", "boolean", "integer", "null", "number", "object", "string"] };
const boolean = { type: "boolean" };

/** A JSON Schema of the supported schemas: like the specification's own, but unknown keywords are rejected. */
export const SUPPORTED: JsonObject = {
  type: ["object", "boolean"],
  additionalProperties: false,
  properties: {
    $schema: { const: "https://json-schema.org/draft/2020-12/schema" },
    ...named(text, "$ref $anchor $comment title description contentEncoding contentMediaType pattern"),
    ...named(boolean, "deprecated readOnly writeOnly uniqueItems"),
    ...named(schema, [...SCHEMA_IN].join(" ")),
    ...named(schemas, "allOf anyOf oneOf prefixItems"),
    ...named(namedSchemas, "$defs definitions properties patternProperties dependentSchemas"),
    ...named(number, "maximum exclusiveMaximum minimum exclusiveMinimum"),
    ...named(
      count,
      "maxLength minLength maxItems minItems maxContains minContains maxProperties minProperties",
    ),
    ...named({}, "const default contentSchema"),
    examples: { type: "array" },
    type: { anyOf: [type, { type: "array", items: type, minItems: 1, uniqueItems: true }] },
    enum: { type: "array", minItems: 1 },
    multipleOf: { type: "number", exclusiveMinimum: 0 },
    required: names,
    dependentRequired: { type: "object", additionalProperties: names },
    format: { enum: Object.keys(FORMATS) },
  },
};

function named(value: JsonObject, keywords: string): JsonObject {
  return Object.fromEntries(keywords.split(" ").map((keyword) => [keyword, value]));
}
