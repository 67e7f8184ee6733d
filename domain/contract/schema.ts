/**
 * JSON Schemas (2020-12) as they come from outside: what can't be kept is refused with the place where it stands, and
 * what is kept is made ready for the engine, so that no schema and no event can take it long.
 *
 * How it works: a walk goes through all that is a schema by the specification's own list of keywords. It refuses what
 * is not on the list (a misspelt keyword would be passed over in silence), references out of the document and patterns
 * that don't run in linear time; it leaves annotations out, turns each reference into one by number, and gives each
 * schema its price, which is paid whenever the engine comes to it.
 */
import {
  beginLook,
  dotted,
  findExcess,
  findProblem,
  isObject,
  type JsonObject,
  shown,
} from "../event/json.ts";
import { FORMATS } from "./schema_format.ts";
import { type Pattern, readPattern } from "./schema_pattern.ts";

/** A JSON Schema: an object of keywords, or all (`true`) or nothing (`false`). */
export type Schema = JsonObject | boolean;

/** Bytes of a schema as JSON: as of an event, and far above what one is described in. */
export const MAX_SCHEMA_BYTES = 32 * 1024;

/** Schemas within a schema: each becomes code, and code takes time to be made. */
export const MAX_SUBSCHEMAS = 500;

/** Keywords within a schema, the names in `dependentRequired` counted: with these its code is made in some 50 ms. */
export const MAX_KEYWORDS = 1_000;

/**
 * Schemas that lead from one to the next, by reference or as one within the other: the engine's stack has room for some 320
 * in a process that has done nothing yet, and more later on. What one process takes, all must.
 */
export const MAX_LEVELS = 200;

/** Patterns within a schema, those of property names counted: each becomes a program. */
export const MAX_PATTERNS = 50;

/** How references of what was read begin; a number follows. */
const REFERENCE = "#/$defs/";

/** The only dialect. */
const DIALECT = "https://json-schema.org/draft/2020-12/schema";

/** Characters of strings in a schema that cost as much to compare as one value. */
const CHARACTERS_PER_VALUE = 64;

/** Names of properties that are looked for in the time of one value. */
const NAMES_PER_VALUE = 4;

/** Units for a format, whose check is slowest on a short text that is nearly of it. */
const FORMAT_UNITS = 40;

/** Units for each of several of which one must be right: where there are hundreds, each is slow. */
const BRANCH_UNITS = 2;

/** Units for a reference: what is wrong behind it is handed on in a list. */
const REFERENCE_UNITS = 2;

/** What is wrong with a schema, and where, dotted from its root. */
export interface SchemaProblem {
  path: string;
  message: string;
}

/** A schema that is ready for the engine: references by number into `$defs`, and a price at each. */
export interface ReadySchema {
  schema: Schema;
  /** Its patterns by their text: making one takes a millisecond. */
  patterns: ReadonlyMap<string, Pattern>;
  /** Whether it asks what no other part of it has evaluated. */
  isUnevaluatedAsked: boolean;
  problem?: undefined;
}

type Kind = "schema" | "schemas" | "map" | "value" | "note" | "pattern" | "format" | "ref" | "anchor";

/** What stands under each keyword of the specification; whatever is a `note` says nothing of what is valid. */
const KEYWORDS: Readonly<Record<string, Kind>> = Object.assign(Object.create(null), {
  ...of("schema", "additionalProperties propertyNames items contains not if then else"),
  ...of("schema", "unevaluatedItems unevaluatedProperties"),
  ...of("schemas", "allOf anyOf oneOf prefixItems"),
  ...of("map", "properties patternProperties dependentSchemas $defs definitions"),
  ...of("value", "type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum"),
  ...of("value", "maxLength minLength maxItems minItems uniqueItems maxContains minContains"),
  ...of("value", "maxProperties minProperties required dependentRequired"),
  ...of("note", "$schema $id $comment title description default examples deprecated readOnly writeOnly"),
  ...of("note", "contentEncoding contentMediaType contentSchema"),
  ...of("pattern", "pattern"),
  ...of("format", "format"),
  ...of("ref", "$ref $dynamicRef"),
  ...of("anchor", "$anchor $dynamicAnchor"),
});

function of(kind: Kind, names: string): Record<string, Kind> {
  return Object.fromEntries(names.split(" ").map((name) => [name, kind]));
}

/** Keywords whose work grows with the value that is looked at, by the length of a string or the number of members. */
const GROWING = [
  "maxLength",
  "minLength",
  "format",
  "additionalProperties",
  "patternProperties",
  "propertyNames",
  "unevaluatedProperties",
  "maxProperties",
  "minProperties",
  "items",
  "contains",
  "unevaluatedItems",
] as const;

