/**
 * Sums of decimal numbers, exactly: 0.1 and 0.2 are 0.3, and a number that leaves a window leaves nothing behind. So a sum
 * does not depend on the order in which events came.
 */
import { LongInteger } from "../event/exact_json.ts";

/** Decimals that are kept; further ones are cut off. */
const DECIMALS = 20;

/** A number as a multiple of 10^-20. */
export type Decimal = bigint;

/** Reads a JSON number; `undefined` for any other value. */
export function decimalOf(value: unknown): Decimal | undefined {
  if (value instanceof LongInteger) return BigInt(value.digits) * 10n ** BigInt(DECIMALS);
  if (typeof value !== "number" || !Number.isFinite(value)) return undefined;
  return parseDecimal(String(value));
}

/** Reads the text of a number as `String(number)` writes it: `-1.5e-7`. */
export function parseDecimal(text: string): Decimal {
  const [mantissa = "", exponent = "0"] = text.split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const shift = DECIMALS + Number(exponent) - fraction.length;
  const digits = BigInt(whole + fraction);
  return shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift);
}

/** A decimal as text: `12.5`. */
export function decimalText(value: Decimal): string {
  const digits = (value < 0n ? -value : value).toString().padStart(DECIMALS + 1, "0");
  const fraction = digits.slice(-DECIMALS).replace(/0+$/, "");
  return (value < 0n ? "-" : "") + digits.slice(0, -DECIMALS) + (fraction === "" ? "" : `.${fraction}`);
}
