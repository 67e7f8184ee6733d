/** Profiles of groups, and their members, which settling alone stores. */
import { type Anonymous, ownerAt } from "../../domain/profile/anonymous.ts";
import { emptyGroup, evolveGroup } from "../../domain/profile/group.ts";
import { groupProfile, type Profile } from "../../domain/profile/profile.ts";
import type { Settling } from "../settling/backpressure.ts";
import { countMembers, listMembers } from "../settling/group_members.ts";
import { decodeCursor, encodeCursor } from "../store/cursor.ts";
import { InvalidCursor } from "../store/errors.ts";
import type { Member } from "../store/keys.ts";
import type { Stretch } from "./as_of.ts";
import { changedTooOften, type Extend, SHORT_MS, TRIES, type ViewsOptions } from "./consistent_read.ts";
import type { ProfileParts } from "./user_profile.ts";

/** A read of members waits this long for settling. */
const SETTLE_MS = 10_000;

interface GroupOptions extends ViewsOptions {
  settling: Settling;
}

/** Creates the reads of groups. */
export function createGroupProfiles(options: GroupOptions, parts: ProfileParts) {
  const { store } = options;
  const { viewed, readActor, stateOf } = parts.views;

  async function group(groupId: string, past?: Stretch): Promise<Profile | null> {
    if (past !== undefined) return await pastGroup(parts, groupId, past);
    const count = await settledMembers(
      options,
      groupId,
      (generation) => countMembers(store, generation, groupId),
    );
    return await viewed(async (extend) => {
      const { view, actor } = await readActor(extend, "group", groupId);
      const state = await stateOf(view, actor);
      return state.count === 0 ? null : groupProfile(groupId, state, count);
    });
  }

  async function members(groupId: string, { limit, cursor }: { limit: number; cursor?: string }) {
    const after = cursor === undefined ? undefined : memberCursor(cursor);
    const { members, more } = await settledMembers(
      options,
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
  }

  /** The traits of a group, with the events that set them; `undefined` if it has no events. */
  async function traits(extend: Extend, groupId: string) {
    const { view, actor } = await readActor(extend, "group", groupId);
    const state = await stateOf(view, actor);
    return state.count === 0 ? undefined : state.traits;
  }

  return { group, members, traits };
}

function pastGroup(
  { views, past: reads }: ProfileParts,
  groupId: string,
  past: Stretch,
): Promise<Profile | null> {
  return views.viewed(async (extend) => {
    const { view, actor } = await views.readActor(extend, "group", groupId);
    const state = emptyGroup();
    const members = new Set<string>();
    const owners = new Map<string, Anonymous>();
    for await (const fact of reads.facts(view, actor, { past })) {
      evolveGroup(state, fact);
      if (fact.userId !== undefined) {
        members.add(`user/${fact.userId}`);
        continue;
      }
      const id = fact.anonymousId!;
      if (!owners.has(id)) {
        owners.set(id, (await reads.links(view, await views.actorOf(view, "anonymous", id), past)).state);
      }
      const owner = ownerAt(owners.get(id)!, [fact.at, fact.place]);
      members.add(owner === undefined ? `anonymous/${id}` : `user/${owner}`);
    }
    return state.count === 0 ? null : groupProfile(groupId, state, members.size);
  });
}

/** Reads settled data of a group's members, by generation; again if the generation was replaced meanwhile. */
async function settledMembers<T>(
  options: GroupOptions,
  groupId: string,
  read: (generation: number) => Promise<T>,
): Promise<T> {
  const { clock, journal } = options;
  for (let tries = 0; tries < TRIES; tries++) {
    const began = clock.monotonic();
    const generation = await settledGeneration(options, groupId);
    const result = await read(generation);
    if (clock.monotonic() - began <= SHORT_MS) return result;
    await journal.sync();
    if (journal.settled().generation === generation) return result;
  }
  throw changedTooOften();
}

/** Waits until all events that may concern a group's members are settled; gives the generation that holds them. */
async function settledGeneration({ journal, settling }: GroupOptions, groupId: string): Promise<number> {
  await journal.sync();
  const pin = journal.tail().pin();
  const settled = journal.settled().position;
  const moves = pin.some((segment) => {
    return segment.links.size > 0 ||
      (segment.places.get(`group/${groupId}`)?.some((position) => position > settled) ?? false);
  });
  if (moves) await settling.until(journal.end(), SETTLE_MS);
  return journal.settled().generation;
}

function memberCursor(cursor: string): Member {
  const value = decodeCursor(cursor);
  const valid = Array.isArray(value) && value.length === 2 &&
    (value[0] === "user" || value[0] === "anonymous") &&
    typeof value[1] === "string";
  if (!valid) throw new InvalidCursor("Invalid cursor.");
  return value as Member;
}