/** Keywords of several schemas, of which all may be gone through though each is wrong. */
const BRANCHING = ["anyOf", "oneOf"] as const;

/** Keywords whose own values are gone through, and those whose names are looked for. */
const COMPARING = ["enum", "const", "required", "dependentRequired"] as const;
const NAMING = ["properties", "dependentSchemas"] as const;

/** Keywords whose schemas tell the one that they stand in which properties they have evaluated. */
const MERGING = ["$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas"] as const;

/** The price of a schema: what it costs whatever the value is, and what comes on top by the value's size. */
export interface Price {
  units: number;
  /** Whether the value is gone through. */
  grows: boolean;
  /** How often evaluated properties are passed on: those of the value, and as many as are named for it. */
  merges: number;
  names: number;
}

/** The keyword under which a schema's {@link Price} stands. */
export const PRICE = "$price";

/** Reads a schema from outside. Never throws; the schema given is not changed. */
export function readSchema(given: unknown): ReadySchema | { problem: SchemaProblem } {
  if (!isSchema(given)) {
    return { problem: { path: "", message: `must be a JSON Schema, found ${shown(given)}` } };
  }
  if (typeof given === "boolean") return { schema: given, patterns: new Map(), isUnevaluatedAsked: false };
  const look = beginLook(MAX_SCHEMA_BYTES);
  const excess = findProblem(given, look) ?? findExcess(given, look);
  if (excess !== undefined) {
    return { problem: { path: dotted(excess.path), message: `${excess.rule}, found ${excess.found}` } };
  }
  try {
    return createWalk().read(given);
  } catch (error) {
    if (error instanceof Refusal) return { problem: { path: dotted(error.path), message: error.message } };
    throw error;
  }
}

/** Thrown within the walk alone: it saves each step from handing a problem up. */
class Refusal extends Error {
  constructor(readonly path: readonly string[], message: string) {
    super(message);
  }
}

function isSchema(value: unknown): value is Schema {
  return isObject(value) || typeof value === "boolean";
}

