/** JSON values from outside: which of them can be stored, and their size. */
import { LongInteger } from "./exact_json.ts";

/** Levels of objects and arrays in one event, the event itself being the first: the contract's bound (`JSON deeper than 32 levels`). */
export const MAX_DEPTH = 32;

/** Characters of a value that a message shows: enough to recognise it, too few to flood a log. */
const SHOWN_CHARACTERS = 60;

/** Longest path in a message: keys may be as long as an event. */
const PATH_CHARACTERS = 256;

/** A JSON object, not an array and not `null`. */
export type JsonObject = Record<string, unknown>;

/** Whether a JSON value is an object, which arrays, `null` and long integers are not. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof LongInteger);
}

/** The reason why a value cannot be stored, and its path. */
export interface JsonProblem {
  code: "too_deep" | "invalid_number" | "ill_formed_key" | "event_too_large";
  /** The violated rule, to follow the path. */
  rule: string;
  /** The value found, in short. */
  found: string;
  /** Keys and indices from the root; empty if the whole is too large. */
  path: string[];
}

/** The progress of a check: its depth, and the size so far. */
export interface Look {
  readonly maxBytes: number;
  /** Objects and arrays that it is inside of. */
  depth: number;
  /** Each at most {@link BYTES_PER_UNIT} bytes of JSON and at least 1 / {@link UNITS_PER_BYTE}: most events need no measuring. */
  units: number;
}

/** A UTF-16 unit of a string is at most six bytes of JSON (`\u0000`). */
const BYTES_PER_UNIT = 6;

/** A number of one digit with its comma is two bytes, and counts as five units. */
const UNITS_PER_BYTE = 4;

/** A number is at most 24 bytes (`-1.7976931348623157e+308`), and a comma. */
const NUMBER_UNITS = 5;
/** Quotes of a string, and the comma after it. */
const STRING_UNITS = 3;
/** Quotes of a key and its colon; the comma counts with the value. */
const KEY_UNITS = 3;

/** Begins the check of a value of at most `maxBytes` of JSON. */
export function beginLook(maxBytes: number): Look {
  return { maxBytes, depth: 0, units: 0 };
}

/**
 * Checks everything in an object or array once, and gives the first thing that cannot be stored: deeper than {@link
 * MAX_DEPTH}, a number that is not finite (`JSON.parse` reads `1e999` as infinity, which would be stored as `null`), a
 * key that is not well-formed Unicode (a lone surrogate: storage and URLs would confuse two such keys), or too large.
 * String values may contain anything, since JSON escapes lone surrogates.
 *
 * The work is bounded by the size limit, and the recursion by the depth, whatever the value. The exact size is measured
 * afterwards, by {@link findExcess}.
 */
export function findProblem(value: object, look: Look): JsonProblem | undefined {
  if (look.depth === MAX_DEPTH) {
    return problem("too_deep", {
      rule: `must not be nested deeper than ${MAX_DEPTH} levels`,
      found: shown(value),
    });
  }
  look.depth++;
  look.units++;
  const found = Array.isArray(value) ? findInArray(value, look) : findInObject(value as JsonObject, look);
  look.depth--;
  return found;
}

function findInArray(array: readonly unknown[], look: Look): JsonProblem | undefined {
  for (let i = 0; i < array.length; i++) {
    const found = findInValue(array[i], look);
    if (found !== undefined) return under(String(i), found);
  }
  return undefined;
}

