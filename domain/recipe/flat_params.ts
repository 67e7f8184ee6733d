/** Objects as services want them that take no nested values and have bounds: Google Analytics 4. */
import { numberText } from "../event/exact_json.ts";
import { isObject, type JsonObject } from "../event/json.ts";

/** How no name may begin: Google keeps these for itself. */
const RESERVED = /^(firebase_|ga_|google_|gtag)/;

/** The bounds of flat parameters. */
export interface ParamLimits {
  /** Parameters at most; later ones are left out. */
  count: number;
  /** Characters of a name. */
  name: number;
  /** Characters of a text. */
  value: number;
}

/** A name of letters, digits and underscores, a letter first; empty if nothing is left. */
export function nameOf(text: string, length: number): string {
  return text.replace(/[^A-Za-z0-9_]+/g, "_").replace(/^[^A-Za-z]+/, "").slice(
    0,
    length,
  );
}

/**
 * Parameters with names and values within bounds. Numbers that a double holds stay numbers, texts are cut, booleans
 * become text, and objects, arrays and long integers become JSON text. `null` is left out.
 */
export function flatParams(
  value: unknown,
  { count, name: nameLength, value: length }: ParamLimits,
): JsonObject {
  const params: JsonObject = {};
  if (!isObject(value)) return params;
  for (const [key, each] of Object.entries(value)) {
    if (Object.keys(params).length === count) break;
    const name = nameOf(key, nameLength);
    if (
      name === "" || RESERVED.test(name) || each === null || each === undefined ||
      Object.hasOwn(params, name)
    ) continue;
    params[name] = typeof each === "number" ? each : cut(textOf(each), length);
  }
  return params;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : numberText(value) ?? JSON.stringify(value);
}

/** The first characters of a text; none is cut in half. */
export function cut(text: string, length: number): string {
  return text.length <= length ? text : text.slice(0, length).replace(/[\ud800-\udbff]$/, "");
}