function createWalk() {
  let schemas = 0;
  let keywords = 0;
  let patternCount = 0;
  let isUnevaluatedAsked = false;
  const patterns = new Map<string, Pattern>();
  /** What stands at each place of the document, by JSON Pointer; and the pointers of anchors. */
  const places = new Map<string, Schema>();
  const anchors = new Map<string, string>();
  const references: { from: JsonObject; keyword: string; to: string; path: string[] }[] = [];

  function readOne(value: unknown, path: string[]): Schema {
    if (!isSchema(value)) throw new Refusal(path, `must be a JSON Schema, found ${shown(value)}`);
    if (++schemas > MAX_SUBSCHEMAS) throw new Refusal(path, `is more than ${MAX_SUBSCHEMAS} schemas in one`);
    const ready = typeof value === "boolean" ? value : readKeywords(value, path);
    places.set(pointerOf(path), ready);
    return ready;
  }

  function readKeywords(schema: JsonObject, path: string[]): JsonObject {
    const ready: JsonObject = {};
    for (const [keyword, value] of Object.entries(schema)) {
      const at = [...path, keyword];
      const kind = KEYWORDS[keyword];
      if (keyword.startsWith("unevaluated")) isUnevaluatedAsked = true;
      if (kind === undefined) throw new Refusal(at, "is not a keyword of JSON Schema 2020-12");
      // Each of these names becomes code; other lists become loops.
      keywords += keyword === "dependentRequired" ? sizeOf(value) : 1;
      if (keywords > MAX_KEYWORDS) {
        throw new Refusal(at, `is more than ${MAX_KEYWORDS} keywords in one schema`);
      }
      if (kind === "schema") ready[keyword] = readOne(value, at);
      else if (kind === "schemas") ready[keyword] = readList(value, at);
      else if (kind === "map") readMap(ready, { keyword, value, at });
      else if (kind === "ref") references.push({ from: ready, keyword, to: textOf(value, at), path: at });
      else if (kind === "anchor") addAnchor(textOf(value, at), at);
      else if (kind === "note") checkNote(keyword, value, at);
      else {
        if (kind === "pattern") checkPattern(value, at);
        if (kind === "format") checkFormat(value, at);
        if (keyword === "enum") checkEnum(value, at);
        ready[keyword] = value;
      }
    }
    if (Object.keys(schema).length > 0) ready[PRICE] = priceOf(ready);
    return ready;
  }

  function readList(value: unknown, at: string[]): Schema[] {
    if (!Array.isArray(value) || value.length === 0) throw new Refusal(at, "must be an array of schemas");
    return value.map((each, index) => readOne(each, [...at, String(index)]));
  }

  function readMap(
    ready: JsonObject,
    { keyword, value, at }: { keyword: string; value: unknown; at: string[] },
  ): void {
    if (!isObject(value)) throw new Refusal(at, `must be an object of schemas, found ${shown(value)}`);
    const map: JsonObject = {};
    for (const [name, each] of Object.entries(value)) {
      // The engine passes over this name, which no program means well.
      if (name === "__proto__") throw new Refusal([...at, name], "can't be the name of a property here");
      if (keyword === "patternProperties") checkPattern(name, [...at, name]);
      map[name] = readOne(each, [...at, name]);
    }
    // Definitions are looked up by what refers to them, and are no work by themselves.
    if (keyword !== "$defs" && keyword !== "definitions") ready[keyword] = map;
  }

  function checkPattern(value: unknown, at: string[]): void {
    if (++patternCount > MAX_PATTERNS) {
      throw new Refusal(at, `is more than ${MAX_PATTERNS} patterns in one schema`);
    }
    const text = textOf(value, at);
    if (patterns.has(text)) return;
    const pattern = readPattern(text);
    if (pattern.problem !== undefined) throw new Refusal(at, pattern.problem);
    patterns.set(text, pattern);
  }

  function addAnchor(name: string, at: string[]): void {
    if (anchors.has(name)) {
      throw new Refusal(at, `must be one that no other schema has, found ${shown(name)}`);
    }
    anchors.set(name, pointerOf(at.slice(0, -1)));
  }

  /** With no other document and no other base about, a dynamic reference leads where a plain one does. */
  function resolve(root: JsonObject): JsonObject {
    const numbers = new Map<string, number>();
    for (const { from, keyword, to, path } of references) {
      const target = targetOf(to);
      if (target === undefined || !places.has(target)) {
        throw new Refusal(
          path,
          `must lead to a schema of this document, such as #/$defs/name, found ${shown(to)}`,
        );
      }
      if (!numbers.has(target)) numbers.set(target, numbers.size);
      const reference = `${REFERENCE}${numbers.get(target)}`;
      (from[PRICE] as Price).units += REFERENCE_UNITS;
      if (keyword === "$ref") from.$ref = reference;
      else from.allOf = [...from.allOf as Schema[] ?? [], { $ref: reference }];
    }
    if (numbers.size === 0) return root;
    const definitions = Object.fromEntries(
      [...numbers].map(([target, number]) => [number, places.get(target)!]),
    );
    if (levelsOf(root, definitions) > MAX_LEVELS) {
      throw new Refusal([], `leads through more than ${MAX_LEVELS} schemas in a row: refer to fewer`);
    }
    return { ...root, $defs: definitions };
  }

  function targetOf(reference: string): string | undefined {
    if (!reference.startsWith("#")) return undefined;
    const fragment = decoded(reference.slice(1));
    return fragment === undefined || fragment === "" || fragment.startsWith("/")
      ? fragment
      : anchors.get(fragment);
  }

  return {
    read(schema: JsonObject): ReadySchema {
      const root = readOne(schema, []) as JsonObject;
      const resolved = resolve(root);
      const definitions = resolved.$defs as Record<string, Schema> | undefined ?? {};
      for (const each of isUnevaluatedAsked ? places.values() : []) addMerging(each, definitions);
      return { schema: resolved, patterns, isUnevaluatedAsked };
    },
  };
}

/** A definition as code is made of it, once: what stands within belongs to it, what it refers to does not. */
interface Body {
  /** When it was come to. */
  number: number;
  /** How many schemas stand in a row within it. */
  levels: number;
  leadsTo: Schema[];
}

/**
 * How many schemas at most lead from one to the next while code is made. The engine goes where a reference leads before it
 * goes on, and comes to each definition once: so through definitions that lead back to each other it may go as deep as
 * all of them together, whatever the order in which it takes them. That much is reckoned for them; the rest is exact.
 */
function levelsOf(root: JsonObject, definitions: Record<string, Schema>): number {
  const bodies = new Map<Schema, Body>();
  /** Those of a definition with all behind it, once they are known. */
  const known = new Map<Schema, number>();
  const open: Schema[] = [];
  // The root itself is another than the definition that a reference to it leads to.
  const start = { ...root };
  visit(start);
  return known.get(start)!;

  /** Tarjan's algorithm. Gives the number of the first that is open and that the definition leads back to. */
  function visit(definition: Schema): number {
    const body = { number: bodies.size, levels: 0, leadsTo: [] };
    bodies.set(definition, body);
    open.push(definition);
    lookInto(definition, { body, level: 1 });
    let first = body.number;
    for (const next of body.leadsTo) {
      if (!known.has(next)) first = Math.min(first, bodies.get(next)?.number ?? visit(next));
    }
    if (first === body.number) close(open.splice(open.indexOf(definition)));
    return first;
  }

  function close(circle: readonly Schema[]): void {
    let levels = 0;
    let behind = 0;
    for (const definition of circle) {
      const body = bodies.get(definition)!;
      levels += body.levels;
      for (const next of body.leadsTo) behind = Math.max(behind, known.get(next) ?? 0);
    }
    for (const definition of circle) known.set(definition, levels + behind);
  }

  function lookInto(schema: Schema, { body, level }: { body: Body; level: number }): void {
    body.levels = Math.max(body.levels, level);
    for (const [keyword, value] of Object.entries(schema)) {
      if (keyword === "$ref") body.leadsTo.push(referredTo(value, definitions));
      else for (const next of within(keyword, value)) lookInto(next, { body, level: level + 1 });
    }
  }
}

