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
import { matches, mayMatch, type RejectedFilter } from "../../actors/governance/quarantine_filter.ts";
import type { Quarantine } from "../../actors/governance/quarantine.ts";
import type { RejectedEvent } from "../../actors/governance/rejected_event.ts";
import type { Receipt } from "../../actors/appending/commit_group.ts";
import { bodyErrors, readBody } from "./admin_body.ts";
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

/** UTF-16 units of a value to choose events by: ids and names are no longer. */
const MAX_CHOSEN_LENGTH = 512;

const chosen = z.string().min(1, "must not be empty")
  .max(MAX_CHOSEN_LENGTH, `must have at most ${MAX_CHOSEN_LENGTH} characters`).optional();

/** What rejected events can be chosen by. */
const choice = { code: chosen, contract: chosen, writeKeyId: chosen, type: chosen };

/** Of the list. */
export const rejectedQuery = z.object({ limit, cursor, ...choice, userId: chosen, messageId: chosen });

/** Events that one request resends by their ids. */
const MAX_IDS = 1_000;

/** Of `POST /api/v1/admin/rejected/resend`: an empty body must not resend everything. */
export const resendSchema = z.strictObject({
  ...choice,
  ids: z.array(z.string("must be a string").max(MAX_ID_LENGTH), "must be an array of ids")
    .min(1, "must contain at least one id").max(MAX_IDS, `must contain at most ${MAX_IDS} ids`).optional(),
}, { error: bodyErrors }).refine(
  (body) => Object.keys(body).length > 0,
  "The body must have code, contract, writeKeyId, type or ids.",
);

/** One request resends for this long; it reports whether it has reached the end. */
const RESEND_MS = 20_000;

/** Rejected events read at once. */
const RESEND_PAGE = 50;

/** Everything under `/api/v1/admin/rejected`. */
export function quarantineRoutes(parts: Parts): Hono<RouteEnv> {
  const { system: { quarantine } } = parts;
  const routes = new Hono<RouteEnv>();
  routes.get("/api/v1/admin/rejected", adminOnly(parts, (c, query) => list(parts, c, query), rejectedQuery));
  // The router takes no fixed name beside a parameter; no id is "resend".
  routes.post(
    "/api/v1/admin/rejected/:id",
    adminOnly(parts, (c) => readId(c) === "resend" ? resendMany(parts, c) : NO_POST),
  );
  routes.get(
    "/api/v1/admin/rejected/:id",
    adminOnly(parts, async (c) => {
      const rejected = await quarantine.get(readId(c));
      if (rejected === undefined) return NOT_KEPT;
      logAct(parts, c, "rejected events read", { events: 1 });
      return jsonResponse(rejected);
    }),
  );
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
  { limit, cursor, ...filter }: z.output<typeof rejectedQuery>,
): Promise<Outcome> {
  try {
    const page = await parts.system.quarantine.list({ limit, filter, ...cursor !== undefined && { cursor } });
    logAct(parts, c, "rejected events read", { events: page.rejected.length });
    return jsonResponse(page);
  } catch (error) {
    if (error instanceof InvalidCursor) {
      return invalid("invalid_query", "cursor", "is invalid: use the cursor of the previous page");
    }
    throw error;
  }
}

async function resend(parts: Parts, c: RouteContext): Promise<Outcome> {
  const rejected = await parts.system.quarantine.get(readId(c));
  if (rejected === undefined) return NOT_KEPT;
  const sent = await resendOne(parts, rejected);
  if (sent.problem !== undefined) return sent.problem;
  logAct(parts, c, "rejected event sent again", { rejectedId: rejected.id });
  return jsonResponse({ success: true, ...sent.receipt });
}

/**
 * Resends an event, under the write key that sent it. Its own times are read as when it first came, so that its
 * timestamp is right; its receipt is now. Without a `messageId` it gets the quarantine's id: sending it twice counts
 * once.
 */
async function resendOne(
  parts: Parts,
  rejected: RejectedEvent,
): Promise<{ receipt: Receipt; problem?: undefined } | { problem: Problem }> {
  const { system: { quarantine }, authentication, pipeline, now } = parts;
  if (rejected.cut) return { problem: CUT };
  const sender = await authentication.byId(rejected.writeKeyId);
  if (!sender) return { problem: NO_SUCH_SENDER };
  const source: Source = { sender, receivedAt: now(), isResent: true };
  const refusal = await pipeline.reserve(source, 1);
  if (refusal !== undefined) return { problem: problemOfRefusal(refusal) };
  const firstSentAt = Date.parse(rejected.receivedAt);
  const taken = await takeOne(parts, rejected.event, { source, newId: () => rejected.id, firstSentAt });
  if (taken.problem === undefined) await quarantine.remove(rejected.id);
  return taken;
}

/** Resends the chosen events one after the other, oldest pages last. It stops at a rate limit, and at its deadline. */
async function resendMany(parts: Parts, c: RouteContext): Promise<Outcome> {
  const body = await readBody(parts, c, resendSchema);
  if (body.problem !== undefined) return body.problem;
  const { system: { quarantine }, now } = parts;
  const { ids, ...filter } = body.value;
  const counts = { sent: 0, accepted: 0, duplicate: 0, rejected: 0, complete: true };
  const startMs = now();
  const take = async (rejected: RejectedEvent): Promise<boolean> => {
    const { problem, receipt } = await resendOne(parts, rejected) as { problem?: Problem; receipt?: Receipt };
    if (problem?.reason === "rate_limited") return false;
    counts.sent++;
    if (problem !== undefined) counts.rejected++;
    else counts[receipt!.duplicate ? "duplicate" : "accepted"]++;
    return now() - startMs < RESEND_MS;
  };
  counts.complete = ids === undefined
    ? await eachChosen(quarantine, filter, take)
    : await eachNamed(quarantine, ids, (rejected) => isChosen(filter, rejected) ? take(rejected) : true);
  logAct(parts, c, "rejected events sent again", { events: counts.sent });
  return jsonResponse(counts);
}

type Take = (rejected: RejectedEvent) => boolean | Promise<boolean>;

/** Calls `take` with each chosen event, until it says stop; `true` if it never did. */
async function eachChosen(quarantine: Quarantine, filter: RejectedFilter, take: Take): Promise<boolean> {
  let cursor: string | undefined;
  do {
    const page = await quarantine.list({ limit: RESEND_PAGE, filter, ...cursor !== undefined && { cursor } });
    for (const rejected of page.rejected) if (!await take(rejected)) return false;
    cursor = page.cursor ?? undefined;
  } while (cursor !== undefined);
  return true;
}

async function eachNamed(quarantine: Quarantine, ids: readonly string[], take: Take): Promise<boolean> {
  for (const id of new Set(ids)) {
    const rejected = await quarantine.get(id);
    if (rejected !== undefined && !await take(rejected)) return false;
  }
  return true;
}

function isChosen(filter: RejectedFilter, rejected: RejectedEvent): boolean {
  return mayMatch(filter, rejected) && matches(filter, rejected.event);
}

function readId(c: RouteContext): string {
  const id = pathParam(c, "id");
  return id !== undefined && id.length <= MAX_ID_LENGTH && id.isWellFormed() ? id : "";
}

const NO_POST: Problem = {
  reason: "method_not_allowed",
  code: "method_not_allowed",
  detail: "This path accepts GET, HEAD, DELETE.",
  headers: { allow: "GET, HEAD, DELETE" },
};
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
