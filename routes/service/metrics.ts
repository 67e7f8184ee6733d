/**
 * `/metrics` in OpenMetrics 1.0: figures of this process since it started, for Prometheus and its like. Labels are of our
 * making and few: a route, a status, a code, never an id or a name that a sender chose.
 */
import { audienceFigures } from "./audience_figures.ts";
import { Hono } from "hono";
import { Counter, Gauge, Histogram, type OpenMetricsContentType, Registry } from "./prometheus.ts";
import { forwardingMetrics } from "./forwarding_metrics.ts";
import type { Observer, System } from "../../actors/system.ts";
import { outcomeOf, rejectedCells, takenCells, violationsOf } from "../../domain/stats/counts.ts";
import { type Parts, type RouteEnv, withAccess } from "../handler/handle.ts";
import type { Pipeline, Refusal } from "../../ingest/pipeline.ts";
import { type Reason, STATUS_OF } from "../http/problem.ts";
import type { RequestCounts } from "../handler/request_counts.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";
import type { Gauges } from "../../actors/stats/gauges.ts";

/** From a commit on a fast disk to one that is given up (10 s). */
const COMMIT_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** From a round of one event to one of as many as it may have. */
const SETTLE_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60];
const COMMIT_EVENTS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500];
const COMMIT_BYTES = [1_000, 4_000, 16_000, 64_000, 150_000, 300_000, 600_000];
const SETTLE_EVENTS = [1, 10, 100, 1_000, 10_000, 50_000, 150_000];

export interface MetricsOptions {
  /** When the process started, in ms since 1970. */
  startedAt: number;
  /** Bytes of memory, as in `Deno.memoryUsage`. */
  memory(): { rss: number; heapUsed: number; heapTotal: number; external: number };
}

/** A value of a counter, and the labels that it has. */
export interface Sample {
  labels: Record<string, string>;
  value: number;
}

/** The figures of a process. */
export interface Metrics {
  /** The observer for the actors. */
  observer: Observer;
  /** The same pipeline, whose refusals of whole requests (429) are counted in events. */
  watch(pipeline: Pipeline): Pipeline;
  /** Adds a figure of another part, which is read whenever figures are shown. The name has no prefix. */
  addGauge(name: string, help: string, read: () => number): void;
  /**
   * Adds a count of another part, which only rises. The name has no prefix, and no `_total`. By default its labels are
   * those of the samples that there are now.
   */
  addCounter(name: string, help: string, read: () => readonly Sample[], labels?: readonly string[]): void;
  /** Everything as text. */
  text(system: System, requests: RequestCounts): Promise<string>;
}

/** The media type of OpenMetrics 1.0. */
export const OPENMETRICS = Registry.OPENMETRICS_CONTENT_TYPE;

/** A registry, and the functions that make its metrics. */
type Makers = ReturnType<typeof makersOf>;

function makersOf() {
  const registry = new Registry<OpenMetricsContentType>();
  registry.setContentType(OPENMETRICS);
  const registers = [registry];
  return {
    registry,
    histogram: (name: string, help: string, buckets: number[]) =>
      new Histogram({ name: `signalfold_${name}`, help, buckets, registers }),
    counter: (name: string, help: string, labelNames: string[] = []) =>
      new Counter({ name: `signalfold_${name}_total`, help, labelNames, registers }),
    gauge: (name: string, help: string, labelNames: string[] = []) =>
      new Gauge({ name, help, labelNames, registers }),
  };
}

/** Creates the figures of a process, in a registry of their own. */
export function createMetrics({ startedAt, memory }: MetricsOptions): Metrics {
  const makers = makersOf();
  const { registry, counter, gauge } = makers;
  const observer = observerOf(makers);
  const setEvents = eventsOf(makers);
  const refused = counter(
    "refused_events",
    "Events of requests that were rejected as a whole before validation.",
    ["status", "code"],
  );
  const requestsTotal = counter("requests", "Requests answered, HEAD as GET.", ["method", "route", "status"]);
  const setGauges = gaugesOf(gauge);
  const setMemory = memoryOf(gauge);
  const setForwarding = forwardingMetrics(makers);
  const setAudiences = audienceFigures(makers);
  gauge("process_start_time_seconds", "Start time of the process since the Unix epoch.").set(
    startedAt / 1000,
  );
  const others: { gauge: Gauge; read: () => number }[] = [];
  const otherCounters: { counter: Counter; read: () => readonly Sample[] }[] = [];

  function countRefused(refusal: Refusal | undefined, times: number): Refusal | undefined {
    if (refusal !== undefined) refused.inc({ status: STATUS_OF[refusal.reason], code: refusal.code }, times);
    return refusal;
  }

  return {
    observer,
    watch: (pipeline) => ({
      ...pipeline,
      reserve(source, times) {
        const refusal = pipeline.reserve(source, times);
        return refusal instanceof Promise
          ? refusal.then((known) => countRefused(known, times))
          : countRefused(refusal, times);
      },
    }),
    addGauge: (name, help, read) => void others.push({ gauge: gauge(`signalfold_${name}`, help), read }),
    addCounter(name, help, read, labels) {
      const labelNames = [...labels ?? new Set(read().flatMap((sample) => Object.keys(sample.labels)))];
      otherCounters.push({ counter: counter(name, help, labelNames), read });
    },
    async text(system, requests) {
      setGauges(await system.gauges());
      setEvents(system);
      setAudiences(await system.audiences.figures().catch(() => undefined));
      setForwarding(await system.forwarding.gauges(), system.forwarding.figures);
      requestsTotal.reset();
      for (const { count, ...labels } of requests.all()) requestsTotal.inc(labels, count);
      setMemory(memory());
      for (const { gauge, read } of others) gauge.set(read());
      for (const { counter, read } of otherCounters) {
        counter.reset();
        for (const { labels, value } of read()) counter.inc(labels, value);
      }
      return await registry.metrics();
    },
  };
}

