/**
 * A round of settling: actors take the events of a stretch of the journal into their logs and states.
 *
 * A round has a fixed end that is written before it begins, and each write of it depends only on what stood before the
 * round and on that end. Rows that derive from a state (memberships) are written before the state, pages of a log
 * before the value that counts on them. So a round that was cut off anywhere is done again, by whomever, to the same
 * end, and comes to the same result: an actor whose position is past its events is passed over.
 */
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
import { actorKey, actorKeysInOrder, actorRange, type Key, type NamedKey, partKey } from "../store/keys.ts";
import { EMPTY_LOG, growLog, LOG_LIMITS, type LogPlace, tagOf } from "./actor_log.ts";
import type { Mail } from "./mailboxes.ts";
import { applyMembers, MEMBER_LIMITS, type MemberChange } from "./group_members.ts";
import { BATCH_LIMITS, createOperations, fits, sizeOf, type Writes } from "../store/write_batch.ts";
import {
  type ActorHead,
  complete,
  isStale,
  load,
  type Loaded,
  loadHeads,
  nothingAt,
  type PartHead,
  readHead,
  SNAPSHOT_LIMITS,
  writesOf,
} from "./snapshot.ts";
import { canonicalState } from "./canonical_state.ts";
import { evolveAll, keptState, refold, type States, stateToJson } from "./fold_actor.ts";
import { type History, HISTORY_LIMITS } from "./log_facts.ts";
import { changesOf, differences, groupsOf } from "./membership_changes.ts";

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

/** The order of kinds: what a user owns of anonymous ids is written with those. */
const KINDS: ActorKind[] = ["anonymous", "user", "group"];

/** Settles the facts of a round. */
export async function settleRound(place: Place, mail: Mail): Promise<void> {
  let settled = 0;
  for (const kind of KINDS) {
    await settleKind(place, kind, {
      mail,
      onSlice(actors) {
        settled += actors;
        place.onSettled?.(settled / mail.actors());
      },
    });
  }
}

/** Slices that are read ahead of the one that is folded, and folded ahead of the one that is written. */
const READ_AHEAD = 2;
const WRITE_BEHIND = 3;

async function settleKind(
  place: Place,
  kind: ActorKind,
  { mail, onSlice }: { mail: Mail; onSlice(actors: number): void },
): Promise<void> {
  const { generation, limits } = place;
  // In the order of keys, neighbours share pages of the database.
  const actors = actorKeysInOrder(generation, kind, mail.ids(kind));
  const slices: NamedKey[][] = [];
  for (let i = 0; i < actors.length; i += limits.sliceActors) {
    slices.push(actors.slice(i, i + limits.sliceActors));
  }
  const reading: Promise<Loaded<ActorHead>[]>[] = [];
  const writing: Promise<void>[] = [];
  let written = Promise.resolve();
  const density = { isLow: false };
  for (const [index, slice] of slices.entries()) {
    for (const next of slices.slice(index + reading.length, index + READ_AHEAD + 1)) {
      reading.push(quiet(loadSlice(place, kind, { slice: next, density })));
    }
    const loaded = await reading.shift()!;
    let units: Unit[] = [];
    let bytes = 0;
    for (const [i, { id }] of slice.entries()) {
      // States in pieces are read one by one: so many at once would not fit in memory.
      const whole = await complete(place.store, loaded[i]!);
      const unit = await unitOf(place, { generation, kind, id }, {
        loaded: whole,
        facts: mail.facts(kind, id),
      });
      if (unit === undefined) continue;
      units.push(unit);
      bytes += bytesOf(unit);
      if (bytes < limits.sliceBytes) continue;
      await written;
      await writeUnits(place, units);
      units = [];
      bytes = 0;
    }
    // One after the other, but the thread goes on folding: the store and it are busy at the same time.
    const ready = units;
    writing.push(written = quiet(written.then(() => writeUnits(place, ready))));
    if (writing.length > WRITE_BEHIND) await writing.shift();
    onSlice(slice.length);
  }
  await written;
}

/** What reading slices has found of the range that they are in: whether few of its actors are in the round. */
interface Density {
  isLow: boolean;
}

/**
 * Reads the values of a slice, but not of those actors that are known to be new: the whole range at once where most of
 * what is in it is wanted, else one by one.
 */
async function loadSlice(
  { store, isNew, limits }: Place,
  kind: ActorKind,
  { slice, density }: { slice: NamedKey[]; density: Density },
): Promise<Loaded<ActorHead>[]> {
  const loaded = slice.map(({ key }) => nothingAt<ActorHead>(key));
  let left = isNew === undefined
    ? [...slice.keys()]
    : [...slice.keys()].filter((index) => !isNew(`${kind}/${slice[index]!.id}`));
  if (left.length > 1 && !density.isLow) {
    const indexOf = new Map(left.map((index) => [slice[index]!.key.at(-1), index]));
    const limit = left.length * limits.scanFactor;
    let [count, last] = [0, -1];
    const range = actorRange(slice[left[0]!]!.key, slice[left.at(-1)!]!.key);
    await store.scan<Uint8Array>(range, limit, (entry) => {
      count++;
      const index = indexOf.get(entry.key.at(-1));
      if (index !== undefined) loaded[last = index] = readHead(entry);
    });
    // Where the scan ended before the range did, those after the last that it met are still to be read.
    density.isLow = count >= limit;
    left = density.isLow ? left.filter((index) => index > last) : [];
  }
  const found = await loadHeads<ActorHead>(store, left.map((index) => slice[index]!.key));
  for (const [n, index] of left.entries()) loaded[index] = found[n]!;
  return loaded;
}

/** Bytes of memory that a unit's values take. */
export function bytesOf({ sets }: Unit): number {
  return sets.reduce((sum, [, value]) => sum + (value instanceof Uint8Array ? value.length : 0), 0);
}

/** A promise that is awaited later, perhaps after something else threw: its failure is not unhandled meanwhile. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
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

interface Mailbox {
  loaded: Loaded<ActorHead>;
  facts: Fact[];
}

/** What the facts make of one actor; `undefined` where it has folded them already. */
async function unitOf(place: Place, actor: LogPlace, { loaded, facts }: Mailbox): Promise<Unit | undefined> {
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
  const folded = await fold(place, actor, { loaded, fresh, position: head.position, again });
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
  const folded = await fold(place, actor, { loaded, fresh: [], position: head.position, again: true });
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
  const folded = await fold(place, actor, folding);
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

interface Folding {
  loaded: Loaded<ActorHead>;
  fresh: Fact[];
  position: Position;
  /** Fold the whole log again. */
  again: boolean;
}

interface Folded {
  state: unknown;
  members: MemberChange[];
  /** Of each user's part. */
  parts?: Writes[];
}

/** What facts make of an actor's state, and of who is in which group by it. */
function fold(place: Place, actor: LogPlace, folding: Folding): Promise<Folded> | Folded {
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
