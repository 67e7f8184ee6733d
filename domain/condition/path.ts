/** Dotted paths into JSON documents, through arrays as in MongoDB. */
import { isObject } from "../event/json.ts";

/** The names of a path. */
export type Path = readonly string[];

/** Names of a path at most: an event has 32 levels, and arrays take none. */
const MAX_NAMES = 20;

/** Reads `properties.total`; `undefined` if it is no path. */
export function readPath(text: string): Path | undefined {
  const names = text.split(".");
  return names.length <= MAX_NAMES && names.every((name) => name !== "") ? names : undefined;
}

/**
 * Whether a test passes for one of the values at a path. An absent value is `undefined`. Of an array each object is
 * followed, and the element that a number names; elements that are neither have no value.
 */
export function anyAt(document: unknown, path: Path, test: (value: unknown) => boolean, from = 0): boolean {
  let value = document;
  for (let at = from; at < path.length; at++) {
    if (Array.isArray(value)) return anyIn(value, path, test, at);
    const name = path[at]!;
    if (!isObject(value) || !Object.hasOwn(value, name)) return test(undefined);
    value = value[name];
  }
  return test(value);
}

function anyIn(
  array: readonly unknown[],
  path: Path,
  test: (value: unknown) => boolean,
  at: number,
): boolean {
  const name = path[at]!;
  if (/^\d{1,6}$/.test(name) && Number(name) < array.length) {
    if (anyAt(array[Number(name)], path, test, at + 1)) return true;
  }
  return array.some((each) => isObject(each) && anyAt(each, path, test, at));
}
