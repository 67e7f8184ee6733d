/**
 * How a settler fulfils a wish for erasure: it works out a plan from the logs, stores it, and then does it, under the
 * fence. Everything that it does follows from the plan alone and can be done twice, in any generation: so a half
 * erasure is finished by whoever takes the fence next. See `docs/decisions/0019-erasure.md`.
 */
import { Buffer } from "node:buffer";
import { type Position, stampOf } from "../../domain/event/position.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import {
  anonymousFromJson,
  type AnonymousJson,
  ownerAt,
  ownerOf,
  ownersOf,
} from "../../domain/profile/anonymous.ts";
import { type ActorKind, type Fact, linkedBy } from "../../domain/profile/fact.ts";
import { type StoredEvent, withoutName } from "../../domain/event/event.ts";
import { ERASED_LINE, rewriteChunk } from "../journal/chunk.ts";
import { entriesAt, keyOfEntry, positionIn } from "../journal/read_journal.ts";
import { deleteParts, eraseActors } from "./erase_actor.ts";
import type { Events } from "../journal/event_reader.ts";
import { type Fence, LostFence } from "../store/lease.ts";
import { erasuresOf, type Settled } from "../journal/journal_state.ts";
import {
  actorKey,
  erasedKey,
  ERASING,
  type Key,
  type Member,
  partKey,
  partPrefix,
  planKey,
  planPrefix,
  REBUILD,
  wishKey,
} from "../store/keys.ts";
import { isLinkEntry, type LogEntry, mayBe, readLog } from "../settling/actor_log.ts";
import { applyMembers, type MemberChange, sourcesOf } from "../settling/group_members.ts";
import { createOperations, deleteRange, type Size } from "../store/write_batch.ts";
import {
  deleteGeneration,
  GENERATION_LIMITS,
  generationsIn,
  GRACE_MS,
  type Rebuild,
} from "../settling/generation.ts";
import type { LeaseTask, LeaseTaskOptions } from "../settling/settler.ts";
import { type Place, replayActor, ROUND_LIMITS } from "../settling/round.ts";
import { type ActorHead, complete, isStale, load, type Loaded, loadHeads } from "../settling/snapshot.ts";
import type { Entry, Store } from "../store/store.ts";
import { SUPPRESSION_LIMITS, suppressUnder } from "./suppression.ts";
import { addErased, type Person, type PlanList, type Receipt, type Wish } from "./requests.ts";

/** Wishes that a receipt tells of one by one: more than are asked for by who tries again. */
const RECEIPT_WISHES = 20;

/** Bounds of an erasure, besides those of a round. */
export const ERASURE_LIMITS = {
  ...ROUND_LIMITS,
  ...GENERATION_LIMITS,
  ...SUPPRESSION_LIMITS,
  /** Places in one value of a plan, and names: a name may have 1.5 KB. */
  planPlaces: 5_000,
  planNames: 30,
  /** Entries of the journal that are read at once, and bytes of them in one operation. */
  erasedEntries: 10,
  erasedBytes: 400_000,
  /** Facts that are read at once. */
  erasedFacts: 100,
};
export type ErasureLimits = typeof ERASURE_LIMITS;

/** What the names in one value of a plan take of an operation. */
const NAMES_SIZE: Size = { mutations: 1, bytes: 48_000, keyBytes: 100 };

/** Rows of members that are gathered before they are deleted. */
const CHANGES_AT_ONCE = 1_000;

/** Whose data goes: a user's, and that of anonymous ids; data of another user only loses these names. */
export interface ErasedNames {
  userId?: string;
  anonymousIds?: readonly string[];
}

/** Another room that holds data about people. */
export interface EraseParticipant {
  /** Erases them, and returns how many events are gone. It must be safe to repeat; `no` numbers the request. */
  erase(
    names: ErasedNames,
    no: number,
    options: LeaseTaskOptions & { renew(): Promise<void> },
  ): Promise<number>;
}

/** What fulfilling needs. */
interface ErasingOptions extends LeaseTaskOptions {
  participants: readonly EraseParticipant[];
  limits: ErasureLimits;
}

/** Where an erasure is done. */
interface ErasurePlace extends Place {
  limits: ErasureLimits;
}

/** The task that carries out requests for erasure, in their order. */
export function eraseTask(own: Pick<ErasingOptions, "participants" | "limits">): LeaseTask {
  return {
    key: ERASING,
    isDue: (value, settled) => ((value as { pushed: number } | null)?.pushed ?? 0) > erasuresOf(settled),
    run: (fence, options) => fulfil(fence, { ...options, ...own }),
  };
}

