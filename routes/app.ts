/** The app: every route of signalfold, and the answer to requests without a route. */
import { Hono } from "hono";
import { RegExpRouter } from "hono/router/reg-exp-router";
import type { System } from "../actors/system.ts";
import type { AddressPolicy, LookUp } from "../domain/enrichment/location.ts";
import type { UnknownEvents } from "../domain/contract/contract.ts";
import { type AboutOptions, aboutRoutes } from "./admin/about.ts";
import { auditRoutes } from "./admin/audit.ts";
import { audienceAdminRoutes } from "./admin/audiences.ts";
import { audienceRoutes } from "./profiles/audiences.ts";
import { adminRoutes } from "./admin/write_keys.ts";
import { ADMIN_KEY_ID, createAuthentication, type Secrets } from "./auth/authentication.ts";
import { createCharges } from "./auth/charges.ts";
import { createBodies } from "./body/bodies.ts";
import { STOPPING } from "./body/body.ts";
import { LIMITS, type Limits } from "./body/limits.ts";
import { contractRoutes } from "./admin/contracts.ts";
import { transformationRoutes } from "./admin/transformations.ts";
import { destinationRoutes } from "./admin/destinations.ts";
import { erasureRoutes } from "./admin/erasure.ts";
import { consoleRoutes, redirectToConsole } from "./console/console.ts";
import { docsRoutes } from "./service/docs.ts";
import {
  type ConnectionInfo,
  handle,
  type Parts,
  problemOf,
  type RouteContext,
  type RouteEnv,
} from "./handler/handle.ts";
import { healthRoutes } from "./service/health.ts";
import { createPipeline, type Observer, type Stage } from "../ingest/pipeline.ts";
import { countsObserver } from "../ingest/observers/counts.ts";
import { keyUseObserver } from "../ingest/observers/key_use.ts";
import { liveObserver, type StatusOf } from "../ingest/observers/live.ts";
import { quarantineObserver } from "../ingest/observers/quarantine.ts";
import { contractStage } from "../ingest/stages/contracts.ts";
import { locationStage } from "../ingest/stages/location.ts";
import { placeholderStage } from "../ingest/stages/placeholders.ts";
import { rateLimitStage } from "../ingest/stages/rate_limit.ts";
import { suppressionStage } from "../ingest/stages/suppression.ts";
import { liveRoutes } from "./admin/live.ts";
import type { Log } from "./http/logger.ts";
import { createMetrics, type Metrics, metricsRoutes } from "./service/metrics.ts";
import { createProxyNotice } from "./http/proxy_notice.ts";
import { createHostCheck, INVALID_HOST, rawPath } from "./http/target.ts";
import { standardPath } from "./http/snippet_paths.ts";
import { createPeerOf } from "./handler/peer.ts";
import { type Problem, problemResponse, STATUS_OF } from "./http/problem.ts";
import { quarantineRoutes } from "./admin/quarantine.ts";
import { replayRoutes } from "./admin/replays.ts";
import { findRoutes } from "./profiles/find.ts";
import { journalRoutes } from "./profiles/journal.ts";
import { readingRoutes } from "./profiles/profiles.ts";
import { addFiguresOfTransformations } from "./service/transformation_metrics.ts";
import { countedRoutes, createRequestCounts, NO_ROUTE } from "./handler/request_counts.ts";
import { segmentRoutes } from "./ingest/segment.ts";
import { sendingRoutes } from "./ingest/events.ts";
import { refusalFormOf } from "./http/paths.ts";
import { snippetRoutes } from "./snippet/snippet.ts";
import { testEventRoutes } from "./admin/test_events.ts";
import { statsRoutes } from "./admin/stats.ts";
import { traceRoutes } from "./profiles/explain.ts";

