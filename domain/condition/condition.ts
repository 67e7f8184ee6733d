/**
 * Conditions: MongoDB's query form over one JSON document, compiled to closures. Forwarding, transformations and audiences
 * use this one language; `docs/conditions.md` is its reference.
 *
 * As in MongoDB: `{x: null}` holds where `x` is `null` or absent; a path through an array (`products.sku`) holds if it
 * holds for one of its objects; a value that is an array matches as a whole or by one element; values of different types
 * never compare.
 */
import { readPattern } from "../contract/schema_pattern.ts";
import { LongInteger } from "../event/exact_json.ts";
import { isObject, jsonBytes, type JsonObject, shown } from "../event/json.ts";
import { anyAt, type Path, readPath } from "./path.ts";
import { compareValues, isEqual, isScalar } from "./values.ts";

/** Levels of a condition, its own being the first. */
export const MAX_CONDITION_DEPTH = 10;

/** Operators and paths of a condition. */
export const MAX_CONDITION_NODES = 500;

/** Bytes of a condition as JSON: it is stored in one value with its destination. */
export const MAX_CONDITION_BYTES = 16 * 1024;

/** Values of one `$in` or `$nin`. */
export const MAX_CONDITION_VALUES = 1_000;

/** The first thing that is wrong in a condition, and its path in it (`properties.total.$gtee`). */
export interface ConditionProblem {
  path: string;
  message: string;
}

/** A condition that can be tested. It changes nothing and never throws. */
export interface Condition {
  /** Whether it holds for a document. */
  test(document: unknown): boolean;
  /**
   * Values of which a path must have one for the condition to hold, by path: from `type: "track"` and `event: {$in: […]}`
   * at the top, so that conditions can be indexed. Absent: any.
   */
  requires: ReadonlyMap<string, readonly string[]>;
}

type Test = (document: unknown) => boolean;

/** Thrown inside this file only: the reading of a condition ends at the first problem. */
class Invalid extends Error {
  constructor(readonly path: readonly string[], message: string) {
    super(message);
  }
}

/** Reads a condition. Gives the first problem instead if it is invalid. */
export function readCondition(given: unknown): Condition | { problem: ConditionProblem } {
  try {
    if (isObject(given) && jsonBytes(given) > MAX_CONDITION_BYTES) {
      throw new Invalid([], `must be at most ${MAX_CONDITION_BYTES} bytes of JSON`);
    }
    const reading = { nodes: 0 };
    return { test: readAll(given, [], reading), requires: requiredIn(given as JsonObject) };
  } catch (error) {
    if (!(error instanceof Invalid)) throw error;
    return { problem: { path: error.path.join("."), message: error.message } };
  }
}

/** What was read so far. */
interface Reading {
  nodes: number;
}

function countNode(path: readonly string[], reading: Reading): void {
  if (++reading.nodes > MAX_CONDITION_NODES) {
    throw new Invalid(path, `must have at most ${MAX_CONDITION_NODES} operators and paths`);
  }
}

/** An object of paths and of `$and`, `$or`, `$nor`: all must hold. */
function readAll(given: unknown, path: readonly string[], reading: Reading, depth = 1): Test {
  if (!isObject(given)) throw new Invalid(path, `must be an object; got ${shown(given)}`);
  if (depth > MAX_CONDITION_DEPTH) {
    throw new Invalid(path, `must not be nested deeper than ${MAX_CONDITION_DEPTH} levels`);
  }
  const tests = Object.entries(given).map(([key, value]) => {
    countNode([...path, key], reading);
    return key.startsWith("$")
      ? readLogical(key, value, { path: [...path, key], reading, depth })
      : readField(key, value, { path: [...path, key], reading, depth });
  });
  return allOf(tests);
}

/** Where in a condition something stands. */
interface Place {
  path: readonly string[];
  reading: Reading;
  depth: number;
}

const LOGICAL = ["$and", "$or", "$nor"];

function readLogical(operator: string, given: unknown, { path, reading, depth }: Place): Test {
  if (!LOGICAL.includes(operator)) {
    throw new Invalid(path, `is an unknown operator: here ${LOGICAL.join(", ")} and paths are allowed`);
  }
  if (!Array.isArray(given) || given.length === 0) {
    throw new Invalid(path, `must be a non-empty array of conditions; got ${shown(given)}`);
  }
  const tests = given.map((each, index) => readAll(each, [...path, String(index)], reading, depth + 1));
  if (operator === "$and") return allOf(tests);
  const some: Test = (document) => tests.some((test) => test(document));
  return operator === "$or" ? some : (document) => !some(document);
}

function readField(key: string, given: unknown, place: Place): Test {
  const path = readPath(key);
  if (path === undefined) {
    throw new Invalid(place.path, "must be a path of 1 to 20 names, separated by dots");
  }
  return isOperators(given) ? readOperators(path, given, place) : equals(path, given);
}

/** Whether a value is an object of operators, not one to compare with. */
function isOperators(given: unknown): given is JsonObject {
  return isObject(given) && Object.keys(given).some((key) => key.startsWith("$"));
}

/** Operators on one path: all must hold, each by itself. */
function readOperators(path: Path, given: JsonObject, { path: at, reading, depth }: Place): Test {
  return allOf(
    Object.entries(given).map(([operator, operand]) => {
      const place = { path: [...at, operator], reading, depth: depth + 1 };
      countNode(place.path, reading);
      const read = OPERATORS.get(operator);
      if (read === undefined) {
        throw new Invalid(
          place.path,
          `is an unknown operator: use ${[...OPERATORS.keys()].join(", ")}`,
        );
      }
      if (depth >= MAX_CONDITION_DEPTH) {
        throw new Invalid(place.path, `must not be nested deeper than ${MAX_CONDITION_DEPTH} levels`);
      }
      return read(path, operand, place);
    }),
  );
}