/** A plan in memory. */
interface Plan {
  /** Places of events that go, and of others' events that lose the name. */
  places: Position[];
  mentions: Position[];
  /** The actors that lose something, and of an anonymous id the users whom it was linked to. */
  names: [ActorKind, string][];
  /** The anonymous ids of which a user owns something. */
  owned: string[];
}

/**
 * Goes on with the next wish, to its end. False where there is none, or where more has to be settled first: between
 * rounds alone everything that is kept is of one moment.
 */
async function fulfil(fence: Fence<Settled>, options: ErasingOptions): Promise<boolean> {
  const { store, events, limits, foldVersion } = options;
  const { target, position, generation } = fence.value();
  const no = erasuresOf(fence.value()) + 1;
  const wished = await store.get<Wish>(wishKey(no));
  let wish = wished.value;
  if (wish === null || target !== null || position < wish.upTo) return false;
  const place: ErasurePlace = {
    store,
    generation,
    write: fence.write,
    factsAt: events.factsAt,
    renew: fence.renew,
    limits,
    foldVersion,
  };
  if (wish.plan === undefined) wish = await makePlan(place, fence, { no, wish, stamp: wished.stamp });
  if (!wish.done) {
    const plan = await readPlan(store, no, wish);
    await carryOut(place, { wish, plan, events });
    await stopRebuilds(fence, options);
    // Last of all: what is refused between this and the end is not kept.
    const names = wish.kind === "user"
      ? { userId: wish.id, anonymousIds: plan.owned }
      : { anonymousIds: [wish.id] };
    let rejected = wish.rejected ?? 0;
    for (const participant of options.participants) {
      rejected += await participant.erase(names, no, { ...options, renew: fence.renew });
    }
    await fence.write({ sets: [[wishKey(no), wish = { ...wish, rejected, done: true }]] });
  }
  await deleteRange(place, { prefix: planPrefix(no) });
  await finish(fence, options, { no, wish });
  return true;
}

/** Counts the wish as fulfilled and leaves the receipt, in one operation. */
async function finish(
  fence: Fence<Settled>,
  { store, clock }: ErasingOptions,
  { no, wish }: { no: number; wish: Wish },
): Promise<void> {
  const { value: before } = await store.get<Receipt>(erasedKey(wish.digest));
  const erased = { ...wish.plan!.erased, rejected: wish.rejected ?? 0 };
  const receipt: Receipt = {
    at: clock.now(),
    suppressed: wish.suppress || (before?.suppressed ?? false),
    erased: addErased(before?.erased, erased),
    wishes: [...before?.wishes ?? [], { no, op: wish.op, erased }].slice(-RECEIPT_WISHES),
  };
  await fence.write({
    sets: [[erasedKey(wish.digest), receipt]],
    deletes: [wishKey(no)],
    change: { erasures: no },
  });
}

/** Works out the plan and stores it: the logs that it comes from are going to go. */
async function makePlan(
  place: ErasurePlace,
  fence: Fence<Settled>,
  { no, wish, stamp }: { no: number; wish: Wish; stamp: string | null },
): Promise<Wish> {
  const { plan, current } = wish.kind === "user"
    ? await planUser(place, wish.id)
    : await planAnonymous(place, wish.id);
  // Of a plan that was begun before, more parts may be there.
  await deleteRange(place, { prefix: planPrefix(no) });
  const parts = await writePlan(place, no, plan);
  if (wish.suppress) await suppressUnder(fence, place, current);
  const count = (isOne: (kind: ActorKind) => boolean) => plan.names.filter(([kind]) => isOne(kind)).length;
  const erased = {
    events: plan.places.length,
    logs: wish.kind === "user" ? count((kind) => kind !== "group") : count((kind) => kind === "anonymous"),
    groups: count((kind) => kind === "group"),
    rejected: 0,
  };
  const planned = { ...wish, plan: { parts, erased } };
  // Who asks again may have moved the head up to which it is wished.
  await fence.write({ checks: [{ key: wishKey(no), stamp }], sets: [[wishKey(no), planned]] });
  return planned;
}