/** The settings that the routes obey. */
export interface AppSettings extends Secrets {
  /** The origin that clients reach, if a proxy is in front of the server. */
  publicUrl?: string;
  /** Proxies between clients and the server, each of which adds to `X-Forwarded-For`; default 0. */
  trustedProxies?: number;
  /** What happens to `context.ip` after the lookup; kept by default. */
  ipAddresses?: AddressPolicy;
  /** Whether `/metrics` needs no credential. */
  metricsOpen?: boolean;
  /** What happens to an event without a contract; default `allow`. */
  unknownEvents?: UnknownEvents;
  /** What happens to events of suppressed people; default `drop`. */
  suppressedEvents?: "drop" | "refuse";
  /** A path with the routes of the website snippet by other names. */
  snippetPath?: string;
  /** Additional placeholder ids, separated by commas. */
  placeholderIds?: string;
  /** The storage and the window of deduplication, for administrators to see. */
  kvUrl?: string;
  dedupDays?: number;
}

/** Everything that the routes need. */
export interface AppDeps {
  system: System;
  settings: AppSettings;
  log: Log;
  /** Milliseconds since 1970. */
  now: () => number;
  /** Creates a ULID. */
  newId: () => string;
  /** Finds the location of an address; without it events are not located. */
  lookUp?: LookUp | undefined;
  /** The figures of the actors; without them only those of the routes are shown. */
  metrics?: Metrics;
  /** Milliseconds of a monotonic clock, to measure work; default: `now`. */
  elapsed?: () => number;
  /** Tests take smaller bounds than {@link LIMITS}. */
  limits?: Partial<Limits>;
  /** Tests take a shorter time between two comments of a live view. */
  heartbeatMs?: number;
}

