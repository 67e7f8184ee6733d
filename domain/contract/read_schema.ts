/**
 * Reads JSON Schemas from outside, once, when a contract is saved or loaded. It rejects schemas that cannot be checked
 * in bounded time, or that use unknown keywords. Events need no such care later.
 *
 * How it works: the schema itself is validated by {@link SUPPORTED}. Then each reference is replaced by its target, and
 * annotations are removed: the result is a tree, and its worst case is a sum (`schema_cost.ts`).
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
import type { Checker } from "./contract.ts";
import {
  EACH,
  MAX_KEYWORDS,
  MAX_LEVELS,
  MAX_PATTERNS,
  MAX_SCHEMA_BYTES,
  MAX_SUBSCHEMAS,
  NOTES,
  type ReadySchema,
  Refusal,
  REFUSED,
  type Schema,
  SCHEMA_IN,
  type SchemaProblem,
  SCHEMAS_IN,
  SUPPORTED,
} from "./schema.ts";
import { worstSteps } from "./schema_cost.ts";
import { checkerOf } from "./schema_engine.ts";
import { type Pattern, readPattern } from "./schema_pattern.ts";

type Path = readonly string[];

/** A schema and its path in the document. */
interface Place {
  schema: Schema;
  path: Path;
}

/** Reads a schema from outside. Never throws; the schema given is not changed. */
export function readSchema(given: unknown): ReadySchema | { problem: SchemaProblem } {
  const problem = problemOf(given);
  if (problem !== undefined) return { problem };
  try {
    return expand(given as Schema);
  } catch (error) {
    if (error instanceof Refusal) return { problem: { path: dotted(error.path), message: error.message } };
    throw error;
  }
}

let isSupported: Checker | undefined;

/** Why a value is too large, or no schema that contracts support. */
function problemOf(given: unknown): SchemaProblem | undefined {
  if (typeof given === "boolean") return undefined;
  if (!isObject(given)) return { path: "", message: `must be a JSON Schema; got ${shown(given)}` };
  const look = beginLook(MAX_SCHEMA_BYTES);
  const excess = findProblem(given, look) ?? findExcess(given, look);
  if (excess !== undefined) {
    return { path: dotted(excess.path), message: `${excess.rule}, found ${excess.found}` };
  }
  // Made when first needed: most processes have no contract.
  isSupported ??= checkerOf({ schema: SUPPORTED, patterns: new Map() });
  // The document may have a name, which nothing refers to.
  const { $id: _, ...schema } = given;
  const [first] = isSupported(schema);
  if (first === undefined) return undefined;
  const { path, keyword, rule, found } = first;
  // The only names that are refused.
  if (keyword === "not") {
    return { path: `${path}.__proto__`, message: "is not supported as a property name" };
  }
  if (keyword !== "additionalProperties") return { path, message: `${rule}, found ${found}` };
  const refused = Object.keys(REFUSED).find((name) => path === name || path.endsWith(`.${name}`));
  const message = refused === undefined ? "is not a keyword of JSON Schema 2020-12" : REFUSED[refused]!;
  return { path, message };
}

/** All schemas of a document, by their possible references: a JSON Pointer or an anchor. */
function placesIn(place: Place, places = new Map<string, Place>()): Map<string, Place> {
  const { schema, path } = place;
  places.set(path.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join(""), place);
  if (typeof schema === "boolean") return places;
  if (schema.$anchor !== undefined) {
    if (places.has(schema.$anchor as string)) {
      throw new Refusal([...path, "$anchor"], "must be unique");
    }
    places.set(schema.$anchor as string, place);
  }
  for (const [keyword, value] of Object.entries(schema)) {
    const at = [...path, keyword];
    if (SCHEMA_IN.has(keyword)) placesIn({ schema: value as Schema, path: at }, places);
    else if (SCHEMAS_IN.has(keyword)) {
      for (const [name, each] of Object.entries(value as Record<string, Schema>)) {
        placesIn({ schema: each, path: [...at, name] }, places);
      }
    }
  }
  return places;
}

/** The state of {@link expand}. */
interface Expansion {
  schemas: number;
  around: Set<Schema>;
  keywords: number;
  sources: Map<Schema, Place>;
  places: Map<string, Place>;
  patterns: Map<string, Pattern>;
}

