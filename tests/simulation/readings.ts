/**
 * What readers are told, held against the oracle. While others write, an answer must be what the oracle says of the
 * journal at some head: not one before the head that stood when the reader asked, nor after the one that stood when it
 * was answered. So whatever was answered before is in it.
 */
import type { System } from "../../actors/system.ts";
import { createOracle, type Oracle } from "../actors/oracle.ts";
import type { Random } from "./random.ts";
import { ANONYMOUS, BEGIN_MS, GROUPS, USERS } from "./traffic.ts";
import type { Watch } from "./watch.ts";
import { Violation } from "./world.ts";
import type { ActorKind } from "../../domain/profile/fact.ts";
import type { Past } from "../../actors/reading/as_of.ts";

/** A question to a reader. */
export type Question =
  | { about: "user" | "anonymous" | "group"; id: string; past?: Past }
  | { about: "log"; kind: ActorKind; id: string; order: "asc" | "desc"; limit: number }
  | { about: "members"; id: string };

type Json = Record<string, unknown>;

/** A page that holds any log of a history. */
const ALL = 500;

/** The longest page of members. */
const SOME = 2;

/** Draws a question. */
export function drawQuestion(random: Random): Question {
  const past = random.chance(0.15) ? { past: { at: BEGIN_MS + random.between(-50, 20) * 1000 } } : {};
  const about = random.pick(
    ["user", "user", "user", "anonymous", "anonymous", "group", "log", "log", "members"] as const,
  );
  if (about === "user") return { about, id: random.pick(USERS), ...past };
  if (about === "anonymous") return { about, id: random.pick(ANONYMOUS), ...past };
  if (about === "group") return { about, id: random.pick(GROUPS), ...past };
  if (about === "members") return { about, id: random.pick(GROUPS) };
  const kind = random.pick(["user", "user", "anonymous", "group"] as const);
  const id = random.pick(kind === "user" ? USERS : kind === "group" ? GROUPS : ANONYMOUS);
  return { about, kind, id, order: random.pick(["asc", "desc"] as const), limit: ALL };
}

/** All questions whose answers together are everything that a store says of a history. */
export function allQuestions(): Question[] {
  const log = (kind: ActorKind) => (id: string): Question => ({
    about: "log",
    kind,
    id,
    order: "desc",
    limit: 7,
  });
  return [
    ...USERS.map((id): Question => ({ about: "user", id })),
    ...ANONYMOUS.map((id): Question => ({ about: "anonymous", id })),
    ...GROUPS.map((id): Question => ({ about: "group", id })),
    ...GROUPS.map((id): Question => ({ about: "members", id })),
    ...USERS.map(log("user")),
    ...ANONYMOUS.map(log("anonymous")),
    ...GROUPS.map(log("group")),
    { about: "user", id: USERS[0]!, past: { at: BEGIN_MS + 10_000 } },
    { about: "group", id: GROUPS[0]!, past: { at: BEGIN_MS + 10_000 } },
  ];
}

/** Asks a system. */
export async function ask({ reader }: System, question: Question): Promise<unknown> {
  switch (question.about) {
    case "user":
    case "anonymous":
    case "group":
      return await reader[question.about](question.id, question.past);
    case "log":
      return await pages(async (cursor) => {
        const { kind, id, order, limit } = question;
        const page = await reader.log(kind, id, { order, limit, ...cursor });
        return page && { items: page.events, cursor: page.cursor };
      });
    case "members": {
      const members = await pages(async (cursor) => {
        const page = await reader.members(question.id, { limit: SOME, ...cursor });
        return page && { items: page.members, cursor: page.cursor };
      });
      return members?.sort(byCanon) ?? null;
    }
  }
}

/** All pages, one after the other; `null` where there is nothing. */
async function pages<T>(
  next: (cursor: { cursor?: string }) => Promise<{ items: T[]; cursor: string | null } | null>,
): Promise<T[] | null> {
  const all: T[] = [];
  let page = await next({});
  if (page === null) return null;
  for (;;) {
    all.push(...page.items);
    if (page.cursor === null) return all;
    page = await next({ cursor: page.cursor });
    if (page === null) throw new Violation("invariant 4: a log was lost between two pages");
  }
}

const byCanon = (a: unknown, b: unknown) => canon(a) < canon(b) ? -1 : 1;

/** A moment: the number of the head that stands, how often somebody began to be or was erased, and whether it goes on. */
interface Moment {
  head: number;
  moves: number;
  isUnderWay: boolean;
}

