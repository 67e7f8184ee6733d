/**
 * How an actor folds: one table of the three kinds, and one way from a kept state and fresh facts to a state. The settler
 * writes what it gives and readers show it, so both see the same.
 */
import {
  type Anonymous,
  anonymousFromJson,
  type AnonymousJson,
  anonymousToJson,
  emptyAnonymous,
  evolveAnonymous,
} from "../../domain/profile/anonymous.ts";
import type { ActorKind, Fact } from "../../domain/profile/fact.ts";
import {
  emptyGroup,
  evolveGroup,
  type Group,
  groupFromJson,
  type GroupJson,
  groupToJson,
} from "../../domain/profile/group.ts";
import {
  emptyPerson,
  evolvePerson,
  type Person,
  personFromJson,
  type PersonJson,
  personToJson,
} from "../../domain/profile/person.ts";
import type { LogPlace, OpenLog } from "./actor_log.ts";
import { factsOfLog, foldAnonymousLog, type History } from "./log_facts.ts";
import { type ActorHead, isStale, type Loaded } from "./snapshot.ts";

/** The state of each kind of actor. */
export interface States {
  user: Person;
  anonymous: Anonymous;
  group: Group;
}

/** How one kind folds. */
interface Fold<S> {
  empty(): S;
  /** Folds a fact into a state; false where the whole log must be folded again, and the state is of no more use. */
  evolve(state: S, fact: Fact, id: string): boolean;
  fromJson(json: unknown): S;
  toJson(state: S): unknown;
}

const FOLDS: { [K in ActorKind]: Fold<States[K]> } = {
  user: {
    empty: emptyPerson,
    evolve: (person, fact) => (evolvePerson(person, fact), true),
    fromJson: (json) => personFromJson(json as PersonJson),
    toJson: personToJson,
  },
  anonymous: {
    empty: emptyAnonymous,
    evolve: evolveAnonymous,
    fromJson: (json) => anonymousFromJson(json as AnonymousJson),
    toJson: anonymousToJson,
  },
  group: {
    empty: emptyGroup,
    evolve: (group, fact) => (evolveGroup(group, fact), true),
    fromJson: (json) => groupFromJson(json as GroupJson),
    toJson: groupToJson,
  },
};

/** The stored form of a state. */
export function stateToJson<K extends ActorKind>(kind: K, state: States[K]): unknown {
  return FOLDS[kind].toJson(state);
}

/**
 * The state that is kept, or the one before any event; `undefined` where another fold made it, so that the log must be
 * folded again.
 */
export function keptState<K extends ActorKind>(
  kind: K,
  { head, state }: Loaded<ActorHead>,
  foldVersion: number,
): States[K] | undefined {
  if (head === undefined) return FOLDS[kind].empty();
  return isStale(head, foldVersion) ? undefined : FOLDS[kind].fromJson(state);
}

/** Folds facts into a state; false where the whole log must be folded again. */
export function evolveAll<K extends ActorKind>(
  { kind, id }: { kind: K; id: string },
  state: States[K],
  facts: readonly Fact[],
): boolean {
  return facts.every((fact) => FOLDS[kind].evolve(state, fact, id));
}

/** The same of facts that are read as they are asked for. */
export async function evolveEach<K extends ActorKind>(
  { kind, id }: { kind: K; id: string },
  state: States[K],
  facts: AsyncIterable<Fact>,
): Promise<boolean> {
  for await (const fact of facts) if (!FOLDS[kind].evolve(state, fact, id)) return false;
  return true;
}

/** Folds an actor's log from its start, and facts that are not in it yet. May go over `fresh` twice. */
export async function refold<K extends ActorKind>(
  history: History,
  actor: LogPlace & { kind: K },
  { log, fresh }: { log: OpenLog | undefined; fresh: Iterable<Fact> | AsyncIterable<Fact> },
): Promise<States[K]> {
  // Whose each event is, the links of an anonymous id say, and they may come after it.
  if (actor.kind === "anonymous") return await foldAnonymousLog(history, actor, { log, fresh }) as States[K];
  const fold: Fold<States[K]> = FOLDS[actor.kind];
  const state = fold.empty();
  if (log !== undefined) {
    for await (const fact of factsOfLog(history, actor, { log })) fold.evolve(state, fact, actor.id);
  }
  for await (const fact of fresh) fold.evolve(state, fact, actor.id);
  return state;
}