/** The schemas that stand under a keyword. */
function within(keyword: string, value: unknown): Schema[] {
  switch (KEYWORDS[keyword]) {
    case "schema":
      return [value as Schema];
    case "schemas":
      return value as Schema[];
    case "map":
      return Object.values(value as Record<string, Schema>);
    default:
      return [];
  }
}

function checkNote(keyword: string, value: unknown, at: string[]): void {
  if (keyword === "$schema" && value !== DIALECT) {
    throw new Refusal(at, `must be ${DIALECT}, found ${shown(value)}`);
  }
  if (keyword === "$id" && at.length > 1) {
    throw new Refusal(at, "can't stand within a schema: refer to it by $defs or $anchor");
  }
}

function checkFormat(value: unknown, at: string[]): void {
  if (Object.hasOwn(FORMATS, textOf(value, at))) return;
  throw new Refusal(at, `must be one of ${Object.keys(FORMATS).join(", ")}, found ${shown(value)}`);
}

/** The specification lets a list be empty, the engine does not: no value is one of none. */
function checkEnum(value: unknown, at: string[]): void {
  if (Array.isArray(value) && value.length === 0) throw new Refusal(at, "must hold at least one value");
}

function textOf(value: unknown, at: string[]): string {
  if (typeof value !== "string") throw new Refusal(at, `must be a string, found ${shown(value)}`);
  return value;
}

/** RFC 6901. */
function pointerOf(path: readonly string[]): string {
  return path.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

function decoded(fragment: string): string | undefined {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return undefined;
  }
}

function priceOf(ready: JsonObject): Price {
  let units = 1;
  if ("format" in ready) units += FORMAT_UNITS;
  for (const keyword of BRANCHING) {
    if (keyword in ready) units += (ready[keyword] as Schema[]).length * BRANCH_UNITS;
  }
  for (const keyword of COMPARING) if (keyword in ready) units += sizeOf(ready[keyword]);
  for (const keyword of NAMING) {
    if (keyword in ready) units += Object.keys(ready[keyword] as JsonObject).length / NAMES_PER_VALUE;
  }
  return { units: Math.ceil(units), grows: GROWING.some((keyword) => keyword in ready), merges: 0, names: 0 };
}

/** Has a schema pay for the evaluated properties that are passed on to it. */
function addMerging(schema: Schema, definitions: Record<string, Schema>): void {
  const price = isObject(schema) ? schema[PRICE] as Price | undefined : undefined;
  if (price === undefined) return;
  price.merges = mergedBy(schema, definitions).length;
  if (price.merges === 0) return;
  const names = new Set<string>();
  // Those that are found while it is gone through are gone through too.
  const all = new Set([schema]);
  for (const each of all) {
    if (typeof each === "boolean") continue;
    for (const name of Object.keys(each.properties ?? {})) names.add(name);
    for (const next of mergedBy(each, definitions)) all.add(next);
  }
  price.names = names.size;
}

/** The schemas that are held against the same value. */
function mergedBy(schema: Schema, definitions: Record<string, Schema>): Schema[] {
  if (typeof schema === "boolean") return [];
  return MERGING.flatMap((keyword) => {
    if (!(keyword in schema)) return [];
    return keyword === "$ref" ? [referredTo(schema[keyword], definitions)] : within(keyword, schema[keyword]);
  });
}

function referredTo(reference: unknown, definitions: Record<string, Schema>): Schema {
  return definitions[(reference as string).slice(REFERENCE.length)]!;
}

/** How many values a value holds, itself counted, with long strings as several. */
function sizeOf(value: unknown): number {
  if (typeof value === "string") return 1 + value.length / CHARACTERS_PER_VALUE;
  if (typeof value !== "object" || value === null) return 1;
  let size = 1;
  for (const [key, each] of Object.entries(value)) size += sizeOf(each) + key.length / CHARACTERS_PER_VALUE;
  return size;
}
