/**
 * Reads: profiles, logs and members, each of which sees all that was answered before it began, in whatever process.
 *
 * A view pins the tail, reads values, then the head, and extends the tail to it. What it then folds is every actor it
 * needs, to exactly that head: value plus tail. An actor without events in the tail is as it stands in the store.
 *
 * A long file, since every kind of read stands on the same few functions of a view; the logs would be the next to move out.
 */
import {
  type Anonymous,
  anonymousFromJson,
  type AnonymousJson,
  emptyAnonymous,
  evolveAnonymous,
  foldAnonymous,
  NO_OWNER,
  ownerAt,
  ownerOf,
} from "../domain/anonymous.ts";
import type { StoredEvent } from "../domain/event.ts";
import { type ActorName, type Fact, factOf } from "../domain/fact.ts";
import { emptyGroup, evolveGroup, type Group, groupFromJson, type GroupJson } from "../domain/group.ts";
import { emptyPerson, evolvePerson, type Person, personFromJson, type PersonJson } from "../domain/person.ts";
import { anonymousProfile, groupProfile, personOf, type Profile, userProfile } from "../domain/profile.ts";
import { traitsOf } from "../domain/register.ts";
import { lastPlaceOf } from "./chunk.ts";
import { factsOfLog, foldAnonymousLog } from "./history.ts";
import type { Journal } from "./journal.ts";
import { actorKey, type Member, partPrefix } from "./keys.ts";
import {
  compareEntries,
  EMPTY_LOG,
  isLinkEntry,
  type LogEntry,
  mayBe,
  type OpenLog,
  readLog,
  tagOf,
} from "./log.ts";
import { countMembers, listMembers } from "./members.ts";
import type { Settling } from "./settling.ts";
import { type ActorHead, isStale, load, type Loaded, type PartHead, whole } from "./snapshot.ts";
import type { Store } from "./store.ts";
import {
  type ActorKind,
  InvalidCursor,
  type LogQuery,
  type Past,
  type Reader,
  StorageUnavailable,
} from "./system.ts";
import { isContiguous, linksIn, type Pin, placesIn } from "./tail.ts";

/** A view begins again so often, when what it read was replaced meanwhile, before storage counts as unavailable. */
const TRIES = 50;

/** A read that takes no longer than this is through before an old generation is deleted. */
const SHORT_MS = 1_000;

/** A read of members waits so long for settling. */
const SETTLE_MS = 10_000;

/** Log entries whose events are read at once. */
const EVENTS_AT_ONCE = 100;

/** What the reader is given. */
export interface ReaderOptions {
  store: Store;
  journal: Journal;
  settling: Settling;
}

/** The store and the tail at one head. */
interface View {
  generation: number;
  /** Chunks up to this one are seen. */
  head: number;
  pin: Pin;
}

/** An actor's value and its facts in the tail. */
interface Actor {
  kind: ActorKind;
  id: string;
  loaded: Loaded<ActorHead>;
  tail: Fact[];
}

