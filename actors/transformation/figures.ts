/** What versions of transformations did in this process, for the metrics. */
import type { Outcome } from "../../domain/transformation/outcome.ts";
import type { VersionName } from "./chain.ts";
import type { Sandbox, SandboxStatus } from "./sandbox.ts";

/** Events by what a version made of them. */
export interface VersionFigures extends VersionName {
  transformed: number;
  dropped: number;
  failed: number;
}

/** Figures of all versions that ran, and of the threads. */
export interface TransformationFigures extends SandboxStatus {
  versions: VersionFigures[];
}

/** Versions whose figures are kept: the ones that ran last. */
const MAX_VERSIONS = 500;

/** Creates the figures. */
export function createFigures(sandbox: Sandbox) {
  const counted = new Map<string, VersionFigures>();

  function count({ name, version }: VersionName, outcome: Outcome): void {
    const key = `${name}@${version}`;
    let figures = counted.get(key);
    if (figures === undefined) {
      figures = { name, version, transformed: 0, dropped: 0, failed: 0 };
      counted.set(key, figures);
      if (counted.size > MAX_VERSIONS) counted.delete(counted.keys().next().value!);
    }
    if ("error" in outcome) figures.failed++;
    else if (outcome.results.length === 0) figures.dropped++;
    else figures.transformed++;
  }

  return {
    count,
    now: (): TransformationFigures => ({
      ...sandbox.status(),
      versions: [...counted.values()].map((each) => ({ ...each })),
    }),
  };
}
