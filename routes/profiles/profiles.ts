/** The routes that show profiles, groups, logs and members. */
import { Hono } from "hono";
import { z } from "zod";
import { EVENT_TYPES } from "../../domain/event/event.ts";
import { parseTimestamp } from "../../domain/event/timestamp.ts";
import { type Outcome, type Parts, type RouteContext, type RouteEnv, withAccess } from "../handler/handle.ts";
import { createLane, type Lane } from "../http/semaphore.ts";
import { invalid, jsonResponse, type Problem } from "../http/problem.ts";
import type { ActorKind } from "../../domain/profile/fact.ts";
import { InvalidCursor } from "../../actors/store/errors.ts";
import type { Past } from "../../actors/reading/consistent_read.ts";

/** Longest id that an event can have, in UTF-16 units (256 characters): nobody of a longer one was ever seen. */
export const MAX_ID_UNITS = 512;

/** Longest cursor that is looked at; ours hold an id, of up to 512 units that JSON may write as six characters each. */
const MAX_CURSOR_LENGTH = 8192;

/**
 * Reads under way at once; others wait in line. What is shown can be some MB of JSON, and twenty times as much memory, and
 * anybody with a write key can make it so.
 */
export const READS_AT_ONCE = 16;

/** Longest time of a read in line: a few large profiles before it take the thread for seconds, and then it is its turn. */
const READ_WAIT_MS = 30_000;

/** A profile is 3.5 MiB of JSON at the most, and 80 MB of memory if it is of nothing but `{}`: so it counts as three. */
export const PROFILE_WEIGHT = 3;

/** A past folds a log afresh, so only a few are under way at once: each counts as so many. */
export const PAST_WEIGHT = 4;

/** A page of a log counts as one read, and one more for so many events that it may hold. */
const EVENTS_PER_WEIGHT = 100;

/** The contract: "`limit` (1 to 500, default 50, else 400)". */
export const limit = z.string().regex(/^([1-9]\d?|[1-4]\d\d|500)$/, "must be a whole number from 1 to 500")
  .default("50").transform(Number).meta({ description: "The most that a page holds.", examples: ["2"] });

/** What a page before gave. */
export const cursor = z.string().min(1, "must be a cursor of the page before")
  .max(MAX_CURSOR_LENGTH, "must be a cursor of the page before").optional()
  .meta({ description: "`cursor` of the page before, for the page after it." });

/** A moment; the blank is a `+` that was not percent-encoded, which forms decode to a blank. */
export const moment = z.string().transform((text, context) => {
  const ms = parseTimestamp(text.replace(/ (?=\d\d(:?\d\d)?$)/, "+"));
  if (ms !== undefined) return ms;
  context.addIssue({ code: "custom", message: "must be an ISO 8601 date, or date and time" });
  return z.NEVER;
}).optional();

/** `?at=TIME&asOf=TIME`. */
export const pastQuery = z.object({
  at: moment.meta({ description: "What was true then: only what happened up to this moment." }),
  asOf: moment.meta({ description: "What was known then: only what was received up to this moment." }),
});

/** Of a log. */
export const logQuery = z.object({
  limit,
  cursor,
  order: z.enum(["asc", "desc"], "must be asc or desc").default("desc")
    .meta({ description: "By `timestamp`, then arrival; newest first by default." }),
  type: z.enum(EVENT_TYPES, `must be one of ${EVENT_TYPES.join(", ")}`).optional()
    .meta({ description: "Only events of this type." }),
  event: z.string().optional().meta({ description: "Only events whose `event` is this." }),
});

/** Of a group's members. */
export const membersQuery = z.object({ limit, cursor });

/** The first part of the path, which kind of actor it names. */
const KINDS: readonly (readonly [string, ActorKind])[] = [
  ["users", "user"],
  ["anonymous", "anonymous"],
  ["groups", "group"],
];

/** Where the id stands in `/api/v1/users/{id}/…`, split at its slashes. */
const ID_PLACE = 4;