/** Stores the lists of a plan, and gives in how many parts each stands. */
async function writePlan(
  { write, limits }: ErasurePlace,
  no: number,
  plan: Plan,
): Promise<Record<PlanList, number>> {
  const operations = createOperations(write, limits);
  const parts = { places: 0, mentions: 0, names: 0, owned: 0 };
  for (const list of ["places", "mentions"] as const) {
    for (let from = 0; from < plan[list].length; from += limits.planPlaces) {
      const some = new Uint8Array(
        Buffer.from(plan[list].slice(from, from + limits.planPlaces).join(""), "hex"),
      );
      await operations.add({ sets: [[planKey(no, list, parts[list]++), some]], deletes: [] });
    }
  }
  for (const list of ["names", "owned"] as const) {
    for (let from = 0; from < plan[list].length; from += limits.planNames) {
      const some: unknown = plan[list].slice(from, from + limits.planNames);
      await operations.add({ sets: [[planKey(no, list, parts[list]++), some]], deletes: [] }, NAMES_SIZE);
    }
  }
  await operations.flush();
  return parts;
}

async function readPlan(store: Store, no: number, { plan }: Wish): Promise<Plan> {
  const partsOf = async <T>(list: PlanList) => {
    const keys = Array.from({ length: plan!.parts[list] ?? 0 }, (_, n) => planKey(no, list, n));
    return (await store.getMany<T>(keys)).map(({ key, value }) => {
      if (value === null) throw new Error(`erasure: ${JSON.stringify(key.slice(2))} of a plan is missing`);
      return value;
    });
  };
  const positions = async (list: PlanList) =>
    (await partsOf<Uint8Array>(list)).flatMap((bytes) =>
      (Buffer.from(bytes).toString("hex").match(/.{24}/g) ?? []) as Position[]
    );
  return {
    places: await positions("places"),
    mentions: await positions("mentions"),
    names: (await partsOf<[ActorKind, string][]>("names")).flat(),
    owned: (await partsOf<string[]>("owned")).flat(),
  };
}

/** What is planned, and who is suppressed too if that is wished: the anonymous ids that belong to a user now. */
interface Planned {
  plan: Plan;
  current: Person[];
}

/** All that a user's log names, and what the user owns of anonymous ids. */
async function planUser(place: ErasurePlace, id: string): Promise<Planned> {
  const plan: Plan = { places: [], mentions: [], names: [], owned: [] };
  const linked = new Set<string>();
  const groups = new Set<string>();
  const [own] = await load<ActorHead>(place.store, [actorKey(place.generation, "user", id)]);
  if (own!.head !== undefined) {
    plan.names.push(["user", id]);
    await replayIfStale(place, "user", { id, head: own!.head });
    for await (const fact of facts(place, { kind: "user", id, head: own!.head })) {
      plan.places.push(fact.place);
      if (fact.groupId !== undefined) groups.add(fact.groupId);
      const anonymousId = linkedBy(fact);
      if (anonymousId !== undefined) linked.add(anonymousId);
    }
  }
  const current: Person[] = [];
  const ids = [...linked];
  for (let from = 0; from < ids.length; from += place.limits.sliceActors) {
    const slice = ids.slice(from, from + place.limits.sliceActors);
    const keys = slice.map((anonymousId) => actorKey(place.generation, "anonymous", anonymousId));
    for (const [index, loaded] of (await loadHeads<ActorHead>(place.store, keys)).entries()) {
      await place.renew?.();
      const anonymousId = slice[index]!;
      plan.names.push(["anonymous", anonymousId]);
      const isNow = await planOwned(place, { anonymousId, loaded }, { userId: id, plan, groups });
      if (isNow) current.push({ kind: "anonymous", id: anonymousId });
    }
  }
  for (const groupId of groups) plan.names.push(["group", groupId]);
  return { plan, current };
}

/** What a user owns of an anonymous id; true where it belongs to the user now. */
async function planOwned(
  place: ErasurePlace,
  { anonymousId, loaded }: { anonymousId: string; loaded: Loaded<ActorHead> },
  { userId, plan, groups }: { userId: string; plan: Plan; groups: Set<string> },
): Promise<boolean> {
  const { head } = loaded;
  if (head === undefined) return false;
  const isOld = await replayIfStale(place, "anonymous", { id: anonymousId, head });
  const { state: json } = isOld
    ? (await load<ActorHead>(place.store, [loaded.key]))[0]!
    : await complete(place.store, loaded);
  const state = anonymousFromJson(json as AnonymousJson);
  const mine = (entry: LogEntry) => !isLinkEntry(entry) && ownerAt(state, [entry.at, entry.place]) === userId;
  await planEntries(place, { kind: "anonymous", id: anonymousId, head }, { plan, groups, mine });
  if (ownersOf(state).includes(userId)) plan.owned.push(anonymousId);
  return ownerOf(state) === userId;
}

