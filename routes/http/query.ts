/** Values of a query string: decoded strictly, checked by zod, refused with their names. */
import type { z } from "zod";
import { invalid, type Problem } from "./problem.ts";

/**
 * Reads the values that a schema names; others are passed over. A value that is given twice, is no well-formed
 * percent-encoding (RFC 3986, section 2.1) or does not fit the schema is a problem that names it.
 */
export function readQuery<Schema extends z.ZodObject>(
  url: string,
  schema: Schema,
): { query: z.output<Schema>; problem?: undefined } | { problem: Problem } {
  const values: Record<string, string> = {};
  const start = url.indexOf("?");
  const text = start === -1 ? "" : url.slice(start + 1).split("#", 1)[0]!;
  for (const part of text.split("&")) {
    const equals = part.indexOf("=");
    const name = decode(equals === -1 ? part : part.slice(0, equals));
    if (name === undefined || !Object.hasOwn(schema.shape, name)) continue;
    const value = decode(equals === -1 ? "" : part.slice(equals + 1));
    if (value === undefined) {
      return { problem: invalid("invalid_query", name, "must be well-formed percent-encoding") };
    }
    if (Object.hasOwn(values, name)) return { problem: invalid("invalid_query", name, "must be given once") };
    values[name] = value;
  }
  const parsed = schema.safeParse(values);
  if (parsed.success) return { query: parsed.data };
  const errors = parsed.error.issues.map(({ path, message }) => ({ path: path.join("."), message }));
  const { path, message } = errors[0]!;
  return { problem: { ...invalid("invalid_query", path, message), errors } };
}

/** A part of a query; `undefined` if it is ill-formed. */
function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}
