/** The writes that bring one actor up to a position: its log, its state, its parts and its memberships. */
import { anonymousFromJson, type AnonymousJson, ownersOf } from "../../domain/profile/anonymous.ts";
import type { Fact } from "../../domain/profile/fact.ts";
import { actorKey, type Key } from "../store/keys.ts";
import { createOperations, fits, sizeOf, type Writes } from "../store/write_batch.ts";
import { EMPTY_LOG, growLog, type LogPlace, tagOf } from "./actor_log.ts";
import { canonicalState } from "./canonical_state.ts";
import { type Folded, foldRound, type Place } from "./fold_round.ts";
import { applyMembers, type MemberChange } from "./group_members.ts";
import { type ActorHead, isStale, load, type Loaded, writesOf } from "./snapshot.ts";

/** What an actor's round comes to. */
export interface Unit extends Writes {
  /**
   * Users' parts and pages of its log, in this order: where they are too many for one operation they go first, each
   * with the value as it was, whose stamp tells readers that pages moved.
   */
  ahead: Writes[];
  key: Key;
  old: Uint8Array | null;
  members: MemberChange[];
}

/** Bytes of memory that a unit's values take. */
export function bytesOf({ sets }: Unit): number {
  return sets.reduce((sum, [, value]) => sum + (value instanceof Uint8Array ? value.length : 0), 0);
}

/** Writes what a round comes to for some actors, many of them in one operation, and who is in which group before it. */
export async function writeUnits(place: Place, units: Unit[]): Promise<void> {
  const changes = units.flatMap((unit) => unit.members);
  if (changes.length > 0) {
    const { store, generation, write, limits, isNewMember } = place;
    await applyMembers(store, generation, { changes, write, limits, isNewMember });
  }
  const operations = createOperations(place.write, place.limits);
  for (const unit of units) {
    const all = joined([...unit.ahead, unit]);
    const size = sizeOf(all);
    if (fits(size, place.limits)) {
      await operations.add(all, size);
      continue;
    }
    await operations.flush();
    const along: Writes["sets"] = unit.old === null ? [] : [[unit.key, unit.old]];
    const ahead = createOperations(
      ({ sets, deletes }) => place.write({ sets: [...sets, ...along], deletes }),
      place.limits,
    );
    for (const writes of unit.ahead) await ahead.add(writes);
    await ahead.flush();
    await operations.add(unit);
  }
  await operations.flush();
}

function joined(all: Writes[]): Writes {
  if (all.length === 1) return all[0]!;
  return { sets: all.flatMap(({ sets }) => sets), deletes: all.flatMap(({ deletes }) => deletes) };
}

/** An actor as it is stored, and its events of a round. */
interface Mailbox {
  loaded: Loaded<ActorHead>;
  facts: Fact[];
}

/** What the facts make of one actor; `undefined` where it has folded them already. */
export async function unitOf(
  place: Place,
  actor: LogPlace,
  { loaded, facts }: Mailbox,
): Promise<Unit | undefined> {
  const old = loaded.head;
  const fresh = old === undefined ? facts : facts.filter((fact) => fact.place > old.position);
  if (fresh.length === 0) return undefined;
  const grown = await growLog(place.store, actor, {
    log: old ?? EMPTY_LOG,
    added: fresh.map((fact) => ({ at: fact.at, place: fact.place, tag: tagOf(fact, actor.kind) })),
    limits: place.limits,
  });
  const head: ActorHead = {
    id: actor.id,
    fold: place.foldVersion,
    position: fresh[fresh.length - 1]!.place,
    version: (old?.version ?? 0) + fresh.length,
    open: grown.open,
    from: grown.from,
  };
  const again = old !== undefined && isStale(old, place.foldVersion);
  const folded = await foldRound(place, actor, { loaded, fresh, position: head.position, again });
  const unit = unitWith(place, { loaded, head, folded });
  for (const page of grown.pages) unit.ahead.push({ sets: [page], deletes: [] });
  return unit;
}

function unitWith(
  { limits }: Place,
  { loaded, head, folded }: { loaded: Loaded<ActorHead>; head: ActorHead; folded: Folded },
): Unit {
  const writes = writesOf(loaded.key, {
    head,
    state: folded.state,
    old: loaded,
    stamp: head.position,
    limits,
  });
  return {
    key: loaded.key,
    old: loaded.raw,
    ahead: folded.parts ?? [],
    ...writes,
    members: folded.members,
  };
}

/**
 * What an actor comes to whose log lost entries: its new head, the pages that changed, and the state that is folded from
 * what the journal still has of the log as it was.
 */
export async function unitAgain(
  place: Place,
  actor: LogPlace,
  { loaded, head, pages }: { loaded: Loaded<ActorHead>; head: ActorHead; pages: [Key, Uint8Array][] },
): Promise<Unit> {
  const folded = await foldRound(place, actor, { loaded, fresh: [], position: head.position, again: true });
  const unit = unitWith(place, { loaded, head: { ...head, fold: place.foldVersion }, folded });
  for (const page of pages) unit.ahead.push({ sets: [page], deletes: [] });
  return unit;
}

/** What replaying one actor came to. */
export interface Replayed {
  /** How many events its log has; 0 where there is no such actor. */
  events: number;
  /** Whether the state that was kept is what its log folds to. */
  same: boolean;
  /** Its users' parts, for an anonymous id. */
  owners: string[];
}

/** Folds one actor's log again and writes the result, unless `verify` asks only whether it is the same. */
export async function replayActor(
  place: Place,
  actor: LogPlace,
  { verify }: { verify: boolean },
): Promise<Replayed> {
  const [loaded] = await load<ActorHead>(place.store, [actorKey(actor.generation, actor.kind, actor.id)]);
  const head = loaded!.head;
  if (head === undefined) return { events: 0, same: true, owners: [] };
  const folding = { loaded: loaded!, fresh: [], position: head.position, again: true };
  const folded = await foldRound(place, actor, folding);
  const same = !isStale(head, place.foldVersion) &&
    canonicalState(actor.kind, folded.state) === canonicalState(actor.kind, loaded!.state);
  const owners = actor.kind === "anonymous" ? ownersOf(anonymousFromJson(folded.state as AnonymousJson)) : [];
  if (!verify) {
    await writeUnits(place, [
      unitWith(place, { loaded: loaded!, head: { ...head, fold: place.foldVersion }, folded }),
    ]);
  }
  return { events: head.version, same, owners };
}