/** All events of an anonymous id, whoever owns them; others' events, which name it too, lose the name. */
async function planAnonymous(place: ErasurePlace, id: string): Promise<Planned> {
  const plan: Plan = { places: [], mentions: [], names: [], owned: [] };
  const groups = new Set<string>();
  const users = new Set<string>();
  const [loaded] = await load<ActorHead>(place.store, [actorKey(place.generation, "anonymous", id)]);
  const head = loaded!.head;
  if (head === undefined) return { plan, current: [] };
  plan.names.push(["anonymous", id]);
  await replayIfStale(place, "anonymous", { id, head });
  const actor = { kind: "anonymous" as const, id, head };
  await planEntries(place, actor, { plan, groups, mine: (entry) => !isLinkEntry(entry) });
  for await (const fact of facts(place, actor, isLinkEntry)) users.add(fact.userId!);
  for (const userId of users) {
    plan.names.push(["user", userId]);
    const [user] = await load<ActorHead>(place.store, [actorKey(place.generation, "user", userId)]);
    if (user!.head === undefined) continue;
    for await (const fact of facts(place, { kind: "user", id: userId, head: user!.head })) {
      if (fact.anonymousId === id || fact.previousId === id) plan.mentions.push(fact.place);
    }
  }
  for (const groupId of groups) plan.names.push(["group", groupId]);
  return { plan, current: [] };
}

/** An actor whose log is read. */
interface Named {
  kind: ActorKind;
  id: string;
  head: ActorHead;
}

/** Plans those entries of a log that are `mine`, and the groups that they name. */
async function planEntries(
  place: ErasurePlace,
  { kind, id, head }: Named,
  { plan, groups, mine }: { plan: Plan; groups: Set<string>; mine(entry: LogEntry): boolean },
): Promise<void> {
  const actor = { generation: place.generation, kind, id };
  for await (const entry of readLog(place.store, actor, { log: head, order: "asc" })) {
    if (mine(entry)) plan.places.push(entry.place);
  }
  const isGroup = (entry: LogEntry) => mine(entry) && mayBe(entry, { type: "group" });
  for await (const { groupId } of facts(place, { kind, id, head }, isGroup)) {
    if (groupId !== undefined) groups.add(groupId);
  }
}

/** The facts of a log, some at a time. */
async function* facts(
  { store, generation, factsAt, renew, limits }: ErasurePlace,
  { kind, id, head }: Named,
  wanted: (entry: LogEntry) => boolean = () => true,
): AsyncGenerator<Fact> {
  let places: Position[] = [];
  for await (const entry of readLog(store, { generation, kind, id }, { log: head, order: "asc" })) {
    if (wanted(entry)) places.push(entry.place);
    if (places.length < limits.erasedFacts) continue;
    await renew?.();
    yield* await factsAt(places);
    places = [];
  }
  yield* await factsAt(places);
}

/** A state of an older fold can't say who was in which group, once its events are gone: it is folded first. */
async function replayIfStale(
  place: ErasurePlace,
  kind: ActorKind,
  { id, head }: Pick<Named, "id" | "head">,
): Promise<boolean> {
  if (!isStale(head, place.foldVersion)) return false;
  await replayActor(place, { generation: place.generation, kind, id }, { verify: false });
  return true;
}

/** Does what the plan says: chunks first, so that whatever is folded again from then on is folded without them. */
async function carryOut(
  place: ErasurePlace,
  { wish, plan, events }: { wish: Wish; plan: Plan; events: Events },
): Promise<void> {
  const erased = new Set(plan.places);
  const mentions = new Set(plan.mentions);
  await rewriteChunks(place, { erased, mentions, id: wish.id });
  events.forget();
  await deleteMembers(place, wish, plan);
  // Users whom an anonymous id was linked to keep their logs.
  const names = plan.names.filter(([kind]) => wish.kind === "user" || kind !== "user");
  // Events of others leave the log of whom they named; in the logs of their groups they stay.
  const isErased = (kind: ActorKind, each: Position) =>
    erased.has(each) || (kind !== "group" && mentions.has(each));
  await eraseActors(place, names, isErased);
  await deleteParts(place, partsOf(place, wish, plan));
}

