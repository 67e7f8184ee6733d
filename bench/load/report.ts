/** Results as text: a table for each shape, then the bars. */
import type { Result } from "./measure.ts";
import { BARS, type Figure, type Shape } from "./shapes.ts";

/** A bar with what was reached. */
export interface Outcome {
  says: string;
  ratio: number;
  bar: string;
  met: boolean;
}

const HEADINGS = ["target", "events/s", "of bare", "p50 ms", "p99 ms", "max ms", "settling s", "not 2xx"];
const MORE = ["peak MB", "cores", "wrk cores"];

/** The figures of one shape, a line for each target. */
export function shapeTable(shape: Shape, results: Result[]): string {
  const ceiling = results.find(({ target }) => target === "bare")?.eventsPerS;
  const rows = results.map((result) => [
    result.target,
    Math.round(result.eventsPerS).toLocaleString("en-US"),
    ceiling === undefined ? "-" : (result.eventsPerS / ceiling).toFixed(2),
    ...[result.p50Ms.toFixed(1), result.p99Ms.toFixed(1), result.maxMs.toFixed(0)]
      .map((cell) => result.answers === 0 ? "none" : cell),
    result.settleS.toFixed(2),
    String(result.non2xx + result.socketErrors),
    result.peakRssMb.toFixed(0),
    result.serverCores.toFixed(2),
    result.wrkCores.toFixed(2),
  ]);
  const wrong = results.filter(({ non2xx, socketErrors }) => non2xx + socketErrors > 0)
    .map(({ target, non2xx, socketErrors }) =>
      `!!! ${target}: ${non2xx} answers that are not 2xx, ${socketErrors} socket errors: these figures mean nothing`
    );
  return [`${shape.name}: ${shape.says}`, ...table([[...HEADINGS, ...MORE], ...rows]), ...wrong, ""].join(
    "\n",
  );
}

/** The bars whose two figures were both measured. */
export function outcomes(results: Result[]): Outcome[] {
  const value = ({ target, shape, of }: Figure) =>
    results.find((result) => result.target === target && result.shape === shape)?.[of];
  return BARS.flatMap(({ says, figure, against, atLeast, atMost }) => {
    const [reached, other] = [value(figure), value(against)];
    if (!reached || !other) return [];
    const ratio = reached / other;
    const bar = atLeast !== undefined ? `>= ${atLeast}` : `<= ${atMost}`;
    return [{ says, ratio, bar, met: ratio >= (atLeast ?? 0) && ratio <= (atMost ?? Infinity) }];
  });
}

/** The bars, a line for each. */
export function barTable(reached: Outcome[]): string {
  if (reached.length === 0) return "No bar: none of them had both of its figures measured.";
  const rows = reached.map((
    { says, ratio, bar, met },
  ) => [says, ratio.toFixed(2), bar, met ? "met" : "missed"]);
  return table([["signalfold as a multiple of", "ratio", "bar", ""], ...rows]).join("\n");
}

/** Rows in columns; the first column is text, the others are set to the right. */
function table(rows: string[][]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row.map((cell, column) => column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))
      .join("  ")
  );
}
