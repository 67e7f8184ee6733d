/** The metrics of transformations: what each version did, and whether a thread of its engines is stuck. */
import type { Transformations } from "../../actors/transformation/transformations.ts";
import type { Metrics } from "./metrics.ts";

const OUTCOMES = ["transformed", "dropped", "failed"] as const;

/** Adds the figures of transformations. */
export function addFiguresOfTransformations(metrics: Metrics, { figures }: Transformations): void {
  metrics.addCounter(
    "transformation_events",
    "Events that a version of a transformation got for a destination, by what it made of them.",
    () =>
      figures().versions.flatMap(({ name, version, ...counts }) =>
        OUTCOMES.map((outcome) => ({
          labels: { transformation: name, version: String(version), outcome },
          value: counts[outcome],
        }))
      ),
    ["outcome", "transformation", "version"],
  );
  metrics.addGauge(
    "transformation_threads",
    "Threads that run the code of transformations.",
    () => figures().threads,
  );
  metrics.addGauge(
    "transformation_engines",
    "Versions of transformations whose code is loaded.",
    () => figures().engines,
  );
  metrics.addGauge(
    "transformation_stuck_threads",
    "Threads that a transformation has held for more than a second.",
    () => figures().stuck.length,
  );
}
