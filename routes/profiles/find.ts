/** `GET /api/v1/users` and `/api/v1/groups`: finds people by a trait, or by the beginning of their ids. */
import { Hono } from "hono";
import { z } from "zod";
import type { LookupKind } from "../../actors/lookup/find.ts";
import { InvalidCursor } from "../../actors/store/errors.ts";
import { createSemaphore } from "../body/semaphore.ts";
import { type Parts, type RouteEnv, withAccess } from "../handler/handle.ts";
import { cursor, limit } from "../http/paging.ts";
import { invalid, jsonResponse } from "../http/problem.ts";
import { MAX_ID_UNITS } from "./actor_id.ts";
import { inTurn, READ_WAIT_MS } from "./read_turns.ts";

/** Searches in progress: each may read many profiles. Others wait in line. */
const SEARCHES_AT_ONCE = 4;

/** Before the name of a trait in the query. */
const TRAIT = "trait.";

/** Longest value that is looked up, in UTF-16 units. */
const MAX_VALUE_UNITS = 1_000;

/** The query of a server that looks up some traits. */
export function findQuery(traits: readonly string[]) {
  const value = z.string().max(MAX_VALUE_UNITS, `must have at most ${MAX_VALUE_UNITS} characters`)
    .refine((text) => text.trim() !== "", "must not be blank").optional();
  return z.object({
    prefix: z.string().max(MAX_ID_UNITS, `must have at most ${MAX_ID_UNITS} characters`).optional().meta({
      description: "Only ids that begin with this.",
    }),
    limit,
    cursor,
    ...Object.fromEntries(traits.map((trait) => [
      `${TRAIT}${trait}`,
      value.meta({ description: "Only with this value, ignoring case and surrounding blanks." }),
    ])),
  });
}

/** The kinds, by the part of the path, with the member of their ids. */
const KINDS: readonly (readonly [part: "users" | "groups", kind: LookupKind, id: string])[] = [
  ["users", "user", "userId"],
  ["groups", "group", "groupId"],
];

/** The routes of the search. */
export function findRoutes(parts: Parts): Hono<RouteEnv> {
  const { system: { lookup }, now } = parts;
  const routes = new Hono<RouteEnv>();
  const searches = createSemaphore(SEARCHES_AT_ONCE, now, { waitMs: READ_WAIT_MS });
  const query = findQuery(lookup.traits);
  for (const [part, kind, id] of KINDS) {
    routes.get(
      `/api/v1/${part}`,
      withAccess(parts, { right: "read", query }, (_, { limit, cursor, prefix, ...rest }) => {
        const traits: Record<string, string> = {};
        for (const [name, value] of Object.entries(rest)) {
          if (typeof value === "string") traits[name.slice(TRAIT.length)] = value;
        }
        return inTurn(searches, 1, async () => {
          try {
            const page = await lookup.find(kind, { limit, cursor, prefix, traits });
            const found = page.found.map((one) => ({ [id]: one.id, traits: one.traits }));
            return jsonResponse({ [part]: found, cursor: page.cursor });
          } catch (error) {
            if (!(error instanceof InvalidCursor)) throw error;
            return invalid("invalid_query", "cursor", "is invalid: use the cursor of the previous page");
          }
        });
      }),
    );
  }
  return routes;
}
