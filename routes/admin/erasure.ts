/** The routes that erase people, and the gate that keeps later events of suppressed ones out. */
import { Hono } from "hono";
import { z } from "zod";
import { MAX_ID_LENGTH } from "../../domain/event/event.ts";
import { isShortText } from "../../domain/event/json.ts";
import type { Rejection } from "../../domain/event/rejection.ts";
import { adminOnly, type Outcome, type Parts, type RouteContext, type RouteEnv } from "../handler/handle.ts";
import type { Gate } from "../ingest/pipeline.ts";
import { invalid, jsonResponse } from "../http/problem.ts";
import { pathParam } from "../http/path_params.ts";
import type { Person } from "../../actors/erasure/requests.ts";
import type { Suppression } from "../../actors/erasure/suppression.ts";
import { TooManySuppressed } from "../../actors/store/errors.ts";

/** `?suppress=true`. */
export const erasureQuery = z.object({
  suppress: z.enum(["true", "false"], "must be true or false").default("false")
    .transform((text) => text === "true"),
});

/** `DELETE /api/v1/users/{userId}` and `/api/v1/anonymous/{anonymousId}`. */
export function erasureRoutes(parts: Parts): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  for (const [part, kind] of [["users", "user"], ["anonymous", "anonymous"]] as const) {
    routes.delete(
      `/api/v1/${part}/:id`,
      adminOnly(parts, (c, query) => erase(parts, c, { kind, query }), erasureQuery),
    );
  }
  return routes;
}

async function erase(
  { system }: Parts,
  c: RouteContext,
  { kind, query }: { kind: Person["kind"]; query: z.output<typeof erasureQuery> },
): Promise<Outcome> {
  const id = pathParam(c, "id");
  if (id === undefined || !isShortText(id, MAX_ID_LENGTH)) {
    const rule = `the id in the path must be 1 to ${MAX_ID_LENGTH} characters, percent-encoded`;
    return invalid("invalid_id", "", rule);
  }
  try {
    const { erased, suppressed, at } = await system.erasure.erase({ kind, id }, query);
    return jsonResponse({ erased, suppressed, at: new Date(at).toISOString() });
  } catch (error) {
    if (error instanceof TooManySuppressed) {
      return invalid("too_many_suppressed", "suppress", `can't be: ${error.message}, the most there may be`);
    }
    throw error;
  }
}

/** Refuses events of people who are suppressed. Costs a comparison while nobody is, else a digest for each event. */
export function suppressionGate(suppression: Suppression): Gate {
  return {
    admit: () => suppression.fresh()?.then(() => undefined),
    judge: (event) => suppression.isSuppressed(event) ? SUPPRESSED : undefined,
  };
}

const MESSAGE = "the person whose event this is was erased, and later events of theirs are refused";

/** Names nobody: not even the message id is told, which a sender may have made of an id. */
const SUPPRESSED: Rejection = {
  reason: "forbidden",
  code: "suppressed",
  message: MESSAGE,
  path: "",
  errors: [{ path: "", message: MESSAGE }],
};
