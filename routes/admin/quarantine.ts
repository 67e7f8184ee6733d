/** The quarantine: administrators read rejected events and resend them. */
import { Hono } from "hono";
import { z } from "zod";
import {
  adminOnly,
  logAct,
  type Outcome,
  type Parts,
  type RouteContext,
  type RouteEnv,
} from "../handler/handle.ts";
import type { Source } from "../../ingest/pipeline.ts";
import { invalid, jsonResponse, type Problem } from "../http/problem.ts";
import { cursor, limit } from "../http/paging.ts";
import { pathParam } from "../http/path_params.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";
import { takeOne } from "../ingest/events.ts";
import { problemOfRefusal } from "../ingest/rate_limit_headers.ts";
import { InvalidCursor } from "../../actors/store/errors.ts";

/** Ids are of our making and short: anything else names nothing. */
const MAX_ID_LENGTH = 100;

/** Of the list. */
export const rejectedQuery = z.object({ limit, cursor });

/** Everything under `/api/v1/admin/rejected`. */
export function quarantineRoutes(parts: Parts): Hono<RouteEnv> {
  const { system: { quarantine } } = parts;
  const routes = new Hono<RouteEnv>();
  routes.get("/api/v1/admin/rejected", adminOnly(parts, (c, query) => list(parts, c, query), rejectedQuery));
  routes.post("/api/v1/admin/rejected/:id/resend", adminOnly(parts, (c) => resend(parts, c)));
  routes.delete(
    "/api/v1/admin/rejected/:id",
    adminOnly(parts, async (c) => {
      const id = readId(c);
      if (!await quarantine.remove(id)) return NOT_KEPT;
      logAct(parts, c, "rejected event deleted", { rejectedId: id });
      return new Response(null, { status: 204, headers: SECURITY_HEADERS });
    }),
  );
  return routes;
}

async function list(
  parts: Parts,
  c: RouteContext,
  { limit, cursor }: z.output<typeof rejectedQuery>,
): Promise<Outcome> {
  try {
    const page = await parts.system.quarantine.list({ limit, ...cursor !== undefined && { cursor } });
    logAct(parts, c, "rejected events read", { events: page.rejected.length });
    return jsonResponse(page);
  } catch (error) {
    if (error instanceof InvalidCursor) {
      return invalid("invalid_query", "cursor", "is invalid: use the cursor of the previous page");
    }
    throw error;
  }
}

/**
 * Resends an event, under the write key that sent it. Its own times are read as when it first came, so that its
 * timestamp is right; its receipt is now. Without a `messageId` it gets the quarantine's id: sending it twice counts
 * once.
 */
async function resend(parts: Parts, c: RouteContext): Promise<Outcome> {
  const { system: { quarantine }, authentication, pipeline, now } = parts;
  const id = readId(c);
  const rejected = await quarantine.get(id);
  if (rejected === undefined) return NOT_KEPT;
  if (rejected.cut) return CUT;
  const sender = await authentication.byId(rejected.writeKeyId);
  if (!sender) return NO_SUCH_SENDER;
  const source: Source = {
    sender,
    receivedAt: now(),
    isResent: true,
  };
  const refusal = await pipeline.reserve(source, 1);
  if (refusal !== undefined) return problemOfRefusal(refusal);
  const firstSentAt = Date.parse(rejected.receivedAt);
  const taken = await takeOne(parts, rejected.event, { source, newId: () => rejected.id, firstSentAt });
  if (taken.problem !== undefined) return taken.problem;
  await quarantine.remove(id);
  logAct(parts, c, "rejected event sent again", { rejectedId: id });
  return jsonResponse({ success: true, ...taken.receipt });
}

function readId(c: RouteContext): string {
  const id = pathParam(c, "id");
  return id !== undefined && id.length <= MAX_ID_LENGTH && id.isWellFormed() ? id : "";
}

const NOT_KEPT: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "No rejected event has this id: it was resent, deleted, or is older than a week.",
};
const CUT = invalid(
  "event_cut",
  "",
  "The event was too large to be stored whole, so it cannot be resent from here.",
);
const NO_SUCH_SENDER: Problem = {
  reason: "forbidden",
  code: "write_key_gone",
  detail: "The write key that sent this event is deleted or disabled.",
};
