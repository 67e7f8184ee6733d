/** What rules make of single values. None of these throws, whatever the JSON value. */
import { LongInteger, numberText } from "../event/exact_json.ts";
import { isObject } from "../event/json.ts";
import type { Coercion } from "./rule.ts";

/** `String(value)`, except that an own member `toString` of an object is data, and is not called. */
export function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map((item) => item === null ? "" : textOf(item)).join();
  return isObject(value) ? "[object Object]" : String(value);
}

/** The value that is hashed: trimmed, in lower case, so that two spellings of one address are equal. */
export function hashedTextOf(value: unknown): string {
  return textOf(value).trim().toLowerCase();
}

const EMAIL = /^([^@\s])[^@\s]*(@[^@\s]+)$/u;

/** `***`; of an e-mail address the first letter and the domain stay. */
export function masked(value: unknown): string {
  const email = typeof value === "string" ? EMAIL.exec(value.trim()) : null;
  return email === null ? "***" : `${email[1]}***${email[2]}`;
}

/** A value as another type; `undefined` if it has no such form. */
export function coerced(value: unknown, to: Coercion): unknown {
  if (to === "string") return typeof value === "string" ? value : textOfPlain(value);
  return to === "number" ? numberOf(value) : booleanOf(value);
}

function textOfPlain(value: unknown): string | undefined {
  return typeof value === "boolean" ? String(value) : numberText(value);
}

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

function numberOf(value: unknown): unknown {
  if (numberText(value) !== undefined) return value;
  if (typeof value === "boolean") return Number(value);
  if (typeof value !== "string" || !DECIMAL.test(value.trim())) return undefined;
  const text = value.trim();
  const number = Number(text);
  if (!Number.isFinite(number)) return undefined;
  // An integer beyond 2^53 keeps its digits, as everywhere.
  return /^-?[1-9]\d{15,}$/.test(text) && String(number) !== text ? new LongInteger(text) : number;
}

function booleanOf(value: unknown): boolean | undefined {
  if (typeof value === "boolean") return value;
  const text = typeof value === "string" ? value.trim().toLowerCase() : numberText(value);
  if (text === "true" || text === "1") return true;
  return text === "false" || text === "0" ? false : undefined;
}
