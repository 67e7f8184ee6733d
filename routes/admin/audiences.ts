/** The routes of audiences for administrators: definitions and previews. */
import { Hono } from "hono";
import { z } from "zod";
import type { DefinitionRefusal } from "../../actors/audiences/definitions.ts";
import { withPlainNumbers } from "../../domain/event/exact_json.ts";
import { isObject, type JsonObject } from "../../domain/event/json.ts";
import { MAX_ERRORS } from "../../domain/event/rejection.ts";
import { MAX_AUDIENCE_NAME } from "../../domain/audience/tree.ts";
import {
  adminOnly,
  authorOf,
  type Outcome,
  type Parts,
  type RouteContext,
  type RouteEnv,
} from "../handler/handle.ts";
import { createSemaphore } from "../body/semaphore.ts";
import { pathParam } from "../http/path_params.ts";
import { invalid, jsonResponse, type Problem } from "../http/problem.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";
import { bodyErrors, readBody } from "./admin_body.ts";

/** UTF-16 units of a description. */
const MAX_DESCRIPTION = 1_000;

/** Previews at once: each may read the whole journal. Others wait. */
const PREVIEWS_AT_ONCE = 1;

const where = z.unknown().refine(isObject, "must be a condition, which is an object");

/** Of `PUT …/audiences/{name}`. */
export const audienceSchema = z.strictObject({
  description: z.string("must be a string").max(
    MAX_DESCRIPTION,
    `must have at most ${MAX_DESCRIPTION} characters`,
  )
    .refine((text) => text.isWellFormed(), "must be well-formed Unicode").optional(),
  where,
  emit: z.boolean("must be true or false").default(false),
}, { error: bodyErrors });

/** Of `POST …/audiences/preview`. */
export const previewSchema = z.strictObject({
  where,
  audience: z.string("must be the name of an audience").optional(),
}, { error: bodyErrors });

/** Likewise. */
export const previewQuery = z.object({
  exact: z.enum(["true", "false"], "must be true or false").default("false")
    .transform((text) => text === "true"),
});

/** Everything under `/api/v1/admin/audiences`. */
export function audienceAdminRoutes(parts: Parts): Hono<RouteEnv> {
  const { system: { audiences }, now } = parts;
  const routes = new Hono<RouteEnv>();
  const previews = createSemaphore(PREVIEWS_AT_ONCE, now);
  const named = (handler: (c: RouteContext, name: string) => Promise<Outcome>) =>
    adminOnly(parts, (c) => {
      const name = readName(c);
      return name === undefined ? NO_SUCH_NAME : handler(c, name);
    });

  routes.get(
    "/api/v1/admin/audiences",
    adminOnly(parts, async () => jsonResponse({ audiences: await audiences.all() })),
  );
  routes.post(
    "/api/v1/admin/audiences/preview",
    adminOnly(parts, async (c, { exact }) => {
      const body = await readBody(parts, c, previewSchema);
      if (body.problem !== undefined) return body.problem;
      const { audience } = body.value;
      const entered = previews.enter(1);
      if (entered !== true && !await entered) return TOO_MANY_PREVIEWS;
      try {
        const found = await audiences.preview({
          where: plain(body.value.where),
          exact,
          ...audience !== undefined && { audience },
        });
        return "refused" in found ? problemOf(found) : jsonResponse(found);
      } finally {
        previews.leave(1);
      }
    }, previewQuery),
  );
  routes.get(
    "/api/v1/admin/audiences/:name",
    named(async (_, name) => {
      const audience = await audiences.get(name);
      return audience === undefined ? NO_SUCH_AUDIENCE : jsonResponse(audience);
    }),
  );
  routes.put("/api/v1/admin/audiences/:name", named((c, name) => save(parts, c, name)));
  routes.delete(
    "/api/v1/admin/audiences/:name",
    named(async (c, name) => {
      const removed = await audiences.remove(name, authorOf(parts, c));
      if (typeof removed === "object") return problemOf(removed);
      return removed ? new Response(null, { status: 204, headers: SECURITY_HEADERS }) : NO_SUCH_AUDIENCE;
    }),
  );
  return routes;
}

async function save(parts: Parts, c: RouteContext, name: string): Promise<Outcome> {
  const body = await readBody(parts, c, audienceSchema);
  if (body.problem !== undefined) return body.problem;
  const { description, where, emit } = body.value;
  const definition = { name, where: plain(where), emit, ...description !== undefined && { description } };
  const saved = await parts.system.audiences.put(definition, authorOf(parts, c));
  if ("refused" in saved) return problemOf(saved);
  return jsonResponse(saved.audience);
}

const plain = (where: unknown) => withPlainNumbers(where) as JsonObject;

function problemOf(refusal: DefinitionRefusal): Problem {
  if (refusal.refused === "too_many") {
    return invalid("too_many_audiences", "", "There are 200 audiences, which is the limit. Delete some.");
  }
  if (refusal.refused === "in_use") {
    return {
      reason: "conflict",
      code: "audience_in_use",
      detail: `The audience ${JSON.stringify(refusal.by)} uses this one. Change or delete that one first.`,
    };
  }
  const errors = refusal.problems.slice(0, MAX_ERRORS);
  const { path, message } = errors[0]!;
  return { ...invalid("invalid_audience", path, message), errors };
}

function readName(c: RouteContext): string | undefined {
  const name = pathParam(c, "name");
  const isName = name !== undefined && name.length <= MAX_AUDIENCE_NAME && name.isWellFormed() &&
    name !== "." && name !== ".." && name !== "preview";
  return isName ? name : undefined;
}

const NO_SUCH_NAME = invalid(
  "invalid_name",
  "",
  `The name in the path must have 1 to ${MAX_AUDIENCE_NAME} well-formed, percent-encoded characters and must not be preview.`,
);
const NO_SUCH_AUDIENCE: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "No audience has this name.",
};
const TOO_MANY_PREVIEWS: Problem = {
  reason: "unavailable",
  code: "overloaded",
  detail: "Other previews are running; retry later.",
  retryAfterS: 1,
};
