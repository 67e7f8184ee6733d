/**
 * Reads: profiles, logs and members, each of which sees all that was answered before it began, in whatever process. All
 * but members stand on views (`consistent_read.ts`); members and their number are kept by settling alone.
 */
import { type Anonymous, NO_OWNER, ownerAt, ownerOf } from "../../domain/profile/anonymous.ts";
import { emptyGroup, evolveGroup } from "../../domain/profile/group.ts";
import { eventCountOf, type Person, personFromJson, type PersonJson } from "../../domain/profile/person.ts";
import {
  anonymousProfile,
  groupProfile,
  personOf,
  type Profile,
  userProfile,
} from "../../domain/profile/profile.ts";
import { traitsOf } from "../../domain/profile/register.ts";
import { decodeCursor, encodeCursor } from "../store/cursor.ts";
import { actorKey, type Member } from "../store/keys.ts";
import { createLinked } from "./user_parts.ts";
import { createLogPages, type LogQuery } from "./log_pages.ts";
import { countMembers, listMembers } from "../settling/group_members.ts";
import { createPast } from "./as_of.ts";
import type { Settling } from "../settling/backpressure.ts";
import { type ActorHead, isStale, load } from "../settling/snapshot.ts";
import { createTraitStory, type TraitStory } from "./trait_provenance.ts";
import {
  changedTooOften,
  createViews,
  type Extend,
  type Past,
  SHORT_MS,
  TRIES,
  versionOf,
  type View,
  type ViewsOptions,
} from "./consistent_read.ts";
import { InvalidCursor } from "../store/errors.ts";
import type { ActorKind, Mark } from "../../domain/profile/fact.ts";
import { isLinkEntry, readLog } from "../settling/actor_log.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { BEGINNING, type Position } from "../../domain/event/position.ts";

/** Reads: each sees everything that was answered before it began, in whatever process. `null` where never seen. */
export interface Reader {
  user(userId: string, past?: Past): Promise<Record<string, unknown> | null>;
  anonymous(anonymousId: string, past?: Past): Promise<Record<string, unknown> | null>;
  group(groupId: string, past?: Past): Promise<Record<string, unknown> | null>;
  log(
    kind: ActorKind,
    id: string,
    query: LogQuery,
  ): Promise<{ events: StoredEvent[]; cursor: string | null } | null>;
  members(
    groupId: string,
    query: { limit: number; cursor?: string },
  ): Promise<{ members: Record<string, string>[]; cursor: string | null } | null>;
  /** Explain a user's trait; `"no trait"` where no event set it, `null` where there is no such user. */
  trait(userId: string, name: string): Promise<TraitStory | "no trait" | null>;
  /** When an anonymous id was first linked at or after a time, by a link after a place of the journal; ms since 1970. */
  linkedSince(
    anonymousId: string,
    since: { fromMs: number; after: Position },
  ): Promise<number | undefined>;
}

/** A read of members waits so long for settling. */
const SETTLE_MS = 10_000;

/** Groups of a person whose traits are shown, and bytes of these; others are listed without. */
export const MAX_GROUPS = 1_000;
const GROUPS_BYTES = 1024 * 1024;

/** Groups that are read at once. */
const GROUPS_AT_ONCE = 20;

/** What the reader is given. */
export interface ReaderOptions extends ViewsOptions {
  settling: Settling;
}

