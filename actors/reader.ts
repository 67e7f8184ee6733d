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
  foldLinks,
  foldOwned,
  NO_OWNER,
  ownerAt,
  ownerOf,
} from "../domain/anonymous.ts";
import type { StoredEvent } from "../domain/event.ts";
import { type ActorName, type Fact, factOf } from "../domain/fact.ts";
import { emptyGroup, evolveGroup, type Group, groupFromJson, type GroupJson } from "../domain/group.ts";
import { jsonBytes } from "../domain/json.ts";
import {
  emptyPerson,
  eventCountOf,
  evolvePerson,
  type Person,
  personFromJson,
  type PersonJson,
} from "../domain/person.ts";
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

/** A page of a log ends before its limit once its events are so much JSON, of which 500 can take 300 MB of memory. */
export const PAGE_LENGTH = 4 * 1024 * 1024;

/**
 * Anonymous ids of which a user's profile and log are made, and bytes of what is read of them. Anybody with a write key
 * can link thousands to a user, of 400 KB each; what is left out is flagged as dropped, and shown under its own id.
 */
export const MAX_LINKED = 1_000;
const LINKED_BYTES = 2 * 1024 * 1024;

/** Groups of a person whose traits are shown, and bytes of these; others are listed without. */
export const MAX_GROUPS = 1_000;
const GROUPS_BYTES = 1024 * 1024;

/** Groups that are read at once. */
const GROUPS_AT_ONCE = 20;

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

/** An actor's value, and the places of its facts in the tail: the facts themselves where they are few. */
interface Actor {
  kind: ActorKind;
  id: string;
  loaded: Loaded<ActorHead>;
  tail: number[];
  facts: Fact[] | undefined;
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

  async function withTail(
    view: View,
    { kind, id, loaded }: Pick<Actor, "kind" | "id" | "loaded">,
  ): Promise<Actor> {
    const after = loaded.head?.position ?? 0;
    const tail = placesIn(view.pin, `${kind}/${id}` as ActorName, { after, upTo: lastPlaceOf(view.head) });
    const facts = tail.length <= EVENTS_AT_ONCE ? await journal.events.factsAt(tail) : undefined;
    return { kind, id, loaded, tail, facts };
  }

  /** An actor's facts that are not settled. */
  async function* freshFacts({ tail, facts }: Actor): AsyncGenerator<Fact> {
    if (facts !== undefined) return yield* facts;
    for (let i = 0; i < tail.length; i += EVENTS_AT_ONCE) {
      yield* await journal.events.factsAt(tail.slice(i, i + EVENTS_AT_ONCE));
    }
  }

  /** A log with the entries of the tail, as if they were settled. */
  async function openWith(actor: Actor): Promise<OpenLog & { extra: LogEntry[] }> {
    const extra: LogEntry[] = [];
    for await (const fact of freshFacts(actor)) {
      extra.push({ at: fact.at, place: fact.place, tag: tagOf(fact, actor.kind) });
    }
    return { ...(actor.loaded.head ?? EMPTY_LOG), extra };
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
    yield* freshFacts(actor);
  }

  /**
   * The facts of an actor's past, in the order of the journal: those whose entries are wanted. Memory holds the places
   * of all, and some facts at a time, since anybody may send a million of them to one id.
   */
  async function* pastFacts(
    view: View,
    actor: Actor,
    { past, wanted = () => true }: { past: Past; wanted?: (entry: LogEntry) => boolean },
  ): AsyncGenerator<Fact> {
    const { at = Infinity, asOf = Infinity } = past;
    const end = lastPlaceOf(view.head);
    const places: number[] = [];
    const log = await openWith(actor);
    for await (const entry of readLog(store, placeOfLog(view, actor), { log, order: "asc" })) {
      if (entry.at > at) break;
      if (wanted(entry) && entry.place <= end) places.push(entry.place);
    }
    places.sort((a, b) => a - b);
    for (let i = 0; i < places.length; i += EVENTS_AT_ONCE) {
      const some = places.slice(i, i + EVENTS_AT_ONCE);
      for (const [index, { event }] of (await journal.events.at(some)).entries()) {
        if (Date.parse(event.receivedAt) <= asOf) yield factOf(event, some[index]!);
      }
    }
  }

  /** The links of an anonymous id's past, folded, which say whose it was when; and how many there are. */
  async function pastLinks(
    view: View,
    actor: Actor,
    past: Past,
  ): Promise<{ state: Anonymous; count: number }> {
    const links: Fact[] = [];
    for await (const fact of pastFacts(view, actor, { past, wanted: isLinkEntry })) {
      links.push({ ...fact, traits: undefined });
    }
    return { state: foldLinks(links, actor.id), count: links.length };
  }