/** Holds answers against the oracle at any head of the journal. */
export function createReadings(watch: Watch) {
  const oracles = new Map<number, { oracle: Oracle; said: Map<string, string> }>();
  let moves = 0;

  function at(head: number) {
    // Somebody was erased: the past is another one.
    if (moves !== watch.erasures().moves) oracles.clear();
    moves = watch.erasures().moves;
    let known = oracles.get(head);
    if (known === undefined) {
      const oracle = createOracle();
      for (const { event, erased, copy } of watch.journal.slice(0, watch.heads[head]!.events)) {
        if (!erased && !copy) oracle.add(event);
      }
      oracles.set(head, known = { oracle, said: new Map() });
    }
    return known;
  }

  /** What the oracle says at a head (by its number among the heads), in canonical form. */
  function expected(head: number, question: Question): string {
    const { oracle, said } = at(head);
    const key = JSON.stringify(question);
    let answer = said.get(key);
    if (answer === undefined) said.set(key, answer = canon(answerOf(oracle, question)));
    return answer;
  }

  return {
    /** The moment that it is. */
    now: (): Moment => ({ head: watch.heads.length - 1, ...watch.erasures() }),
    /** Checks an answer to a question that was asked at a moment, and answered at another. */
    check(question: Question, answer: unknown, moments: { from: Moment; to: Moment }): void {
      // While somebody is erased an answer may be of before, of after, or of something between.
      if (moments.from.isUnderWay || moments.from.moves !== moments.to.moves) return;
      const [from, to] = [moments.from.head, moments.to.head];
      if (watch.isUndecided(to)) return;
      // Members are what is settled, and move by several operations: they are exact while nobody writes.
      if (question.about === "members" && from !== to) return;
      const isGroup = question.about === "group" && question.past === undefined && from !== to;
      const shown = canon(isGroup ? withoutCount(answer as Json | null) : answer);
      for (let head = to; head >= from; head--) {
        const wanted = expected(head, question);
        if (shown === (isGroup ? canon(withoutCount(JSON.parse(wanted))) : wanted)) return;
        if (question.about === "anonymous" && isOwners(question, answer as Json | null, { from, to: head })) {
          return;
        }
      }
      const said = Array.from({ length: to - from + 1 }, (_, i) => expected(from + i, question));
      const wanted = said.filter((answer, i) => answer !== said[i - 1]);
      throw new Violation(
        `invariant 4: ${
          JSON.stringify(question)
        } was answered\n${shown}\nwhere the journal, at heads ${from} to ${to}, ` +
          `says\n${wanted.join("\nor\n")}`,
      );
    },
  };

  /** Whether an answer about an anonymous id is its owner's profile: the owner is looked up first, and then read. */
  function isOwners(
    { id, past }: { id: string; past?: Past },
    answer: Json | null,
    { from, to }: { from: number; to: number },
  ) {
    const userId = answer?.userId;
    if (typeof userId !== "string") return false;
    const question: Question = { about: "user", id: userId, ...(past === undefined ? {} : { past }) };
    if (canon(answer) !== expected(to, question)) return false;
    for (let head = to; head >= from; head--) {
      const known = JSON.parse(
        expected(head, { about: "anonymous", id, ...(past === undefined ? {} : { past }) }),
      );
      if (known?.userId === userId) return true;
    }
    return false;
  }
}

function answerOf(oracle: Oracle, question: Question): unknown {
  switch (question.about) {
    case "user":
    case "anonymous":
    case "group":
      return oracle[question.about](question.id, question.past);
    case "log": {
      const log = oracle.log(question.kind, question.id);
      return question.order === "asc" ? log : log?.reverse() ?? null;
    }
    case "members":
      return oracle.members(question.id)?.sort(byCanon) ?? null;
  }
}

function withoutCount(group: Json | null): Json | null {
  if (group === null) return null;
  const { memberCount: _, ...rest } = group;
  return rest;
}

/** JSON in one form: members of objects by name, groups of a profile by id. */
export function canon(value: unknown): string {
  return JSON.stringify(value, (name, member) => {
    if (Array.isArray(member)) {
      return name === "groups" ? member.toSorted((a, b) => a.groupId < b.groupId ? -1 : 1) : member;
    }
    if (typeof member !== "object" || member === null) return member;
    const names = Object.keys(member).sort();
    // By entries: a member `__proto__` stays one.
    return Object.fromEntries(names.map((each) => [each, member[each]]));
  }) ?? "null";
}