/** Makes the reader. */
export function createReader({ settling, ...options }: ReaderOptions): Reader {
  const { store, clock, journal, limits, foldVersion } = options;
  const views = createViews(options);
  const { viewed, actorOf, withTail, openWith, placeOfLog, pastFacts, pastLinks, pastAnonymous } = views;
  const { readActor, stateOf } = views;
  const linked = createLinked(store, views);
  const { userOf, sharesOf } = linked;
  const was = createPast({ views, linked });
  const { readLogPage, openEntries } = createLogPages({ store, limits, journal, views, linked });

  async function userPerson(extend: Extend, generation: number, userId: string) {
    const { view, own, parts, actors, isWhole } = await userOf(extend, generation, userId);
    const version = versionOf(own);
    if (version === 0) return undefined;
    const { shares, isCut } = await sharesOf([...parts.keys(), ...actors.keys()], async (id) => {
      const part = actors.has(id) ? undefined : parts.get(id);
      if (part !== undefined && !isStale(part.head!, foldVersion)) {
        return personFromJson(part.state as PersonJson);
      }
      const actor = actors.get(id) ?? await actorOf(view, "anonymous", id);
      return (await stateOf(view, actor)).parts.get(userId);
    });
    const person = personOf(await stateOf(view, own), shares.values());
    // Nothing is left in the journal of somebody whose erasure is under way.
    if (eventCountOf(person) === 0) return undefined;
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
        const group = past === undefined ? await stateOf(view, actor) : await was.group(view, actor, past);
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
    // It is not there while its person is being erased.
    return newest?.event.context ?? {};
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
      const made = await userOf(extend, generation, userId);
      const known = await was.person(made, userId, past);
      if (known === undefined) return null;
      const { person, version, anonymousIds } = known;
      return userProfile(userId, person, {
        context: await contextOf(person),
        groupTraits: await groupTraits(made.view, person, past),
        version,
        anonymousIds,
      });
    });
  }

  async function anonymous(anonymousId: string, past?: Past): Promise<Profile | null> {
    const found = await viewed(async (extend) => {
      const { view, actor } = await readActor(extend, "anonymous", anonymousId);
      const { state, count: version } = past === undefined
        ? { state: await stateOf(view, actor), count: versionOf(actor) }
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
      const began = clock.monotonic();
      const generation = await settledGeneration(groupId);
      const result = await read(generation);
      if (clock.monotonic() - began <= SHORT_MS) return result;
      await journal.sync();
      if (journal.settled().generation === generation) return result;
    }
    throw changedTooOften();
  }

  /** Waits until what concerns a group's members is settled; gives the generation that holds them. */
  async function settledGeneration(groupId: string): Promise<number> {
    await journal.sync();
    const pin = journal.tail().pin();
    const settled = journal.settled().position;
    const moves = pin.some((segment) => {
      return segment.links.size > 0 ||
        (segment.places.get(`group/${groupId}`)?.some((place) => place > settled) ?? false);
    });
    if (moves) await settling.until(journal.end(), SETTLE_MS);
    return journal.settled().generation;
  }

  async function group(groupId: string, past?: Past): Promise<Profile | null> {
    if (past !== undefined) return await pastGroupProfile(groupId, past);
    const count = await settledMembers(groupId, (generation) => countMembers(store, generation, groupId));
    return viewed(async (extend) => {
      const { view, actor } = await readActor(extend, "group", groupId);
      const state = await stateOf(view, actor);
      return state.count === 0 ? null : groupProfile(groupId, state, count);
    });
  }

  function pastGroupProfile(groupId: string, past: Past): Promise<Profile | null> {
    return viewed(async (extend) => {
      const { view, actor } = await readActor(extend, "group", groupId);
      const state = emptyGroup();
      const members = new Set<string>();
      const owners = new Map<string, Anonymous>();
      for await (const fact of pastFacts(view, actor, { past })) {
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
    linkedSince: (anonymousId, { fromMs, after }) =>
      viewed(async (extend) => {
        const { view, actor } = await readActor(extend, "anonymous", anonymousId);
        const log = await openWith(actor);
        const from: Mark | undefined = fromMs === -Infinity ? undefined : [fromMs, BEGINNING];
        const entries = readLog(store, placeOfLog(view, actor), { log, order: "asc", after: from });
        for await (const entry of entries) if (isLinkEntry(entry) && entry.place > after) return entry.at;
        return undefined;
      }),
    trait: createTraitStory({ limits, journal, views, userPerson, openEntries }),
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
}

/** Whether a past has no bounds: that is the present, which is not folded from the whole log. */
function isNow(past: Past | undefined): past is undefined {
  return past?.at === undefined && past?.asOf === undefined;
}

function memberCursor(cursor: string): Member {
  const value = decodeCursor(cursor);
  const valid = Array.isArray(value) && value.length === 2 &&
    (value[0] === "user" || value[0] === "anonymous") &&
    typeof value[1] === "string";
  if (!valid) throw new InvalidCursor("Invalid cursor.");
  return value as Member;
}
