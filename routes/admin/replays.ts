/** The routes that recompute state from the journal, or verify it, without a shell. */
import { Hono } from "hono";
import { z } from "zod";
import type { Replay } from "../../actors/replay/record.ts";
import { actorOf } from "../../actors/replay/run.ts";
import { MAX_ID_LENGTH } from "../../domain/event/event.ts";
import { isShortText } from "../../domain/event/json.ts";
import { ACTOR_KINDS } from "../../domain/profile/fact.ts";
import {
  adminOnly,
  logAct,
  type Outcome,
  type Parts,
  type RouteContext,
  type RouteEnv,
} from "../handler/handle.ts";
import { jsonResponse } from "../http/problem.ts";
import { bodyErrors, readBody } from "./admin_body.ts";

const SCOPE_RULE = `must be ${ACTOR_KINDS.map((kind) => `${kind}/ID`).join(", ")}, ` +
  `with an id of 1 to ${MAX_ID_LENGTH} characters`;

/** Of `POST /api/v1/admin/replay`. */
export const replaySchema = z.strictObject({
  scope: z.string(SCOPE_RULE).refine(
    (scope) => isShortText(actorOf(scope)?.id ?? "", MAX_ID_LENGTH),
    SCOPE_RULE,
  )
    .optional(),
  verify: z.boolean("must be true or false").default(false),
}, { error: bodyErrors });

/** `POST /api/v1/admin/replay` and `GET /api/v1/admin/replays`. */
export function replayRoutes(parts: Parts): Hono<RouteEnv> {
  const { replays } = parts.system;
  const routes = new Hono<RouteEnv>();
  routes.post("/api/v1/admin/replay", adminOnly(parts, (c) => request(parts, c)));
  routes.get(
    "/api/v1/admin/replays",
    adminOnly(parts, async () => jsonResponse({ replays: (await replays.list()).map(shown) })),
  );
  return routes;
}

async function request(parts: Parts, c: RouteContext): Promise<Outcome> {
  const read = await readBody(parts, c, replaySchema);
  if (read.problem !== undefined) return read.problem;
  const { scope = null, verify } = read.value;
  const id = await parts.system.replays.request({ scope, verify });
  // A scope names a person; the list of replays has it until they are erased.
  logAct(parts, c, "replay requested", { replay: id, full: scope === null, verify });
  return jsonResponse({ id }, 202);
}

function shown({ requestedAt, startedAt, finishedAt, ...replay }: Replay) {
  const { tries: _, owner: __, until: ___, ...rest } = replay;
  return {
    ...rest,
    requestedAt: new Date(requestedAt).toISOString(),
    ...startedAt !== undefined && { startedAt: new Date(startedAt).toISOString() },
    ...finishedAt !== undefined && { finishedAt: new Date(finishedAt).toISOString() },
  };
}
