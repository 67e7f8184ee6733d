/** Previews: how many people a condition holds for, without storing anything. */
import { hash } from "node:crypto";
import { evaluatePerson } from "../../domain/audience/evaluate.ts";
import { addEvidence, type Evidence } from "../../domain/audience/evidence.ts";
import { intervalAt } from "../../domain/audience/intervals.ts";
import { joinedGroups, joinEvidence, linkedIds } from "../../domain/audience/person.ts";
import type { JsonObject } from "../../domain/event/json.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { BEGINNING, positionOf } from "../../domain/event/position.ts";
import type { ActorHead } from "../settling/snapshot.ts";
import { readHead } from "../settling/snapshot.ts";
import type { Journal } from "../journal/journal_state.ts";
import type { Reader } from "../reading/profiles.ts";
import type { Settling } from "../settling/backpressure.ts";
import type { Clock } from "../store/clock.ts";
import { actorPrefix } from "../store/keys.ts";
import type { Store } from "../store/store.ts";
import { openWorld, type World, type WorldAudience } from "./checkpoint.ts";
import type { Definitions } from "./definitions.ts";
import type { MemberReads } from "./members.ts";
import { emptyStretch, readStretch, type Stretch } from "./stretch.ts";

/** Up to so many events in the journal a preview is exact unless an estimate is asked for. */
const EXACT_EVENTS = 100_000;

/** People of an estimate, and the time (ms) in which as many as possible of them are looked at. */
const SAMPLED = 400;
const SAMPLE_MS = 1_500;

/** Events of a sampled person, or of a group of theirs, that are looked at: the newest. */
const SAMPLED_EVENTS = 500;

/** Members that a preview names. */
const SHOWN = 20;

/** Evidence that an exact preview holds in memory. */
const PREVIEW_BYTES = 512 * 1024 * 1024;

/** The name of the previewed condition in its set: no audience has it. */
const DRAFT = "";

/** What a preview tells. */
export interface Preview {
  members: number;
  exact: boolean;
  /** Some of the members. */
  sample: string[];
  /** Compared with a live audience, if one is named; otherwise with nobody. */
  wouldEnter: number;
  wouldLeave: number;
  tookMs: number;
}

/** What previews are given. */
export interface PreviewOptions {
  store: Store;
  clock: Clock;
  journal: Journal;
  settling: Settling;
  reader: Reader;
  definitions: Definitions;
  reads: MemberReads;
}

/** What is previewed. */
export interface PreviewRequest {
  where: JsonObject;
  /** The audience whose members are compared. */
  audience?: string;
  exact: boolean;
}

/** Previews a condition that was checked. */
export async function previewOf(options: PreviewOptions, request: PreviewRequest): Promise<Preview> {
  const { clock, journal, settling, definitions } = options;
  const began = clock.monotonic();
  await journal.sync();
  await settling.until(journal.end(), 10_000);
  const named = definitions.all().map(({ name, version, where, emit }): WorldAudience => ({
    name,
    version,
    where,
    emit,
  }));
  const draft: WorldAudience = { name: DRAFT, version: 0, where: request.where, emit: false };
  const world = openWorld(0, { audiences: [draft, ...named], builtAt: null });
  const current = request.audience === undefined ? undefined : await options.reads.idsOf(request.audience);
  const wantsExact = request.exact || journal.head().events <= EXACT_EVENTS;
  const counted = wantsExact ? await exactly(options, world, current) : undefined;
  const found = counted ?? await estimated(options, world, current);
  return { ...found, exact: counted !== undefined, tookMs: Math.round(clock.monotonic() - began) };
}

type Counted = Omit<Preview, "exact" | "tookMs">;

/** Reads the whole journal, and evaluates everybody; `undefined` where that takes too much memory. */
async function exactly(
  { store, clock, journal }: PreviewOptions,
  world: World,
  current: ReadonlySet<string> | undefined,
): Promise<Counted | undefined> {
  const stretch = emptyStretch();
  // Bare evidence of everybody is needed only where the condition holds without any.
  const upTo = journal.end();
  const end = await readStretch(store, world, {
    after: BEGINNING,
    upTo,
    maxEvents: Infinity,
    maxBytes: PREVIEW_BYTES,
    pause: clock.turn,
    stretch,
  });
  if (end < upTo) return undefined;
  const now = clock.now();
  const counted: Counted = { members: 0, sample: [], wouldEnter: 0, wouldLeave: 0 };
  let kept = 0;
  let evaluated = 0;
  for (const userId of stretch.users.keys()) {
    if (isMember(world, stretch, userId, now)) {
      counted.members++;
      if (counted.sample.length < SHOWN) counted.sample.push(userId);
      if (current?.has(userId)) kept++;
    }
    if (++evaluated % 1_000 === 0) await clock.turn();
  }
  counted.wouldEnter = counted.members - kept;
  counted.wouldLeave = (current?.size ?? 0) - kept;
  return counted;
}

