/** The routes of destinations: where events are forwarded. */
import { Hono } from "hono";
import { z } from "zod";
import { DELIVERY_STATUSES } from "../../actors/forwarding/deliveries.ts";
import type { Shown } from "../../actors/forwarding/forwarding.ts";
import { MissingSecret, TooManyDestinations } from "../../actors/delivery/destinations.ts";
import { InvalidCursor } from "../../actors/store/errors.ts";
import { accept } from "../../domain/event/accept.ts";
import { MAX_MESSAGE_ID_LENGTH, type StoredEvent } from "../../domain/event/event.ts";
import { isShortText, shown as shownValue } from "../../domain/event/json.ts";
import {
  definitionSchema,
  MAX_DESTINATION_NAME,
  withoutSecrets,
} from "../../domain/forwarding/definition.ts";
import { ADMIN_KEY_ID } from "../auth/authentication.ts";
import {
  adminOnly,
  authorOf,
  logAct,
  type Outcome,
  type Parts,
  type RouteContext,
  type RouteEnv,
} from "../handler/handle.ts";
import { cursor, limit } from "../http/paging.ts";
import { pathParam } from "../http/path_params.ts";
import { invalid, jsonResponse, type Problem } from "../http/problem.ts";
import type { NO_QUERY } from "../http/query.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";
import { bodyErrors, readBody } from "./admin_body.ts";
import { writeKeyIdsOf } from "./write_key_ids.ts";
import { replayDestinationRoutes } from "./destination_replays.ts";

/** Message ids of one order to retry. */
const MAX_MESSAGE_IDS = 1_000;

/** Of `POST …/resume`. */
export const resumeSchema = z.strictObject({
  from: z.enum(["checkpoint", "now"], "must be checkpoint or now").default("checkpoint"),
}, { error: bodyErrors });

/** Of `POST …/test`. */
export const testSchema = z.strictObject({
  messageId: z.string("must be a string").optional(),
  event: z.unknown().optional(),
}, { error: bodyErrors }).superRefine(({ messageId, event }, context) => {
  if ((messageId === undefined) !== (event === undefined)) return;
  context.addIssue({ code: "custom", message: "The body must have either messageId or event." });
});

/** Of `POST …/retry`. */
export const retrySchema = z.strictObject({
  status: z.enum(["dead", "retrying", "held"], "must be dead, retrying or held"),
  reason: z.string("must be a string").optional(),
  messageIds: z.array(z.string("must be a string"), "must be an array of message ids")
    .max(MAX_MESSAGE_IDS, `must contain at most ${MAX_MESSAGE_IDS} ids`).optional(),
}, { error: bodyErrors });

/** Of `GET …/deliveries`. */
export const deliveriesQuery = z.object({
  status: z.enum(DELIVERY_STATUSES, `must be one of ${DELIVERY_STATUSES.join(", ")}`).optional(),
  cursor,
  limit,
});

/** What handlers of one destination are given. */
type Named = (c: RouteContext, name: string) => Promise<Outcome>;

/** Everything under `/api/v1/admin/destinations`. */
export function destinationRoutes(parts: Parts): Hono<RouteEnv> {
  const { system: { forwarding } } = parts;
  const routes = new Hono<RouteEnv>();
  const BASE = "/api/v1/admin/destinations";
  const named = <Query extends z.ZodObject = typeof NO_QUERY>(
    handler: (c: RouteContext, name: string, query: z.output<Query>) => Promise<Outcome>,
    query?: Query,
  ) =>
    adminOnly(parts, (c, read) => {
      const name = readDestinationName(c);
      return name === undefined ? NO_SUCH_NAME : handler(c, name, read);
    }, query);
  const act = (path: string, message: string, handler: Named) =>
    routes.post(
      `${BASE}/:name/${path}`,
      named(async (c, name) => {
        const outcome = await handler(c, name);
        if (outcome instanceof Response && outcome.ok) logAct(parts, c, message, { destination: name });
        return outcome;
      }),
    );

  routes.get(
    BASE,
    adminOnly(
      parts,
      async () => jsonResponse({ destinations: (await forwarding.list()).map((each) => shownOf(each)) }),
    ),
  );
  routes.put(`${BASE}/:name`, named((c, name) => put(parts, c, name)));
  routes.get(`${BASE}/:name`, named(async (_, name) => answerOf(await forwarding.get(name))));
  routes.delete(`${BASE}/:name`, named((c, name) => remove(parts, c, name)));
  act(
    "pause",
    "destination paused",
    async (c, name) => answerOf(await forwarding.pause(name, authorOf(parts, c))),
  );
  act("resume", "destination resumed", (c, name) => resume(parts, c, name));
  act("rotate", "destination secret rotated", (c, name) => rotate(parts, c, name));
  routes.post(`${BASE}/:name/test`, named((c, name) => test(parts, c, name)));
  routes.get(
    `${BASE}/:name/deliveries`,
    named((_, name, query) => deliveries(parts, name, query), deliveriesQuery),
  );
  routes.post(`${BASE}/:name/retry`, named((c, name) => retry(parts, c, name)));
  routes.route("/", replayDestinationRoutes(parts, named));
  return routes;
}