  /** An anonymous id in a past, and how many events make it: its links first, then the events one by one. */
  async function pastAnonymous(view: View, actor: Actor, past: Past) {
    let { state, count } = await pastLinks(view, actor, past);
    const wanted = (entry: LogEntry) => !isLinkEntry(entry);
    for await (const fact of pastFacts(view, actor, { past, wanted })) {
      foldOwned(state, fact);
      count++;
    }
    return { state, count };
  }

  async function personFrom(view: View, actor: Actor): Promise<Person> {
    const { head, state: kept } = keptOf(view, actor);
    const person = head !== undefined && !isStale(head) ? personFromJson(kept as PersonJson) : emptyPerson();
    const facts = head !== undefined && isStale(head) ? allFacts(view, actor) : freshFacts(actor);
    for await (const fact of facts) evolvePerson(person, fact);
    return person;
  }

  async function groupFrom(view: View, actor: Actor): Promise<Group> {
    const { head, state: kept } = keptOf(view, actor);
    const group = head !== undefined && !isStale(head) ? groupFromJson(kept as GroupJson) : emptyGroup();
    const facts = head !== undefined && isStale(head) ? allFacts(view, actor) : freshFacts(actor);
    for await (const fact of facts) evolveGroup(group, fact);
    return group;
  }

  async function anonymousFrom(view: View, actor: Actor): Promise<Anonymous> {
    const { head, state: kept } = keptOf(view, actor);
    if (head === undefined || !isStale(head)) {
      const state = head === undefined ? emptyAnonymous() : anonymousFromJson(kept as AnonymousJson);
      if (await evolvesInOrder(state, actor)) return state;
    }
    const fresh = { [Symbol.asyncIterator]: () => freshFacts(actor) };
    return await foldAnonymousLog(history, placeOfLog(view, actor), { log: head, fresh });
  }

  /** Whether no fresh link lands among what is folded. */
  async function evolvesInOrder(state: Anonymous, actor: Actor): Promise<boolean> {
    for await (const fact of freshFacts(actor)) if (!evolveAnonymous(state, fact, actor.id)) return false;
    return true;
  }

  /**
   * What a user is made of: their own actor, and their anonymous ids, each as its part or (in the tail) as its actor.
   * Beyond {@link MAX_LINKED} ids, or {@link LINKED_BYTES} of them, the others are left out.
   */
  async function userOf(extend: () => Promise<View>, generation: number, userId: string) {
    const keys = [actorKey(generation, "user", userId)];
    const [[loaded], listed] = await Promise.all([
      load<ActorHead>(store, keys),
      listParts(generation, userId),
    ]);
    const { parts } = listed;
    let { bytes, isCut } = listed;
    const actors = new Map<string, Actor>();
    const leftOut = new Set<string>();
    for (;;) {
      const view = await extend();
      const linked = [...linksIn(view.pin, userId)].filter((id) => !parts.has(id) && !leftOut.has(id));
      const room = isCut ? 0 : MAX_LINKED - parts.size;
      if (linked.length > room) isCut = true;
      const ids = [...parts.keys(), ...linked.sort().slice(0, room)];
      const moving = ids.filter((id) => {
        return placesIn(view.pin, `anonymous/${id}`, { after: 0, upTo: Infinity }).length > 0;
      });
      const unread = moving.filter((id) => !actors.has(id));
      for (const id of unread) {
        const actor = await actorOf(view, "anonymous", id);
        bytes += bytesOf(actor.loaded);
        if (bytes <= LINKED_BYTES) actors.set(id, actor);
        else {
          leftOut.add(id);
          parts.delete(id);
        }
      }
      if (unread.length > 0) continue;
      const own = await withTail(view, { kind: "user", id: userId, loaded: loaded! });
      for (const [id, actor] of actors) actors.set(id, await withTail(view, actor));
      return { view, own, parts, actors, isWhole: !isCut && leftOut.size === 0 };
    }
  }

  async function listParts(generation: number, userId: string) {
    const parts = new Map<string, Loaded<PartHead>>();
    let bytes = 0;
    for await (const entry of store.list<Uint8Array>({ prefix: partPrefix(generation, userId) })) {
      if (parts.size === MAX_LINKED || bytes > LINKED_BYTES) return { parts, bytes, isCut: true };
      // A part whose key is there but whose pieces are being replaced is read again.
      const loaded = await whole<PartHead>(store, entry);
      if (loaded.head === undefined) continue;
      parts.set(loaded.head.anonymousId, loaded);
      bytes += bytesOf(loaded);
    }
    return { parts, bytes, isCut: false };
  }

