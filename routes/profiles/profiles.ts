/** The routes that show profiles, groups, logs and members. */
import { Hono } from "hono";
import { z } from "zod";
import { EVENT_TYPES } from "../../domain/event/event.ts";
import { type Outcome, type Parts, type RouteContext, type RouteEnv, withAccess } from "../handler/handle.ts";
import { cursor, limit, moment } from "../http/paging.ts";
import { pathParam } from "../http/path_params.ts";
import { createSemaphore, type Semaphore } from "../body/semaphore.ts";
import { invalid, jsonResponse } from "../http/problem.ts";
import type { ActorKind } from "../../domain/profile/fact.ts";
import { InvalidCursor } from "../../actors/store/errors.ts";
import type { Past } from "../../actors/reading/as_of.ts";
import { illFormed, MAX_ID_UNITS, neverSeen } from "./actor_id.ts";
import { inTurn, PAST_WEIGHT, PROFILE_WEIGHT, READ_WAIT_MS, READS_AT_ONCE } from "./read_turns.ts";

/** A page of a log counts as one read, and one more per this many events of its limit. */
const EVENTS_PER_WEIGHT = 100;

/** `?at=TIME&asOf=TIME`. */
export const pastQuery = z.object({
  at: moment.meta({ description: "Only events that happened up to this time (`timestamp`)." }),
  asOf: moment.meta({ description: "Only events received up to this time (`receivedAt`)." }),
});

/** Of a log. */
export const logQuery = z.object({
  limit,
  cursor,
  order: z.enum(["asc", "desc"], "must be asc or desc").default("desc")
    .meta({ description: "By `timestamp`, then arrival; newest first by default." }),
  type: z.enum(EVENT_TYPES, `must be one of ${EVENT_TYPES.join(", ")}`).optional()
    .meta({ description: "Only events of this type." }),
  event: z.string().optional().meta({ description: "Only events with this `event` name." }),
  derived: z.enum(["true", "false"], "must be true or false").default("false")
    .meta({ description: "Whether a user's derived events, such as `Audience Entered`, are shown too." }),
});

/** Of a group's members. */
export const membersQuery = z.object({ limit, cursor });

/** The first part of the path, which kind of actor it names. */
const KINDS: readonly (readonly [string, ActorKind])[] = [
  ["users", "user"],
  ["anonymous", "anonymous"],
  ["groups", "group"],
];

/** Everything under `/api/v1/users`, `/api/v1/anonymous` and `/api/v1/groups`. */
export function readingRoutes(parts: Parts): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  const ofPersons = createSemaphore(READS_AT_ONCE, parts.now, { waitMs: READ_WAIT_MS });
  // Reads of groups may wait for settling, and others must not wait for them.
  const ofGroups = createSemaphore(READS_AT_ONCE, parts.now, { waitMs: READ_WAIT_MS });
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

interface Named {
  kind: ActorKind;
  id: string;
  reads: Semaphore;
}

/** Hands over the id in the path. */
async function withId(c: RouteContext, show: (id: string) => Promise<Outcome>): Promise<Outcome> {
  const id = pathParam(c, "id");
  if (id === undefined) return illFormed("id");
  if (id.length > MAX_ID_UNITS) return neverSeen("id");
  return await show(id);
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
  { limit, cursor, order, type, event, derived }: z.output<typeof logQuery>,
): Promise<Outcome> {
  const query = {
    limit,
    order,
    ...cursor !== undefined && { cursor },
    ...type !== undefined && { type },
    ...event !== undefined && { event },
    derived: derived === "true",
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
      return invalid("invalid_query", "cursor", "is invalid: use the cursor of the previous page");
    }
    throw error;
  }
}