function isMember(world: World, { users, anonymous, groups }: Stretch, userId: string, now: number): boolean {
  const { evidence, first } = users.get(userId)!;
  const own: Evidence[] = [];
  addEvidence(own, evidence);
  const known = joinEvidence(
    userId,
    own,
    linkedIds(own).map((anonymousId) => ({
      anonymousId,
      evidence: sorted(anonymous.get(anonymousId) ?? []),
    })),
  );
  const mine = new Map(joinedGroups(known).map((id) => [id, sorted(groups.get(id) ?? [])]));
  const evaluation = evaluatePerson(world.set, { first, known, groups: mine });
  return intervalAt(evaluation.audience(0), now) !== undefined;
}

function sorted(list: Evidence[]): Evidence[] {
  return list.sort((a, b) => a.at - b.at || (a.place < b.place ? -1 : 1));
}

/** Looks at those people whose ids have the smallest hashes, and scales what is found to all people. */
async function estimated(
  options: PreviewOptions,
  world: World,
  current: ReadonlySet<string> | undefined,
): Promise<Counted> {
  const { clock } = options;
  const { people, ids } = await sampleOfPeople(options);
  const until = clock.monotonic() + SAMPLE_MS;
  const counted: Counted = { members: 0, sample: [], wouldEnter: 0, wouldLeave: 0 };
  let seen = 0;
  for (const id of ids) {
    if (clock.monotonic() > until && seen > 0) break;
    seen++;
    const stretch = await stretchOf(options, world, id);
    const holds = stretch.users.has(id) && isMember(world, stretch, id, clock.now());
    const was = current?.has(id) ?? false;
    if (holds && counted.sample.length < SHOWN) counted.sample.push(id);
    counted.members += Number(holds);
    counted.wouldEnter += Number(holds && !was);
    counted.wouldLeave += Number(!holds && was);
  }
  const scaled = (n: number) => seen === 0 ? 0 : Math.round(n * people / seen);
  return {
    members: scaled(counted.members),
    sample: counted.sample,
    wouldEnter: scaled(counted.wouldEnter),
    wouldLeave: scaled(counted.wouldLeave),
  };
}

/** The number of users, and those whose ids have the smallest hashes: a sample that does not depend on their order. */
async function sampleOfPeople(
  { store, journal }: PreviewOptions,
): Promise<{ people: number; ids: string[] }> {
  let people = 0;
  let smallest: [hash: string, id: string][] = [];
  const compact = () => {
    smallest = smallest.sort(([a], [b]) => a < b ? -1 : 1).slice(0, SAMPLED);
  };
  const range = { prefix: actorPrefix(journal.settled().generation, "user") };
  for await (const entry of store.list<Uint8Array>(range, { batchSize: 500 })) {
    people++;
    const inKey = entry.key.at(-1) as string;
    const digest = hash("sha1", inKey, "hex").slice(0, 12);
    const last = smallest.length < SAMPLED ? undefined : smallest[SAMPLED - 1];
    if (last !== undefined && digest > last[0]) continue;
    smallest.push([digest, inKey.startsWith("#") ? readHead<ActorHead>(entry).head!.id : inKey]);
    if (smallest.length >= 2 * SAMPLED) compact();
  }
  compact();
  return { people, ids: smallest.map(([, id]) => id) };
}

/** What a person's log, and the logs of their groups, say. */
async function stretchOf({ reader }: PreviewOptions, world: World, userId: string): Promise<Stretch> {
  const stretch = emptyStretch();
  const logOf = async (kind: "user" | "group", id: string) => {
    const page = await reader.log(kind, id, { limit: SAMPLED_EVENTS, order: "desc" });
    return page?.events.toReversed() ?? [];
  };
  const say = (event: StoredEvent, index: number, kind: "user" | "group", id: string) => {
    // The log has what the person owns of anonymous ids: now all of it is theirs.
    const theirs = kind === "user" ? { ...event, userId } : event;
    for (const each of world.set.evidenceOf(theirs, positionOf("0".repeat(20), index))) {
      if (each.kind !== kind || each.id !== id) continue;
      const { l: _, ...evidence } = each.evidence;
      if (kind === "group") stretch.groups.get(id)!.push(evidence);
      else {
        const change = stretch.users.get(id)!;
        change.first = Math.min(change.first, evidence.at);
        change.evidence.push(evidence);
      }
    }
  };
  stretch.users.set(userId, { evidence: [], first: Infinity });
  (await logOf("user", userId)).forEach((event, index) => say(event, index, "user", userId));
  const joined = new Set(stretch.users.get(userId)!.evidence.flatMap(({ g }) => g === undefined ? [] : [g]));
  for (const id of joined) {
    stretch.groups.set(id, []);
    (await logOf("group", id)).forEach((event, index) => say(event, index, "group", id));
  }
  if (stretch.users.get(userId)!.first === Infinity) stretch.users.delete(userId);
  return stretch;
}