/** Replaces each reference by its target, removes annotations, and compiles the patterns. */
function expand(root: Schema): ReadySchema {
  const places = placesIn({ schema: root, path: [] });
  const patterns = new Map<string, Pattern>();
  const sources = new Map<Schema, Place>();
  /** The schemas of the document that the one at hand is within. */
  const around = new Set<Schema>();
  const expansion: Expansion = {
    schemas: 0,
    around,
    keywords: 0,
    sources,
    places,
    patterns,
  };
  const schema = expandOne(expansion, { schema: root, path: [] });
  const steps = worstSteps(schema, {
    patterns,
    pathOf(ready, keyword) {
      const { schema, path } = sources.get(ready)!;
      return [...path, Object.hasOwn(schema as JsonObject, keyword) ? keyword : "$ref"];
    },
  });
  return { schema, patterns, steps };
}

function expandOne(expansion: Expansion, { schema, path }: Place, at: Path = path): Schema {
  if (++expansion.schemas > MAX_SUBSCHEMAS) {
    throw new Refusal(
      at,
      `exceeds the limit of ${MAX_SUBSCHEMAS} schemas (a reference counts as its target)`,
    );
  }
  if (typeof schema === "boolean") return schema;
  if (expansion.around.size === MAX_LEVELS) {
    throw new Refusal(at, `exceeds the limit of ${MAX_LEVELS} nested schemas`);
  }
  expansion.around.add(schema);
  const ready = expandKeywords(expansion, schema, path);
  expansion.around.delete(schema);
  return ready;
}

function expandKeywords(expansion: Expansion, schema: JsonObject, path: Path): Schema {
  const ready: JsonObject = {};
  for (const [keyword, value] of Object.entries(schema)) {
    const at = [...path, keyword];
    if (NOTES.has(keyword) || keyword === "$ref") continue;
    // The engine generates code for each of these names, and loops for other lists.
    expansion.keywords += keyword === "dependentRequired"
      ? Object.values(value as string[][]).flat().length + 1
      : 1;
    if (expansion.keywords > MAX_KEYWORDS) {
      throw new Refusal(at, `exceeds the limit of ${MAX_KEYWORDS} keywords`);
    }
    if (keyword === "pattern") addPattern(expansion, value as string, at);
    ready[keyword] = expandValue(expansion, keyword, { value, at });
  }
  if (schema.$ref !== undefined) {
    const target = expandTarget(expansion, schema.$ref as string, [...path, "$ref"]);
    if (Object.keys(ready).length === 0) {
      expansion.schemas--;
      return target;
    }
    ready.allOf = [target, ...ready.allOf as Schema[] ?? []];
  }
  if (Object.keys(ready).length > 0) ready[EACH] = true;
  expansion.sources.set(ready, { schema, path });
  return ready;
}

function expandTarget(expansion: Expansion, reference: string, at: Path): Schema {
  const target = reference.startsWith("#") ? expansion.places.get(decoded(reference.slice(1))) : undefined;
  if (target === undefined) {
    const rule = "must refer to a schema in this document, such as #/$defs/name";
    throw new Refusal(at, `${rule}; got ${shown(reference)}`);
  }
  if (expansion.around.has(target.schema)) {
    throw new Refusal(at, "must not refer to a schema that contains it: recursion is not supported");
  }
  return expandOne(expansion, target, at);
}

function expandValue(
  expansion: Expansion,
  keyword: string,
  { value, at }: { value: unknown; at: Path },
): unknown {
  if (SCHEMA_IN.has(keyword)) return expandOne(expansion, { schema: value as Schema, path: at });
  if (!SCHEMAS_IN.has(keyword)) return value;
  const entries = Object.entries(value as Record<string, Schema>).map(([name, schema]) => {
    const path = [...at, name];
    if (keyword === "patternProperties") addPattern(expansion, name, path);
    return [name, expandOne(expansion, { schema, path })] as const;
  });
  return Array.isArray(value) ? entries.map(([, each]) => each) : Object.fromEntries(entries);
}

function addPattern(expansion: Expansion, text: string, at: Path): void {
  if (expansion.patterns.has(text)) return;
  if (expansion.patterns.size === MAX_PATTERNS) {
    throw new Refusal(at, `exceeds the limit of ${MAX_PATTERNS} patterns`);
  }
  const pattern = readPattern(text);
  if (pattern.problem !== undefined) throw new Refusal(at, pattern.problem);
  expansion.patterns.set(text, pattern);
}

/** A fragment of a URI; one that cannot be decoded stays as it is, and refers to nothing. */
function decoded(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}