/** Makes the reader. */
export function createReader({ store, journal, settling }: ReaderOptions): Reader {
  const history = { store, factsAt: journal.events.factsAt };

  /**
   * Does `read` on a view, again if the tail was begun anew meanwhile. `read` gets `extend`, which reads the head and
   * gives the view up to it: what it read before is then not newer than the view.
   */
  async function viewed<T>(
    read: (extend: () => Promise<View>, generation: number) => Promise<T>,
  ): Promise<T> {
    for (let tries = 0; tries < TRIES; tries++) {
      const epoch = journal.epoch();
      const generation = journal.settled().generation;
      let pin = journal.tail().pin();
      const extend = async (): Promise<View> => {
        await journal.sync();
        if (journal.epoch() !== epoch) throw new Outdated();
        pin = [...new Set([...pin, ...journal.tail().pin()])];
        // What was appended and trimmed since the last look stands in neither.
        if (!isContiguous(pin)) throw new Outdated();
        return { generation, head: journal.head().seq, pin };
      };
      const began = performance.now();
      try {
        const result = await read(extend, generation);
        // What a long read saw last may be of a generation that was being deleted.
        if (performance.now() - began > SHORT_MS) await extend();
        return result;
      } catch (error) {
        if (!(error instanceof Outdated)) throw error;
      }
    }
    throw changedTooOften();
  }

  async function actorOf(view: View, kind: ActorKind, id: string): Promise<Actor> {
    const [loaded] = await load<ActorHead>(store, [actorKey(view.generation, kind, id)]);
    return withTail(view, { kind, id, loaded: loaded! });
  }

  async function withTail(view: View, { kind, id, loaded }: Omit<Actor, "tail">): Promise<Actor> {
    const after = loaded.head?.position ?? 0;
    const places = placesIn(view.pin, `${kind}/${id}` as ActorName, { after, upTo: lastPlaceOf(view.head) });
    return { kind, id, loaded, tail: await journal.events.factsAt(places) };
  }

  /**
   * What is kept of an actor. It may have settled past the head of the view, where it was read after that: then there is
   * no telling what it was at the head, and the view begins again.
   */
  function keptOf(view: View, { loaded }: Actor): Loaded<ActorHead> {
    if ((loaded.head?.position ?? 0) > lastPlaceOf(view.head)) throw new Outdated();
    return loaded;
  }

  const placeOfLog = (view: View, { kind, id }: Actor) => ({ generation: view.generation, kind, id });

  /** All facts of an actor, settled and not, in the order of the journal. */
  async function* allFacts(view: View, actor: Actor): AsyncGenerator<Fact> {
    if (actor.loaded.head !== undefined) {
      yield* factsOfLog(history, placeOfLog(view, actor), { log: actor.loaded.head });
    }
    yield* actor.tail;
  }

  /** The facts of an actor's past, in the order of the journal. */
  async function pastFacts(view: View, actor: Actor, past: Past): Promise<Fact[]> {
    const { at = Infinity, asOf = Infinity } = past;
    const end = lastPlaceOf(view.head);
    const places: number[] = [];
    if (actor.loaded.head !== undefined) {
      const entries = readLog(store, placeOfLog(view, actor), { log: actor.loaded.head, order: "asc" });
      for await (const entry of entries) {
        if (entry.at > at) break;
        if (entry.place <= end) places.push(entry.place);
      }
    }
    for (const fact of actor.tail) if (fact.at <= at) places.push(fact.place);
    places.sort((a, b) => a - b);
    const facts: Fact[] = [];
    for (let i = 0; i < places.length; i += EVENTS_AT_ONCE) {
      const some = places.slice(i, i + EVENTS_AT_ONCE);
      for (const [index, { event }] of (await journal.events.at(some)).entries()) {
        if (Date.parse(event.receivedAt) <= asOf) facts.push(factOf(event, some[index]!));
      }
    }
    return facts;
  }

  async function personFrom(view: View, actor: Actor): Promise<Person> {
    const { head, state: kept } = keptOf(view, actor);
    const person = head !== undefined && !isStale(head) ? personFromJson(kept as PersonJson) : emptyPerson();
    const facts = head !== undefined && isStale(head) ? allFacts(view, actor) : actor.tail;
    for await (const fact of facts) evolvePerson(person, fact);
    return person;
  }

  async function groupFrom(view: View, actor: Actor): Promise<Group> {
    const { head, state: kept } = keptOf(view, actor);
    const group = head !== undefined && !isStale(head) ? groupFromJson(kept as GroupJson) : emptyGroup();
    const facts = head !== undefined && isStale(head) ? allFacts(view, actor) : actor.tail;
    for await (const fact of facts) evolveGroup(group, fact);
    return group;
  }

  async function anonymousFrom(view: View, actor: Actor): Promise<Anonymous> {
    const { head, state: kept } = keptOf(view, actor);
    if (head === undefined || !isStale(head)) {
      const state = head === undefined ? emptyAnonymous() : anonymousFromJson(kept as AnonymousJson);
      if (actor.tail.every((fact) => evolveAnonymous(state, fact, actor.id))) return state;
    }
    return await foldAnonymousLog(history, placeOfLog(view, actor), { log: head, fresh: actor.tail });
  }

  /** What a user is made of: their own actor, and their anonymous ids, each as its part or (in the tail) as its actor. */
  async function userOf(extend: () => Promise<View>, generation: number, userId: string) {
    const keys = [actorKey(generation, "user", userId)];
    const [[loaded], parts] = await Promise.all([
      load<ActorHead>(store, keys),
      listParts(generation, userId),
    ]);
    const actors = new Map<string, Actor>();
    for (;;) {
      const view = await extend();
      const ids = new Set([...parts.keys(), ...linksIn(view.pin, userId)]);
      const moving = [...ids].filter((id) => {
        return placesIn(view.pin, `anonymous/${id}`, { after: 0, upTo: Infinity }).length > 0;
      });
      const unread = moving.filter((id) => !actors.has(id));
      for (const id of unread) actors.set(id, await actorOf(view, "anonymous", id));
      if (unread.length > 0) continue;
      const own = await withTail(view, { kind: "user", id: userId, loaded: loaded! });
      for (const [id, actor] of actors) actors.set(id, await withTail(view, actor));
      return { view, own, parts, actors };
    }
  }

  async function listParts(generation: number, userId: string): Promise<Map<string, Loaded<PartHead>>> {
    const parts = new Map<string, Loaded<PartHead>>();
    for await (const entry of store.list<Uint8Array>({ prefix: partPrefix(generation, userId) })) {
      // A part whose key is there but whose pieces are being replaced is read again.
      const loaded = await whole<PartHead>(store, entry);
      if (loaded.head !== undefined) parts.set(loaded.head.anonymousId, loaded);
    }
    return parts;
  }

  async function userPerson(extend: () => Promise<View>, generation: number, userId: string) {
    const { view, own, parts, actors } = await userOf(extend, generation, userId);
    const version = (own.loaded.head?.version ?? 0) + own.tail.length;
    if (version === 0) return undefined;
    const shares = new Map<string, Person>();
    for (const [id, part] of parts) {
      if (actors.has(id)) continue;
      if (!isStale(part.head!)) shares.set(id, personFromJson(part.state as PersonJson));
      else actors.set(id, await actorOf(view, "anonymous", id));
    }
    for (const [id, actor] of actors) {
      const share = (await anonymousFrom(view, actor)).parts.get(userId);
      if (share !== undefined) shares.set(id, share);
    }
    const person = personOf(await personFrom(view, own), shares.values());
    return { view, person, version, anonymousIds: [...shares.keys()].sort() };
  }

  async function groupTraits(view: View, person: Person, past?: Past) {
    const groupIds = [...person.groups.keys()];
    const loaded = await load<ActorHead>(
      store,
      groupIds.map((id) => actorKey(view.generation, "group", id)),
    );
    const traits = new Map<string, Record<string, unknown>>();
    for (const [index, id] of groupIds.entries()) {
      const actor = await withTail(view, { kind: "group", id, loaded: loaded[index]! });
      const group = past === undefined ? await groupFrom(view, actor) : await pastGroup(view, actor, past);
      traits.set(id, traitsOf(group.traits));
    }
    return traits;
  }

  async function pastGroup(view: View, actor: Actor, past: Past): Promise<Group> {
    const group = emptyGroup();
    for (const fact of await pastFacts(view, actor, past)) evolveGroup(group, fact);
    return group;
  }

  function user(userId: string): Promise<Profile | null> {
    return viewed(async (extend, generation) => {
      const known = await userPerson(extend, generation, userId);
      if (known === undefined) return null;
      const { view, person, version, anonymousIds } = known;
      return userProfile(userId, person, {
        groupTraits: await groupTraits(view, person),
        version,
        anonymousIds,
      });
    });
  }

  function pastUser(userId: string, past: Past): Promise<Profile | null> {
    return viewed(async (extend, generation) => {
      const { view, own, parts, actors } = await userOf(extend, generation, userId);
      const facts = await pastFacts(view, own, past);
      if (facts.length === 0) return null;
      const person = emptyPerson();
      for (const fact of facts) evolvePerson(person, fact);
      const shares = new Map<string, Person>();
      for (const id of new Set([...parts.keys(), ...actors.keys()])) {
        const actor = actors.get(id) ?? await actorOf(view, "anonymous", id);
        const share = foldAnonymous(await pastFacts(view, actor, past), id).parts.get(userId);
        if (share !== undefined) shares.set(id, share);
      }
      const whole = personOf(person, shares.values());
      return userProfile(userId, whole, {
        groupTraits: await groupTraits(view, whole, past),
        version: facts.length,
        anonymousIds: [...shares.keys()].sort(),
      });
    });
  }

  async function anonymous(anonymousId: string, past?: Past): Promise<Profile | null> {
    const found = await viewed(async (extend) => {
      const first = await actorOf(await extend(), "anonymous", anonymousId);
      const view = await extend();
      const actor = await withTail(view, first);
      const facts = past === undefined ? [] : await pastFacts(view, actor, past);
      const state = past === undefined ? await anonymousFrom(view, actor) : foldAnonymous(facts, anonymousId);
      const owner = ownerOf(state);
      if (owner !== undefined) return { owner };
      const person = state.parts.get(NO_OWNER);
      if (person === undefined) return { profile: null };
      const version = past === undefined
        ? (actor.loaded.head?.version ?? 0) + actor.tail.length
        : facts.length;
      const context = { groupTraits: await groupTraits(view, person, past), version };
      return { profile: anonymousProfile(anonymousId, person, context) };
    });
    if (found.owner === undefined) return found.profile ?? null;
    return past === undefined ? user(found.owner) : pastUser(found.owner, past);
  }

  /** Reads what is settled of a group's members, by generation; again where that was replaced meanwhile. */
  async function settledMembers<T>(groupId: string, read: (generation: number) => Promise<T>): Promise<T> {
    for (let tries = 0; tries < TRIES; tries++) {
      const began = performance.now();
      const generation = await settledGeneration(groupId);
      const result = await read(generation);
      if (performance.now() - began <= SHORT_MS) return result;
      await journal.sync();
      if (journal.settled().generation === generation) return result;
    }
    throw changedTooOften();
  }

  /** Waits until what concerns a group's members is settled; gives the generation that holds them. */
  async function settledGeneration(groupId: string): Promise<number> {
    await journal.sync();
    const pin = journal.tail().pin();
    const settled = lastPlaceOf(journal.settled().seq);
    const moves = pin.some((segment) => {
      return segment.links.size > 0 ||
        (segment.places.get(`group/${groupId}`)?.some((place) => place > settled) ?? false);
    });
    if (moves) await settling.until(journal.head().seq, SETTLE_MS);
    return journal.settled().generation;
  }

  async function group(groupId: string, past?: Past): Promise<Profile | null> {
    if (past !== undefined) return await pastGroupProfile(groupId, past);
    const count = await settledMembers(groupId, (generation) => countMembers(store, generation, groupId));
    return viewed(async (extend) => {
      const first = await actorOf(await extend(), "group", groupId);
      const view = await extend();
      const state = await groupFrom(view, await withTail(view, first));
      return state.count === 0 ? null : groupProfile(groupId, state, count);
    });
  }

  function pastGroupProfile(groupId: string, past: Past): Promise<Profile | null> {
    return viewed(async (extend) => {
      const first = await actorOf(await extend(), "group", groupId);
      const view = await extend();
      const facts = await pastFacts(view, await withTail(view, first), past);
      if (facts.length === 0) return null;
      const state = emptyGroup();
      const members = new Set<string>();
      const owners = new Map<string, Anonymous>();
      for (const fact of facts) {
        evolveGroup(state, fact);
        if (fact.userId !== undefined) {
          members.add(`user/${fact.userId}`);
          continue;
        }
        const id = fact.anonymousId!;
        if (!owners.has(id)) {
          owners.set(
            id,
            foldAnonymous(await pastFacts(view, await actorOf(view, "anonymous", id), past), id),
          );
        }
        const owner = ownerAt(owners.get(id)!, [fact.at, fact.place]);
        members.add(owner === undefined ? `anonymous/${id}` : `user/${owner}`);
      }
      return groupProfile(groupId, state, members.size);
    });
  }

  return {
    user: (userId, past) => isNow(past) ? user(userId) : pastUser(userId, past),
    anonymous: (anonymousId, past) => anonymous(anonymousId, isNow(past) ? undefined : past),
    group: (groupId, past) => group(groupId, isNow(past) ? undefined : past),
    log: (kind, id, query) =>
      viewed((extend, generation) => readLogPage(extend, generation, { kind, id, query })),
    async members(groupId, { limit, cursor }) {
      const after = cursor === undefined ? undefined : memberCursor(cursor);
      const { members, more } = await settledMembers(
        groupId,
        (generation) => listMembers(store, generation, { groupId, limit, after }),
      );
      if (members.length === 0 && await group(groupId) === null) return null;
      const last = members.at(-1);
      return {
        members: members.map(({ who: [kind, id], at }) => ({
          [kind === "user" ? "userId" : "anonymousId"]: id,
          joinedAt: new Date(at).toISOString(),
        })),
        cursor: more && last !== undefined ? encodeCursor(last.who) : null,
      };
    },
  };

  /** One page of a log: of a user, their own log and what they own of their anonymous ids', merged. */
  async function readLogPage(
    extend: () => Promise<View>,
    generation: number,
    { kind, id, query }: { kind: ActorKind; id: string; query: LogQuery },
  ): Promise<{ events: StoredEvent[]; cursor: string | null } | null> {
    const cursor = query.cursor === undefined ? undefined : logCursor(query.cursor, query.order);
    const { view, sources } = kind === "user"
      ? await userSources(extend, generation, id)
      : await ownSource(extend, kind, id);
    if (sources.every(({ actor }) => actor.loaded.head === undefined && actor.tail.length === 0)) {
      return null;
    }
    // What came after the first page's view is on none of them, or pages would have holes.
    const cut = Math.min(cursor?.cut ?? Infinity, lastPlaceOf(view.head));
    const range = { order: query.order, after: cursor?.after };
    const merged = mergeOrdered(
      sources.map(({ actor, owned }) => {
        const place = { generation, kind: actor.kind, id: actor.id };
        const open = openWith(actor);
        return filtered(
          readLog(store, place, { log: open, ...range }),
          (entry) => entry.place <= cut && owned(entry) && mayBe(entry, query),
        );
      }),
      query.order,
    );
    const events: StoredEvent[] = [];
    let last: LogEntry | undefined;
    let batch: LogEntry[] = [];
    let more = false;
    const take = async () => {
      const found = await journal.events.at(batch.map(({ place }) => place));
      for (const [index, { event }] of found.entries()) {
        if (query.type !== undefined && event.type !== query.type) continue;
        if (query.event !== undefined && !(event.type === "track" && event.event === query.event)) continue;
        if (events.length === query.limit) {
          more = true;
          break;
        }
        events.push(event);
        last = batch[index];
      }
      batch = [];
    };
    for await (const entry of merged) {
      batch.push(entry);
      if (batch.length >= Math.min(EVENTS_AT_ONCE, query.limit - events.length + 1)) await take();
      if (more) break;
    }
    if (!more) await take();
    // Pages that a settler moved while they were read may hide entries: begin again.
    const entries = await store.getMany(sources.map(({ actor }) => actor.loaded.key));
    if (entries.some(({ stamp }, index) => stamp !== sources[index]!.actor.loaded.stamp)) {
      throw new Outdated();
    }
    const next = more && last !== undefined ? encodeCursor([cut, last.at, last.place, query.order]) : null;
    return { events, cursor: next };
  }

  interface Sources {
    view: View;
    sources: { actor: Actor; owned(entry: LogEntry): boolean }[];
  }

  async function ownSource(
    extend: () => Promise<View>,
    kind: ActorKind,
    id: string,
  ): Promise<Sources> {
    const first = await actorOf(await extend(), kind, id);
    const view = await extend();
    return { view, sources: [{ actor: await withTail(view, first), owned: () => true }] };
  }

  async function userSources(
    extend: () => Promise<View>,
    generation: number,
    userId: string,
  ): Promise<Sources> {
    const { view, own, parts, actors } = await userOf(extend, generation, userId);
    const sources: Sources["sources"] = [{ actor: own, owned: () => true }];
    for (const id of new Set([...parts.keys(), ...actors.keys()])) {
      const actor = actors.get(id) ?? await actorOf(view, "anonymous", id);
      const state = await anonymousFrom(view, actor);
      sources.push({
        actor,
        owned: (entry) => !isLinkEntry(entry) && ownerAt(state, [entry.at, entry.place]) === userId,
      });
    }
    return { view, sources };
  }
}

