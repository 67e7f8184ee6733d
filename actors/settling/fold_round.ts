/** What the events of a round make of one actor: its state, who is in which group by it, and its users' parts. */
import type { Position } from "../../domain/event/position.ts";
import {
  type Anonymous,
  anonymousFromJson,
  type AnonymousJson,
  emptyAnonymous,
  isLinkOf,
  ownerAt,
  ownersOf,
} from "../../domain/profile/anonymous.ts";
import type { ActorKind, ActorName, Fact } from "../../domain/profile/fact.ts";
import { personToJson } from "../../domain/profile/person.ts";
import { partKey } from "../store/keys.ts";
import { BATCH_LIMITS, type Writes } from "../store/write_batch.ts";
import { LOG_LIMITS, type LogPlace } from "./actor_log.ts";
import { evolveAll, keptState, refold, type States, stateToJson } from "./fold_actor.ts";
import { MEMBER_LIMITS, type MemberChange } from "./group_members.ts";
import { type History, HISTORY_LIMITS } from "./log_facts.ts";
import { changesOf, differences, groupsOf } from "./membership_changes.ts";
import {
  type ActorHead,
  isStale,
  load,
  type Loaded,
  type PartHead,
  SNAPSHOT_LIMITS,
  writesOf,
} from "./snapshot.ts";

/** Where a round is done. */
export interface Place extends History {
  generation: number;
  limits: RoundLimits;
  /** The version of the folds that states are made by. */
  foldVersion: number;
  /** Writes under the fence. */
  write(writes: Writes): Promise<void>;
  /** Told now and then which share of a round's actors is through. */
  onSettled?(share: number): void;
  /** Whether an actor was certainly never written here: then it is not read. */
  isNew?(name: ActorName): boolean;
  /** The same of the rows of a group's member, which from now on count as written. */
  isNewMember?(member: string): boolean;
}

/** Bounds of a round. */
export const ROUND_LIMITS = {
  ...BATCH_LIMITS,
  ...HISTORY_LIMITS,
  ...LOG_LIMITS,
  ...MEMBER_LIMITS,
  ...SNAPSHOT_LIMITS,
  /** Actors that are loaded, folded and written together. */
  sliceActors: 512,
  /** Bytes of values that a slice may gather before they are written: actors may be large. */
  sliceBytes: 4 * 1024 * 1024,
  /** Where actors that are read are so rare among those that are there, reading all of a range costs more than one by one. */
  scanFactor: 4,
};

export type RoundLimits = typeof ROUND_LIMITS;

/** What is folded into an actor. */
interface Folding {
  loaded: Loaded<ActorHead>;
  fresh: Fact[];
  position: Position;
  /** Fold the whole log again. */
  again: boolean;
}

/** What folding gives. */
export interface Folded {
  state: unknown;
  members: MemberChange[];
  /** Of each user's part. */
  parts?: Writes[];
}

/** What facts make of an actor's state, and of who is in which group by it. */
export function foldRound(place: Place, actor: LogPlace, folding: Folding): Promise<Folded> | Folded {
  if (isKind(actor, "anonymous")) return foldAnonymous(place, actor, folding);
  if (isKind(actor, "user")) return foldUser(place, actor, folding);
  return foldGroup(place, actor as ActorOf<"group">, folding);
}

type ActorOf<K extends ActorKind> = LogPlace & { kind: K };

function isKind<K extends ActorKind>(actor: LogPlace, kind: K): actor is ActorOf<K> {
  return actor.kind === kind;
}

function foldGroup(place: Place, actor: ActorOf<"group">, folding: Folding): Promise<Folded> | Folded {
  const { loaded, fresh, again } = folding;
  const shown = (group: States["group"]): Folded => ({ state: stateToJson("group", group), members: [] });
  const group = again ? undefined : keptState("group", loaded, place.foldVersion);
  if (group === undefined) return refold(place, actor, { log: loaded.head, fresh }).then(shown);
  evolveAll(actor, group, fresh);
  return shown(group);
}

