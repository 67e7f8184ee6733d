/** The defaults of a batch for its events: `context`, `integrations` and `sentAt`. */
import { findInMember, isObject, type JsonObject, type JsonProblem, type Look, under } from "./json.ts";

/** A batch's defaults for all its events; `null` and other invalid values are ignored. */
export interface BatchDefaults {
  context?: unknown;
  integrations?: unknown;
  sentAt?: unknown;
}

interface Filling {
  defaults: BatchDefaults;
  look: Look;
}

/** The item with its batch's defaults, which count towards its size. */
export function fill(
  item: JsonObject,
  { defaults, look }: Filling,
): { item: JsonObject; problem?: JsonProblem } {
  let filled = item;
  for (const member of ["context", "integrations"] as const) {
    const given = defaults[member];
    if (!isObject(given)) continue;
    const own = isObject(item[member]) ? item[member] : undefined;
    // Counted as an empty object first, then with its members.
    const problem = findInMember(member, {}, look) ?? findInGaps(given, { own, look });
    if (problem !== undefined) return { item, problem: under(member, problem) };
    filled = { ...filled, [member]: own === undefined ? given : { ...given, ...own } };
  }
  return { item: filled };
}

/** Checks the members of the batch's map that the event does not have, one by one, since the map may be huge. */
function findInGaps(
  given: JsonObject,
  { own, look }: { own: JsonObject | undefined; look: Look },
): JsonProblem | undefined {
  // These maps are below the event's root: on the second level.
  look.depth += 2;
  for (const key in given) {
    if (own !== undefined && Object.hasOwn(own, key)) continue;
    const problem = findInMember(key, given[key], look);
    if (problem !== undefined) return problem;
  }
  look.depth -= 2;
  return undefined;
}