async function rewriteChunks(
  { store, write, limits }: ErasurePlace,
  { erased, mentions, id }: { erased: Set<Position>; mentions: Set<Position>; id: string },
): Promise<void> {
  const ofEntry = new Map([...erased, ...mentions].map((position) => [stampOf(position), position]));
  const positions = [...ofEntry.values()].sort();
  let sets: [Key, unknown][] = [];
  let bytes = 0;
  const flush = async () => {
    if (sets.length > 0) await write({ sets, deletes: [] });
    [sets, bytes] = [[], 0];
  };
  for (let from = 0; from < positions.length; from += limits.erasedEntries) {
    for (const entry of await entriesAt(store, positions.slice(from, from + limits.erasedEntries))) {
      let isChanged = false;
      const chunk = rewriteChunk(entry.chunk, (line, index) => {
        const position = positionIn(entry, index);
        const next = line === ERASED_LINE
          ? line
          : erased.has(position)
          ? ERASED_LINE
          : mentions.has(position)
          ? JSON.stringify(withoutName(parseExact(line) as StoredEvent, id))
          : line;
        isChanged ||= next !== line;
        return next;
      });
      if (!isChanged) continue;
      if (bytes + chunk.body.length > limits.erasedBytes) await flush();
      sets.push([keyOfEntry(entry), chunk]);
      bytes += chunk.body.length + chunk.digests.length + 200;
    }
  }
  await flush();
}

/** Deletes who is erased from the groups that they were in: their rows follow from a state that is going to go. */
async function deleteMembers(place: ErasurePlace, { kind, id }: Wish, { names }: Plan): Promise<void> {
  const { store, generation, write, limits } = place;
  // Of a user all rows; of an anonymous id its own, and those that its users have by it.
  const isTheirs = ([each]: [ActorKind, string]) =>
    each !== "group" && (kind === "anonymous" || each === "user");
  const people = names.filter(isTheirs) as Member[];
  let changes: MemberChange[] = [];
  for (const [, groupId] of names.filter(([each]) => each === "group")) {
    for (const who of people) {
      for (const source of (await sourcesOf(store, generation, { groupId, who })).keys()) {
        if (kind === "anonymous" && who[0] === "user" && source !== id) continue;
        changes.push({ groupId, who, source, at: null });
      }
    }
    if (changes.length < CHANGES_AT_ONCE) continue;
    await applyMembers(store, generation, { changes, write, limits });
    changes = [];
  }
  await applyMembers(store, generation, { changes, write, limits });
}

/** The parts that go: all of a user's, or those that users have of an anonymous id. */
async function* partsOf(
  { store, generation }: Place,
  { kind, id }: Wish,
  { names }: Plan,
): AsyncGenerator<Entry<Uint8Array>> {
  if (kind === "user") {
    yield* store.list<Uint8Array>({ prefix: partPrefix(generation, id) }, { batchSize: 32 });
    return;
  }
  const users = names.filter(([each]) => each === "user");
  yield* await store.getMany<Uint8Array>(users.map(([, userId]) => partKey(generation, userId, id)));
}

/**
 * A replay of everything that is under way may have read what is rewritten: it is stopped, whatever its version, and all
 * generations but the live one are deleted. One that begins after this reads the journal as it is now.
 */
async function stopRebuilds(
  fence: Fence<Settled>,
  { store, owner, clock, newId, limits }: ErasingOptions,
): Promise<void> {
  const newest = await takeFromRebuilds();
  // One that begins after this takes a newer one.
  const isUnused = (each: number) => each !== fence.value().generation && each <= newest;
  const unused = (await generationsIn(store)).filter(isUnused);
  if (unused.length === 0) return;
  // Readers of one that was replaced just now have begun anew by then.
  for (let waitedMs = 0; waitedMs < GRACE_MS; waitedMs += 500) {
    await clock.sleep(500);
    await fence.renew();
  }
  for (const generation of unused) await deleteGeneration(store, generation, { write: fence.write, limits });

  /** Moves the fence of whoever replays, and gives the newest generation that was begun. */
  async function takeFromRebuilds(): Promise<number> {
    for (;;) {
      const { value, stamp } = await store.get<Rebuild>(REBUILD);
      if (value === null) return 0;
      const stopped: Rebuild = { ...value, owner: `${owner} erases`, until: 0, op: newId() };
      try {
        await fence.write({ checks: [{ key: REBUILD, stamp }], sets: [[REBUILD, stopped]] });
        return value.generation;
      } catch (error) {
        if (!(error instanceof LostFence)) throw error;
        // The replay was quicker; or this settler has lost its own fence, and this throws.
        await fence.write({});
        await clock.sleep(20 * clock.random());
      }
    }
  }
}
