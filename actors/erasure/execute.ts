/**
 * How a settler fulfils a wish for erasure: it works out a plan from the logs, stores it, and then does it, under the
 * fence. Everything that it does follows from the plan alone and can be done twice, in any generation: so a half
 * erasure is finished by whoever takes the fence next. See `docs/decisions/0019-erasure.md`.
 */
import { Buffer } from "node:buffer";
import { type Position, stampOf } from "../../domain/event/position.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { ActorKind } from "../../domain/profile/fact.ts";
import { type StoredEvent, withoutName } from "../../domain/event/event.ts";
import { ERASED_LINE, rewriteChunk } from "../journal/chunk.ts";
import { entriesAt, keyOfEntry, positionIn } from "../journal/read_journal.ts";
import { deleteParts, eraseActors } from "./erase_actor.ts";
import type { Events } from "../journal/event_reader.ts";
import { type Fence, LostFence } from "../store/lease.ts";
import { erasuresOf, type Settled } from "../journal/journal_state.ts";
import {
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
import { applyMembers, type MemberChange, sourcesOf } from "../settling/group_members.ts";
import { createOperations, deleteRange, type Size } from "../store/write_batch.ts";
import { deleteGeneration, generationsIn, GRACE_MS, type Rebuild } from "../settling/generation.ts";
import type { LeaseTask, LeaseTaskOptions } from "../settling/settler.ts";
import type { Entry, Store } from "../store/store.ts";
import type { ErasureLimits, ErasurePlace } from "./erasure_limits.ts";
import { type Plan, planAnonymous, planUser, sizeOfPlan } from "./plan.ts";
import { suppressUnder } from "./suppression.ts";
import { addErased, type PlanList, type Receipt, type Wish } from "./requests.ts";

/** Wishes that a receipt tells of one by one: more than are asked for by who tries again. */
const RECEIPT_WISHES = 20;

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

/** The task that carries out requests for erasure, in their order. */
export function eraseTask(own: Pick<ErasingOptions, "participants" | "limits">): LeaseTask {
  return {
    key: ERASING,
    isDue: (value, settled) => ((value as { pushed: number } | null)?.pushed ?? 0) > erasuresOf(settled),
    run: (fence, options) => fulfil(fence, { ...options, ...own }),
  };
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
    suppressed: wish.suppress !== false || (before?.suppressed ?? false),
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
  const { plan, owned } = wish.kind === "user"
    ? await planUser(place, wish.id)
    : await planAnonymous(place, wish.id);
  const after = fence.value().position;
  const spans = owned.map(({ anonymousId, fromMs, untilMs }) => ({
    anonymousId,
    span: { fromMs, untilMs, after },
  }));
  // Of a plan that was begun before, more parts may be there.
  await deleteRange(place, { prefix: planPrefix(no) });
  const parts = await writePlan(place, no, plan);
  // As an older version wrote it, `true` is all.
  if (wish.suppress === true || wish.suppress === "all") await suppressUnder(fence, place, spans);
  const erased = { ...sizeOfPlan(plan, wish.kind), rejected: 0 };
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
  { store, generation }: ErasurePlace,
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
