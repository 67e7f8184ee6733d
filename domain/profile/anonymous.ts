/**
 * The owners of an anonymous id, and the share of each.
 *
 * Links divide the time of an anonymous id into ownership intervals: the first link also owns everything before it, and
 * each interval lasts until a later link to another user. An event belongs to the interval of its own time and
 * position, so a late event goes to the right person, and users are never merged. Consecutive links to one user form
 * one run.
 *
 * The link by which an id has had {@link MAX_OWNERS} owners, in order of time, is its last one: from then on it is a
 * placeholder, and its events belong to nobody. More links can only bring that forward, so later events are never
 * needed again, and the same facts give the same result in any order.
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

/** Owners after which an anonymous id is a placeholder: the contract's bound. */
export const MAX_OWNERS = 50;

/** Likewise runs of links, so that two alternating users cannot fill the state. A run takes some 100 bytes. */
export const MAX_RUNS = 1_000;

/** And bytes of runs: a user's id may take 1.5 KB. */
const RUNS_BYTES = 120_000;

/** Links that are held while a log is folded, before those after the last valid one are dropped. */
const HELD_LINKS = 4_096;

/** Bytes that a run takes besides the user's id. */
const RUN_BYTES = 80;

/** Links in a row to one user: the first and the last, and the newest event of the interval that they open. */
export interface Run {
  user: string;
  first: Mark;
  last: Mark;
  newest: Mark | null;
}

/** The state. Without a link, everything is under {@link NO_OWNER}. */
export interface Anonymous {
  runs: Run[];
  parts: Map<string, Person>;
  /** The newest event that belongs to nobody: before any link, or after the end. */
  newest: Mark | null;
  /** The last valid link, once there are too many owners or runs: later events belong to nobody. */
  end: Mark | null;
}

/** The owner of unclaimed events; no user id is empty. */
export const NO_OWNER = "";

/** The state before any event. */
export function emptyAnonymous(): Anonymous {
  return { runs: [], parts: new Map(), newest: null, end: null };
}

/** Whether a fact is a link in the log of this anonymous id, rather than an event of its own. */
export function isLinkOf(fact: Fact, anonymousId: string): boolean {
  return linkedBy(fact) === anonymousId;
}

/** Index of the last run that begins at or before `mark`; -1 if there is none. */
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

/** The run that owns an event at `mark`; `undefined` if nobody owns it. */
function runFor({ runs, end }: Anonymous, mark: Mark): Run | undefined {
  if (end !== null && precedes(end, mark)) return undefined;
  return runs[Math.max(0, runAt(runs, mark))];
}

/** The user who owns an event at `mark`; `undefined` if nobody ever linked this id, or too many did. */
export function ownerAt(state: Anonymous, mark: Mark): string | undefined {
  return runFor(state, mark)?.user;
}

/** The user who owns this id now; `undefined` if nobody ever linked it, or too many did. */
export function ownerOf({ runs, end }: Anonymous): string | undefined {
  return end === null ? runs.at(-1)?.user : undefined;
}

/** All users who own a part. */
export function ownersOf(state: Anonymous): string[] {
  return [...new Set(state.runs.map((run) => run.user))];
}

/** An ownership interval: from a mark (`null`: from the beginning) to another (`null`: still). */
export interface Interval {
  from: Mark | null;
  until: Mark | null;
}

/** When a user owned an anonymous id. */
export function intervalsOf({ runs, end }: Anonymous, userId: string): Interval[] {
  return runs.flatMap(({ user, first }, index) => {
    // The last link of a placeholder gave its user nothing.
    if (user !== userId || (end !== null && !precedes(first, end))) return [];
    return [{ from: index === 0 ? null : first, until: runs[index + 1]?.first ?? end }];
  });
}

/** Whether a mark is in an interval. */
export function isWithin(mark: Mark, { from, until }: Interval): boolean {
  return (from === null || !precedes(mark, from)) && (until === null || precedes(mark, until));
}

/**
 * Folds one fact into an anonymous id. Mutates `state` and gives true; or gives false if a link is before an event or a
 * link that was folded already: then fold the whole log by {@link foldAnonymous}, since `state` is invalid.
 */
export function evolveAnonymous(state: Anonymous, fact: Fact, anonymousId: string): boolean {
  if (isLinkOf(fact, anonymousId)) return link(state, fact.userId!, [fact.at, fact.place]);
  foldOwned(state, fact);
  return true;
}

