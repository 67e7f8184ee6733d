/** The routes of transformations, for administrators. */
import { Hono } from "hono";
import { z } from "zod";
import type { Saved, Tried } from "../../actors/transformation/transformations.ts";
import {
  TooManyTransformations,
  TransformationInUse,
  TransformationTooLarge,
} from "../../actors/store/errors.ts";
import { isObject, type JsonObject } from "../../domain/event/json.ts";
import { MAX_ERRORS } from "../../domain/event/rejection.ts";
import { givenEvent } from "../../domain/transformation/case.ts";
import { conditionSchema } from "../../domain/transformation/rule.ts";
import { draftSchema, MAX_NAME_LENGTH } from "../../domain/transformation/definition.ts";
import type { CodeProblem } from "../../domain/transformation/program.ts";
import {
  adminOnly,
  authorOf,
  logAct,
  type Outcome,
  type Parts,
  type RouteContext,
  type RouteEnv,
} from "../handler/handle.ts";
import { pathParam } from "../http/path_params.ts";
import { invalid, jsonResponse, type Problem } from "../http/problem.ts";
import type { NO_QUERY } from "../http/query.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";
import { bodyErrors, readBody } from "./admin_body.ts";
import { type Checks, createChecks, type NoCheck } from "./transformation_check.ts";

/** Versions in one page. */
const MAX_VERSIONS = 50;

/** Of `PUT …/transformations/{name}`. */
export const saveQuery = z.object({
  dryRun: z.enum(["true", "false"], "must be true or false").default("false")
    .transform((text) => text === "true"),
});

/** Of `GET …/transformations/{name}/versions`. */
export const transformationVersionsQuery = z.object({
  limit: z.string().regex(/^([1-9]|[1-4]\d|50)$/, `must be a whole number from 1 to ${MAX_VERSIONS}`)
    .default(String(MAX_VERSIONS)).transform(Number),
  before: z.string().regex(/^[1-9]\d{0,8}$/, "must be the number of a version").transform(Number).optional(),
});

/** Of `POST …/transformations/{name}/restore`. */
export const restoreSchema = z.strictObject({
  version: z.int("must be the number of a version").min(1, "must be the number of a version"),
}, { error: bodyErrors });

/** Of `POST …/transformations/{name}/try`. */
export const trySchema = z.strictObject({
  event: givenEvent,
  draft: draftSchema.optional(),
  person: z.unknown().refine(isObject, "must be a profile: an object").optional(),
}, { error: bodyErrors });

/** Events that a check goes over, at most and by default. */
const MAX_LAST = 10_000;
const DEFAULT_LAST = 1_000;

/** Of `POST …/transformations/{name}/check`. */
export const checkSchema = z.strictObject({
  draft: draftSchema.optional(),
  last: z.int(`must be a whole number from 1 to ${MAX_LAST}`).min(
    1,
    `must be a whole number from 1 to ${MAX_LAST}`,
  )
    .max(MAX_LAST, `must be a whole number from 1 to ${MAX_LAST}`).default(DEFAULT_LAST),
  where: conditionSchema.optional(),
}, { error: bodyErrors });

/** Everything under `/api/v1/admin/transformations`. */
export function transformationRoutes(parts: Parts): Hono<RouteEnv> {
  const { system: { transformations } } = parts;
  const routes = new Hono<RouteEnv>();
  const checks = createChecks(transformations, parts.now);
  const named = <Query extends z.ZodObject = typeof NO_QUERY>(
    handler: (c: RouteContext, name: string, query: z.output<Query>) => Promise<Outcome>,
    query?: Query,
  ) =>
    adminOnly(parts, (c, read) => {
      const name = readName(c);
      return name === undefined ? NO_SUCH_NAME : handler(c, name, read);
    }, query);

  routes.get(
    "/api/v1/admin/transformations",
    adminOnly(parts, async () => jsonResponse({ transformations: await transformations.list() })),
  );
  routes.get(
    "/api/v1/admin/transformations/:name",
    named(async (_, name) => {
      const found = await transformations.get(name);
      return found === undefined ? NO_SUCH_TRANSFORMATION : jsonResponse(found);
    }),
  );
  routes.put(
    "/api/v1/admin/transformations/:name",
    named((c, name, { dryRun }) => save(parts, c, { name, dryRun }), saveQuery),
  );
  routes.delete("/api/v1/admin/transformations/:name", named((c, name) => remove(parts, c, name)));
  routes.get(
    "/api/v1/admin/transformations/:name/versions",
    named(async (_, name, { limit, before }) => {
      const versions = await transformations.versions(name, { limit, ...before !== undefined && { before } });
      return versions === undefined ? NO_SUCH_TRANSFORMATION : jsonResponse({ versions });
    }, transformationVersionsQuery),
  );
  routes.get(
    "/api/v1/admin/transformations/:name/versions/:version",
    named(async (c, name) => {
      const version = readVersion(c);
      const found = version === undefined ? undefined : await transformations.version(name, version);
      return found === undefined ? NO_SUCH_VERSION : jsonResponse(found);
    }),
  );
  routes.post("/api/v1/admin/transformations/:name/restore", named((c, name) => restore(parts, c, name)));
  routes.post("/api/v1/admin/transformations/:name/try", named((c, name) => tryOne(parts, c, name)));
  routes.post(
    "/api/v1/admin/transformations/:name/check",
    named((c, name) => check(parts, c, { name, checks })),
  );
  return routes;
}

