/**
 * The plan of an erasure: made from the logs of a person, of their anonymous ids, and of everybody else who is named
 * there. Everything up to one position of the journal must be settled.
 */
import {
  anonymousFromJson,
  type AnonymousJson,
  intervalsOf,
  isWithin,
  ownersOf,
} from "../../domain/profile/anonymous.ts";
import type { Position } from "../../domain/event/position.ts";
import { type ActorKind, type Fact, linkedBy } from "../../domain/profile/fact.ts";
import { actorKey } from "../store/keys.ts";
import { isLinkEntry, type LogEntry, mayBe, readLog } from "../settling/actor_log.ts";
import { foldAnonymousLog } from "../settling/log_facts.ts";
import { replayActor } from "../settling/actor_update.ts";
import type { ErasurePlace } from "./erasure_limits.ts";
import type { Erased } from "./requests.ts";
import { type ActorHead, complete, isStale, load, type Loaded, loadHeads } from "../settling/snapshot.ts";

/** What a plan is made from. A read-only plan writes nothing, not even a state that is folded again. */
export type PlanPlace = ErasurePlace & { isReadOnly?: true };

/** A plan in memory. */
export interface Plan {
  /** Positions of events to erase, and of others' events that lose the name. */
  places: Position[];
  mentions: Position[];
  /** The actors that lose events, and for an anonymous id the users that it was linked to. */
  names: [ActorKind, string][];
  /** The anonymous ids of which a user owns something. */
  owned: string[];
}

/** What a plan erases: events, logs of people that become empty, and groups that are folded again. */
export function sizeOfPlan({ places, names }: Plan, kind: "user" | "anonymous"): Omit<Erased, "rejected"> {
  const count = (isOne: (kind: ActorKind) => boolean) => names.filter(([each]) => isOne(each)).length;
  return {
    events: places.length,
    logs: kind === "user" ? count((each) => each !== "group") : count((each) => each === "anonymous"),
    groups: count((each) => each === "group"),
  };
}

/** For how long a user owned an anonymous id, by the times of events (ms), and how many events that were. */
export interface Owned {
  anonymousId: string;
  fromMs: number;
  untilMs: number;
  events: number;
}

/** A plan, and what a user owns of anonymous ids. */
export interface Planned {
  plan: Plan;
  owned: Owned[];
}

/** Everything that a user's log names, and what the user owns of anonymous ids. */
export async function planUser(place: PlanPlace, id: string): Promise<Planned> {
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
  const owned: Owned[] = [];
  const ids = [...linked];
  for (let from = 0; from < ids.length; from += place.limits.sliceActors) {
    const slice = ids.slice(from, from + place.limits.sliceActors);
    const keys = slice.map((anonymousId) => actorKey(place.generation, "anonymous", anonymousId));
    for (const [index, loaded] of (await loadHeads<ActorHead>(place.store, keys)).entries()) {
      await place.renew?.();
      const anonymousId = slice[index]!;
      plan.names.push(["anonymous", anonymousId]);
      owned.push(...await planOwned(place, { anonymousId, loaded }, { userId: id, plan, groups }));
    }
  }
  for (const groupId of groups) plan.names.push(["group", groupId]);
  return { plan, owned };
}

/** The intervals in which a user owns an anonymous id. */
async function planOwned(
  place: PlanPlace,
  { anonymousId, loaded }: { anonymousId: string; loaded: Loaded<ActorHead> },
  { userId, plan, groups }: { userId: string; plan: Plan; groups: Set<string> },
): Promise<Owned[]> {
  const { head } = loaded;
  if (head === undefined) return [];
  const actor = { generation: place.generation, kind: "anonymous" as const, id: anonymousId };
  const isReplayed = await replayIfStale(place, "anonymous", { id: anonymousId, head });
  const { state: json } = isReplayed
    ? (await load<ActorHead>(place.store, [loaded.key]))[0]!
    : await complete(place.store, loaded);
  const state = isStale(head, place.foldVersion) && !isReplayed
    ? await foldAnonymousLog(place, actor, { log: head, fresh: [] })
    : anonymousFromJson(json as AnonymousJson);
  if (!ownersOf(state).includes(userId)) return [];
  plan.owned.push(anonymousId);
  const intervals = intervalsOf(state, userId).map((interval) => ({ ...interval, events: 0 }));
  const intervalOf = (entry: LogEntry) =>
    isLinkEntry(entry) ? undefined : intervals.find((each) => isWithin([entry.at, entry.place], each));
  await planEntries(place, { kind: "anonymous", id: anonymousId, head }, {
    plan,
    groups,
    mine: (entry) => intervalOf(entry) !== undefined,
    onMine: (entry) => intervalOf(entry)!.events++,
  });
  return intervals.map(({ from, until, events }) => ({
    anonymousId,
    fromMs: from?.[0] ?? -Infinity,
    untilMs: until?.[0] ?? Infinity,
    events,
  }));
}

/** All events of an anonymous id, whoever owns them; others' events that name it lose the name. */
export async function planAnonymous(place: PlanPlace, id: string): Promise<Planned> {
  const plan: Plan = { places: [], mentions: [], names: [], owned: [] };
  const groups = new Set<string>();
  const users = new Set<string>();
  const [loaded] = await load<ActorHead>(place.store, [actorKey(place.generation, "anonymous", id)]);
  const head = loaded!.head;
  if (head === undefined) return { plan, owned: [] };
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
  return { plan, owned: [] };
}

/** An actor whose log is read. */
interface Named {
  kind: ActorKind;
  id: string;
  head: ActorHead;
}

/** Plans the entries of a log that are `mine`, and the groups that they name. */
async function planEntries(
  place: PlanPlace,
  { kind, id, head }: Named,
  { plan, groups, mine, onMine }: {
    plan: Plan;
    groups: Set<string>;
    mine(entry: LogEntry): boolean;
    onMine?(entry: LogEntry): void;
  },
): Promise<void> {
  const actor = { generation: place.generation, kind, id };
  for await (const entry of readLog(place.store, actor, { log: head, order: "asc" })) {
    if (!mine(entry)) continue;
    plan.places.push(entry.place);
    onMine?.(entry);
  }
  const isGroup = (entry: LogEntry) => mine(entry) && mayBe(entry, { type: "group" });
  for await (const { groupId } of facts(place, { kind, id, head }, isGroup)) {
    if (groupId !== undefined) groups.add(groupId);
  }
}

/** The facts of a log, some at a time. */
async function* facts(
  { store, generation, factsAt, renew, limits }: PlanPlace,
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

/** A state of an older fold cannot tell the members of groups once its events are erased: it is folded first. */
async function replayIfStale(
  place: PlanPlace,
  kind: ActorKind,
  { id, head }: Pick<Named, "id" | "head">,
): Promise<boolean> {
  if (!isStale(head, place.foldVersion) || place.isReadOnly) return false;
  await replayActor(place, { generation: place.generation, kind, id }, { verify: false });
  return true;
}