  /** What a user has of each of their anonymous ids, until it is {@link LINKED_BYTES}. */
  async function sharesOf(ids: string[], shareOf: (id: string) => Promise<Person | undefined>) {
    const shares = new Map<string, Person>();
    let bytes = 0;
    for (const id of new Set(ids)) {
      if (bytes > LINKED_BYTES) return { shares, isCut: true };
      const share = await shareOf(id);
      if (share === undefined) continue;
      shares.set(id, share);
      bytes += share.bytes + (share.context === null ? 0 : jsonBytes(share.context[0]));
    }
    return { shares, isCut: false };
  }

  async function userPerson(extend: () => Promise<View>, generation: number, userId: string) {
    const { view, own, parts, actors, isWhole } = await userOf(extend, generation, userId);
    const version = versionOf(own);
    if (version === 0) return undefined;
    const { shares, isCut } = await sharesOf([...parts.keys(), ...actors.keys()], async (id) => {
      const part = actors.has(id) ? undefined : parts.get(id);
      if (part !== undefined && !isStale(part.head!)) return personFromJson(part.state as PersonJson);
      const actor = actors.get(id) ?? await actorOf(view, "anonymous", id);
      return (await anonymousFrom(view, actor)).parts.get(userId);
    });
    const person = personOf(await personFrom(view, own), shares.values());
    if (isCut || !isWhole) person.dropped++;
    return { view, person, version, anonymousIds: [...shares.keys()].sort() };
  }

  /** The traits of a person's groups. Beyond {@link GROUPS_BYTES} of them the others count as dropped from the person. */
  async function groupTraits(view: View, person: Person, past?: Past) {
    const groupIds = [...person.groups.keys()];
    const traits = new Map<string, Record<string, unknown>>();
    let bytes = 0;
    for (let from = 0; from < groupIds.length; from += GROUPS_AT_ONCE) {
      if (from >= MAX_GROUPS || bytes > GROUPS_BYTES) {
        person.dropped += groupIds.length - from;
        break;
      }
      const ids = groupIds.slice(from, from + GROUPS_AT_ONCE);
      const loaded = await load<ActorHead>(store, ids.map((id) => actorKey(view.generation, "group", id)));
      for (const [index, id] of ids.entries()) {
        const actor = await withTail(view, { kind: "group", id, loaded: loaded[index]! });
        const group = past === undefined ? await groupFrom(view, actor) : await pastGroup(view, actor, past);
        traits.set(id, traitsOf(group.traits));
        bytes += group.bytes;
      }
    }
    return traits;
  }

  /** The newest context, from the journal, where alone it stands. */
  async function contextOf({ context }: Person): Promise<Record<string, unknown>> {
    if (context === null) return {};
    const [newest] = await journal.events.at([context[1]]);
    return newest!.event.context ?? {};
  }

  async function pastGroup(view: View, actor: Actor, past: Past): Promise<Group> {
    const group = emptyGroup();
    for await (const fact of pastFacts(view, actor, { past })) evolveGroup(group, fact);
    return group;
  }

  function user(userId: string): Promise<Profile | null> {
    return viewed(async (extend, generation) => {
      const known = await userPerson(extend, generation, userId);
      if (known === undefined) return null;
      const { view, person, version, anonymousIds } = known;
      return userProfile(userId, person, {
        context: await contextOf(person),
        groupTraits: await groupTraits(view, person),
        version,
        anonymousIds,
      });
    });
  }

  function pastUser(userId: string, past: Past): Promise<Profile | null> {
    return viewed(async (extend, generation) => {
      const { view, own, parts, actors, isWhole } = await userOf(extend, generation, userId);
      const person = emptyPerson();
      for await (const fact of pastFacts(view, own, { past })) evolvePerson(person, fact);
      const version = eventCountOf(person);
      if (version === 0) return null;
      const { shares, isCut } = await sharesOf([...parts.keys(), ...actors.keys()], async (id) => {
        const actor = actors.get(id) ?? await actorOf(view, "anonymous", id);
        return (await pastAnonymous(view, actor, past)).state.parts.get(userId);
      });
      const whole = personOf(person, shares.values());
      if (isCut || !isWhole) whole.dropped++;
      return userProfile(userId, whole, {
        context: await contextOf(whole),
        groupTraits: await groupTraits(view, whole, past),
        version,
        anonymousIds: [...shares.keys()].sort(),
      });
    });
  }