/** signalfold as a function from request to answer. */
export interface App {
  fetch(request: Request, connection?: ConnectionInfo): Promise<Response>;
  /** For tests: a path or a URL, and the options of `fetch`. */
  request(path: string, init?: RequestInit, connection?: ConnectionInfo): Promise<Response>;
  /** All routes, for a comparison with the document. */
  routes: readonly { method: string; path: string }[];
  /** Refuses every request from now on, and resolves when the accepted ones are answered. */
  stop(): Promise<void>;
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/** Creates the app. It holds no timer and no connection of its own. */
export function createApp(deps: AppDeps): App {
  const { system, settings, log, now, newId } = deps;
  const metrics = deps.metrics ?? createMetrics({ startedAt: now(), memory: Deno.memoryUsage });
  const requests = createRequestCounts();
  const parts = partsOf(deps, metrics);
  const countOther = requests.of("any", NO_ROUTE);
  const router = routerOf(deps, parts, { metrics, requests, countOther });
  const hasHost = createHostCheck();
  const lookForProxy = createProxyNotice({ publicUrl: settings.publicUrl, log });
  let taken = 0;
  let stopped: PromiseWithResolvers<void> | undefined;
  const allAnswered = () => stopped?.resolve();

  function refuse(request: Request, problem: Problem): Response {
    countOther(STATUS_OF[problem.reason]);
    return problemResponse(problem, { ...refusalFormOf(pathOf(settings)(request)), requestId: newId() });
  }

  async function fetch(request: Request, connection?: ConnectionInfo): Promise<Response> {
    if (stopped !== undefined) return refuse(request, STOPPING);
    taken++;
    lookForProxy(request.headers);
    try {
      const response = hasHost(request)
        ? await router.fetch(request, connection)
        : refuse(request, INVALID_HOST);
      if (request.method === "GET" || request.bodyUsed) return response;
      // Nothing more is read from a sender that has cost too much: the connection is closed.
      if (response.headers.get("connection") !== "close") await parts.bodies.drain(request);
      return request.method === "HEAD" ? withoutLength(response) : response;
    } finally {
      taken--;
      if (taken === 0) allAnswered();
    }
  }

  return {
    fetch,
    request: (path, init, connection) =>
      fetch(new Request(new URL(path, "http://localhost"), init), connection),
    routes: router.routes.map(({ method, path }) => ({ method, path })),
    stop() {
      parts.bodies.stop();
      // Streams have no end of their own.
      system.live.end();
      system.feed.end();
      stopped ??= Promise.withResolvers();
      if (taken === 0) stopped.resolve();
      return stopped.promise;
    },
  };
}

/** Joins what all routes share: authentication, bodies, charges, and the pipeline with its stages and observers. */
function partsOf({ system, settings, log, now, newId, lookUp, ...deps }: AppDeps, metrics: Metrics): Parts {
  const limits = { ...LIMITS, ...deps.limits };
  const authentication = createAuthentication(settings, system.writeKeys, now);
  const peerOf = createPeerOf(settings.trustedProxies ?? 0);
  const bodies = createBodies({ limits, now, elapsed: deps.elapsed ?? now });
  const charges = createCharges({ limits, log, now });
  const location = locationStage({ lookUp, policy: settings.ipAddresses ?? "keep" });
  const stages: (Stage | undefined)[] = [
    rateLimitStage(system, now),
    location,
    placeholderStage(settings.placeholderIds ?? ""),
    contractStage(system, settings.unknownEvents ?? "allow"),
    suppressionStage(system.suppression, settings.suppressedEvents ?? "drop"),
  ];
  const statusOf: StatusOf = (reason) => STATUS_OF[reason];
  const observers: Observer[] = [
    countsObserver(system.counts),
    keyUseObserver(system, (writeKeyId) => writeKeyId === ADMIN_KEY_ID),
    liveObserver(system.live, statusOf),
    quarantineObserver(system, { statusOf, location }),
  ];
  const pipeline = metrics.watch(createPipeline(stages.filter((stage) => stage !== undefined), observers));
  metrics.addGauge(
    "quarantine_dropped_events",
    "Rejected events that were not stored because the quarantine was full or an erasure was in progress.",
    system.quarantine.dropped,
  );
  addFiguresOfBodies(metrics, { charges, bodies });
  addFiguresOfTransformations(metrics, system.transformations);
  return { system, authentication, charges, bodies, pipeline, peerOf, log, now, newId };
}

/** Joins the routes of all rooms, and the answers to requests that no route takes. */
function routerOf(
  { settings, heartbeatMs }: AppDeps,
  parts: Parts,
  { metrics, requests, countOther }: {
    metrics: Metrics;
    requests: ReturnType<typeof createRequestCounts>;
    countOther(status: number): void;
  },
): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  routes.route("/", sendingRoutes(parts));
  routes.route(
    "/",
    segmentRoutes(parts, { publicUrl: settings.publicUrl, snippetPath: settings.snippetPath }),
  );
  routes.route("/", snippetRoutes(parts, { snippetPath: settings.snippetPath }));
  routes.route("/", readingRoutes(parts));
  routes.route("/", journalRoutes(parts));
  routes.route("/", findRoutes(parts));
  routes.route("/", adminRoutes(parts, { hasDefaultKey: settings.writeKey !== undefined }));
  routes.route("/", auditRoutes(parts));
  routes.route("/", erasureRoutes(parts));
  routes.route("/", audienceAdminRoutes(parts));
  routes.route("/", audienceRoutes(parts));
  routes.route("/", contractRoutes(parts));
  routes.route("/", transformationRoutes(parts));
  routes.route("/", destinationRoutes(parts));
  routes.route("/", quarantineRoutes(parts));
  routes.route("/", statsRoutes(parts));
  routes.route("/", testEventRoutes(parts));
  routes.route("/", aboutRoutes(parts, aboutOf(settings, () => routes.routes.map(({ path }) => path))));
  routes.route("/", liveRoutes(parts, heartbeatMs));
  routes.route("/", traceRoutes(parts));
  routes.route("/", replayRoutes(parts));
  routes.route("/", healthRoutes(parts));
  routes.route("/", docsRoutes(parts, { publicUrl: settings.publicUrl }));
  routes.route("/", consoleRoutes(parts));
  routes.route("/", metricsRoutes(parts, { metrics, requests, open: settings.metricsOpen ?? false }));