type ReadOperator = (path: Path, operand: unknown, place: Place) => Test;

const not = (test: Test): Test => (document) => !test(document);

/** The operators of one path. */
const OPERATORS: ReadonlyMap<string, ReadOperator> = new Map<string, ReadOperator>([
  ["$eq", (path, operand) => equals(path, operand)],
  ["$ne", (path, operand) => not(equals(path, operand))],
  ["$gt", compares((order) => order > 0)],
  ["$gte", compares((order) => order >= 0)],
  ["$lt", compares((order) => order < 0)],
  ["$lte", compares((order) => order <= 0)],
  ["$in", (path, operand, place) => isIn(path, operand, place)],
  ["$nin", (path, operand, place) => not(isIn(path, operand, place))],
  ["$exists", exists],
  ["$regex", matches],
  ["$not", negated],
  ["$elemMatch", elementMatches],
]);

function equals(path: Path, operand: unknown): Test {
  if (operand === null) {
    return (document) => anyAt(document, path, (value) => value === undefined || hasOne(value, isNull));
  }
  const same = isScalar(operand)
    ? (value: unknown) => value === operand || isEqual(value, operand)
    : (value: unknown) => isEqual(value, operand);
  return (document) => anyAt(document, path, (value) => hasOne(value, same));
}

const isNull = (value: unknown) => value === null;

/** Whether a value passes, or one element of an array. */
function hasOne(value: unknown, test: (value: unknown) => boolean): boolean {
  return test(value) || (Array.isArray(value) && value.some(test));
}

function compares(holds: (order: number) => boolean): ReadOperator {
  return (path, operand, place) => {
    const isOrdered = typeof operand === "string" || typeof operand === "number" ||
      operand instanceof LongInteger;
    if (!isOrdered) {
      throw new Invalid(place.path, `must be a number or a string; got ${shown(operand)}`);
    }
    const test = (value: unknown) => {
      const order = compareValues(value, operand);
      return order !== undefined && holds(order);
    };
    return (document) => anyAt(document, path, (value) => hasOne(value, test));
  };
}

function isIn(path: Path, operand: unknown, place: Place): Test {
  if (!Array.isArray(operand)) throw new Invalid(place.path, `must be an array; got ${shown(operand)}`);
  if (operand.length > MAX_CONDITION_VALUES) {
    throw new Invalid(place.path, `must have at most ${MAX_CONDITION_VALUES} values; got ${operand.length}`);
  }
  const texts = new Set(operand.filter((each) => typeof each === "string"));
  const others = operand.filter((each) => typeof each !== "string").map((each) => equals([], each));
  const isText = (value: unknown) => texts.has(value as string);
  return (document) =>
    anyAt(document, path, (value) => hasOne(value, isText) || others.some((test) => test(value)));
}

function exists(path: Path, operand: unknown, place: Place): Test {
  if (typeof operand !== "boolean") {
    throw new Invalid(place.path, `must be true or false; got ${shown(operand)}`);
  }
  const isThere: Test = (document) => anyAt(document, path, (value) => value !== undefined);
  return operand ? isThere : not(isThere);
}

function matches(path: Path, operand: unknown, place: Place): Test {
  if (typeof operand !== "string") {
    throw new Invalid(place.path, `must be a pattern as a string; got ${shown(operand)}`);
  }
  const pattern = readPattern(operand);
  if (pattern.problem !== undefined) throw new Invalid(place.path, pattern.problem);
  const test = (value: unknown) => typeof value === "string" && pattern.test(value);
  return (document) => anyAt(document, path, (value) => hasOne(value, test));
}

function negated(path: Path, operand: unknown, place: Place): Test {
  if (!isOperators(operand)) {
    throw new Invalid(place.path, `must be an object of operators; got ${shown(operand)}`);
  }
  return not(readOperators(path, operand, place));
}

function elementMatches(path: Path, operand: unknown, { path: at, reading, depth }: Place): Test {
  const isOfValues = isOperators(operand) && !Object.keys(operand).some((key) => LOGICAL.includes(key));
  const test = isOfValues
    ? readOperators([], operand, { path: at, reading, depth })
    : readAll(operand, at, reading, depth + 1);
  const isCandidate = (each: unknown) => (isOfValues || isObject(each)) && test(each);
  return (document) => anyAt(document, path, (value) => Array.isArray(value) && value.some(isCandidate));
}

function allOf(tests: readonly Test[]): Test {
  const [first, second] = tests;
  if (first === undefined) return () => true;
  if (second === undefined) return first;
  if (tests.length === 2) return (document) => first(document) && second(document);
  return (document) => tests.every((test) => test(document));
}

/** Texts that a path must equal: only of plain equality and `$in` at the top and in a top `$and`. */
function requiredIn(given: JsonObject): ReadonlyMap<string, readonly string[]> {
  const required = new Map<string, readonly string[]>();
  const add = (path: string, values: readonly string[]) => {
    const known = required.get(path);
    required.set(path, known === undefined ? values : known.filter((each) => values.includes(each)));
  };
  const parts = [given, ...(given.$and as JsonObject[] | undefined) ?? []];
  for (const [path, value] of parts.flatMap((part) => Object.entries(part))) {
    if (path.startsWith("$")) continue;
    const [equal, among] = isOperators(value) ? [value.$eq, value.$in] : [value, undefined];
    if (typeof equal === "string") add(path, [equal]);
    if (Array.isArray(among) && among.every((each) => typeof each === "string")) add(path, among);
  }
  return required;
}
