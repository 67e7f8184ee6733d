/**
 * Reads of profiles, logs and members. Each sees every event that was answered before it began, in all processes. All but
 * members use views (`consistent_read.ts`); members and their number are stored by settling alone.
 */
import type { StoredEvent } from "../../domain/event/event.ts";
import { BEGINNING, type Position } from "../../domain/event/position.ts";
import { ownersOf } from "../../domain/profile/anonymous.ts";
import type { ActorKind, Mark } from "../../domain/profile/fact.ts";
import { isLinkEntry, readLog } from "../settling/actor_log.ts";
import type { Settling } from "../settling/backpressure.ts";
import { createActorIds, type IdsPage, type IdsQuery } from "./actor_ids.ts";
import { createPast, type Stretch } from "./as_of.ts";
import { createViews, placeOfLog, type ViewsOptions } from "./consistent_read.ts";
import { createGroupProfiles } from "./group_profile.ts";
import { createLogPages, type LogQuery } from "./log_pages.ts";
import { createRollingProfiles, type RollingProfiles } from "./rolling_profiles.ts";
import { createTraitProvenance, type TraitProvenance } from "./trait_provenance.ts";
import { createLinked } from "./user_parts.ts";
import { createUserProfiles } from "./user_profile.ts";

/** The reads. Each gives `null` for an id that has no events. */
export interface Reader {
  user(userId: string, past?: Stretch): Promise<Record<string, unknown> | null>;
  anonymous(anonymousId: string, past?: Stretch): Promise<Record<string, unknown> | null>;
  group(groupId: string, past?: Stretch): Promise<Record<string, unknown> | null>;
  log(
    kind: ActorKind,
    id: string,
    query: LogQuery,
  ): Promise<{ events: StoredEvent[]; cursor: string | null } | null>;
  members(
    groupId: string,
    query: { limit: number; cursor?: string },
  ): Promise<{ members: Record<string, string>[]; cursor: string | null } | null>;
  /** Profiles just before events, for somebody who goes through the journal in order. */
  rolling(): RollingProfiles;
  /** Explains a trait of a user or a group; `"no trait"` if no event set it. */
  trait(kind: "user" | "group", id: string, name: string): Promise<TraitProvenance | "no trait" | null>;
  /** The ids of a kind of actors, in order. Throws {@link InvalidCursor}. */
  ids(kind: ActorKind, query: IdsQuery): Promise<IdsPage>;
  /** All users who own a part of an anonymous id. */
  owners(anonymousId: string): Promise<string[]>;
  /** When an anonymous id was first linked at or after a time, by a link after a position (ms since 1970). */
  linkedSince(
    anonymousId: string,
    since: { fromMs: number; after: Position },
  ): Promise<number | undefined>;
}

export interface ReaderOptions extends ViewsOptions {
  settling: Settling;
}

/** Creates the reader. */
export function createReader(options: ReaderOptions): Reader {
  const { store } = options;
  const views = createViews(options);
  const linked = createLinked(store, views);
  const parts = { views, linked, past: createPast(options, { views, linked }) };
  const users = createUserProfiles(options, parts);
  const groups = createGroupProfiles(options, parts);
  const { readLogPage, openEntries } = createLogPages({ ...options, views, linked });
  return {
    user: (userId, past) => users.user(userId, unlessNow(past)),
    anonymous: (anonymousId, past) => users.anonymous(anonymousId, unlessNow(past)),
    group: (groupId, past) => groups.group(groupId, unlessNow(past)),
    members: groups.members,
    log: (kind, id, query) =>
      views.viewed((extend, generation) => readLogPage(extend, generation, { kind, id, query })),
    rolling: () => createRollingProfiles(options),
    trait: createTraitProvenance({
      ...options,
      views,
      userPerson: users.userPerson,
      groupTraits: groups.traits,
      openEntries,
    }),
    ids: createActorIds(options),
    owners: (anonymousId) =>
      views.viewed(async (extend) => {
        const { view, actor } = await views.readActor(extend, "anonymous", anonymousId);
        return ownersOf(await views.stateOf(view, actor));
      }),
    linkedSince: (anonymousId, { fromMs, after }) =>
      views.viewed(async (extend) => {
        const { view, actor } = await views.readActor(extend, "anonymous", anonymousId);
        const log = await views.openWith(actor);
        const from: Mark | undefined = fromMs === -Infinity ? undefined : [fromMs, BEGINNING];
        const entries = readLog(store, placeOfLog(view, actor), { log, order: "asc", after: from });
        for await (const entry of entries) if (isLinkEntry(entry) && entry.place > after) return entry.at;
        return undefined;
      }),
  };
}

/** A past; `undefined` if it has no bounds, which means the present: that is not folded from the whole log. */
function unlessNow(past: Stretch | undefined): Stretch | undefined {
  const isNow = past?.at === undefined && past?.asOf === undefined && past?.upTo === undefined;
  return isNow ? undefined : past;
}
