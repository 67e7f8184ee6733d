/**
 * How a settler carries out a request for erasure: it makes a plan from the logs, stores it, and then executes it, under
 * the lease. Every step follows from the plan alone and can be repeated, in any generation: so the next holder of the lease
 * completes a partial erasure. See `docs/decisions/0019-erasure.md`.
 */
import { Buffer } from "node:buffer";
import { type Position, stampOf } from "../../domain/event/position.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { ActorKind } from "../../domain/profile/fact.ts";
import { type StoredEvent, withoutName } from "../../domain/event/event.ts";
import { type Change, FLAGS } from "../journal/header.ts";
import { endOfJournal, entriesAt, positionIn, rewriteEntry } from "../journal/read_journal.ts";
import { createBarrier } from "./barrier.ts";
import { deleteParts, eraseActors } from "./erase_actor.ts";
import type { Events } from "../journal/event_reader.ts";
import { type Fence, LostFence } from "../store/lease.ts";
import { erasuresOf, type Settled } from "../journal/journal_state.ts";
import {
  erasedKey,
  ERASING,
  erasureRequestKey,
  type Key,
  type Member,
  partKey,
  partPrefix,
  planKey,
  planPrefix,
  REBUILD,
} from "../store/keys.ts";
import { applyMembers, type MemberChange, sourcesOf } from "../settling/group_members.ts";
import { createOperations, deleteRange, type Size } from "../store/write_batch.ts";
import { deleteGeneration, generationsIn, GRACE_MS, type Rebuild } from "../settling/generation.ts";
import type { LeaseTask, LeaseTaskOptions } from "../settling/settler.ts";
import type { Entry, Store } from "../store/store.ts";
import type { ErasureLimits, ErasurePlace } from "./erasure_limits.ts";
import { type Plan, planAnonymous, planUser, sizeOfPlan } from "./plan.ts";
import { suppressUnder } from "./suppression.ts";
import { addErased, type ErasureRequest, type PlanList, type Receipt } from "./requests.ts";

/** Requests that a receipt lists one by one: more than one person repeats. */
const RECEIPT_REQUESTS = 20;

/** The size of one value of names of a plan in an operation. */
const NAMES_SIZE: Size = { mutations: 1, bytes: 48_000, keyBytes: 100 };

/** Rows of members that are collected before they are deleted. */
const CHANGES_AT_ONCE = 1_000;

/** The names to erase: of a user, and of anonymous ids. Data of another user only loses these names. */
export interface ErasedNames {
  userId?: string;
  anonymousIds?: readonly string[];
}

/** Another room that holds data about people. */
export interface EraseParticipant {
  /** Erases a person and returns the number of removed events. It must be safe to repeat; `no` is the number of the request. */
  erase(
    names: ErasedNames,
    no: number,
    options: LeaseTaskOptions & { renew(): Promise<void> },
  ): Promise<number>;
}

/** What carrying out a request needs. */
interface ErasingOptions extends LeaseTaskOptions {
  participants: readonly EraseParticipant[];
  limits: ErasureLimits;
  allKnow: ReturnType<typeof createBarrier>;
}

/** The task that carries out requests for erasure, in their order. */
export function eraseTask(own: Pick<ErasingOptions, "participants" | "limits">): LeaseTask {
  const allKnow = createBarrier();
  return {
    key: ERASING,
    isDue: (value, settled) => ((value as { pushed: number } | null)?.pushed ?? 0) > erasuresOf(settled),
    run: (fence, options) => carryOutNext(fence, { ...options, ...own, allKnow }),
  };
}

/**
 * Carries out the next request. False if there is none, or if more events must be settled first: only between rounds is
 * all stored data of one moment.
 */
