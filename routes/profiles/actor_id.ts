/** The ids of actors in paths, and refusals of them. */
import type { ActorKind } from "../../domain/profile/fact.ts";
import { invalid, type Problem } from "../http/problem.ts";

/** Longest id of an event, in UTF-16 units (256 characters): longer ones are unknown. */
export const MAX_ID_UNITS = 512;

/** The answer to a path whose parameter is not well-formed percent-encoding. */
export function illFormed(what: string): Problem {
  return invalid("invalid_id", "", `The ${what} in the path must be valid percent-encoding.`);
}

/** The answer for an id without events. */
export function neverSeen(kind: ActorKind | "id"): Problem {
  const whom = kind === "anonymous" ? "anonymous id" : kind;
  return { reason: "not_found", code: "not_found", detail: `Unknown ${whom}: no event names it.` };
}
