/** Trace one event: where it stands, in which logs, and what it changed in the profile of whom it is about. */
import { justBefore, type Position } from "../../domain/event/position.ts";
import { NO_OWNER, ownerAt } from "../../domain/profile/anonymous.ts";
import { type Changes, changesBetween, groupChanges } from "../../domain/profile/change.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { actorsOf, namesOf } from "../../domain/profile/fact.ts";
import { emptyPerson, type Person } from "../../domain/profile/person.ts";
import { endBefore, entriesAt } from "../journal/read_journal.ts";
import { createFinder, type FinderOptions, type SearchLimits } from "./find_event.ts";
import type { HistoryLimits } from "../settling/log_facts.ts";
import { createLinked } from "./user_parts.ts";
import { createPast, type PastUser } from "./as_of.ts";
import {
  createViews,
  type Extend,
  type Stretch,
  TooManyEvents,
  type ViewsOptions,
} from "./consistent_read.ts";

/** What an event changed: whose profile, and what of it; and of a `group` event, which traits of the group. */
export interface StoryChanges extends Changes {
  profile: string;
  context?: { from: Record<string, unknown> | null; to: Record<string, unknown> | null };
  group?: Pick<Changes, "traits">;
}

/** Trace one event. */
export interface Story {
  event: StoredEvent;
  writeKeyId: string;
  /** Its position in the journal. */
  position: Position;
  /** The attempt that committed it, and when. */
  commit: string;
  committedAt: string;
  /** Whether actors, logs and the dedup index have it. */
  settled: boolean;
  logs: string[];
  /** What it changed in the profile of whom it belongs to; `null` where that has too many events to be folded for it. */
  changed: StoryChanges | null;
}

/** Where the search for an event begins, towards the beginning of the journal. */
export type StoryBefore = { position: Position } | { ms: number };

/** Stories of events, found by their message ids. */
export interface Stories {
  /**
   * The newest event with a message id, or the newest before a position or a moment (ms); `null` where there is none. Where
   * the search had to end before it was through, the position before which it is to go on.
   */
  find(messageId: string, before?: StoryBefore): Promise<Story | null | { goOnBefore: Position }>;
}

/** What an event changed is told where a fold of so many events says it: a second of work, twice. */
export const CHANGED_EVENTS = 20_000;

/** What telling needs. */
export interface StoriesOptions extends FinderOptions, ViewsOptions {
  limits: SearchLimits & HistoryLimits;
}

/** Makes what tells stories. */
export function createStories(options: StoriesOptions): Stories {
  const { store, journal } = options;
  const { find } = createFinder(options);
  const views = createViews(options);
  const linked = createLinked(store, views);
  const past = createPast({ views, linked });

  /** Folds somebody twice: up to just before a place, and with what stands there. */
  async function twice<T>(place: Position, fold: (stretch: Stretch) => Promise<T>): Promise<[T, T]> {
    const room = () => ({ events: CHANGED_EVENTS });
    return [await fold({ upTo: justBefore(place), room: room() }), await fold({ upTo: place, room: room() })];
  }

  async function contextOf(person: Person): Promise<Record<string, unknown> | null> {
    if (person.context === null) return null;
    const [sent] = await journal.events.at([person.context[1]]);
    return sent?.event.context ?? null;
  }

  async function differences(profile: string, [before, after]: [Person, Person]): Promise<StoryChanges> {
    const isNew = JSON.stringify(before.context) !== JSON.stringify(after.context);
    return {
      profile,
      ...changesBetween(before, after),
      ...isNew && { context: { from: await contextOf(before), to: await contextOf(after) } },
    };
  }

  async function userChanges(
    extend: Extend,
    generation: number,
    { userId, place }: Whose & { userId: string },
  ) {
    const made = await linked.userOf(extend, generation, userId);
    const [before, after] = await twice(place, (stretch) => past.person(made, userId, stretch));
    const changes = await differences(`user/${userId}`, [personIn(before), personIn(after)]);
    const added = after?.anonymousIds.filter((id) => !before?.anonymousIds.includes(id)) ?? [];
    return { ...changes, ...added.length > 0 && { anonymousIds: { added } } };
  }

  /** Of an event that names no user: it may belong to one all the same, who owned the anonymous id at its time. */
  async function anonymousChanges(extend: Extend, generation: number, { event, place }: Whose) {
    const id = event.anonymousId!;
    const { view, actor } = await views.readActor(extend, "anonymous", id);
    const [before, after] = await twice(
      place,
      async (past) => (await views.pastAnonymous(view, actor, past)).state,
    );
    const owner = ownerAt(after, [Date.parse(event.timestamp), place]);
    if (owner !== undefined) return await userChanges(extend, generation, { event, place, userId: owner });
    const shareOf = ({ parts }: typeof before) => parts.get(NO_OWNER) ?? emptyPerson();
    return await differences(`anonymous/${id}`, [shareOf(before), shareOf(after)]);
  }

  async function traitsOfGroup(extend: Extend, { event, place }: Whose) {
    const { view, actor } = await views.readActor(extend, "group", event.groupId!);
    return groupChanges(...await twice(place, (stretch) => past.group(view, actor, stretch)));
  }

  async function changesOf(whose: Whose): Promise<StoryChanges | null> {
    const { event, event: { userId } } = whose;
    try {
      return await views.viewed(async (extend, generation) => {
        const changes = userId === undefined
          ? await anonymousChanges(extend, generation, whose)
          : await userChanges(extend, generation, { ...whose, userId });
        const isGroup = event.type === "group";
        return { ...changes, ...isGroup && { group: await traitsOfGroup(extend, whose) } };
      });
    } catch (error) {
      if (error instanceof TooManyEvents) return null;
      throw error;
    }
  }

  return {
    async find(messageId, before) {
      const upTo = before === undefined
        ? undefined
        : "position" in before
        ? justBefore(before.position)
        : await endBefore(store, before.ms, journal.end());
      const found = await find(messageId, upTo);
      if ("goOnBefore" in found) return found;
      if ("none" in found) return null;
      const { place } = found;
      const [[sent], [entry]] = await Promise.all([journal.events.at([place]), entriesAt(store, [place])]);
      if (sent === undefined) return null;
      const { event, writeKeyId } = sent;
      return {
        event,
        writeKeyId,
        position: place,
        commit: entry!.chunk.commit,
        committedAt: new Date(entry!.chunk.at).toISOString(),
        settled: place <= journal.settledNow().position,
        logs: actorsOf(namesOf(event)),
        changed: await changesOf({ event, place }),
      } satisfies Story;
    },
  };
}

/** An event and its place. */
interface Whose {
  event: StoredEvent;
  place: Position;
}

function personIn(user: PastUser | undefined): Person {
  return user?.person ?? emptyPerson();
}
