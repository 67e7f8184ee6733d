/** Profiles of users and anonymous ids: now, or in a past. */
import { NO_OWNER, ownerOf } from "../../domain/profile/anonymous.ts";
import { eventCountOf, type Person, personFromJson, type PersonJson } from "../../domain/profile/person.ts";
import { anonymousProfile, personOf, type Profile, userProfile } from "../../domain/profile/profile.ts";
import { traitsOf } from "../../domain/profile/register.ts";
import { type ActorHead, isStale, load } from "../settling/snapshot.ts";
import { actorKey } from "../store/keys.ts";
import type { PastReads, Stretch } from "./as_of.ts";
import { type Extend, versionOf, type View, type Views, type ViewsOptions } from "./consistent_read.ts";
import type { createLinked } from "./user_parts.ts";

/** Groups of a person whose traits are shown, and bytes of these traits; other groups are listed without traits. */
export const MAX_GROUPS = 1_000;
export const GROUPS_BYTES = 1024 * 1024;

/** Groups that are read at once. */
const GROUPS_AT_ONCE = 20;

/** The reads that profiles are made of. */
export interface ProfileParts {
  views: Views;
  linked: ReturnType<typeof createLinked>;
  past: PastReads;
}

/** Creates the reads of users and anonymous ids. */
export function createUserProfiles(options: ViewsOptions, parts: ProfileParts) {
  const { views: { viewed, readActor, stateOf }, linked, past: pastReads } = parts;
  const userPerson = (extend: Extend, generation: number, userId: string) =>
    personNow(options, parts, { extend, generation, userId });

  async function moreOf(view: View, person: Person, past?: Stretch) {
    return {
      context: await contextOf(options, person),
      groupTraits: await groupTraits(options, parts, { view, person, past }),
    };
  }

  function user(userId: string, past?: Stretch): Promise<Profile | null> {
    return viewed(async (extend, generation) => {
      if (past === undefined) {
        const known = await userPerson(extend, generation, userId);
        if (known === undefined) return null;
        const { view, person, version, anonymousIds } = known;
        return userProfile(userId, person, { ...await moreOf(view, person), version, anonymousIds });
      }
      const made = await linked.userOf(extend, generation, userId);
      const known = await pastReads.person(made, userId, past);
      if (known === undefined) return null;
      const { person, version, anonymousIds } = known;
      return userProfile(userId, person, { ...await moreOf(made.view, person, past), version, anonymousIds });
    });
  }

  /** The profile of an anonymous id, or of the user who owns it. */
  async function anonymous(anonymousId: string, past?: Stretch): Promise<Profile | null> {
    const found = await viewed(async (extend) => {
      const { view, actor } = await readActor(extend, "anonymous", anonymousId);
      const { state, count: version } = past === undefined
        ? { state: await stateOf(view, actor), count: versionOf(actor) }
        : await pastReads.anonymous(view, actor, past);
      const owner = ownerOf(state);
      if (owner !== undefined) return { owner };
      const person = state.parts.get(NO_OWNER);
      if (person === undefined) return { profile: null };
      const more = { ...await moreOf(view, person, past), version };
      return { profile: anonymousProfile(anonymousId, person, more) };
    });
    return found.owner === undefined ? found.profile ?? null : await user(found.owner, past);
  }

  return { user, anonymous, userPerson };
}

/** A user as they are now; `undefined` if they have no events. */
async function personNow(
  { foldVersion }: ViewsOptions,
  { views: { actorOf, stateOf }, linked }: ProfileParts,
  { extend, generation, userId }: { extend: Extend; generation: number; userId: string },
) {
  const { view, own, parts, actors, isWhole } = await linked.userOf(extend, generation, userId);
  const version = versionOf(own);
  if (version === 0) return undefined;
  const { shares, isCut } = await linked.sharesOf([...parts.keys(), ...actors.keys()], async (id) => {
    const part = actors.has(id) ? undefined : parts.get(id);
    if (part !== undefined && !isStale(part.head!, foldVersion)) {
      return personFromJson(part.state as PersonJson);
    }
    const actor = actors.get(id) ?? await actorOf(view, "anonymous", id);
    return (await stateOf(view, actor)).parts.get(userId);
  });
  const person = personOf(await stateOf(view, own), shares.values());
  // The journal has no events left of somebody whose erasure is under way.
  if (eventCountOf(person) === 0) return undefined;
  if (isCut || !isWhole) person.dropped++;
  return { view, person, version, anonymousIds: [...shares.keys()].sort() };
}

/** The traits of a person's groups. Groups beyond {@link GROUPS_BYTES} of traits count as dropped from the person. */
async function groupTraits(
  { store }: ViewsOptions,
  { views: { withTail, stateOf }, past: pastReads }: ProfileParts,
  { view, person, past }: { view: View; person: Person; past: Stretch | undefined },
): Promise<Map<string, Record<string, unknown>>> {
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
      const group = past === undefined
        ? await stateOf(view, actor)
        : await pastReads.group(view, actor, past);
      traits.set(id, traitsOf(group.traits));
      bytes += group.bytes;
    }
  }
  return traits;
}

/** The newest context of a person, which only the journal holds. */
export async function contextOf(
  { journal }: ViewsOptions,
  { context }: Person,
): Promise<Record<string, unknown>> {
  if (context === null) return {};
  const [newest] = await journal.events.at([context[1]]);
  // It is missing while its person is being erased.
  return newest?.event.context ?? {};
}
