/**
 * Who an anonymous id belongs to, and what each owner has of it.
 *
 * Links cut the time of an anonymous id into ownership intervals: the first link takes everything before it, and each
 * holds until a later link to another user. An event belongs to the interval of its own time and place, so one that was
 * sent late goes to the right person, and users never merge. Links in a row to one user are kept as one run.
 */
import { type Fact, linkedBy, type Mark, precedes } from "./fact.ts";
import { jsonBytes } from "../event/json.ts";
import {
  emptyPerson,
  evolvePerson,
  type Person,
  personFromJson,
  type PersonJson,
  personToJson,
  STATE_BYTES,
} from "./person.ts";

/** At most so many users own parts of one anonymous id: beyond them it is a placeholder, and no longer links. */
export const MAX_OWNERS = 50;

/** At most so many runs of links, so that two users who alternate can't fill the state. A run takes some 100 bytes. */
export const MAX_RUNS = 1_000;

/** Runs take at most so many bytes: a user's id may take 1.5 KB. */
const RUNS_BYTES = 120_000;

/** Bytes that a run takes besides the user's id. */
const RUN_BYTES = 80;

/** Links in a row to one user: the first and the last, and the newest event of the interval that they open. */
export interface Run {
  user: string;
  first: Mark;
  last: Mark;
  newest: Mark | null;
}

/** The state. Without a link, all that there is stands under {@link NO_OWNER}. */
export interface Anonymous {
  runs: Run[];
  parts: Map<string, Person>;
  /** The newest event before any link. */
  newest: Mark | null;
}

/** The owner of what no link has claimed; no user id is empty. */
export const NO_OWNER = "";

/** The state before any event. */
export function emptyAnonymous(): Anonymous {
  return { runs: [], parts: new Map(), newest: null };
}

/** Whether a fact is a link in the log of this anonymous id, rather than an event of its own. */
export function isLinkOf(fact: Fact, anonymousId: string): boolean {
  return linkedBy(fact) === anonymousId;
}

/** Index of the last run that begins at or before `mark`, -1 where all begin later. */
function runAt(runs: readonly { first: Mark }[], mark: Mark): number {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (precedes(mark, runs[middle]!.first)) high = middle;
    else low = middle + 1;
  }
  return low - 1;
}

/** The user who owns what happened at `mark`; `undefined` where nobody ever linked this id. */
export function ownerAt(state: Anonymous, mark: Mark): string | undefined {
  return state.runs[Math.max(0, runAt(state.runs, mark))]?.user;
}

/** The user to whom this id belongs now; `undefined` where nobody ever linked it. */
export function ownerOf(state: Anonymous): string | undefined {
  return state.runs.at(-1)?.user;
}

/** All users who own a part. */
export function ownersOf(state: Anonymous): string[] {
  return [...new Set(state.runs.map((run) => run.user))];
}

/**
 * Folds one fact into an anonymous id. Mutates `state` and gives true; or gives false where a link lands among events
 * or links that were folded before it: then fold the whole log by {@link foldAnonymous}, `state` is of no more use.
 */
export function evolveAnonymous(state: Anonymous, fact: Fact, anonymousId: string): boolean {
  if (isLinkOf(fact, anonymousId)) return link(state, fact.userId!, [fact.at, fact.place]);
  foldOwned(state, fact);
  return true;
}

/** Folds one event, which is no link, into the part of whom it belongs to. Mutates `state`. */
export function foldOwned(state: Anonymous, fact: Fact): void {
  const mark: Mark = [fact.at, fact.place];
  const run = state.runs[Math.max(0, runAt(state.runs, mark))];
  const interval = run ?? state;
  if (interval.newest === null || precedes(interval.newest, mark)) interval.newest = mark;
  const part = partOf(state, run?.user ?? NO_OWNER);
  let othersBytes = -part.bytes;
  for (const each of state.parts.values()) othersBytes += each.bytes;
  evolvePerson(part, fact, STATE_BYTES - othersBytes);
}

function partOf(state: Anonymous, owner: string): Person {
  let part = state.parts.get(owner);
  if (part === undefined) state.parts.set(owner, part = emptyPerson());
  return part;
}

