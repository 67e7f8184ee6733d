/** The routes that explain: the trace of an event, and the provenance of a trait. */
import { isPosition, type Position } from "../../domain/event/position.ts";
import { Hono } from "hono";
import { z } from "zod";
import { isShortText } from "../../domain/event/json.ts";
import { MAX_MESSAGE_ID_LENGTH } from "../../domain/event/event.ts";
import { parseTimestamp } from "../../domain/event/timestamp.ts";
import {
  adminOnly,
  type Outcome,
  type Parts,
  type RouteContext,
  type RouteEnv,
  withAccess,
} from "../handler/handle.ts";
import { pathParam } from "../http/path_params.ts";
import { createSemaphore, type Semaphore } from "../body/semaphore.ts";
import { jsonResponse, type Problem } from "../http/problem.ts";
import { illFormed, MAX_ID_UNITS, neverSeen } from "./actor_id.ts";
import { inTurn, PROFILE_WEIGHT, READS_AT_ONCE } from "./read_turns.ts";
import type { TraceBefore } from "../../actors/reading/event_trace.ts";

/** Traces under way at once: each may read a large part of the journal. */
export const TRACES_AT_ONCE = 2;

/** Longest wait of a trace for its turn. */
const TRACE_WAIT_MS = 30_000;

const BEFORE_RULE = "must be a position or an ISO 8601 date or date-time";

/** Towards the beginning of the journal from a position, or from a moment. */
const before = z.string().transform((text, context): TraceBefore => {
  if (isPosition(text)) return { position: text };
  const ms = parseTimestamp(text);
  if (ms !== undefined) return { ms };
  context.addIssue({ code: "custom", message: BEFORE_RULE });
  return z.NEVER;
}).optional();

/** `?before=POSITION` or `?before=TIME`. */
export const traceQuery = z.object({ before });

/** `GET /api/v1/admin/events/{messageId}` and `GET /api/v1/users/{userId}/traits/{name}/why`; groups likewise. */
export function traceRoutes(parts: Parts): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  const traces = createSemaphore(TRACES_AT_ONCE, parts.now, { waitMs: TRACE_WAIT_MS });
  const traits = createSemaphore(READS_AT_ONCE, parts.now, { waitMs: TRACE_WAIT_MS });
  routes.get(
    "/api/v1/admin/events/:messageId",
    adminOnly(parts, (c, { before }) => showTrace(parts, c, { traces, before }), traceQuery),
  );
  for (const [part, kind] of [["users", "user"], ["groups", "group"]] as const) {
    routes.get(
      `/api/v1/${part}/:id/traits/:name/why`,
      withAccess(parts, { right: "read" }, (c) => showTrait(parts, c, { kind, traits })),
    );
  }
  return routes;
}

async function showTrace(
  { system }: Parts,
  c: RouteContext,
  { traces, before }: { traces: Semaphore; before: TraceBefore | undefined },
): Promise<Outcome> {
  const messageId = pathParam(c, "messageId");
  if (messageId === undefined) return illFormed("message id");
  if (!isShortText(messageId, MAX_MESSAGE_ID_LENGTH)) return NO_SUCH_EVENT;
  return await inTurn(traces, 1, async () => {
    const trace = await system.traces.find(messageId, before);
    if (trace === null) return await noSuchEvent(system, messageId);
    if ("goOnBefore" in trace) return unfinished(trace.goOnBefore);
    const { event, writeKeyId, position, commit, committedAt, settled, logs, changed } = trace;
    // A process that took no event yet knows of no contract.
    await system.contracts.fresh();
    const contracts = system.contracts.verdicts(event, writeKeyId);
    const contract = contracts.length === 0 ? null : contracts.map(({ name }) => name);
    const deliveries = await system.forwarding.trace({ event, position, writeKeyId });
    return jsonResponse({
      event,
      writeKeyId,
      position,
      commit,
      committedAt,
      settled,
      logs,
      contract,
      contracts,
      changed,
      deliveries,
    });
  });
}

const NO_SUCH_EVENT: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "No event with this messageId is in the journal.",
};

/** Rejected events that a 404 shows. */
const MAX_REJECTED = 10;

/** The 404 of an event, with the rejected events of its id: most who search for one want to know why it is missing. */
async function noSuchEvent({ quarantine }: Parts["system"], messageId: string): Promise<Problem> {
  const { rejected } = await quarantine.list({ limit: MAX_REJECTED, filter: { messageId } });
  return rejected.length === 0 ? NO_SUCH_EVENT : { ...NO_SUCH_EVENT, more: { rejected } };
}

/** The search ended before it was through: it is not known whether there is such an event. */
function unfinished(position: Position): Problem {
  return {
    reason: "unavailable",
    code: "search_unfinished",
    detail: `Search stopped at position ${position} before it reached the beginning. ` +
      `Continue with ?before=${position}, or narrow it with ?before=TIME.`,
    headers: { link: `<?before=${position}>; rel="next"` },
  };
}

async function showTrait(
  { system }: Parts,
  c: RouteContext,
  { kind, traits }: { kind: "user" | "group"; traits: Semaphore },
): Promise<Outcome> {
  const id = pathParam(c, "id");
  const name = pathParam(c, "name");
  if (id === undefined) return illFormed("id");
  if (name === undefined) return illFormed("name");
  if (id.length > MAX_ID_UNITS) return neverSeen(kind);
  return await inTurn(traits, PROFILE_WEIGHT, async () => {
    const trace = await system.reader.trait(kind, id, name);
    if (trace === null) return neverSeen(kind);
    return trace === "no trait" ? NO_SUCH_TRAIT : jsonResponse(trace);
  });
}

const NO_SUCH_TRAIT: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "No event has set a trait with this name on this user or group.",
};
