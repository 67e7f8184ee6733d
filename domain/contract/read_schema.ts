/**
 * Reads JSON Schemas from outside, once, when a contract is saved or loaded. A schema that this refuses cannot be held
 * against events in a bounded time, or says what the specification does not know. Events need no such care later.
 *
 * How it works: one walk checks every schema of the document. A second one puts the target in the place of each
 * reference, and leaves annotations out: what is left is a tree, and its worst case is a sum (`schema_cost.ts`).
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
import {
  DEFINITIONS,
  DIALECT,
  EACH,
  KEYWORDS,
  MAX_KEYWORDS,
  MAX_LEVELS,
  MAX_PATTERNS,
  MAX_SCHEMA_BYTES,
  MAX_SUBSCHEMAS,
  type ReadySchema,
  Refusal,
  REFUSED,
  type Schema,
  type SchemaProblem,
} from "./schema.ts";
import { worstSteps } from "./schema_cost.ts";
import { FORMATS } from "./schema_format.ts";
import { type Pattern, readPattern } from "./schema_pattern.ts";

type Path = readonly string[];

/** A schema and where it stands in the document. */
interface Place {
  schema: Schema;
  path: Path;
}

/** What the first walk finds. */
interface Found {
  /** By JSON Pointer. */
  places: Map<string, Place>;
  /** The pointers of anchors. */
  anchors: Map<string, string>;
  references: { to: string; at: Path }[];
  patterns: Map<string, Pattern>;
  patternCount: number;
}

/** Reads a schema from outside. Never throws; the schema given is not changed. */
export function readSchema(given: unknown): ReadySchema | { problem: SchemaProblem } {
  if (typeof given === "boolean") return { schema: given, patterns: new Map(), steps: 1 };
  if (!isObject(given)) {
    return { problem: { path: "", message: `must be a JSON Schema, found ${shown(given)}` } };
  }
  const look = beginLook(MAX_SCHEMA_BYTES);
  const excess = findProblem(given, look) ?? findExcess(given, look);
  if (excess !== undefined) {
    return { problem: { path: dotted(excess.path), message: `${excess.rule}, found ${excess.found}` } };
  }
  try {
    return read(given);
  } catch (error) {
    if (error instanceof Refusal) return { problem: { path: dotted(error.path), message: error.message } };
    throw error;
  }
}

function read(given: JsonObject): ReadySchema {
  const found: Found = {
    places: new Map(),
    anchors: new Map(),
    references: [],
    patterns: new Map(),
    patternCount: 0,
  };
  lookAt(given, { path: [], found });
  for (const { to, at } of found.references) {
    if (targetOf(to, found) !== undefined) continue;
    throw new Refusal(at, `must lead to a schema of this document, such as #/$defs/name, found ${shown(to)}`);
  }
  const { schema, pathOf } = expand(given, found);
  const { patterns } = found;
  return { schema, patterns, steps: worstSteps(schema, { patterns, pathOf }) };
}

function lookAt(value: unknown, { path, found }: { path: Path; found: Found }): void {
  if (!isSchema(value)) throw new Refusal(path, `must be a JSON Schema, found ${shown(value)}`);
  found.places.set(pointerOf(path), { schema: value, path });
  if (typeof value === "boolean") return;
  for (const [keyword, inner] of Object.entries(value)) {
    const at = [...path, keyword];
    if (keyword in REFUSED) throw new Refusal(at, REFUSED[keyword]!);
    if (!(keyword in KEYWORDS)) throw new Refusal(at, "is not a keyword of JSON Schema 2020-12");
    lookAtKeyword(keyword, inner, { at, found });
  }
}

function lookAtKeyword(keyword: string, value: unknown, { at, found }: { at: Path; found: Found }): void {
  switch (KEYWORDS[keyword]) {
    case "schema":
      return lookAt(value, { path: at, found });
    case "schemas":
      if (!Array.isArray(value) || value.length === 0) throw new Refusal(at, "must be an array of schemas");
      return value.forEach((each, n) => lookAt(each, { path: [...at, String(n)], found }));
    case "map":
      return lookAtMap(keyword, value, { at, found });
    case "pattern":
      return addPattern(value, { at, found });
    case "format":
      if (Object.hasOwn(FORMATS, textOf(value, at))) return;
      throw new Refusal(at, `must be one of ${Object.keys(FORMATS).join(", ")}, found ${shown(value)}`);
    case "ref":
      return void found.references.push({ to: textOf(value, at), at });
    case "anchor":
      return addAnchor(textOf(value, at), { at, found });
    default:
      return checkValue(keyword, value, at);
  }
}

function lookAtMap(keyword: string, value: unknown, { at, found }: { at: Path; found: Found }): void {
  if (!isObject(value)) throw new Refusal(at, `must be an object of schemas, found ${shown(value)}`);
  for (const [name, each] of Object.entries(value)) {
    const path = [...at, name];
    // The engine ignores this name.
    if (name === "__proto__") throw new Refusal(path, "cannot be the name of a property here");
    if (keyword === "patternProperties") addPattern(name, { at: path, found });
    lookAt(each, { path, found });
  }
}