async function save(
  parts: Parts,
  c: RouteContext,
  { name, dryRun }: { name: string; dryRun: boolean },
): Promise<Outcome> {
  const body = await readBody(parts, c, draftSchema);
  if (body.problem !== undefined) return body.problem;
  try {
    const author = authorOf(parts, c);
    const saved = await parts.system.transformations.put(name, body.value, { author, dryRun });
    if ("problem" in saved) return invalidCode(saved.problem, "code");
    if ("failed" in saved) return failedTests(saved);
    if (!dryRun) logSave(parts, c, saved.transformation);
    return jsonResponse(saved.transformation);
  } catch (error) {
    if (error instanceof TooManyTransformations) {
      return invalid("too_many_transformations", "", `${error.message} Delete some.`);
    }
    if (error instanceof TransformationTooLarge) {
      return invalid("transformation_too_large", "", error.message);
    }
    throw error;
  }
}

function logSave(parts: Parts, c: RouteContext, { name, version }: { name: string; version: number }): void {
  logAct(parts, c, "transformation saved", { transformation: name, version });
}

async function remove(parts: Parts, c: RouteContext, name: string): Promise<Outcome> {
  try {
    const removed = await parts.system.transformations.remove(name, authorOf(parts, c));
    if (!removed) return NO_SUCH_TRANSFORMATION;
    logAct(parts, c, "transformation deleted", { transformation: name });
    return new Response(null, { status: 204, headers: SECURITY_HEADERS });
  } catch (error) {
    if (!(error instanceof TransformationInUse)) throw error;
    return {
      reason: "conflict",
      code: "transformation_in_use",
      detail: `Destinations use this transformation: ${error.destinations.join(", ")}. Change them first.`,
    };
  }
}

async function restore(parts: Parts, c: RouteContext, name: string): Promise<Outcome> {
  const body = await readBody(parts, c, restoreSchema);
  if (body.problem !== undefined) return body.problem;
  const { version } = body.value;
  const restored = await parts.system.transformations.restore(name, version, authorOf(parts, c));
  if (restored === undefined) return NO_SUCH_VERSION;
  logSave(parts, c, restored);
  return jsonResponse(restored);
}

async function tryOne(parts: Parts, c: RouteContext, name: string): Promise<Outcome> {
  const body = await readBody(parts, c, trySchema);
  if (body.problem !== undefined) return body.problem;
  const { event, draft, person } = body.value;
  const tried = await parts.system.transformations.try(name, {
    event,
    ...draft !== undefined && { draft },
    ...person !== undefined && { person: person as JsonObject },
  });
  if (tried === undefined) return NO_SUCH_TRANSFORMATION;
  return "problem" in tried ? invalidCode(tried.problem, "draft.code") : jsonResponse(shownTry(tried));
}

async function check(
  parts: Parts,
  c: RouteContext,
  { name, checks }: { name: string; checks: Checks },
): Promise<Outcome> {
  const body = await readBody(parts, c, checkSchema);
  if (body.problem !== undefined) return body.problem;
  const { draft, last, where } = body.value;
  const query = { last, where: where as JsonObject | undefined, ...draft !== undefined && { draft } };
  const request = { name, query, isCancelled: () => c.req.raw.signal.aborted };
  const wantsProgress = /\btext\/event-stream\b/.test(c.req.header("accept") ?? "");
  const answer = await (wantsProgress ? checks.streamed(request) : checks.whole(request));
  return answer instanceof Response ? answer : noCheck(answer);
}

function noCheck(refused: NoCheck): Problem {
  if (refused === "unknown") return NO_SUCH_TRANSFORMATION;
  return refused === "too many" ? TOO_MANY_CHECKS : invalidCode(refused, "draft.code");
}

function shownTry({ outcome, durationUs }: Extract<Tried, { outcome: unknown }>): JsonObject {
  const { logs = [], ...rest } = outcome;
  return { ...rest, logs, durationUs };
}

/** A problem of code: the line is in its message, as errors have no other place for it. */
export function invalidCode({ message, line }: CodeProblem, path: string): Problem {
  const isRule = message.startsWith("must ");
  const text = isRule ? message : `cannot be read: ${message}`;
  return invalid("invalid_code", path, line === undefined ? text : `${text} (line ${line})`);
}

/** The failing tests, each under its place among the tests. */
function failedTests({ failed }: Extract<Saved, { failed: unknown }>): Problem {
  const errors = failed.slice(0, MAX_ERRORS).map(({ index, name, message }) => ({
    path: `tests.${index}`,
    message: `${JSON.stringify(name)} failed: ${message}`,
  }));
  const what = failed.length === 1 ? "1 test fails" : `${failed.length} tests fail`;
  return { reason: "contract", code: "tests_failed", detail: `Nothing was saved: ${what}.`, errors };
}

/** The number of the version in the path; `undefined` if it is none. */
function readVersion(c: RouteContext): number | undefined {
  const text = pathParam(c, "version");
  return text !== undefined && /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined;
}

/** The name in the path; `undefined` if it is invalid. */
export function readName(c: RouteContext): string | undefined {
  const name = pathParam(c, "name");
  const isName = name !== undefined && name.length <= MAX_NAME_LENGTH && name.isWellFormed() &&
    name !== "." && name !== "..";
  return isName ? name : undefined;
}

export const NO_SUCH_NAME = invalid(
  "invalid_name",
  "",
  `The name in the path must have 1 to ${MAX_NAME_LENGTH} well-formed, percent-encoded characters.`,
);
export const NO_SUCH_TRANSFORMATION: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "No transformation has this name.",
};
const TOO_MANY_CHECKS: Problem = {
  reason: "unavailable",
  code: "overloaded",
  detail: "Other transformations are being checked; retry later.",
  retryAfterS: 1,
};
const NO_SUCH_VERSION: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "No transformation with this name has this version, or this version is a deletion.",
};
