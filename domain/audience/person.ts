/** The evidence of one person: of their own events and of those of their anonymous ids that they own. */
import { createLinks, intervalsOf, isWithin } from "../profile/anonymous.ts";
import type { Mark } from "../profile/fact.ts";
import type { Evidence } from "./evidence.ts";

/** Evidence, and the moment from which it counts: later than its own where a later link gave it to the person. */
export interface KnownEvidence {
  evidence: Evidence;
  known: number;
}

/** What a person's membership follows from. */
export interface PersonEvidence {
  /** The first event of the user: before it there is no such person (ms). */
  first: number;
  /** In order of time, then arrival. */
  known: readonly KnownEvidence[];
  /** By group, in order of time, then arrival. */
  groups: ReadonlyMap<string, readonly Evidence[]>;
}

/** The evidence of an anonymous id: all of it, its links included, whoever owned it. */
export interface AnonymousEvidence {
  anonymousId: string;
  evidence: readonly Evidence[];
}

/** Anonymous ids that a person's evidence is made of, as in a profile. */
export const MAX_LINKED_IDS = 1_000;

/** The anonymous ids that a user's own evidence links. */
export function linkedIds(own: readonly Evidence[]): string[] {
  const ids = own.flatMap(({ l }) => l === undefined ? [] : [l]);
  return [...new Set(ids)].sort().slice(0, MAX_LINKED_IDS);
}

/** The groups that evidence joins. */
export function joinedGroups(known: readonly KnownEvidence[]): string[] {
  return [...new Set(known.flatMap(({ evidence: { g } }) => g === undefined ? [] : [g]))];
}

/**
 * Joins a user's own evidence with their share of each anonymous id. An event from before an anonymous id's first link
 * counts from that link on; every other one from its own time on. Later links change neither, so what counts at a moment
 * is what was known then.
 */
export function joinEvidence(
  userId: string,
  own: readonly Evidence[],
  anonymous: readonly AnonymousEvidence[],
): KnownEvidence[] {
  const known = own.map((evidence): KnownEvidence => ({ evidence, known: evidence.at }));
  for (const { anonymousId, evidence } of anonymous) {
    const links = createLinks(anonymousId);
    for (const { at, place, l } of evidence) {
      if (l !== undefined) links.add(linkFact(l, anonymousId, [at, place]));
    }
    const state = links.fold();
    const owned = intervalsOf(state, userId);
    const firstLink = state.runs[0]?.first[0] ?? Infinity;
    for (const each of evidence) {
      if (each.l !== undefined) continue;
      const mark: Mark = [each.at, each.place];
      if (!owned.some((interval) => isWithin(mark, interval))) continue;
      known.push({ evidence: each, known: Math.max(each.at, firstLink) });
    }
  }
  if (anonymous.length > 0) {
    known.sort((a, b) => a.evidence.at - b.evidence.at || (a.evidence.place < b.evidence.place ? -1 : 1));
  }
  return known;
}

function linkFact(userId: string, anonymousId: string, [at, place]: Mark) {
  return {
    place,
    at,
    type: "identify" as const,
    name: undefined,
    userId,
    anonymousId,
    groupId: undefined,
    previousId: undefined,
    traits: undefined,
    hasContext: false,
  };
}

/** The same person as far as it was known at a moment; `undefined` before their first event. */
export function personAt(person: PersonEvidence, at: number): PersonEvidence | undefined {
  if (person.first > at) return undefined;
  const groups = [...person.groups].map(([id, list]) => [id, list.filter((each) => each.at <= at)] as const);
  return {
    first: person.first,
    known: person.known.filter(({ known }) => known <= at),
    groups: new Map(groups),
  };
}
