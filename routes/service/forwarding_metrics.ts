/** The figures of destinations for `/metrics`. Their names are those that administrators gave; there are 50 at most. */
import type { Counter, Gauge } from "./prometheus.ts";
import type { DestinationGauge } from "../../actors/forwarding/forwarding.ts";
import type { Figures } from "../../actors/forwarding/figures.ts";

/** What makes metrics. */
interface Makers {
  counter(name: string, help: string, labelNames?: string[]): Counter;
  gauge(name: string, help: string, labelNames?: string[]): Gauge;
}

/** The label of a destination's name. */
const LABEL = "destination";

const STATES = ["running", "failing", "paused", "off"] as const;

/** Makes the figures, and the function that sets them. */
export function forwardingMetrics(
  { counter, gauge }: Makers,
): (destinations: readonly DestinationGauge[], figures: Figures) => void {
  const named = (name: string, help: string, more: string[] = []) =>
    gauge(`signalfold_destination_${name}`, help, [LABEL, ...more]);
  const lagEvents = named("lag_events", "Events of the journal that a destination has not settled.");
  const lagSeconds = named("lag_seconds", "Age of the first event that a destination has not settled.");
  const held = named("held_events", "Events that wait behind another one of their person.");
  const retrying = named("retrying_events", "Events that wait for another attempt.");
  const dead = named("dead_events", "Events that are not sent again until somebody asks for it.");
  const state = named("state", "1 for the state of a destination: running, failing, paused or off.", [
    "state",
  ]);
  const latency = named("latency_seconds", "Duration of the last attempts.", ["quantile"]);
  const attempts = counter("delivery_attempts", "Requests to destinations, by outcome.", [
    LABEL,
    "outcome",
  ]);
  const replaced = counter(
    "destination_replaced_characters",
    "Characters that a destination refuses and that were replaced.",
    [LABEL],
  );
  return function set(destinations, figures) {
    for (const each of [lagEvents, lagSeconds, held, retrying, dead, state, latency]) each.reset();
    for (const { name: destination, status } of destinations) {
      lagEvents.set({ destination }, status.lagEvents);
      lagSeconds.set({ destination }, status.lagSeconds);
      held.set({ destination }, status.held);
      retrying.set({ destination }, status.retrying);
      dead.set({ destination }, status.dead);
      for (const each of STATES) state.set({ destination, state: each }, status.state === each ? 1 : 0);
      latency.set({ destination, quantile: "0.5" }, status.latency.p50Ms / 1000);
      latency.set({ destination, quantile: "0.99" }, status.latency.p99Ms / 1000);
    }
    attempts.reset();
    for (const { destination, outcome, count } of figures.attempts()) {
      attempts.inc({ destination, outcome }, count);
    }
    replaced.reset();
    for (const { destination, count } of figures.replacedCharacters()) replaced.inc({ destination }, count);
  };
}
