/** How JSON values compare in conditions. */
import { LongInteger, numberText } from "../event/exact_json.ts";
import { isObject } from "../event/json.ts";

/** Whether a value is neither an object nor an array. */
export function isScalar(value: unknown): boolean {
  return typeof value !== "object" || value === null || value instanceof LongInteger;
}

/** Whether two JSON values are equal. Integers of any length are compared by their digits; members come in any order. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a instanceof LongInteger || b instanceof LongInteger) {
    const text = numberText(a);
    return text !== undefined && text === numberText(b);
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((each, index) => isEqual(each, b[index]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isEqual(a[key], b[key]));
}

/** Negative where `a` is less, 0 where they are equal; `undefined` for values of different types, which never compare. */
export function compareValues(a: unknown, b: unknown): number | undefined {
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  if (!isNumber(a) || !isNumber(b)) return undefined;
  if (a instanceof LongInteger && b instanceof LongInteger) {
    const difference = BigInt(a.digits) - BigInt(b.digits);
    return difference < 0n ? -1 : difference > 0n ? 1 : 0;
  }
  return Number(a) - Number(b);
}

function isNumber(value: unknown): value is number | LongInteger {
  return typeof value === "number" || value instanceof LongInteger;
}
