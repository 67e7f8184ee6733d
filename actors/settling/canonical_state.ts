/** States in one form, to be compared: the order in which maps were filled says nothing. */
import type { AnonymousJson } from "../../domain/profile/anonymous.ts";
import type { GroupJson } from "../../domain/profile/group.ts";
import type { PersonJson } from "../../domain/profile/person.ts";
import type { ActorKind } from "../../domain/profile/fact.ts";

function byName<T extends [string, ...unknown[]]>(entries: T[]): T[] {
  return [...entries].sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
}

/** A person's stored state in canonical form. */
export function canonicalPerson([traits, groups, counts, events, ...rest]: PersonJson): unknown {
  return [byName(traits), byName(groups), counts, byName(events), ...rest];
}

/** A stored state in canonical form. */
export function canonicalState(kind: ActorKind, json: unknown): string {
  if (kind === "user") return JSON.stringify(canonicalPerson(json as PersonJson));
  if (kind === "group") {
    const [traits, ...rest] = json as GroupJson;
    return JSON.stringify([byName(traits), ...rest]);
  }
  const [runs, parts, ...rest] = json as AnonymousJson;
  return JSON.stringify([
    runs,
    byName(parts).map(([owner, person]) => [owner, canonicalPerson(person)]),
    ...rest,
  ]);
}
