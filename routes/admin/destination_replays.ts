/** The routes that send history to a destination again. */
import { Hono } from "hono";
import { z } from "zod";
import type { ReplayRecord } from "../../actors/delivery/state.ts";
import { readCondition } from "../../domain/condition/condition.ts";
import { isPosition } from "../../domain/event/position.ts";
import { parseTimestamp } from "../../domain/event/timestamp.ts";
import type { JsonObject } from "../../domain/event/json.ts";
import { logAct, type Outcome, type Parts, type RouteContext, type RouteEnv } from "../handler/handle.ts";
import { pathParam } from "../http/path_params.ts";
import { jsonResponse, type Problem } from "../http/problem.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";
import { bodyErrors, readBody } from "./admin_body.ts";

const PLACE_RULE = "must be a position or an ISO 8601 date or date-time";
const place = z.string(PLACE_RULE).refine(
  (text) => isPosition(text) || parseTimestamp(text) !== undefined,
  PLACE_RULE,
);

/** Of `POST …/replay`. */
export const replayToSchema = z.strictObject({
  from: place.optional(),
  to: place.optional(),
  where: z.unknown().optional(),
  perSecond: z.number("must be a number").positive("must be more than 0").max(
    1_000_000,
    "must be at most 1000000",
  )
    .optional(),
}, { error: bodyErrors }).superRefine(({ where }, context) => {
  const read = where === undefined ? undefined : readCondition(where);
  if (read === undefined || !("problem" in read)) return;
  const { path, message } = read.problem;
  context.addIssue({ code: "custom", path: ["where", ...path === "" ? [] : path.split(".")], message });
});

/** Makes a handler of one destination. */
type NamedRoute = (
  handler: (c: RouteContext, name: string) => Promise<Outcome>,
) => (c: RouteContext) => Promise<Response>;

/** `POST …/replay`, and everything under `…/replays`. */
export function replayDestinationRoutes(parts: Parts, named: NamedRoute): Hono<RouteEnv> {
  const { forwarding } = parts.system;
  const routes = new Hono<RouteEnv>();
  const BASE = "/api/v1/admin/destinations/:name";
  routes.post(`${BASE}/replay`, named((c, name) => replay(parts, c, name)));
  routes.get(
    `${BASE}/replays`,
    named(async (_, name) => {
      const replays = await forwarding.replays(name);
      return replays === undefined ? NO_SUCH_REPLAY : jsonResponse({ replays: replays.map(shown) });
    }),
  );
  for (const [path, state] of [["pause", "paused"], ["resume", "running"]] as const) {
    routes.post(
      `${BASE}/replays/:id/${path}`,
      named(async (c, name) => {
        const id = pathParam(c, "id") ?? "";
        if (!await forwarding.changeReplay(name, id, state)) return NO_SUCH_REPLAY;
        const replay = (await forwarding.replays(name))?.find((each) => each.id === id);
        return replay === undefined ? NO_SUCH_REPLAY : jsonResponse(shown(replay));
      }),
    );
  }
  routes.delete(
    `${BASE}/replays/:id`,
    named(async (c, name) => {
      const isCancelled = await forwarding.changeReplay(name, pathParam(c, "id") ?? "", "cancelled");
      return isCancelled ? new Response(null, { status: 204, headers: SECURITY_HEADERS }) : NO_SUCH_REPLAY;
    }),
  );
  return routes;
}

async function replay(parts: Parts, c: RouteContext, name: string): Promise<Outcome> {
  const body = await readBody(parts, c, replayToSchema);
  if (body.problem !== undefined) return body.problem;
  const { from, to, where, perSecond } = body.value;
  const id = await parts.system.forwarding.replay(name, {
    ...from !== undefined && { from },
    ...to !== undefined && { to },
    ...where !== undefined && { where: where as JsonObject },
    ...perSecond !== undefined && { perSecond },
  });
  if (id === undefined) return NO_SUCH_REPLAY;
  logAct(parts, c, "destination replay requested", { destination: name, replay: id });
  return jsonResponse({ id }, 202);
}

/** Without what only the system needs. */
function shown({ id, state, from, to, position, matched, sent, where, perSecond }: ReplayRecord) {
  return {
    id,
    state,
    from,
    to,
    position,
    matched,
    sent,
    ...where !== undefined && { where },
    ...perSecond !== undefined && { perSecond },
  };
}

const NO_SUCH_REPLAY: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "No destination has this name, or none of its replays that is not over has this id.",
};