/** Everything under `/api/v1/users`, `/api/v1/anonymous` and `/api/v1/groups`. */
export function readingRoutes(parts: Parts): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  const ofPersons = createLane(READS_AT_ONCE, parts.now, { waitMs: READ_WAIT_MS });
  // Reads of groups may wait for settling, and others must not wait for them.
  const ofGroups = createLane(READS_AT_ONCE, parts.now, { waitMs: READ_WAIT_MS });
  const read = <Query extends z.ZodObject>(
    path: string,
    query: Query,
    show: (id: string, query: z.output<Query>) => Promise<Outcome>,
  ) =>
    routes.get(
      path,
      withAccess(parts, { right: "read", query }, (c, read) => withId(c, (id) => show(id, read))),
    );
  for (const [part, kind] of KINDS) {
    const reads = kind === "group" ? ofGroups : ofPersons;
    read(`/api/v1/${part}/:id`, pastQuery, (id, query) => showProfile(parts, { kind, id, reads }, query));
    read(`/api/v1/${part}/:id/events`, logQuery, (id, query) => showLog(parts, { kind, id, reads }, query));
  }
  read(
    "/api/v1/groups/:id/members",
    membersQuery,
    (id, query) => showMembers(parts, { kind: "group", id, reads: ofGroups }, query),
  );
  return routes;
}

/** Reads when it is its turn. */
export async function inTurn(reads: Lane, weight: number, read: () => Promise<Outcome>): Promise<Outcome> {
  const entered = reads.enter(weight);
  if (entered !== true && !await entered) return TOO_MANY_READS;
  try {
    return await read();
  } finally {
    reads.leave(weight);
  }
}

const TOO_MANY_READS: Problem = {
  reason: "unavailable",
  code: "overloaded",
  detail: "Too many reads are waiting.",
  retryAfterS: 1,
};

interface Named {
  kind: ActorKind;
  id: string;
  reads: Lane;
}

/** The router's own decoding passes over what is ill-formed, so the id in the path is read here. */
async function withId(c: RouteContext, show: (id: string) => Promise<Outcome>): Promise<Outcome> {
  const id = decodePart(c.req.path.split("/")[ID_PLACE]!);
  if (id === undefined) {
    return invalid("invalid_id", "", "the id in the path must be well-formed percent-encoding");
  }
  if (id.length > MAX_ID_UNITS) return neverSeen("id");
  return await show(id);
}

/** A part of a path; `undefined` if it is ill-formed. */
export function decodePart(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

async function showProfile(
  { system }: Parts,
  { kind, id, reads }: Named,
  { at, asOf }: z.output<typeof pastQuery>,
): Promise<Outcome> {
  const past: Past = { ...at !== undefined && { at }, ...asOf !== undefined && { asOf } };
  const isPast = at !== undefined || asOf !== undefined;
  return await inTurn(reads, isPast ? PAST_WEIGHT : PROFILE_WEIGHT, async () => {
    const profile = await system.reader[kind](id, past);
    return profile === null ? neverSeen(kind) : jsonResponse(profile);
  });
}

async function showLog(
  { system }: Parts,
  { kind, id, reads }: Named,
  { limit, cursor, order, type, event }: z.output<typeof logQuery>,
): Promise<Outcome> {
  const query = {
    limit,
    order,
    ...cursor !== undefined && { cursor },
    ...type !== undefined && { type },
    ...event !== undefined && { event },
  };
  const weight = 1 + Math.ceil(limit / EVENTS_PER_WEIGHT);
  return await inTurn(reads, weight, () => page(kind, () => system.reader.log(kind, id, query)));
}

async function showMembers(
  { system }: Parts,
  { id, reads, kind }: Named,
  { limit, cursor }: z.output<typeof membersQuery>,
): Promise<Outcome> {
  const query = { limit, ...cursor !== undefined && { cursor } };
  return await inTurn(reads, 1, () => page(kind, () => system.reader.members(id, query)));
}

async function page(kind: ActorKind, load: () => Promise<object | null>): Promise<Outcome> {
  try {
    const found = await load();
    return found === null ? neverSeen(kind) : jsonResponse(found);
  } catch (error) {
    if (error instanceof InvalidCursor) {
      return invalid("invalid_query", "cursor", "must be a cursor of the page before");
    }
    throw error;
  }
}

/** The answer for somebody of whom no event is known. */
export function neverSeen(kind: ActorKind | "id"): Problem {
  const whom = kind === "anonymous" ? "anonymous id" : kind;
  return { reason: "not_found", code: "not_found", detail: `no event of this ${whom} was ever seen` };
}