async function carryOutNext(fence: Fence<Settled>, options: ErasingOptions): Promise<boolean> {
  const { store, events, limits, foldVersion } = options;
  const { target, position, generation } = fence.value();
  const no = erasuresOf(fence.value()) + 1;
  const requested = await store.get<ErasureRequest>(erasureRequestKey(no));
  let request = requested.value;
  if (request === null || target !== null || position < request.upTo) return false;
  if (request.suppress !== false && request.isKnown !== true) {
    if (!await options.allKnow(fence, options, no)) return false;
    const { end } = await endOfJournal(store);
    const sets: [Key, unknown][] = [[erasureRequestKey(no), { ...request, isKnown: true, upTo: end }]];
    // What was committed until now may be of the person: it is settled first.
    await fence.write({ checks: [{ key: erasureRequestKey(no), stamp: requested.stamp }], sets });
    return await carryOutNext(fence, options);
  }
  const place: ErasurePlace = {
    store,
    generation,
    write: fence.write,
    factsAt: events.factsAt,
    renew: fence.renew,
    limits,
    foldVersion,
  };
  if (request.plan === undefined) {
    request = await makePlan(place, fence, { no, request, stamp: requested.stamp });
  }
  if (!request.done) {
    const plan = await readPlan(store, no, request);
    await carryOut(place, { request, plan, events });
    await stopRebuilds(fence, options);
    // Last: an event that is rejected between this and the end is not kept.
    const names = request.kind === "user"
      ? { userId: request.id, anonymousIds: plan.owned }
      : { anonymousIds: [request.id] };
    let rejected = request.rejected ?? 0;
    for (const participant of options.participants) {
      rejected += await participant.erase(names, no, { ...options, renew: fence.renew });
    }
    await fence.write({ sets: [[erasureRequestKey(no), request = { ...request, rejected, done: true }]] });
  }
  await deleteRange(place, { prefix: planPrefix(no) });
  await finish(fence, options, { no, request });
  return true;
}

/** Marks the request as completed and writes the receipt, in one operation. */
async function finish(
  fence: Fence<Settled>,
  { store, clock }: ErasingOptions,
  { no, request }: { no: number; request: ErasureRequest },
): Promise<void> {
  const { value: before } = await store.get<Receipt>(erasedKey(request.digest));
  const erased = { ...request.plan!.erased, rejected: request.rejected ?? 0 };
  const receipt: Receipt = {
    at: clock.now(),
    suppressed: request.suppress !== false || (before?.suppressed ?? false),
    erased: addErased(before?.erased, erased),
    wishes: [...before?.wishes ?? [], { no, op: request.op, erased }].slice(-RECEIPT_REQUESTS),
  };
  await fence.write({
    sets: [[erasedKey(request.digest), receipt]],
    deletes: [erasureRequestKey(no)],
    change: { erasures: no },
  });
}

/** Makes the plan and stores it, since the logs that it is made from will be erased. */
async function makePlan(
  place: ErasurePlace,
  fence: Fence<Settled>,
  { no, request, stamp }: { no: number; request: ErasureRequest; stamp: string | null },
): Promise<ErasureRequest> {
  const { plan, owned } = request.kind === "user"
    ? await planUser(place, request.id)
    : await planAnonymous(place, request.id);
  const after = fence.value().position;
  const spans = owned.map(({ anonymousId, fromMs, untilMs }) => ({
    anonymousId,
    span: { fromMs, untilMs, after },
  }));
  // A plan that was begun before may have had more parts.
  await deleteRange(place, { prefix: planPrefix(no) });
  const parts = await writePlan(place, no, plan);
  // An older version wrote `true` for all.
  if (request.suppress === true || request.suppress === "all") await suppressUnder(fence, place, spans);
  const erased = { ...sizeOfPlan(plan, request.kind), rejected: 0 };
  const planned = { ...request, plan: { parts, erased } };
  // A repeated request may have moved `upTo`.
  await fence.write({
    checks: [{ key: erasureRequestKey(no), stamp }],
    sets: [[erasureRequestKey(no), planned]],
  });
  return planned;
}

