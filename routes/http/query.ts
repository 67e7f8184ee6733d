/** Values of a query string: decoded strictly, checked by zod, refused with their names. */
import { z } from "zod";
import { invalid, type Problem } from "./problem.ts";

/** The query of a route that takes no parameters. */
export const NO_QUERY = z.object({});

/** Characters of an unknown name that a refusal shows. */
const SHOWN_CHARACTERS = 60;

/**
 * Reads the values of a schema. A value that is repeated, not well-formed percent-encoding (RFC 3986, section 2.1) or
 * invalid by the schema is a problem that names it, and so is an unknown name: a typing error must not change what a
 * request does (`?supress=true`). `others` allows unknown names, for clients that add their own.
 */
export function readQuery<Schema extends z.ZodObject>(
  url: string,
  schema: Schema,
  others: "refused" | "passed over" = "refused",
): { query: z.output<Schema>; problem?: undefined } | { problem: Problem } {
  const values: Record<string, string> = {};
  const start = url.indexOf("?");
  const text = start === -1 ? "" : url.slice(start + 1).split("#", 1)[0]!;
  for (const part of text.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const written = equals === -1 ? part : part.slice(0, equals);
    const name = decode(written);
    if (name === undefined || !Object.hasOwn(schema.shape, name)) {
      if (others === "refused") return { problem: unknownName(name ?? written, Object.keys(schema.shape)) };
      continue;
    }
    const value = decode(equals === -1 ? "" : part.slice(equals + 1));
    if (value === undefined) {
      return { problem: invalid("invalid_query", name, "must be valid percent-encoding") };
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

function unknownName(name: string, known: readonly string[]): Problem {
  const shown = name.slice(0, SHOWN_CHARACTERS).toWellFormed();
  const rule = known.length === 0
    ? "is unknown: this route takes no query parameters"
    : `is unknown: this route takes ${known.join(", ")}`;
  return invalid("invalid_query", shown, rule);
}

/** A part of a query; `undefined` if it is ill-formed. */
function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}