/** A destination as it is shown: its definition without secrets, and its status. */
function shownOf({ destination, status }: Shown, secret?: string) {
  const { name, definition } = destination;
  const settings = withoutSecrets(definition.settings);
  return {
    name,
    ...definition,
    settings: secret === undefined ? settings : { ...settings, secret },
    status,
  };
}

function answerOf(shown: Shown | undefined): Outcome {
  return shown === undefined ? NO_SUCH_DESTINATION : jsonResponse(shownOf(shown));
}

async function put(parts: Parts, c: RouteContext, name: string): Promise<Outcome> {
  const { forwarding } = parts.system;
  const body = await readBody(parts, c, definitionSchema);
  if (body.problem !== undefined) return body.problem;
  const keys = await writeKeyIdsOf(parts, body.value.writeKeyIds ?? []);
  if ("problem" in keys) return keys.problem;
  const draft = { ...body.value, ...body.value.writeKeyIds && { writeKeyIds: keys.ids } };
  const [unknown] = await parts.system.transformations.missing(draft.transformations ?? []);
  if (unknown !== undefined) {
    const at = `transformations.${draft.transformations!.indexOf(unknown)}`;
    return invalid(
      "unknown_transformation",
      at,
      `must be the name of a transformation; got ${shownValue(unknown)}`,
    );
  }
  const refusal = await forwarding.refusalOf(draft);
  if (refusal !== undefined) {
    return invalid(
      "forbidden_address",
      `settings.${refusal.setting}`,
      `is a forbidden address: ${refusal.message}`,
    );
  }
  try {
    const saved = await forwarding.put(name, draft, authorOf(parts, c));
    logAct(parts, c, saved.isNew ? "destination created" : "destination changed", { destination: name });
    return jsonResponse(shownOf(saved, saved.madeSecret), saved.isNew ? 201 : 200);
  } catch (error) {
    if (error instanceof TooManyDestinations) {
      return invalid("too_many_destinations", "", `${error.message} Delete some.`);
    }
    if (error instanceof MissingSecret) {
      return invalid("invalid_body", `settings.${error.setting}`, "is required");
    }
    throw error;
  }
}

async function remove(parts: Parts, c: RouteContext, name: string): Promise<Outcome> {
  const removed = await parts.system.forwarding.remove(name, authorOf(parts, c));
  if (!removed) return NO_SUCH_DESTINATION;
  logAct(parts, c, "destination deleted", { destination: name });
  return new Response(null, { status: 204, headers: SECURITY_HEADERS });
}

async function resume(parts: Parts, c: RouteContext, name: string): Promise<Outcome> {
  const body = await readOptionalBody(parts, c, resumeSchema);
  if (body.problem !== undefined) return body.problem;
  return answerOf(await parts.system.forwarding.resume(name, body.value.from, authorOf(parts, c)));
}

async function rotate(parts: Parts, c: RouteContext, name: string): Promise<Outcome> {
  const rotated = await parts.system.forwarding.rotate(name, authorOf(parts, c));
  if (rotated === null) return NO_SECRET;
  return rotated === undefined ? NO_SUCH_DESTINATION : jsonResponse(shownOf(rotated, rotated.secret));
}

