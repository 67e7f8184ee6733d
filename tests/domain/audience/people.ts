/** People for tests of audiences: their evidence, gathered from events. */
import { readWhere } from "../../../domain/audience/definition.ts";
import {
  addEvidence,
  type AudienceSet,
  createAudienceSet,
  type Evidence,
  type NamedNode,
} from "../../../domain/audience/evidence.ts";
import {
  joinedGroups,
  joinEvidence,
  linkedIds,
  type PersonEvidence,
} from "../../../domain/audience/person.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { placed } from "../profile/facts.ts";
import type { Definitions } from "./oracle.ts";

/** A set of audiences of definitions. */
export function setOf(definitions: Definitions): AudienceSet {
  const named = Object.entries(definitions).map(([name, given]): NamedNode => {
    const read = readWhere(given);
    if ("problems" in read) throw new Error(JSON.stringify({ given, ...read }));
    return { name, where: read.where };
  });
  return createAudienceSet(named);
}

/** A person's evidence, gathered from all events, first the odd ones, so that the order of gathering does not matter. */
export function personOf(set: AudienceSet, events: readonly StoredEvent[], userId: string): PersonEvidence {
  const kept = new Map<string, Evidence[]>();
  const indexed = events.map((event, index) => ({ event, index }));
  const shuffled = indexed.toSorted((a, b) => b.index % 2 - a.index % 2);
  shuffled.forEach(({ event, index }) => {
    for (const { kind, id, evidence } of set.evidenceOf(event, placed(index + 1))) {
      const key = `${kind}/${id}`;
      if (!kept.has(key)) kept.set(key, []);
      addEvidence(kept.get(key)!, [evidence]);
    }
  });
  const own = kept.get(`user/${userId}`) ?? [];
  const anonymous = linkedIds(own).map((anonymousId) => {
    return { anonymousId, evidence: kept.get(`anonymous/${anonymousId}`) ?? [] };
  });
  const known = joinEvidence(userId, own, anonymous);
  const groups = new Map(joinedGroups(known).map((id) => [id, kept.get(`group/${id}`) ?? []]));
  return { first: own[0]?.at ?? Infinity, known, groups };
}
