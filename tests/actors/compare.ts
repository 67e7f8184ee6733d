/** Holds everything that a system tells its readers against an oracle. */
import { deepStrictEqual, ok } from "node:assert/strict";
import type { System } from "../../actors/system.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { ANONYMOUS, BEGIN_MS, GROUPS, NAMES, USERS } from "./histories.ts";
import type { Oracle } from "./oracle.ts";
import type { ActorKind } from "../../domain/profile/fact.ts";
import type { LogQuery } from "../../actors/reading/log_pages.ts";
import type { Past } from "../../actors/reading/as_of.ts";

/** A profile as a client reads it, its groups and members of maps in a fixed order. */
function shown(profile: Record<string, unknown> | null): unknown {
  if (profile === null) return null;
  const plain = JSON.parse(JSON.stringify(profile));
  plain.groups?.sort((a: { groupId: string }, b: { groupId: string }) => a.groupId < b.groupId ? -1 : 1);
  return plain;
}

/** All pages of a log, one after the other; `null` where there is no log. */
export async function wholeLog(
  system: System,
  kind: ActorKind,
  id: string,
  query: Omit<LogQuery, "cursor">,
): Promise<StoredEvent[] | null> {
  const events: StoredEvent[] = [];
  let cursor: string | null | undefined;
  do {
    const page = await system.reader.log(kind, id, { ...query, ...(cursor ? { cursor } : {}) });
    if (page === null) {
      ok(cursor === undefined, "a log was lost between two pages");
      return null;
    }
    ok(page.events.length <= query.limit);
    ok(page.cursor === null || page.events.length === query.limit, "a page is full, or the last");
    events.push(...page.events);
    cursor = page.cursor;
  } while (cursor !== null);
  return events;
}

/** All members of a group, in any order. */
export async function allMembers(system: System, groupId: string, limit: number) {
  const members: Record<string, string>[] = [];
  let cursor: string | null | undefined;
  do {
    const page = await system.reader.members(groupId, { limit, ...(cursor ? { cursor } : {}) });
    if (page === null) return null;
    ok(page.members.length <= limit);
    members.push(...page.members);
    cursor = page.cursor;
  } while (cursor !== null);
  return members;
}

const byJson = <T>(items: T[] | null) => items?.map((item) => JSON.stringify(item)).sort() ?? null;

/** Compares all profiles. */
export async function compareProfiles(system: System, oracle: Oracle, past?: Past): Promise<void> {
  await comparePeople(system, oracle, past);
  for (const id of [...GROUPS, "nobody"]) {
    deepStrictEqual(shown(await system.reader.group(id, past)), oracle.group(id, past), `group ${id}`);
  }
}

/** Compares the profiles of users and anonymous ids: unlike those of groups they never wait for settling. */
export async function comparePeople(system: System, oracle: Oracle, past?: Past): Promise<void> {
  for (const id of [...USERS, "nobody"]) {
    deepStrictEqual(shown(await system.reader.user(id, past)), oracle.user(id, past), `user ${id}`);
  }
  for (const id of [...ANONYMOUS, "nobody"]) {
    deepStrictEqual(
      shown(await system.reader.anonymous(id, past)),
      oracle.anonymous(id, past),
      `anonymous ${id}`,
    );
  }
}

/** Compares all logs, in pages of `limit`, and those of one type or name. */
export async function compareLogs(system: System, oracle: Oracle, limit: number): Promise<void> {
  const logs: [ActorKind, string][] = [
    ...USERS.map((id): [ActorKind, string] => ["user", id]),
    ...ANONYMOUS.map((id): [ActorKind, string] => ["anonymous", id]),
    ...GROUPS.map((id): [ActorKind, string] => ["group", id]),
    ["user", "nobody"],
  ];
  for (const [kind, id] of logs) {
    const events = oracle.log(kind, id);
    const what = `log of ${kind} ${id}`;
    deepStrictEqual(await wholeLog(system, kind, id, { limit, order: "asc" }), events, what);
    deepStrictEqual(
      await wholeLog(system, kind, id, { limit: 500, order: "desc" }),
      events?.toReversed() ?? null,
      what,
    );
    for (const type of ["identify", "alias", "track"] as const) {
      const some = events?.filter((event) => event.type === type).reverse() ?? null;
      deepStrictEqual(
        await wholeLog(system, kind, id, { limit, order: "desc", type }),
        some,
        `${what}: ${type}`,
      );
    }
    for (const event of NAMES) {
      const some = events?.filter((each) => each.type === "track" && each.event === event) ?? null;
      deepStrictEqual(
        await wholeLog(system, kind, id, { limit, order: "asc", event }),
        some,
        `${what}: ${event}`,
      );
    }
  }
}

/** Compares everything: profiles now and in the past, logs, members. */
export async function compareAll(system: System, oracle: Oracle): Promise<void> {
  await compareProfiles(system, oracle);
  await compareLogs(system, oracle, 2);
  for (const id of [...GROUPS, "nobody"]) {
    deepStrictEqual(byJson(await allMembers(system, id, 2)), byJson(oracle.members(id)), `members of ${id}`);
  }
  for (
    const past of [{ at: BEGIN_MS + 5000 }, { asOf: BEGIN_MS + 60_000 + 9000 }, {
      at: BEGIN_MS + 8000,
      asOf: BEGIN_MS + 60_000 + 20_000,
    }, { at: BEGIN_MS - 1e15 / 1000 }]
  ) await compareProfiles(system, oracle, past);
}