  // Hono's own choice silently falls back to a slow router for routes that this one rejects.
  const byExpression = new Hono<RouteEnv>({ getPath: pathOf(settings), router: new RegExpRouter() });
  const router = countedRoutes(routes, byExpression, requests);
  const answerOther = async (c: RouteContext, problem: Problem) => {
    const response = await handle(parts, () => problem)(c);
    countOther(response.status);
    return response;
  };
  router.notFound((c) => {
    const redirect = redirectToConsole(c.req.raw);
    if (redirect !== undefined) countOther(redirect.status);
    return redirect ?? answerOther(c, noRoute(router, c.req.path));
  });
  router.onError((error, c) => answerOther(c, problemOf(error)));
  return router;
}

/** The path that a request is routed by: below `SNIPPET_PATH`, the standard one. */
function pathOf({ snippetPath }: AppSettings): (request: Request) => string {
  if (snippetPath === undefined) return rawPath;
  return (request) => standardPath(rawPath(request), snippetPath);
}

/** The settings that are no secrets, with the defaults of those that are not given. */
function aboutOf(settings: AppSettings, paths: () => string[]): AboutOptions {
  return {
    storage: settings.kvUrl,
    paths,
    settings: {
      PUBLIC_URL: settings.publicUrl,
      DEDUP_DAYS: settings.dedupDays,
      AUTH_FAILURES_PER_MINUTE: settings.authFailuresPerMinute,
      TRUSTED_PROXIES: settings.trustedProxies ?? 0,
      IP_ADDRESSES: settings.ipAddresses ?? "keep",
      METRICS_OPEN: settings.metricsOpen ?? false,
      UNKNOWN_EVENTS: settings.unknownEvents ?? "allow",
      SUPPRESSED_EVENTS: settings.suppressedEvents ?? "drop",
      PLACEHOLDER_IDS: settings.placeholderIds,
    },
  };
}

function addFiguresOfBodies(metrics: Metrics, { charges, bodies }: Pick<Parts, "charges" | "bodies">): void {
  metrics.addCounter(
    "refused_work_seconds",
    "Thread time spent on rejected requests, by whether a header had a valid credential.",
    () => Object.entries(charges.seconds()).map(([sender, value]) => ({ labels: { sender }, value })),
  );
  metrics.addCounter(
    "refused_unread",
    "Requests rejected before their body was read or parsed because their sender had cost too much.",
    () => [{ labels: {}, value: charges.refusedUnread() }],
  );
  metrics.addGauge(
    "senders_in_debt",
    "Networks and write keys whose rejected requests have cost too much.",
    charges.inDebt,
  );
  metrics.addGauge("bodies_waiting", "Bodies waiting to be parsed.", bodies.waiting);
}

/**
 * The answer to a `HEAD`, without its body: the runtime would set a length of 0 bytes, which a `GET` does not have (RFC
 * 9110, section 8.6). For a stream it sets no length.
 */
function withoutLength(response: Response): Response {
  return new Response(new ReadableStream({ start: (body) => body.close() }), response);
}

/** 405 for a path that takes other methods, 404 for one that takes none. */
function noRoute(router: Hono<RouteEnv>, path: string): Problem {
  const allowed = METHODS.filter((method) => router.router.match(method, path)[0].length > 0);
  if (allowed.length === 0) {
    return { reason: "not_found", code: "no_such_path", detail: "Unknown path." };
  }
  if (allowed.includes("GET")) allowed.splice(1, 0, "HEAD");
  return {
    reason: "method_not_allowed",
    code: "method_not_allowed",
    detail: `This path accepts ${allowed.join(", ")}.`,
    headers: { allow: allowed.join(", ") },
  };
}
