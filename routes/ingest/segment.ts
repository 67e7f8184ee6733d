/**
 * The routes of Segment's clients and of their descendants (RudderStack's, Jitsu's, Dittofeed's, Customer.io's,
 * Hightouch's): they work with another host name. Their events are handled as on the specification's routes.
 */
import { Hono } from "hono";
import { type Caller, readBasic } from "../auth/authentication.ts";
import { CORS_HEADERS, preflightOf } from "../http/cors.ts";
import { handle, type Outcome, type Parts, type RouteContext, type RouteEnv } from "../handler/handle.ts";
import { jsonResponse, type Problem } from "../http/problem.ts";
import { readQuery } from "../http/query.ts";
import { pathParam } from "../http/path_params.ts";
import { keyQuery, sendBatch, sendOne, takeEvents, type Taking } from "./events.ts";
import {
  BEACON_PATH,
  SEGMENT_BATCH_PATHS,
  SETTINGS_PATH,
  SOURCE_CONFIG_PATH,
  TYPED_PATHS,
} from "../http/paths.ts";

export interface SegmentOptions {
  /** The origin that clients reach; by default that of the request. */
  publicUrl?: string | undefined;
  /** The path that gives the routes of a website other names. */
  snippetPath?: string | undefined;
}

/** Every path of Segment's clients, with its preflight. */
export function segmentRoutes(parts: Parts, { publicUrl, snippetPath }: SegmentOptions): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  const take = (path: string, taking: Taking) => {
    routes.post(path, takeEvents(parts, taking));
    routes.options(path, preflightOf("POST"));
  };
  for (const [path, type] of TYPED_PATHS) take(path, { send: sendOne, segment: { type } });
  for (const path of SEGMENT_BATCH_PATHS) take(path, { send: sendBatch, segment: {} });
  take(BEACON_PATH, { send: sendBatch, segment: { keyInQuery: true } });

  const show = (path: string, handler: (c: RouteContext) => Promise<Outcome>) => {
    routes.get(path, handle(parts, handler));
    routes.options(path, preflightOf("GET"));
  };
  show(SETTINGS_PATH, (c) => showSettings(parts, c, originOf(c, { publicUrl, snippetPath })));
  show(SOURCE_CONFIG_PATH, (c) => showSourceConfig(parts, c));
  return routes;
}

/** Where a client sends to. */
interface Origin {
  host: string;
  protocol: string;
  path: string;
}

/** The origin that the client reached, and the path by which it did so: a page of `SNIPPET_PATH` sends below it. */
function originOf(c: RouteContext, { publicUrl, snippetPath }: SegmentOptions): Origin {
  const { pathname } = new URL(c.req.raw.url);
  const { host, protocol } = new URL(publicUrl ?? c.req.raw.url);
  const isShort = snippetPath !== undefined && pathname.startsWith(`${snippetPath}/`);
  return { host, protocol: protocol.slice(0, -1), path: isShort ? snippetPath : "/v1" };
}

/**
 * Settings for a client: where to send, and no other destinations. An unknown key is 404, and counts as a failed
 * authentication, so that this is no way around the limit on guessing.
 */
async function showSettings(
  parts: Parts,
  c: RouteContext,
  { host, protocol, path }: Origin,
): Promise<Outcome> {
  const writeKey = pathParam(c, "writeKey");
  const caller = writeKey === undefined ? null : await parts.authentication.byKey(writeKey);
  const refusal = refuse(parts, c, caller);
  if (refusal !== undefined) return refusal.reason === "rate_limited" ? refusal : NO_SUCH_KEY;
  return browserResponse({
    integrations: {
      "Segment.io": {
        apiKey: writeKey,
        apiHost: `${host}${path}`,
        protocol: protocol,
      },
    },
    // Otherwise a part of the clients' own failures is reported to Segment.
    metrics: { sampleRate: 0 },
  });
}

/** The same for RudderStack's clients. It omits the key's name, which administrators may not want to publish. */
async function showSourceConfig(parts: Parts, c: RouteContext): Promise<Outcome> {
  const read = readQuery(c.req.raw.url, keyQuery, "passed over");
  if (read.problem !== undefined) return read.problem;
  const authorization = c.req.header("authorization");
  const basic = authorization === undefined ? undefined : readBasic(authorization);
  const writeKey = basic === undefined ? read.query.writeKey : basic;
  const caller = writeKey ? await parts.authentication.byKey(writeKey) : writeKey === null ? null : undefined;
  const refusal = refuse(parts, c, caller);
  if (refusal !== undefined) return refusal;
  const id = caller!.writeKeyId;
  return browserResponse({
    source: {
      id,
      name: id,
      writeKey,
      workspaceId: "signalfold",
      enabled: true,
      config: {},
      destinations: [],
    },
  });
}

function refuse({ authentication, peerOf }: Parts, c: RouteContext, caller: Caller | null | undefined) {
  return authentication.refuse(caller, "send", () => peerOf(c));
}

const NO_SUCH_KEY: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "Unknown or disabled write key.",
};

function browserResponse(value: unknown): Response {
  const response = jsonResponse(value);
  for (const [name, text] of Object.entries(CORS_HEADERS)) response.headers.set(name, text);
  return response;
}