/** Folds one event, which is not a link, into the part of its owner. Mutates `state`. */
export function foldOwned(state: Anonymous, fact: Fact): void {
  const mark: Mark = [fact.at, fact.place];
  const run = runFor(state, mark);
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
  const { runs, end } = state;
  if (end !== null && precedes(end, mark)) return true;
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
  // It may bring the end forward, past events that have an owner.
  if (end !== null) return false;
  // The first run owns everything before it already.
  if (run === undefined && next!.user === user) {
    next!.first = mark;
    return true;
  }
  const inside = run !== undefined && precedes(mark, run.last);
  if (run === undefined || inside || (run.newest !== null && precedes(mark, run.newest))) return false;
  if (next?.user === user) {
    next.first = mark;
    return true;
  }
  runs.splice(index + 1, 0, { user, first: mark, last: mark, newest: null });
  partOf(state, user);
  if (!isFull(runs)) return true;
  // Runs after it count no more.
  if (next !== undefined) return false;
  state.end = mark;
  return true;
}

/** Whether the last of some runs is the last that counts. */
function isFull(runs: readonly { user: string }[]): boolean {
  const bytes = runs.reduce((sum, { user }) => sum + runBytes(user), 0);
  return runs.length >= MAX_RUNS || bytes >= RUNS_BYTES ||
    new Set(runs.map(({ user }) => user)).size >= MAX_OWNERS;
}

/** Bytes that a run of a user takes. */
function runBytes(user: string): number {
  return jsonBytes(user) + RUN_BYTES;
}

/**
 * Folds a whole log, in the order of the journal. It gives the same as {@link evolveAnonymous} step by step: first the
 * links, then {@link foldOwned} for each event.
 */
export function foldAnonymous(facts: Iterable<Fact>, anonymousId: string): Anonymous {
  const links = createLinks(anonymousId);
  const events: Fact[] = [];
  for (const fact of facts) if (!links.add(fact)) events.push(fact);
  const state = links.fold();
  for (const fact of events) foldOwned(state, fact);
  return state;
}

/** The fold of a log's links, in any order, which tells the owner of each event. */
export interface Links {
  /** Adds a fact if it is a link; false if it is not. */
  add(fact: Fact): boolean;
  /** The state after all added links, before any event. */
  fold(): Anonymous;
}

/** Creates the fold of an anonymous id's links. It holds few of the invalid ones, of which there may be millions. */
export function createLinks(anonymousId: string): Links {
  let links: { user: string; mark: Mark }[] = [];
  let maxHeld = HELD_LINKS;

  function fold(): Anonymous {
    links.sort((a, b) => precedes(a.mark, b.mark) ? -1 : 1);
    const state = emptyAnonymous();
    const owners = new Set<string>();
    let bytes = 0;
    for (const [index, { user, mark }] of links.entries()) {
      const last = state.runs.at(-1);
      if (last?.user === user) {
        last.last = mark;
        continue;
      }
      state.runs.push({ user, first: mark, last: mark, newest: null });
      partOf(state, user);
      owners.add(user);
      bytes += runBytes(user);
      if (owners.size < MAX_OWNERS && state.runs.length < MAX_RUNS && bytes < RUNS_BYTES) continue;
      state.end = mark;
      links = links.slice(0, index + 1);
      break;
    }
    return state;
  }

  return {
    fold,
    add(fact) {
      if (!isLinkOf(fact, anonymousId)) return false;
      links.push({ user: fact.userId!, mark: [fact.at, fact.place] });
      if (links.length > maxHeld) {
        fold();
        maxHeld = Math.max(HELD_LINKS, 2 * links.length);
      }
      return true;
    },
  };
}

/** An anonymous id as JSON: the stored format of {@link FOLD_VERSION}. */
export type AnonymousJson = [
  runs: [string, Mark, Mark, Mark | null][],
  parts: [string, PersonJson][],
  newest: Mark | null,
  end: Mark | null,
];

/** The stored form of an anonymous id. */
export function anonymousToJson(state: Anonymous): AnonymousJson {
  return [
    state.runs.map((run) => [run.user, run.first, run.last, run.newest]),
    [...state.parts].map(([owner, part]) => [owner, personToJson(part)]),
    state.newest,
    state.end,
  ];
}

/** An anonymous id from its stored form. */
export function anonymousFromJson([runs, parts, newest, end = null]: AnonymousJson): Anonymous {
  return {
    runs: runs.map(([user, first, last, newest]) => ({ user, first, last, newest })),
    parts: new Map(parts.map(([owner, part]) => [owner, personFromJson(part)])),
    newest,
    end,
  };
}