async function test(parts: Parts, c: RouteContext, name: string): Promise<Outcome> {
  const body = await readBody(parts, c, testSchema);
  if (body.problem !== undefined) return body.problem;
  const sent = await eventFor(parts, body.value);
  if ("problem" in sent) return sent.problem;
  const outcome = await parts.system.forwarding.test(name, sent);
  return outcome === undefined ? NO_SUCH_DESTINATION : jsonResponse(outcome);
}

async function eventFor(
  { system, now, newId }: Parts,
  { messageId, event: given }: z.output<typeof testSchema>,
): Promise<{ event: StoredEvent; writeKeyId: string } | { problem: Problem }> {
  if (messageId === undefined) {
    const { event, rejection } = accept(given, { receivedAt: now(), newId });
    if (rejection === undefined) return { event, writeKeyId: ADMIN_KEY_ID };
    const path = rejection.path === "" ? "event" : `event.${rejection.path}`;
    return { problem: { ...invalid("invalid_body", path, rejection.message), detail: rejection.message } };
  }
  const isId = isShortText(messageId, MAX_MESSAGE_ID_LENGTH);
  const trace = isId ? await system.traces.find(messageId) : null;
  if (trace === null || "goOnBefore" in trace) return { problem: NO_SUCH_EVENT };
  return { event: trace.event, writeKeyId: trace.writeKeyId };
}

async function deliveries(
  { system }: Parts,
  name: string,
  { status, cursor, limit }: z.output<typeof deliveriesQuery>,
): Promise<Outcome> {
  try {
    const page = await system.forwarding.deliveries(name, {
      limit,
      ...status !== undefined && { status },
      ...cursor !== undefined && { cursor },
    });
    return page === undefined ? NO_SUCH_DESTINATION : jsonResponse(page);
  } catch (error) {
    if (!(error instanceof InvalidCursor)) throw error;
    return invalid("invalid_query", "cursor", "is invalid: use the cursor of the previous page");
  }
}

async function retry(parts: Parts, c: RouteContext, name: string): Promise<Outcome> {
  const body = await readBody(parts, c, retrySchema);
  if (body.problem !== undefined) return body.problem;
  const { status, reason, messageIds } = body.value;
  const scheduled = await parts.system.forwarding.retry(name, {
    status,
    ...reason !== undefined && { reason },
    ...messageIds !== undefined && { messageIds },
  });
  if (scheduled === undefined) return NO_SUCH_DESTINATION;
  logAct(parts, c, "deliveries retried", { destination: name, status, scheduled });
  return jsonResponse({ scheduled });
}

/** Reads a body that may be left out. */
export async function readOptionalBody<Schema extends z.ZodType>(
  parts: Parts,
  c: RouteContext,
  schema: Schema,
): ReturnType<typeof readBody<Schema>> {
  const read = c.req.raw.body === null ? undefined : await readBody(parts, c, schema);
  if (read === undefined || read.problem?.code === "empty_body") return { value: schema.parse({}) };
  return read;
}

/** The name in the path; `undefined` if it is none. */
function readDestinationName(c: RouteContext): string | undefined {
  const name = pathParam(c, "name");
  const isName = name !== undefined && isShortText(name, MAX_DESTINATION_NAME) && name !== "." &&
    name !== ".." &&
    name.toLowerCase() !== "all" && !hasControl(name);
  return isName ? name : undefined;
}

// deno-lint-ignore no-control-regex -- a name with one could not be told from others in a log.
const hasControl = (text: string) => /[\x00-\x1f\x7f]/.test(text);

const NO_SUCH_NAME = invalid(
  "invalid_name",
  "",
  `The name in the path must have 1 to ${MAX_DESTINATION_NAME} well-formed, percent-encoded characters, and must not be All.`,
);

/** No destination has the name in the path. */
export const NO_SUCH_DESTINATION: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "No destination has this name.",
};
const NO_SECRET = invalid("no_secret", "", "Only webhooks have a secret that can be rotated.");
const NO_SUCH_EVENT: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "No event with this messageId is in the journal.",
};
