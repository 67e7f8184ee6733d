/** Test events: an administrator sends an event as a write key, or asks what would become of it. */
import { Hono } from "hono";
import { z } from "zod";
import { accept } from "../../domain/event/accept.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import type { Rejection } from "../../domain/event/rejection.ts";
import type { Source } from "../../ingest/pipeline.ts";
import {
  adminOnly,
  logAct,
  type Outcome,
  type Parts,
  type RouteContext,
  type RouteEnv,
} from "../handler/handle.ts";
import { invalid, jsonResponse, STATUS_OF } from "../http/problem.ts";
import { takeOne } from "../ingest/events.ts";
import { problemOfRefusal } from "../ingest/rate_limit_headers.ts";
import { bodyErrors, readBody } from "./admin_body.ts";

/** UTF-16 units of the id of a write key. */
const MAX_KEY_ID_LENGTH = 200;

/** Of `POST /api/v1/admin/test-events`. */
export const testEventSchema = z.strictObject({
  writeKeyId: z.string("must be the id of a write key").min(1, "must not be empty")
    .max(MAX_KEY_ID_LENGTH, `must have at most ${MAX_KEY_ID_LENGTH} characters`),
  event: z.unknown().refine((value) => value !== undefined, "must be an event"),
  dryRun: z.boolean("must be true or false").optional(),
}, { error: bodyErrors });

/** `POST /api/v1/admin/test-events`. */
export function testEventRoutes(parts: Parts): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  routes.post("/api/v1/admin/test-events", adminOnly(parts, (c) => test(parts, c)));
  return routes;
}

/** Sends an event through the whole pipeline as a write key; the answer is that of sending. */
async function test(parts: Parts, c: RouteContext): Promise<Outcome> {
  const body = await readBody(parts, c, testEventSchema);
  if (body.problem !== undefined) return body.problem;
  const { authentication, pipeline, now, newId } = parts;
  const { writeKeyId, event, dryRun = false } = body.value;
  const sender = await authentication.byId(writeKeyId);
  if (sender === null) {
    return invalid("unknown_write_key", "writeKeyId", "must be the id of an enabled write key");
  }
  const source: Source = { sender, receivedAt: now() };
  if (dryRun) return jsonResponse(await tryOut(parts, event, source));
  const refusal = await pipeline.reserve(source, 1);
  if (refusal !== undefined) return problemOfRefusal(refusal);
  const taken = await takeOne(parts, event, { source, newId });
  if (taken.problem !== undefined) return taken.problem;
  logAct(parts, c, "test event sent", { writeKeyId });
  return jsonResponse({ success: true, ...taken.receipt });
}

/** What would become of an event. Nothing is stored or counted; the rate limit is not asked, since nothing is sent. */
async function tryOut({ system, pipeline, newId }: Parts, value: unknown, source: Source) {
  const { sender: { allowedTypes, writeKeyId }, receivedAt } = source;
  await Promise.all([system.contracts.fresh(), system.suppression.fresh()]);
  const { event, rejection } = accept(value, { receivedAt, newId, allowedTypes });
  // Before the pipeline, whose contracts count what they see.
  const contracts = event === undefined ? [] : system.contracts.verdicts(event, writeKeyId);
  const refused = rejection ?? await pipeline.check(event!, { ...source, isTrial: true });
  const errors = refused === undefined ? [] : errorsOf(refused);
  return { wouldAccept: errors.length === 0, errors, contracts, location: locationOf(event) };
}

/** An event of a suppressed person is answered as accepted, here too: nobody learns who was erased. */
function errorsOf({ isDropped, reason, code, errors }: Rejection) {
  if (isDropped) return [];
  return errors.map(({ path, message }) => ({ status: STATUS_OF[reason], code, path, message }));
}

function locationOf(event: StoredEvent | undefined): unknown {
  return event?.context?.location ?? null;
}