function foldUser(place: Place, actor: ActorOf<"user">, folding: Folding): Promise<Folded> | Folded {
  const { loaded, fresh, again } = folding;
  const shown = (person: States["user"], before: Map<string, number>): Folded => ({
    state: stateToJson("user", person),
    members: before === person.groups
      ? []
      : changesOf(["user", actor.id], "", { before, after: person.groups }),
  });
  const person = keptState("user", loaded, place.foldVersion);
  if (again || person === undefined) {
    // Memberships by another fold can't be read: all are set.
    const before = person?.groups ?? new Map<string, number>();
    return refold(place, actor, { log: loaded.head, fresh }).then((refolded) => shown(refolded, before));
  }
  const joins = fresh.some((fact) => fact.groupId !== undefined);
  const before = joins ? new Map(person.groups) : person.groups;
  evolveAll(actor, person, fresh);
  return shown(person, before);
}

async function foldAnonymous(place: Place, actor: ActorOf<"anonymous">, folding: Folding): Promise<Folded> {
  const { loaded, loaded: { head }, fresh, position } = folding;
  const old = isAnonymousJson(place, head) ? anonymousFromJson(loaded.state as AnonymousJson) : undefined;
  let before = groupsOf(old ?? emptyAnonymous(), actor.id);
  const ownersBefore = old === undefined ? [] : ownersOf(old);
  const kept = head !== undefined && !isStale(head, place.foldVersion)
    ? old
    : keptState("anonymous", loaded, place.foldVersion);
  const isCut = folding.again || kept === undefined || !evolveAll(actor, kept, fresh);
  // Who was in which group by an older fold can't be read: it is folded too, or rows of who is no owner would stay.
  if (isCut && head !== undefined && old === undefined) {
    before = groupsOf(await refold(place, actor, { log: head, fresh: [] }), actor.id);
  }
  const state = isCut ? await refold(place, actor, { log: head, fresh }) : kept;
  const owners = new Set(
    isCut ? [...ownersBefore, ...ownersOf(state)] : fresh.map((fact) => {
      return isLinkOf(fact, actor.id) ? fact.userId! : ownerAt(state, [fact.at, fact.place]);
    }),
  );
  const after = groupsOf(state, actor.id);
  return {
    state: stateToJson("anonymous", state),
    // And what an older fold may have left out is set.
    members: [
      ...differences(before, after),
      ...(head === undefined || isStale(head, place.foldVersion) ? differences([], after) : []),
    ],
    parts: await partsOf(place, actor, { state, owners, position, isFirst: head === undefined }),
  };
}

/** The first fold whose states of anonymous ids say in the form of today who owned what, be it by other rules. */
const FIRST_READABLE_FOLD = 2;

function isAnonymousJson({ foldVersion }: Place, head: ActorHead | undefined): boolean {
  return head !== undefined && head.fold >= FIRST_READABLE_FOLD && head.fold <= foldVersion;
}

/** The writes of the parts of those who own something of an anonymous id, or did, and whose parts may have changed. */
async function partsOf(
  place: Place,
  actor: LogPlace,
  { state, owners, isFirst, position }: {
    state: Anonymous;
    owners: Set<string | undefined>;
    /** Whether this is the anonymous id's first round. */
    isFirst: boolean;
    position: Position;
  },
): Promise<Writes[]> {
  const writes: Writes[] = [];
  for (const userId of owners) {
    if (userId === undefined) continue;
    const part = state.parts.get(userId);
    const key = partKey(place.generation, userId, actor.id);
    // Parts are written with their anonymous id: before its first round there are none.
    const [old] = isFirst ? [] : await load<PartHead>(place.store, [key]);
    if (part !== undefined) {
      writes.push(writesOf<PartHead>(key, {
        head: { userId, anonymousId: actor.id, fold: place.foldVersion },
        state: personToJson(part),
        old,
        stamp: position,
        limits: place.limits,
      }));
    } else if (old?.head !== undefined) {
      // A link that came late made it a placeholder before this user had it.
      writes.push({ sets: [], deletes: [...old.pieces, key] });
    }
  }
  return writes;
}
