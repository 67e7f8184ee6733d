/** Traces an event: its position, the logs that hold it, and what it changed in the profile that it belongs to. */
import { justBefore, type Position } from "../../domain/event/position.ts";
import { NO_OWNER, ownerAt } from "../../domain/profile/anonymous.ts";
import { type Changes, changesBetween, groupChanges } from "../../domain/profile/change.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { actorsOf, namesOf } from "../../domain/profile/fact.ts";
import { emptyPerson, type Person } from "../../domain/profile/person.ts";
import type { Journal } from "../journal/journal_state.ts";
import { endBefore, entriesAt } from "../journal/read_journal.ts";
import { createFinder, type FinderOptions, type SearchLimits } from "./find_event.ts";
import type { HistoryLimits } from "../settling/log_facts.ts";
import { createLinked } from "./user_parts.ts";
import { createPast, type PastReads, type PastUser, type Stretch, TooManyEvents } from "./as_of.ts";
import { createViews, type Extend, type Views, type ViewsOptions } from "./consistent_read.ts";

/** What an event changed: whose profile, and what of it; and for a `group` event, the traits of the group. */
export interface TraceChanges extends Changes {
  profile: string;
  context?: { from: Record<string, unknown> | null; to: Record<string, unknown> | null };
  group?: Pick<Changes, "traits">;
}

/** The trace of an event. */
export interface Trace {
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
  /** What it changed in the profile that it belongs to; `null` if that has too many events to be folded for it. */
  changed: TraceChanges | null;
}

/** Where the search for an event begins, towards the beginning of the journal. */
export type TraceBefore = { position: Position } | { ms: number };

/** Traces of events, found by their message ids. */
export interface Traces {
  /**
   * The newest event with a message id, or the newest before a position or a moment (ms); `null` if there is none. If the
   * search reached its bound, the position before which it must be continued.
   */
  find(messageId: string, before?: TraceBefore): Promise<Trace | null | { goOnBefore: Position }>;
}

/** Events of a profile for which a trace shows what changed: it folds them twice, a second of work each. */
export const CHANGED_EVENTS = 20_000;

export interface TracesOptions extends FinderOptions, ViewsOptions {
  limits: SearchLimits & HistoryLimits;
}

/** Creates the traces. */
export function createTraces(options: TracesOptions): Traces {
  const { store, journal } = options;
  const { find } = createFinder(options);
  const views = createViews(options);
  const linked = createLinked(store, views);
  const parts: TraceParts = { journal, views, linked, past: createPast(options, { views, linked }) };
  return {
    async find(messageId, before) {
      const found = await find(messageId, await lastBefore(options, before));
      if ("goOnBefore" in found) return found;
      if ("none" in found) return null;
      const { position } = found;
      const [[sent], [entry]] = await Promise.all([
        journal.events.at([position]),
        entriesAt(store, [position]),
      ]);
      if (sent === undefined) return null;
      const { event, writeKeyId } = sent;
      return {
        event,
        writeKeyId,
        position,
        commit: entry!.header.commit,
        committedAt: new Date(entry!.header.at).toISOString(),
        settled: position <= journal.settledNow().position,
        logs: actorsOf(namesOf(event)),
        changed: await changesOf(parts, { event, position }),
      } satisfies Trace;
    },
  };
}

/** The reads that traces are made of. */
interface TraceParts {
  journal: Journal;
  views: Views;
  linked: ReturnType<typeof createLinked>;
  past: PastReads;
}

/** An event and its position. */
interface Traced {
  event: StoredEvent;
  position: Position;
}

/** The last position of a search; `undefined` for the end of the journal. */
async function lastBefore(
  { store, journal }: TracesOptions,
  before: TraceBefore | undefined,
): Promise<Position | undefined> {
  if (before === undefined) return undefined;
  return "position" in before
    ? justBefore(before.position)
    : await endBefore(store, before.ms, journal.end());
}

async function changesOf(parts: TraceParts, traced: Traced): Promise<TraceChanges | null> {
  const { event, event: { userId } } = traced;
  try {
    return await parts.views.viewed(async (extend, generation) => {
      const changes = userId === undefined
        ? await anonymousChanges(parts, { extend, generation }, traced)
        : await userChanges(parts, { extend, generation }, { ...traced, userId });
      const isGroup = event.type === "group";
      return { ...changes, ...isGroup && { group: await traitsOfGroup(parts, extend, traced) } };
    });
  } catch (error) {
    if (error instanceof TooManyEvents) return null;
    throw error;
  }
}

/** A view that is being read. */
interface Reading {
  extend: Extend;
  generation: number;
}

async function userChanges(
  parts: TraceParts,
  { extend, generation }: Reading,
  { userId, position }: Traced & { userId: string },
) {
  const made = await parts.linked.userOf(extend, generation, userId);
  const [before, after] = await twice(position, (stretch) => parts.past.person(made, userId, stretch));
  const changes = await differences(parts, `user/${userId}`, [personIn(before), personIn(after)]);
  const added = after?.anonymousIds.filter((id) => !before?.anonymousIds.includes(id)) ?? [];
  return { ...changes, ...added.length > 0 && { anonymousIds: { added } } };
}

/** The changes by an event without a user id. It may still belong to a user, who owned the anonymous id at its time. */
async function anonymousChanges(parts: TraceParts, reading: Reading, { event, position }: Traced) {
  const id = event.anonymousId!;
  const { view, actor } = await parts.views.readActor(reading.extend, "anonymous", id);
  const [before, after] = await twice(
    position,
    async (stretch) => (await parts.past.anonymous(view, actor, stretch)).state,
  );
  const owner = ownerAt(after, [Date.parse(event.timestamp), position]);
  if (owner !== undefined) return await userChanges(parts, reading, { event, position, userId: owner });
  const shareOf = ({ parts }: typeof before) => parts.get(NO_OWNER) ?? emptyPerson();
  return await differences(parts, `anonymous/${id}`, [shareOf(before), shareOf(after)]);
}

async function traitsOfGroup({ views, past }: TraceParts, extend: Extend, { event, position }: Traced) {
  const { view, actor } = await views.readActor(extend, "group", event.groupId!);
  return groupChanges(...await twice(position, (stretch) => past.group(view, actor, stretch)));
}

/** Folds twice: up to just before a position, and with the event at it. */
async function twice<T>(position: Position, fold: (stretch: Stretch) => Promise<T>): Promise<[T, T]> {
  const room = () => ({ events: CHANGED_EVENTS });
  return [
    await fold({ upTo: justBefore(position), room: room() }),
    await fold({ upTo: position, room: room() }),
  ];
}

async function differences(
  { journal }: TraceParts,
  profile: string,
  [before, after]: [Person, Person],
): Promise<TraceChanges> {
  const contextOf = async ({ context }: Person): Promise<Record<string, unknown> | null> => {
    if (context === null) return null;
    const [sent] = await journal.events.at([context[1]]);
    return sent?.event.context ?? null;
  };
  const isNew = JSON.stringify(before.context) !== JSON.stringify(after.context);
  return {
    profile,
    ...changesBetween(before, after),
    ...isNew && { context: { from: await contextOf(before), to: await contextOf(after) } },
  };
}

function personIn(user: PastUser | undefined): Person {
  return user?.person ?? emptyPerson();
}
