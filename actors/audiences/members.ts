/** Reads of members and of one person: exact at the moment of the read. */
import { explainNode, type Explanation } from "../../domain/audience/explain.ts";
import { evaluatePerson } from "../../domain/audience/evaluate.ts";
import { intervalAt } from "../../domain/audience/intervals.ts";
import { personAt, type PersonEvidence } from "../../domain/audience/person.ts";
import { readWhere } from "../../domain/audience/definition.ts";
import type { Position } from "../../domain/event/position.ts";
import type { Journal } from "../journal/journal_state.ts";
import type { Reader } from "../reading/profiles.ts";
import type { Settling } from "../settling/backpressure.ts";
import type { Clock } from "../store/clock.ts";
import { decodeCursor, encodeCursor } from "../store/cursor.ts";
import { InvalidCursor, NotServing } from "../store/errors.ts";
import { audienceMemberKey, audienceMembersPrefix, AUDIENCES_FOLLOWED, type Key } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { loadEvidence } from "./actor_evidence.ts";
import { worldOf } from "./apply.ts";
import { type Followed, NOTHING_FOLLOWED, type World } from "./checkpoint.ts";
import { completeMany, type MemberRow } from "./people.ts";

/** A read of members waits so long for the subscription. */
const CATCH_UP_MS = 10_000;

/** Attempts at a read whose world is replaced meanwhile. */
const TRIES = 20;

/** What the reads are given. */
export interface MemberReadsOptions {
  store: Store;
  clock: Clock;
  journal: Journal;
  settling: Settling;
  reader: Reader;
  worlds: Map<number, World>;
  /** Somebody waits for the subscription. */
  hurry(): void;
}

/** A member as an answer shows them. */
export interface ShownMember {
  userId: string;
  since: string;
  until?: string;
}

/** A person's membership as an answer shows it. */
export interface ShownMembership {
  member: boolean;
  since?: string;
  until?: string;
  explain: Record<string, unknown>;
}

/** The reads of members. */
export type MemberReads = ReturnType<typeof createMemberReads>;

/** Creates the reads. */
export function createMemberReads(options: MemberReadsOptions) {
  const { store, clock, journal, reader, hurry } = options;

  /**
   * Reads the live world when it knows everything that was answered, and all that is due; one that is built for the first
   * time is waited for. Again if it was replaced meanwhile.
   */
  async function inWorld<T>(
    name: string | undefined,
    read: (world: World, now: number) => Promise<T>,
  ): Promise<T> {
    const deadline = clock.monotonic() + CATCH_UP_MS;
    for (let tries = 0; tries < TRIES;) {
      const world = await liveWorld(options, await caughtUp(options, deadline));
      const isThere = world !== undefined &&
        (name === undefined || world.audiences.some((audience) => audience.name === name));
      if (!isThere) {
        if (clock.monotonic() > deadline) throw building(name);
        hurry();
        await clock.sleep(20);
        continue;
      }
      const result = await read(world, clock.now());
      if ((await followedNow(store)).world === world.no) return result;
      tries++;
    }
    throw new NotServing("The audiences changed repeatedly while they were read; retry.", "contention");
  }

  const indexIn = ({ audiences }: World, name: string) =>
    audiences.findIndex((audience) => audience.name === name);

  /** Members in the order of their keys, those whose membership has ended left out. */
  async function* rows(world: World, name: string, { after, now }: { after?: string; now: number }) {
    const index = indexIn(world, name);
    const prefix = audienceMembersPrefix(world.no, index);
    const start: Key | undefined = after === undefined
      ? undefined
      : [...audienceMemberKey(world.no, index, after), 0];
    const range = start === undefined ? { prefix } : { prefix, start };
    for await (const { value } of store.list<MemberRow>(range, { batchSize: 500 })) {
      if (value!.until === null || value!.until > now) yield value!;
    }
  }

  async function person(world: World, userId: string): Promise<PersonEvidence | undefined> {
    const [own] = await loadEvidence(store, world.no, { kind: "user", ids: [userId] });
    return (await completeMany(store, world.no, [own!.value]))[0];
  }

  /** Somebody who says nothing to any audience has no evidence: whether there is such a person, the profile tells. */
  async function exists(userId: string, at: number | undefined): Promise<boolean> {
    return await reader.user(userId, at === undefined ? undefined : { at }) !== null;
  }

  return {
    /** A page of members. */
    list: (name: string, { limit, cursor }: { limit: number; cursor?: string }) =>
      inWorld(name, async (world, now) => {
        const after = cursor === undefined ? undefined : afterOf(cursor);
        const members: ShownMember[] = [];
        let last: string | undefined;
        let more = false;
        for await (const row of rows(world, name, { ...after !== undefined && { after }, now })) {
          if (members.length === limit) {
            more = true;
            break;
          }
          members.push(shownMember(row));
          last = row.id;
        }
        return { members, cursor: more ? encodeCursor([last]) : null };
      }),
    /** All members, read as they are asked for; it ends with an error where the list is replaced meanwhile. */
    async stream(name: string): Promise<AsyncGenerator<ShownMember>> {
      const { world, now } = await inWorld(name, (world, now) => Promise.resolve({ world, now }));
      return (async function* () {
        for await (const row of rows(world, name, { now })) yield shownMember(row);
        if ((await followedNow(store)).world !== world.no) {
          throw new Error("the audience was replaced while it was read");
        }
      })();
    },
    /** One person's membership, now or at a moment; `null` if there was no such person. */
    member: (name: string, userId: string, at?: number): Promise<ShownMembership | null> =>
      inWorld(name, async (world, clockNow) => {
        const now = at ?? clockNow;
        const whole = await person(world, userId);
        const known = whole && personAt(whole, now);
        if (known === undefined && !await exists(userId, at)) return null;
        const someone = known ?? { first: now, known: [], groups: new Map() };
        const evaluation = evaluatePerson(world.set, someone);
        const index = indexIn(world, name);
        const stay = intervalAt(evaluation.audience(index), now);
        const read = readWhere(world.audiences[index]!.where);
        if ("problems" in read) throw new Error(`audience ${name} is invalid`);
        const explanation = explainNode(read.where, { set: world.set, person: someone, evaluation, now });
        return {
          member: stay !== undefined,
          ...stay !== undefined && shownStay(stay),
          explain: await shownExplanation(journal, explanation),
        };
      }),
    /** The audiences of a user; `null` if there is no such user. */
    audiencesOf: async (userId: string) => {
      const { world: no, build } = await followedNow(store);
      if (no === 0 && build === null) return await exists(userId, undefined) ? [] : null;
      return await inWorld(undefined, async (world, now) => {
        const known = await person(world, userId);
        if (known === undefined && !await exists(userId, undefined)) return null;
        const evaluation = evaluatePerson(world.set, known ?? { first: now, known: [], groups: new Map() });
        return world.audiences.flatMap(({ name }, index) => {
          const stay = intervalAt(evaluation.audience(index), now);
          return stay === undefined ? [] : [{ name, ...shownStay(stay) }];
        });
      });
    },
    /** The ids of all members of a name in the live world; empty if it is not there. */
    async idsOf(name: string): Promise<Set<string>> {
      const followed = await followedNow(store);
      const ids = new Set<string>();
      const world = await liveWorld(options, followed);
      if (world === undefined || indexIn(world, name) === -1) return ids;
      for await (const row of rows(world, name, { now: clock.now() })) ids.add(row.id);
      return ids;
    },
  };
}

