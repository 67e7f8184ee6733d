/** The facts of an event that folds need. */
import type { EventType, StoredEvent } from "../event/event.ts";
import { isPlaceholder } from "./placeholder.ts";

/** The kinds of actor. */
export const ACTOR_KINDS = ["user", "anonymous", "group"] as const;

/** One of {@link ACTOR_KINDS}. */
export type ActorKind = typeof ACTOR_KINDS[number];
import type { Position } from "../event/position.ts";

/**
 * Version of all folds. A state folded by an older version is folded again when it is next loaded; one of a newer
 * version is never overwritten. Raise it with every change of a fold's result.
 */
export const FOLD_VERSION = 3;

/** A time (ms) and the position that breaks a tie: the order of a log. */
export type Mark = [at: number, place: Position];

/** Whether one mark comes before another: earlier, or at the same time and arrived earlier. */
export function precedes(a: Mark, b: Mark): boolean {
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
}

/** An event as a fold sees it. */
export interface Fact {
  /** Its position in the journal: a later arrival has a later one. */
  readonly place: Position;
  /** When it happened, in ms since 1970. */
  readonly at: number;
  readonly type: EventType;
  /** The name of a track event. */
  readonly name: string | undefined;
  readonly userId: string | undefined;
  readonly anonymousId: string | undefined;
  readonly groupId: string | undefined;
  readonly previousId: string | undefined;
  readonly traits: Record<string, unknown> | undefined;
  /** Whether it has a context, which stays in the journal: a fold only remembers whose is the newest. */
  readonly hasContext: boolean;
  /** It names a placeholder by the settings of its acceptance; absent if it does not. */
  neverLinks?: true;
  /** It was derived from other events: it belongs to no actor. */
  derived?: true;
}

/** The members of an event that name its actors. */
export type Names = Pick<
  Fact,
  "type" | "userId" | "anonymousId" | "groupId" | "previousId" | "neverLinks" | "derived"
>;

/** The names of a stored event. */
export function namesOf(event: StoredEvent): Names {
  const { type, userId, anonymousId, groupId, previousId } = event;
  return withMark({
    type,
    userId,
    anonymousId,
    groupId: type === "group" ? groupId : undefined,
    previousId: type === "alias" ? previousId : undefined,
  }, event);
}

/** Few events have a mark, so that the others are all of one shape, without it. */
function withMark<N extends Names>(names: N, { neverLinks, derived }: StoredEvent): N {
  if (neverLinks === true) names.neverLinks = true;
  if (derived === true) names.derived = true;
  return names;
}

/** The name of an actor: its kind and its id, `user/u1`. */
export type ActorName = `${ActorKind}/${string}`;

/** The fact of a stored event at a position of the journal. */
export function factOf(event: StoredEvent, place: Position): Fact {
  return withMark({
    place,
    at: Date.parse(event.timestamp),
    type: event.type,
    name: event.type === "track" ? event.event : undefined,
    userId: event.userId,
    anonymousId: event.anonymousId,
    groupId: event.type === "group" ? event.groupId : undefined,
    previousId: event.type === "alias" ? event.previousId : undefined,
    traits: event.type === "identify" || event.type === "group" ? event.traits : undefined,
    hasContext: event.context !== undefined,
  }, event);
}

/**
 * The anonymous id that a fact links to its user: by an `identify` with both ids, or an `alias` (`previousId`).
 * `undefined` if it links none; neither id may be a placeholder.
 */
export function linkedBy(fact: Names): string | undefined {
  if (fact.userId === undefined || fact.neverLinks) return undefined;
  const id = fact.type === "identify"
    ? fact.anonymousId
    : fact.type === "alias"
    ? fact.previousId
    : undefined;
  return id === undefined || isPlaceholder(id) || isPlaceholder(fact.userId) ? undefined : id;
}

/**
 * The actors whose logs have an event: exactly those that it names. A link is in the log of the anonymous id too.
 * Nothing is looked up, so accepting an event reads no actor. A derived event is in no log.
 */
export function actorsOf(fact: Names): ActorName[] {
  const names: ActorName[] = [];
  if (fact.derived) return names;
  if (fact.userId !== undefined) {
    names.push(`user/${fact.userId}`);
    const linked = linkedBy(fact);
    if (linked !== undefined) names.push(`anonymous/${linked}`);
  } else if (fact.anonymousId !== undefined) names.push(`anonymous/${fact.anonymousId}`);
  if (fact.groupId !== undefined) names.push(`group/${fact.groupId}`);
  return names;
}