/** The figures of commits and of settling, and the observer that sets them. */
function observerOf({ histogram, counter }: Makers): Observer {
  const commitDuration = histogram(
    "commit_duration_seconds",
    "Storage time of a commit to the journal.",
    COMMIT_SECONDS,
  );
  const commitEvents = histogram("commit_events", "Events in a commit.", COMMIT_EVENTS);
  const commitBytes = histogram("commit_bytes", "Bytes of a commit, compressed.", COMMIT_BYTES);
  const commitRetries = counter(
    "commit_retries",
    "Commits retried because another process was first or storage did not answer.",
  );
  const settleDuration = histogram(
    "settle_duration_seconds",
    "Duration of a settling round of this process.",
    SETTLE_SECONDS,
  );
  const settleEvents = histogram(
    "settle_events",
    "Events in a settling round of this process.",
    SETTLE_EVENTS,
  );
  const settleFailures = counter("settle_failures", "Settling rounds that failed; they are retried.");
  return {
    committed({ durationMs, events, bytes }) {
      commitDuration.observe(durationMs / 1000);
      commitEvents.observe(events);
      commitBytes.observe(bytes);
    },
    retried: () => commitRetries.inc(),
    settled({ durationMs, events }) {
      settleDuration.observe(durationMs / 1000);
      settleEvents.observe(events);
    },
    settlingFailed: () => settleFailures.inc(),
  };
}

/** The figures of events by outcome, and the function that sets them from the counts of this process. */
function eventsOf({ counter }: Makers): (system: System) => void {
  const events = counter("events", "Events received, by outcome.", ["outcome", "type"]);
  const rejected = counter("rejected_events", "Rejected events, by reason.", ["status", "code"]);
  const violations = counter("contract_violations", "Events that violate a contract.", ["mode"]);
  return function set(system) {
    for (const each of [events, rejected, violations]) each.reset();
    const counts = system.counts.sinceStart();
    for (const { type, accepted, duplicate } of takenCells(counts)) {
      events.inc({ outcome: "accepted", type }, accepted);
      events.inc({ outcome: "duplicate", type }, duplicate);
    }
    for (const [cell, count] of rejectedCells(counts)) {
      const { reason, code, type } = cell;
      const outcome = outcomeOf(cell);
      events.inc({ outcome, type }, count);
      if (outcome === "rejected") rejected.inc({ status: STATUS_OF[reason as Reason], code }, count);
    }
    for (const { mode, count } of violationsOf(counts)) violations.inc({ mode }, count);
  };
}

/** The gauges of memory, and the function that sets them. */
function memoryOf(gauge: Makers["gauge"]): (now: ReturnType<MetricsOptions["memory"]>) => void {
  const resident = gauge("process_resident_memory_bytes", "Resident memory of the process.");
  const heapUsed = gauge("signalfold_heap_used_bytes", "Used heap of the server's thread.");
  const heapTotal = gauge("signalfold_heap_total_bytes", "Total heap of the server's thread.");
  const external = gauge(
    "signalfold_external_memory_bytes",
    "Memory outside the heap that is held by heap objects.",
  );
  return function set(now) {
    resident.set(now.rss);
    heapUsed.set(now.heapUsed);
    heapTotal.set(now.heapTotal);
    external.set(now.external);
  };
}

/** The gauges of the journal, settling and the dedup index, and the function that sets them. */
function gaugesOf(
  gauge: Makers["gauge"],
): (now: Gauges) => void {
  const storage = gauge("signalfold_storage_up", "Whether storage answered within a second (1) or not (0).");
  const head = gauge("signalfold_journal_events", "Events in the journal, of all processes.");
  const settled = gauge("signalfold_settled_events", "Events of the journal that are settled.");
  const unsettled = gauge("signalfold_unsettled_events", "Events of the journal that are not settled yet.");
  const lag = gauge(
    "signalfold_subscription_lag_events",
    "Lag of a subscription, in events.",
    ["subscription"],
  );
  const tailEvents = gauge("signalfold_tail_events", "Events of the journal's tail in memory.");
  const tailBytes = gauge("signalfold_tail_bytes", "Approximate memory of the journal's tail.");
  const runs = gauge("signalfold_seen_runs", "Runs of the dedup index.");
  const ids = gauge("signalfold_seen_ids", "Message ids in the runs of the dedup index.");
  const filters = gauge("signalfold_seen_filter_bytes", "Memory of the dedup index's filters.");
  return function set(now) {
    storage.set(now.storageAnswers ? 1 : 0);
    head.set(now.head);
    settled.set(now.settled);
    unsettled.set(now.unsettled);
    for (const [subscription, { lagEvents }] of Object.entries(now.subscriptions)) {
      lag.set({ subscription }, lagEvents);
    }
    tailEvents.set(now.tail.events);
    tailBytes.set(now.tail.bytes);
    runs.set(now.seen.runs);
    ids.set(now.seen.ids);
    filters.set(now.seen.filterBytes);
  };
}

export interface MetricsRoute {
  metrics: Metrics;
  requests: RequestCounts;
  /** Whether it needs no credential. */
  open: boolean;
}

/** `GET /metrics`. */
export function metricsRoutes(parts: Parts, { metrics, requests, open }: MetricsRoute): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  routes.get(
    "/metrics",
    withAccess(parts, { right: open ? "open" : "read" }, async () => {
      const text = await metrics.text(parts.system, requests);
      return new Response(text, { headers: { "content-type": OPENMETRICS, ...SECURITY_HEADERS } });
    }),
  );
  return routes;
}