/** Stores the lists of a plan, and gives the number of parts of each. */
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

async function readPlan(store: Store, no: number, { plan }: ErasureRequest): Promise<Plan> {
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

/** Executes the plan: entries first, so that later folds no longer see the erased events. */
async function carryOut(
  place: ErasurePlace,
  { request, plan, events }: { request: ErasureRequest; plan: Plan; events: Events },
): Promise<void> {
  const erased = new Set(plan.places);
  const mentions = new Set(plan.mentions);
  await rewriteEntries(place, { erased, mentions, id: request.id });
  events.forget();
  await deleteMembers(place, request, plan);
  // Users that an anonymous id was linked to keep their logs.
  const names = plan.names.filter(([kind]) => request.kind === "user" || kind !== "user");
  // Events of others leave the erased person's log; they stay in the logs of their groups.
  const isErased = (kind: ActorKind, each: Position) =>
    erased.has(each) || (kind !== "group" && mentions.has(each));
  await eraseActors(place, names, isErased);
  await deleteParts(place, partsOf(place, request, plan));
}

async function rewriteEntries(
  { store, write, limits }: ErasurePlace,
  { erased, mentions, id }: { erased: Set<Position>; mentions: Set<Position>; id: string },
): Promise<void> {
  const ofEntry = new Map([...erased, ...mentions].map((position) => [stampOf(position), position]));
  const positions = [...ofEntry.values()].sort();
  const lineWithout = (line: string, name: string) =>
    JSON.stringify(withoutName(parseExact(line) as StoredEvent, name));
  const operations = createOperations(write, { ...limits, writeBytes: limits.erasedBytes });
  for (let from = 0; from < positions.length; from += limits.erasedEntries) {
    for (const entry of await entriesAt(store, positions.slice(from, from + limits.erasedEntries))) {
      const changeOf = (index: number): Change | undefined => {
        const position = positionIn(entry, index);
        if (erased.has(position)) return { gone: FLAGS.erased };
        return mentions.has(position) ? { without: id } : undefined;
      };
      const { sets, deletes } = await rewriteEntry(store, entry, { changeOf, lineWithout });
      await operations.add({ sets, deletes });
    }
  }
  await operations.flush();
}

/** Deletes the rows of the erased person from their groups: the rows follow from a state that will be erased. */
async function deleteMembers(
  place: ErasurePlace,
  { kind, id }: ErasureRequest,
  { names }: Plan,
): Promise<void> {
  const { store, generation, write, limits } = place;
  // All rows of a user; of an anonymous id its own rows, and those that its users have through it.
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

/** The parts to delete: all parts of a user, or those that users have of an anonymous id. */
async function* partsOf(
  { store, generation }: ErasurePlace,
  { kind, id }: ErasureRequest,
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
 * A running full replay may have read events that are rewritten: it is stopped, whatever its version, and all generations
 * but the live one are deleted. A replay that begins later reads the journal as it is now.
 */
async function stopRebuilds(
  fence: Fence<Settled>,
  { store, owner, clock, newId, limits }: ErasingOptions,
): Promise<void> {
  const newest = await takeFromRebuilds();
  // A later replay takes a newer generation.
  const isUnused = (each: number) => each !== fence.value().generation && each <= newest;
  const unused = (await generationsIn(store)).filter(isUnused);
  if (unused.length === 0) return;
  // By then readers of a generation that was just replaced have begun again.
  for (let waitedMs = 0; waitedMs < GRACE_MS; waitedMs += 500) {
    await clock.sleep(500);
    await fence.renew();
  }
  for (const generation of unused) await deleteGeneration(store, generation, { write: fence.write, limits });

  /** Moves the lease of a running replay, and gives the newest generation that was begun. */
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
        // The replay was faster; or this settler has lost its own lease, and this throws.
        await fence.write({});
        await clock.sleep(20 * clock.random());
      }
    }
  }
}