/** The live world of a checkpoint; `undefined` if there is none. Kept until the definitions or the world change. */
export async function liveWorld(
  { store, worlds }: Pick<MemberReadsOptions, "store" | "worlds">,
  { world, mark }: Followed,
): Promise<World | undefined> {
  if (world === 0) return undefined;
  const known = worlds.get(world);
  if (known?.mark !== mark) worlds.clear();
  const opened = await worldOf({ store, worlds }, world);
  opened.mark ??= mark;
  return opened;
}

/** The checkpoint as it stands. */
export async function followedNow(store: Store): Promise<Followed> {
  return (await store.get<Followed>(AUDIENCES_FOLLOWED)).value ?? NOTHING_FOLLOWED;
}

/** Waits until the subscription has handled everything that was answered, and everything that is due. */
async function caughtUp(
  { store, clock, journal, settling, hurry }: MemberReadsOptions,
  deadline: number,
): Promise<Followed> {
  await journal.sync();
  const end: Position = journal.end();
  const now = clock.now();
  for (let waitMs = 2;; waitMs = Math.min(waitMs * 2, 50)) {
    const followed = await followedNow(store);
    const isDue = followed.dueAt !== null && followed.dueAt <= now;
    if (followed.world === 0 || (followed.position >= end && !isDue)) return followed;
    if (clock.monotonic() > deadline) {
      throw new NotServing("Audiences did not catch up with the journal in time; retry.", "settling");
    }
    await settling.until(end, Math.max(0, deadline - clock.monotonic()));
    hurry();
    await clock.sleep(waitMs);
  }
}

function building(name: string | undefined): NotServing {
  const what = name === undefined ? "The audiences are" : `The audience ${JSON.stringify(name)} is`;
  return new NotServing(`${what} being built; retry.`, "building");
}

function afterOf(cursor: string): string {
  const value = decodeCursor(cursor);
  if (!Array.isArray(value) || typeof value[0] !== "string") throw new InvalidCursor("Invalid cursor.");
  return value[0];
}

const iso = (ms: number) => new Date(ms).toISOString();

function shownMember({ id, since, until }: MemberRow): ShownMember {
  return { userId: id, since: iso(since), ...until !== null && { until: iso(until) } };
}

function shownStay({ start, end }: { start: number; end: number }) {
  return { since: iso(start), ...end !== Infinity && { until: iso(end) } };
}

/** An explanation with the message ids of its events. Those of an event that was erased meanwhile are left out. */
async function shownExplanation(
  journal: Journal,
  explanation: Explanation,
): Promise<Record<string, unknown>> {
  const places = new Set<Position>();
  const visit = ({ events, parts }: Explanation) => {
    for (const { place } of events) places.add(place);
    parts?.nodes.forEach(visit);
  };
  visit(explanation);
  const wanted = [...places];
  const sent = await journal.events.at(wanted);
  const messageIds = new Map(wanted.map((place, index) => [place, sent[index]?.event.messageId]));
  return shownNode(explanation, messageIds);
}

function shownNode(
  { given, holds, since, until, found, events, missing, parts }: Explanation,
  messageIds: ReadonlyMap<Position, string | undefined>,
): Record<string, unknown> {
  const nodes = parts?.nodes.map((node) => shownNode(node, messageIds));
  const inner = parts === undefined
    ? {}
    : parts.member === "all" || parts.member === "any"
    ? { [parts.member]: nodes }
    : parts.member === "not"
    ? { not: nodes![0] }
    : { where: nodes![0] };
  const shownEvents = events.flatMap(({ at, place }) => {
    const messageId = messageIds.get(place);
    return messageId === undefined ? [] : [{ messageId, timestamp: iso(at) }];
  });
  return {
    ...given,
    ...inner,
    holds,
    ...since !== undefined && { holdsSince: iso(since) },
    ...until !== undefined && { changesAt: iso(until) },
    ...found !== undefined && { found },
    ...parts === undefined && { events: shownEvents },
    ...missing !== undefined && { missing },
  };
}