function link(state: Anonymous, user: string, mark: Mark): boolean {
  const { runs } = state;
  if (runs.length === 0) {
    runs.push({ user, first: mark, last: mark, newest: state.newest });
    state.parts = new Map([[user, state.parts.get(NO_OWNER) ?? emptyPerson()]]);
    state.newest = null;
    return true;
  }
  const index = runAt(runs, mark);
  const run = runs[index];
  const next = runs[index + 1];
  if (run?.user === user) {
    if (precedes(run.last, mark)) run.last = mark;
    return true;
  }
  // The first run owns everything before it already.
  if (run === undefined && next!.user === user) {
    next!.first = mark;
    return true;
  }
  const inside = run !== undefined && precedes(mark, run.last);
  const moreRuns = inside ? 2 : next?.user === user ? 0 : 1;
  // Inside a run the link splits it in two, so the run's own user is there once more.
  if (!hasRoom(runs, { user, moreRuns, split: inside ? run.user : undefined })) return true;
  if (run === undefined || inside || (run.newest !== null && precedes(mark, run.newest))) return false;
  if (next?.user === user) next.first = mark;
  else {
    runs.splice(index + 1, 0, { user, first: mark, last: mark, newest: null });
    partOf(state, user);
  }
  return true;
}

function hasRoom(
  runs: readonly { user: string }[],
  { user, moreRuns, split }: { user: string; moreRuns: number; split: string | undefined },
): boolean {
  if (moreRuns === 0) return true;
  const bytes = runs.reduce((sum, run) => sum + runBytes(run.user), runBytes(user) + runBytes(split));
  if (runs.length + moreRuns > MAX_RUNS || bytes > RUNS_BYTES) return false;
  const owners = new Set(runs.map((run) => run.user));
  return owners.has(user) || owners.size < MAX_OWNERS;
}

/** Bytes that a run of a user takes; nothing where there is none. */
function runBytes(user: string | undefined): number {
  return user === undefined ? 0 : jsonBytes(user) + RUN_BYTES;
}

/**
 * Folds a whole log, given in the order of the journal. What {@link evolveAnonymous} gives step by step, this gives at
 * once: {@link foldLinks}, then {@link foldOwned} for each event.
 */
export function foldAnonymous(facts: Iterable<Fact>, anonymousId: string): Anonymous {
  const links: Fact[] = [];
  const events: Fact[] = [];
  for (const fact of facts) (isLinkOf(fact, anonymousId) ? links : events).push(fact);
  const state = foldLinks(links, anonymousId);
  for (const fact of events) foldOwned(state, fact);
  return state;
}

/** Folds the links of a log, in order of arrival, which decides what found room: whose each event will be. */
export function foldLinks(facts: Iterable<Fact>, anonymousId: string): Anonymous {
  const state = emptyAnonymous();
  const links: { user: string; first: Mark }[] = [];
  const owners = new Set<string>();
  let runCount = 0;
  let runsBytes = 0;
  for (const fact of facts) {
    if (!isLinkOf(fact, anonymousId)) continue;
    const user = fact.userId!;
    const mark: Mark = [fact.at, fact.place];
    const index = runAt(links, mark);
    const before = links[index]?.user;
    const after = links[index + 1]?.user;
    const moreRuns = before === user || after === user ? 0 : before !== undefined && before === after ? 2 : 1;
    const moreBytes = moreRuns === 0 ? 0 : runBytes(user) + (moreRuns === 2 ? runBytes(before) : 0);
    const isFull = runCount + moreRuns > MAX_RUNS || runsBytes + moreBytes > RUNS_BYTES ||
      !(owners.has(user) || owners.size < MAX_OWNERS);
    if (moreRuns > 0 && isFull) continue;
    links.splice(index + 1, 0, { user, first: mark });
    owners.add(user);
    runCount += moreRuns;
    runsBytes += moreBytes;
  }
  for (const { user, first } of links) {
    const last = state.runs.at(-1);
    if (last?.user === user) last.last = first;
    else state.runs.push({ user, first, last: first, newest: null });
    partOf(state, user);
  }
  return state;
}

/** An anonymous id as JSON: the stored format of {@link FOLD_VERSION}. */
export type AnonymousJson = [
  runs: [string, Mark, Mark, Mark | null][],
  parts: [string, PersonJson][],
  newest: Mark | null,
];

/** The stored form of an anonymous id. */
export function anonymousToJson(state: Anonymous): AnonymousJson {
  return [
    state.runs.map((run) => [run.user, run.first, run.last, run.newest]),
    [...state.parts].map(([owner, part]) => [owner, personToJson(part)]),
    state.newest,
  ];
}

/** An anonymous id from its stored form. */
export function anonymousFromJson([runs, parts, newest]: AnonymousJson): Anonymous {
  return {
    runs: runs.map(([user, first, last, newest]) => ({ user, first, last, newest })),
    parts: new Map(parts.map(([owner, part]) => [owner, personFromJson(part)])),
    newest,
  };
}
