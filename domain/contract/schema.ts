/** What a JSON Schema of a contract may say: its keywords and its bounds. */
import type { JsonObject } from "../event/json.ts";
import type { Pattern } from "./schema_pattern.ts";

/** A JSON Schema: an object of keywords, or all (`true`) or nothing (`false`). */
export type Schema = JsonObject | boolean;

/** Bytes of a schema as JSON: as of an event, and far more than a description of one needs. */
export const MAX_SCHEMA_BYTES = 32 * 1024;

/** Schemas within a schema, with the target of each reference in its place. Each becomes code. */
export const MAX_SUBSCHEMAS = 500;

/** Keywords within a schema, the names in `dependentRequired` counted. The engine makes code of so many in some 50 ms. */
export const MAX_KEYWORDS = 1_000;

/** Schemas within each other, by reference or not. An event has 32 levels; the engine's stack has room for some 320. */
export const MAX_LEVELS = 64;

/** Patterns within a schema, those of property names counted. Each becomes a program. */
export const MAX_PATTERNS = 50;

/** What is wrong with a schema, and where, dotted from its root. */
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

/** Thrown where a schema cannot be used. Only the reader of schemas throws and catches it. */
export class Refusal extends Error {
  constructor(readonly path: readonly string[], message: string) {
    super(message);
  }
}

/** What stands under a keyword. A `note` says nothing of what is valid. */
export type Kind = "schema" | "schemas" | "map" | "value" | "note" | "pattern" | "format" | "ref" | "anchor";

/** The keywords of JSON Schema 2020-12, without those in {@link REFUSED}. */
export const KEYWORDS: Readonly<Record<string, Kind>> = Object.assign(Object.create(null), {
  ...of("schema", "additionalProperties propertyNames items contains not if then else"),
  ...of("schemas", "allOf anyOf oneOf prefixItems"),
  ...of("map", "properties patternProperties dependentSchemas $defs definitions"),
  ...of("value", "type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum"),
  ...of("value", "maxLength minLength maxItems minItems uniqueItems maxContains minContains"),
  ...of("value", "maxProperties minProperties required dependentRequired"),
  ...of("note", "$schema $id $comment title description default examples deprecated readOnly writeOnly"),
  ...of("note", "contentEncoding contentMediaType contentSchema"),
  ...of("pattern", "pattern"),
  ...of("format", "format"),
  ...of("ref", "$ref"),
  ...of("anchor", "$anchor"),
});

function of(kind: Kind, names: string): Record<string, Kind> {
  return Object.fromEntries(names.split(" ").map((name) => [name, kind]));
}

/** Keywords of 2020-12 that contracts do not support, and what to write instead. */
export const REFUSED: Readonly<Record<string, string>> = Object.assign(Object.create(null), {
  unevaluatedProperties: "is not supported: list the properties in one schema, with additionalProperties",
  unevaluatedItems: "is not supported: describe the items in one schema, with prefixItems and items",
  $dynamicRef: "is not supported: refer to a definition with $ref",
  $dynamicAnchor: "is not supported: name the schema under $defs or with $anchor",
});

/** Keywords whose schemas are used only where a reference leads to them. */
export const DEFINITIONS: readonly string[] = ["$defs", "definitions"];

/** Stands in each ready schema, before its other keywords: where the engine can be asked to count. */
export const EACH = "$each";

/** The only dialect. */
export const DIALECT = "https://json-schema.org/draft/2020-12/schema";