function findInObject(object: JsonObject, look: Look): JsonProblem | undefined {
  // `for in` is the fastest way over members; it would show inherited ones too, of which JSON values have none.
  for (const key in object) {
    const found = findInMember(key, object[key], look);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Like {@link findProblem}, for one member of an object. Three arguments, since it runs for every member. */
export function findInMember(key: string, value: unknown, look: Look): JsonProblem | undefined {
  look.units += key.length + KEY_UNITS;
  const found = key.isWellFormed()
    ? findInValue(value, look)
    : problem("ill_formed_key", { rule: "must be a key of well-formed Unicode", found: shown(key) });
  return found === undefined ? undefined : under(key, found);
}

function findInValue(value: unknown, look: Look): JsonProblem | undefined {
  if (typeof value === "string") {
    look.units += value.length + STRING_UNITS;
  } else if (typeof value === "number") {
    look.units += NUMBER_UNITS;
    if (!Number.isFinite(value)) {
      return problem("invalid_number", { rule: "must be a finite number", found: String(value) });
    }
  } else if (value instanceof LongInteger) {
    look.units += value.digits.length;
  } else if (typeof value === "object" && value !== null) {
    const found = findProblem(value, look);
    if (found !== undefined) return found;
  } else {
    look.units++;
  }
  return look.units > look.maxBytes * UNITS_PER_BYTE ? excess(look, `more than ${look.maxBytes}`) : undefined;
}

/** Measures a value that was checked without a problem, unless it cannot be too large. */
export function findExcess(value: object, look: Look): JsonProblem | undefined {
  if (look.units * BYTES_PER_UNIT <= look.maxBytes) return undefined;
  const bytes = jsonBytes(value);
  return bytes > look.maxBytes ? excess(look, String(bytes)) : undefined;
}

function excess({ maxBytes }: Look, bytes: string): JsonProblem {
  return problem("event_too_large", { rule: `must be at most ${maxBytes} bytes of JSON`, found: bytes });
}

function problem(code: JsonProblem["code"], words: { rule: string; found: string }): JsonProblem {
  return { code, ...words, path: [] };
}

/**
 * A problem in the parent, of which `key` is the member. The path is built only on the way back from a problem: valid
 * events, nearly all, do not pay for it.
 */
export function under(key: string, found: JsonProblem): JsonProblem {
  if (found.code !== "event_too_large") found.path.unshift(key);
  return found;
}

/** A path for senders: dotted, well-formed, shortened if keys are very long. */
export function dotted(path: readonly PropertyKey[]): string {
  const text = path.map((key) => typeof key === "string" ? key.slice(0, PATH_CHARACTERS) : String(key)).join(
    ".",
  );
  const short = text.length > PATH_CHARACTERS ? `${text.slice(0, PATH_CHARACTERS - 1)}…` : text;
  return short.toWellFormed();
}

/** A value as a message shows it: short, on one line, in well-formed Unicode. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (isObject(value)) return "an object";
  if (value instanceof LongInteger) return shownDigits(value);
  if (typeof value !== "string") return String(value);
  if (value.length <= SHOWN_CHARACTERS) return JSON.stringify(value);
  return `${JSON.stringify(value.slice(0, SHOWN_CHARACTERS))}… (${value.length} characters)`;
}

function shownDigits({ digits }: LongInteger): string {
  if (digits.length <= SHOWN_CHARACTERS) return digits;
  return `${digits.slice(0, SHOWN_CHARACTERS)}… (${digits.length} characters)`;
}

const encoder = new TextEncoder();

/** The size of a value as JSON in UTF-8, in bytes. The value must have no problem: deep ones overflow the stack. */
export function jsonBytes(value: unknown): number {
  return encoder.encode(JSON.stringify(value)).length;
}

/** Canonical JSON: equal for equal values, whatever the order of their members. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.keys(value).sort().map((key) =>
    `${JSON.stringify(key)}:${canonicalJson(value[key])}`
  );
  return `{${members.join()}}`;
}

/**
 * Whether a text has from 1 to `max` characters, counted as Unicode code points, as JSON Schema counts `maxLength`,
 * and is well-formed.
 */
export function isShortText(text: string, max: number): boolean {
  if (text.length === 0 || !text.isWellFormed()) return false;
  if (text.length <= max) return true;
  // A code point is one UTF-16 unit or two: a text of more than twice as many units needs no counting.
  return text.length <= 2 * max && [...text].length <= max;
}