  async function anonymous(anonymousId: string, past?: Past): Promise<Profile | null> {
    const found = await viewed(async (extend) => {
      const first = await actorOf(await extend(), "anonymous", anonymousId);
      const view = await extend();
      const actor = await withTail(view, first);
      const { state, count: version } = past === undefined
        ? { state: await anonymousFrom(view, actor), count: versionOf(actor) }
        : await pastAnonymous(view, actor, past);
      const owner = ownerOf(state);
      if (owner !== undefined) return { owner };
      const person = state.parts.get(NO_OWNER);
      if (person === undefined) return { profile: null };
      const groups = await groupTraits(view, person, past);
      const more = { context: await contextOf(person), groupTraits: groups, version };
      return { profile: anonymousProfile(anonymousId, person, more) };
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
      const state = emptyGroup();
      const members = new Set<string>();
      const owners = new Map<string, Anonymous>();
      for await (const fact of pastFacts(view, await withTail(view, first), { past })) {
        evolveGroup(state, fact);
        if (fact.userId !== undefined) {
          members.add(`user/${fact.userId}`);
          continue;
        }
        const id = fact.anonymousId!;
        if (!owners.has(id)) {
          owners.set(id, (await pastLinks(view, await actorOf(view, "anonymous", id), past)).state);
        }
        const owner = ownerAt(owners.get(id)!, [fact.at, fact.place]);
        members.add(owner === undefined ? `anonymous/${id}` : `user/${owner}`);
      }
      return state.count === 0 ? null : groupProfile(groupId, state, members.size);
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
      sources.map(({ actor, open, owned }) => {
        const place = { generation, kind: actor.kind, id: actor.id };
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
    let pageLength = 0;
    const take = async () => {
      const found = await journal.events.at(batch.map(({ place }) => place));
      for (const [index, { event, length }] of found.entries()) {
        if (query.type !== undefined && event.type !== query.type) continue;
        if (query.event !== undefined && !(event.type === "track" && event.event === query.event)) continue;
        if (events.length === query.limit || pageLength >= PAGE_LENGTH) {
          more = true;
          break;
        }
        events.push(event);
        pageLength += length;
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

  /** A log that is read, and which of its entries; without the actor's state, as there may be many. */
  interface Source {
    actor: Pick<Actor, "kind" | "id" | "tail"> & {
      loaded: Pick<Loaded<ActorHead>, "key" | "stamp" | "head">;
    };
    open: OpenLog;
    owned(entry: LogEntry): boolean;
  }

  interface Sources {
    view: View;
    sources: Source[];
  }

  async function sourceOf(actor: Actor, owned: Source["owned"]): Promise<Source> {
    const { kind, id, tail, loaded: { key, stamp, head } } = actor;
    return { actor: { kind, id, tail, loaded: { key, stamp, head } }, open: await openWith(actor), owned };
  }

  async function ownSource(
    extend: () => Promise<View>,
    kind: ActorKind,
    id: string,
  ): Promise<Sources> {
    const first = await actorOf(await extend(), kind, id);
    const view = await extend();
    return { view, sources: [await sourceOf(await withTail(view, first), () => true)] };
  }

  async function userSources(
    extend: () => Promise<View>,
    generation: number,
    userId: string,
  ): Promise<Sources> {
    const { view, own, parts, actors } = await userOf(extend, generation, userId);
    const sources: Source[] = [await sourceOf(own, () => true)];
    for (const id of new Set([...parts.keys(), ...actors.keys()])) {
      const actor = actors.get(id) ?? await actorOf(view, "anonymous", id);
      const { runs } = await anonymousFrom(view, actor);
      const links = { ...emptyAnonymous(), runs };
      const owned = (entry: LogEntry) => {
        return !isLinkEntry(entry) && ownerAt(links, [entry.at, entry.place]) === userId;
      };
      sources.push(await sourceOf(actor, owned));
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

/** How many events are in an actor's log, settled and not. */
function versionOf({ loaded, tail }: Actor): number {
  return (loaded.head?.version ?? 0) + tail.length;
}

/** About how many bytes of JSON were read of a value: a piece of one has at most 64 KiB. */
function bytesOf({ raw, pieces }: Loaded<ActorHead | PartHead>): number {
  return (raw?.length ?? 0) + pieces.length * 65_536;
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
