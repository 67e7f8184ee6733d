/**
 * The used parts of prom-client, each from its own file: the whole package loads much that is not used (a cluster, a
 * push gateway, figures of Node), which took a quarter of the thread's time until the first answer.
 */
import type * as Prometheus from "prom-client";
import counter from "prom-client/lib/counter.js";
import gauge from "prom-client/lib/gauge.js";
import histogram from "prom-client/lib/histogram.js";
import registry from "prom-client/lib/registry.js";

export const Counter = counter as unknown as typeof Prometheus.Counter;
export const Gauge = gauge as unknown as typeof Prometheus.Gauge;
export const Histogram = histogram as unknown as typeof Prometheus.Histogram;
export const Registry = registry as unknown as typeof Prometheus.Registry;

/** The types of the classes above. */
export type Counter = Prometheus.Counter;
export type Gauge = Prometheus.Gauge;
export type OpenMetricsContentType = Prometheus.OpenMetricsContentType;