function addPattern(value: unknown, { at, found }: { at: Path; found: Found }): void {
  if (++found.patternCount > MAX_PATTERNS) {
    throw new Refusal(at, `exceeds the limit of ${MAX_PATTERNS} patterns in one schema`);
  }
  const text = textOf(value, at);
  if (found.patterns.has(text)) return;
  const pattern = readPattern(text);
  if (pattern.problem !== undefined) throw new Refusal(at, pattern.problem);
  found.patterns.set(text, pattern);
}

function addAnchor(name: string, { at, found }: { at: Path; found: Found }): void {
  if (found.anchors.has(name)) {
    throw new Refusal(at, `must be a name that no other schema has, found ${shown(name)}`);
  }
  found.anchors.set(name, pointerOf(at.slice(0, -1)));
}

function checkValue(keyword: string, value: unknown, at: Path): void {
  if (keyword === "$schema" && value !== DIALECT) {
    throw new Refusal(at, `must be ${DIALECT}, found ${shown(value)}`);
  }
  if (keyword === "$id" && at.length > 1) {
    throw new Refusal(at, "cannot stand within a schema: refer to it by $defs or $anchor");
  }
  // The specification lets it be empty, the engine does not: no value is one of none.
  if (keyword === "enum" && Array.isArray(value) && value.length === 0) {
    throw new Refusal(at, "must hold at least one value");
  }
}

function targetOf(reference: string, { places, anchors }: Found): Place | undefined {
  if (!reference.startsWith("#")) return undefined;
  const fragment = decoded(reference.slice(1));
  if (fragment === undefined) return undefined;
  const isPointer = fragment === "" || fragment.startsWith("/");
  return places.get(isPointer ? fragment : anchors.get(fragment) ?? "none");
}

/** Puts the target in the place of each reference. Gives for each keyword of the result where it stands in the document. */
function expand(root: JsonObject, found: Found) {
  let schemas = 0;
  let keywords = 0;
  const sources = new Map<Schema, Place>();
  /** The schemas of the document that the one at hand is within. */
  const around = new Set<Schema>();

  function expandOne({ schema, path }: Place, at: Path = path): Schema {
    if (++schemas > MAX_SUBSCHEMAS) {
      throw new Refusal(
        at,
        `exceeds the limit of ${MAX_SUBSCHEMAS} schemas (a reference counts as its target)`,
      );
    }
    if (typeof schema === "boolean") return schema;
    if (around.size === MAX_LEVELS) {
      throw new Refusal(at, `exceeds the limit of ${MAX_LEVELS} schemas within each other`);
    }
    around.add(schema);
    const ready = expandKeywords(schema, path);
    around.delete(schema);
    return ready;
  }

  function expandKeywords(schema: JsonObject, path: Path): Schema {
    const ready: JsonObject = {};
    let target: Schema | undefined;
    for (const [keyword, value] of Object.entries(schema)) {
      const at = [...path, keyword];
      const kind = KEYWORDS[keyword]!;
      if (kind === "note" || kind === "anchor" || DEFINITIONS.includes(keyword)) continue;
      // The engine makes code of each of these names, and loops of other lists.
      keywords += keyword === "dependentRequired" ? namesIn(value) : 1;
      if (keywords > MAX_KEYWORDS) {
        throw new Refusal(at, `exceeds the limit of ${MAX_KEYWORDS} keywords in one schema`);
      }
      if (kind === "ref") target = expandTarget(value as string, at);
      else ready[keyword] = expandValue(kind, { value, at });
    }
    if (target !== undefined) {
      if (Object.keys(ready).length === 0) {
        schemas--;
        return target;
      }
      ready.allOf = [target, ...ready.allOf as Schema[] ?? []];
    }
    if (Object.keys(ready).length > 0) ready[EACH] = true;
    sources.set(ready, { schema, path });
    return ready;
  }

  function expandTarget(reference: string, at: Path): Schema {
    const target = targetOf(reference, found)!;
    if (around.has(target.schema)) {
      throw new Refusal(at, "must not lead back to a schema that it stands in: recursion is not supported");
    }
    return expandOne(target, at);
  }

  function expandValue(kind: string, { value, at }: { value: unknown; at: Path }): unknown {
    if (kind === "schema") return expandOne({ schema: value as Schema, path: at });
    if (kind !== "schemas" && kind !== "map") return value;
    const entries = Object.entries(value as Record<string, Schema>).map(([name, schema]) =>
      [name, expandOne({ schema, path: [...at, name] })] as const
    );
    return kind === "map" ? Object.fromEntries(entries) : entries.map(([, each]) => each);
  }

  return {
    schema: expandOne({ schema: root, path: [] }),
    pathOf(ready: Schema, keyword: string): Path {
      const { schema, path } = sources.get(ready)!;
      return [...path, Object.hasOwn(schema as JsonObject, keyword) ? keyword : "$ref"];
    },
  };
}

function namesIn(dependentRequired: unknown): number {
  return Object.values(dependentRequired ?? {}).reduce(
    (sum: number, names) => sum + 1 + (names?.length ?? 0),
    1,
  );
}

function isSchema(value: unknown): value is Schema {
  return isObject(value) || typeof value === "boolean";
}

function textOf(value: unknown, at: Path): string {
  if (typeof value !== "string") throw new Refusal(at, `must be a string, found ${shown(value)}`);
  return value;
}

/** RFC 6901. */
function pointerOf(path: Path): string {
  return path.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

function decoded(fragment: string): string | undefined {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return undefined;
  }
}
