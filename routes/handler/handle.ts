/** The frame of all routes: a handler gives an answer or a problem; this makes a response of it and logs it. */
import type { Context } from "hono";
import type { z } from "zod";
import { matchedRoutes } from "hono/route";
import type { System } from "../../actors/system.ts";
import { traceOf } from "../../actors/store/error_trace.ts";
import type { Author } from "../../actors/configuration/registry.ts";
import { ADMIN_KEY_ID, type Authentication, type Right } from "../auth/authentication.ts";
import type { Charges } from "../auth/charges.ts";
import type { Bodies } from "../body/bodies.ts";
import type { Pipeline } from "../../ingest/pipeline.ts";
import type { Log, LogMembers } from "../http/logger.ts";
import { refusalFormOf } from "../http/paths.ts";
import { NO_QUERY, readQuery } from "../http/query.ts";
import { type Problem, problemResponse } from "../http/problem.ts";
import { NotServing, StorageFault, StorageUnavailable } from "../../actors/store/errors.ts";

/** The peer of the connection, as `Deno.serve` gives it. */
export interface ConnectionInfo {
  remoteAddr?: Deno.Addr;
}

/** The variables of a request; `counts` may appear in the log, `by` is the name of an admin token. */
export type RouteEnv = { Bindings: ConnectionInfo; Variables: { counts: LogMembers; by: string } };

/** The router's context of a request. */
export type RouteContext = Context<RouteEnv>;

export interface Parts {
  system: System;
  authentication: Authentication;
  /** The charges for refused requests. */
  charges: Charges;
  bodies: Bodies;
  pipeline: Pipeline;
  /** The address of the sender of a request, behind trusted proxies. */
  peerOf(c: RouteContext): string;
  log: Log;
  now: () => number;
  newId: () => string;
}

/** The result of a handler. */
export type Outcome = Response | Problem;

/**
 * Makes a handler of the router from one that gives an {@link Outcome}. A thrown error means that storage does not
 * answer (503), or a bug (500, logged with its stack).
 */
export function handle(
  { log, now, newId }: Parts,
  handler: (c: RouteContext) => Outcome | Promise<Outcome>,
): (c: RouteContext) => Promise<Response> {
  return async function answer(c) {
    const startMs = now();
    let outcome: Outcome;
    try {
      outcome = await handler(c);
    } catch (error) {
      outcome = problemOf(error);
    }
    if (outcome instanceof Response && !log.debugging) return outcome;

    const requestId = newId();
    const response = outcome instanceof Response
      ? outcome
      : problemResponse(outcome, { ...refusalFormOf(c.req.path), requestId });
    const members = { requestId, status: response.status, durationMs: Math.max(0, now() - startMs) };
    if (!(outcome instanceof Response)) logProblem(log, outcome, members);
    if (log.debugging) {
      response.headers.set("x-request-id", requestId);
      log.line("debug", "request", {
        method: c.req.method,
        route: matchedRoutes(c).at(-1)?.path,
        ...members,
        ...c.get("counts"),
      });
    }
    return response;
  };
}

/** The problem that a thrown error is. */
export function problemOf(error: unknown): Problem {
  if (error instanceof NotServing) {
    const { code, message, retryAfterS } = error;
    return { reason: "unavailable", code, detail: message, retryAfterS, cause: error };
  }
  if (error instanceof StorageUnavailable) {
    return {
      reason: "unavailable",
      code: "storage_unavailable",
      detail: error instanceof StorageFault
        ? "Storage failed: the disk may be full, or the database read-only or damaged."
        : "Storage does not answer.",
      retryAfterS: error.retryAfterS,
      cause: error,
    };
  }
  return { reason: "internal", code: "internal", detail: "An internal error occurred.", cause: error };
}

function logProblem(log: Log, problem: Problem, members: LogMembers & { status: number }): void {
  const level = members.status === 500 ? "error" : members.status > 500 ? "warn" : "info";
  const { cause, code, logged } = problem;
  const why = cause === undefined ? {} : { error: traceOf(cause) };
  log.count(level, level === "info" ? "refused" : "failed", { code, ...members, ...logged, ...why });
}

/** What a route requires of a request before its handler is called. */
export interface Access<Query extends z.ZodObject> {
  /** The right that the credential in the header must have; `open` needs none. */
  right: Right | "open";
  /** The query parameters that the route takes; default: none. */
  query?: Query;
}

/** Makes a handler that gets the query, after the right and all parameters were checked. */
export function withAccess<Query extends z.ZodObject = typeof NO_QUERY>(
  parts: Parts,
  { right, query = NO_QUERY as unknown as Query }: Access<Query>,
  handler: (c: RouteContext, query: z.output<Query>) => Outcome | Promise<Outcome>,
): (c: RouteContext) => Promise<Response> {
  const { authentication, peerOf } = parts;
  return handle(parts, async (c) => {
    if (right !== "open") {
      const caller = await authentication.byHeaders(c.req.raw.headers);
      const refusal = authentication.refuse(caller, right, () => peerOf(c));
      if (refusal !== undefined) return refusal;
      if (caller?.name !== undefined) c.set("by", caller.name);
    }
    const read = readQuery(c.req.raw.url, query);
    return read.problem ?? await handler(c, read.query!);
  });
}

/** Makes a handler for administrators only; see {@link withAccess}. */
export function adminOnly<Query extends z.ZodObject = typeof NO_QUERY>(
  parts: Parts,
  handler: (c: RouteContext, query: z.output<Query>) => Outcome | Promise<Outcome>,
  query?: Query,
): (c: RouteContext) => Promise<Response> {
  return withAccess(parts, { right: "admin", ...query && { query } }, handler);
}

/** The author of an administrator's change: the name of the token, and the address. */
export function authorOf({ peerOf }: Pick<Parts, "peerOf">, c: RouteContext): Author {
  return { by: c.get("by") ?? ADMIN_KEY_ID, address: peerOf(c) };
}

/** Logs an act of an administrator. People appear as digests. */
export function logAct(
  { log, peerOf }: Pick<Parts, "log" | "peerOf">,
  c: RouteContext,
  message: string,
  members: LogMembers,
): void {
  log.line("info", message, { ...authorOf({ peerOf }, c), ...members });
}
