/** Bodies of administrators: JSON that a strict schema checks. */
import type { z } from "zod";
import { dotted } from "../../domain/event/json.ts";
import { MAX_ERRORS } from "../../domain/event/rejection.ts";
import type { Parts, RouteContext } from "../handler/handle.ts";
import { ADMIN_KEY_ID } from "../auth/authentication.ts";
import { networksOf } from "../http/network.ts";
import { invalid, type Problem } from "../http/problem.ts";

/** The message of a strict schema for an unknown member. */
export const unknownMember: z.core.$ZodErrorMap = (issue) =>
  issue.code === "unrecognized_keys" ? `Unknown field "${issue.keys?.[0]}".` : undefined;

/** The messages of a strict schema for a whole body: for unknown members, and for a value that is not an object. */
export const bodyErrors: z.core.$ZodErrorMap = (issue) =>
  unknownMember(issue) ?? "The body must be a JSON object.";

/** Reads a body and validates it by a schema; the problem names the invalid members. */
export async function readBody<Schema extends z.ZodType>(
  { bodies, peerOf }: Parts,
  c: RouteContext,
  schema: Schema,
): Promise<{ value: z.output<Schema>; problem?: undefined } | { problem: Problem }> {
  const keyId = ADMIN_KEY_ID;
  const body = await bodies.read(c.req.raw, { keyId, network: () => networksOf(peerOf(c)).narrow });
  try {
    if (body.problem !== undefined) return { problem: body.problem };
    const parsed = await bodies.parse(body, { keyId });
    if (parsed.problem !== undefined) return parsed;
    const checked = schema.safeParse(parsed.value);
    if (checked.success) return { value: checked.data };
    const errors = checked.error.issues.slice(0, MAX_ERRORS).map((issue) => ({
      path: pathOf(issue),
      message: issue.message,
    }));
    const { path, message } = errors[0]!;
    const isSentence = /^[A-Z]/.test(message);
    return { problem: { ...invalid("invalid_body", isSentence ? "" : path, message), errors } };
  } finally {
    bodies.release(body);
  }
}

/** A member that is not known is named by the issue's keys, not by its path. */
function pathOf(issue: z.core.$ZodIssue): string {
  const path = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] ?? ""] : issue.path;
  return dotted(path);
}
