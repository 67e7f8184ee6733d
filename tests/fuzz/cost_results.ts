/**
 * The file that a run of floods writes, so that one that was stopped can go on: a line with the shapes, then a line for
 * each flood that has ended.
 */
import type { CostResult } from "./cost.ts";
import type { Shape } from "./cost_shapes.ts";

/** A run, as far as it got. */
export interface CostRun {
  shapes: readonly Shape[];
  results: readonly CostResult[];
}

/** Reads the file of an earlier run; nothing where there is none. A last line that was cut short does not count. */
export async function readRun(path: string): Promise<CostRun | undefined> {
  const text = await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  });
  const [first, ...rest] = text.split("\n").slice(0, -1);
  if (first === undefined) return undefined;
  return { shapes: JSON.parse(first).shapes, results: rest.map((line) => JSON.parse(line)) };
}

/** Begins the file of a run, over whatever stands in it. */
export async function beginRun(path: string, { shapes, results }: CostRun): Promise<void> {
  await Deno.writeTextFile(
    path,
    [{ shapes }, ...results].map((line) => `${JSON.stringify(line)}\n`).join(""),
  );
}

/** Adds a flood that has ended. */
export async function addResult(path: string, result: CostResult): Promise<void> {
  await Deno.writeTextFile(path, `${JSON.stringify(result)}\n`, { append: true });
}
