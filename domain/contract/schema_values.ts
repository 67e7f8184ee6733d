/**
 * Keywords that the engine's own do too slowly, or wrongly: whether items are unique or contained, whether values are
 * equal, whether a number is a multiple. Each takes a time that grows with the value alone.
 */
import { canonicalJson, isObject } from "../event/json.ts";

/** How far the sum of a sender's amounts may be off a multiple: a part of it, and of a step at most. */
const MAX_OFF_OF_VALUE = 1e-12;
const MAX_OFF_OF_STEP = 0.01;

/** Relative error of two roundings to a double and a division: 1.5 of the last digits. */
const MAX_ROUNDED_OFF = 2 * Number.EPSILON;

/** Most decimal places whose power of ten is an exact double: 10 ** 22. */
const MAX_PLACES = 22;

/** Whether no two items are equal. The engine's own compares each with each. */
export function isUnique(items: readonly unknown[]): boolean {
  const seen = new Set<string>();
  for (const item of items) {
    const text = canonicalJson(item);
    if (seen.has(text)) return false;
    seen.add(text);
  }
  return true;
}

/** The members of a schema with the number of items that must and may match. */
interface ContainsBounds {
  [keyword: string]: unknown;
  minContains?: number;
  maxContains?: number;
}

/** A test of whether the right number of items match `contains`; `holds` tests one item. */
export function containing(
  holds: (item: unknown) => boolean,
  { minContains = 1, maxContains = Infinity }: ContainsBounds,
): (items: readonly unknown[]) => boolean {
  return (items) => {
    let count = 0;
    for (const item of items) {
      if (!holds(item)) continue;
      count++;
      if (count > maxContains) return false;
      if (count >= minContains && maxContains === Infinity) return true;
    }
    return count >= minContains;
  };
}

/** The rule of `contains`, in words. */
export function containsRule({ minContains = 1, maxContains }: ContainsBounds): string {
  const most = maxContains === undefined ? "" : ` and no more than ${maxContains}`;
  return `must contain at least ${minContains}${most} valid item(s)`;
}

/** A test of whether a value is in a list: at once, except for objects and arrays, which are compared in turn. */
export function oneOf(values: readonly unknown[]): (value: unknown) => boolean {
  const plain = new Set(values.filter((each) => typeof each !== "object" || each === null));
  const others = values.filter((each) => typeof each === "object" && each !== null);
  return (value) => plain.has(value) || others.some((each) => isEqual(value, each));
}

/**
 * Whether two values are equal as JSON. Takes a time proportional to the second one. The engine's own comparison calls
 * a value's `valueOf` and `constructor`, which may be members from a sender.
 */
export function isEqual(value: unknown, expected: unknown): boolean {
  if (value === expected) return true;
  if (Array.isArray(expected)) {
    return Array.isArray(value) && value.length === expected.length &&
      expected.every((each, n) => isEqual(value[n], each));
  }
  if (!isObject(expected) || !isObject(value)) return false;
  const keys = Object.keys(expected);
  return Object.keys(value).length === keys.length &&
    keys.every((key) => Object.hasOwn(value, key) && isEqual(value[key], expected[key]));
}

/**
 * A test of whether a number is a multiple of a step: the double nearest to a decimal multiple, or as near to one as a
 * sender's sums are. The engine's own test has one tolerance for every quotient, however large; but a decimal amount
 * and its step are both rounded to binary, so the error of their quotient grows with it.
 */
export function multipleOf(step: number): (value: number) => boolean {
  const { above, below } = fractionOf(step);
  return (value) => {
    if (value % step === 0) return true;
    const quotient = value / step;
    const nearest = Math.round(quotient);
    const off = Math.abs(quotient - nearest);
    const multiple = nearest * above;
    // Beyond it doubles cannot hold so many decimal places, so neighbours are equal; whole numbers are exact.
    if (Math.abs(multiple) > Number.MAX_SAFE_INTEGER) {
      return below > 1 && off <= Math.abs(quotient) * MAX_ROUNDED_OFF;
    }
    // A quotient of two whole numbers that doubles hold is rounded as the decimal is when it is read.
    if (multiple / below === value) return true;
    return off <= Math.min(MAX_OFF_OF_STEP, Math.abs(quotient) * MAX_OFF_OF_VALUE);
  };
}

/** A step as a fraction of whole numbers, the second a power of ten, if it is a decimal as written. */
function fractionOf(step: number): { above: number; below: number } {
  for (let places = 0; places <= MAX_PLACES; places++) {
    const below = 10 ** places;
    const above = Math.round(step * below);
    if (Number.isSafeInteger(above) && above / below === step) return { above, below };
  }
  return { above: step, below: 1 };
}