/** Whether a past has no bounds: that is the present, which is not folded from the whole log. */
function isNow(past: Past | undefined): past is undefined {
  return past?.at === undefined && past?.asOf === undefined;
}

function changedTooOften(): StorageUnavailable {
  return new StorageUnavailable("what was to be read changed too often while it was read");
}

/** Thrown where a view can't be extended any more, and is begun again. */
class Outdated extends Error {
  override name = "Outdated";
}

/** A log with the entries of the tail, as if they were settled. */
function openWith({ kind, loaded, tail }: Actor): OpenLog & { extra: LogEntry[] } {
  const extra = tail.map((fact) => ({ at: fact.at, place: fact.place, tag: tagOf(fact, kind) }));
  return { ...(loaded.head ?? EMPTY_LOG), extra };
}

async function* filtered<T>(items: AsyncIterable<T>, wanted: (item: T) => boolean): AsyncGenerator<T> {
  for await (const item of items) if (wanted(item)) yield item;
}

/** Merges logs, each in order, into one in order. */
async function* mergeOrdered(
  logs: AsyncGenerator<LogEntry>[],
  order: "asc" | "desc",
): AsyncGenerator<LogEntry> {
  const sign = order === "asc" ? 1 : -1;
  const heads = await Promise.all(logs.map((log) => log.next()));
  for (;;) {
    let first = -1;
    for (const [index, head] of heads.entries()) {
      if (head.done) continue;
      if (first < 0 || sign * compareEntries(head.value, heads[first]!.value) < 0) first = index;
    }
    if (first < 0) return;
    yield heads[first]!.value as LogEntry;
    heads[first] = await logs[first]!.next();
  }
}

function encodeCursor(value: unknown): string {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function decodeCursor(cursor: string): unknown {
  try {
    const binary = atob(cursor.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (unit) => unit.charCodeAt(0))));
  } catch {
    throw new InvalidCursor("cursor: not one that a page before gave");
  }
}

function logCursor(cursor: string, order: "asc" | "desc"): { cut: number; after: [number, number] } {
  const value = decodeCursor(cursor);
  const valid = Array.isArray(value) && value.length === 4 && value.slice(0, 3).every(Number.isSafeInteger);
  if (!valid) throw new InvalidCursor("cursor: not one that a page before gave");
  if (value[3] !== order) {
    throw new InvalidCursor(`cursor: it belongs to order=${value[3]}, this is order=${order}`);
  }
  return { cut: value[0], after: [value[1], value[2]] };
}

function memberCursor(cursor: string): Member {
  const value = decodeCursor(cursor);
  const valid = Array.isArray(value) && value.length === 2 &&
    (value[0] === "user" || value[0] === "anonymous") &&
    typeof value[1] === "string";
  if (!valid) throw new InvalidCursor("cursor: not one that a page before gave");
  return value as Member;
}
