/** Hunts for planted bugs: first in the history that found a bug last time. */
import FOUND from "./found.json" with { type: "json" };
import { loadCode } from "../../simulation/product.ts";
import { runHistory } from "./history.ts";
import type { AudienceBug } from "./planted.ts";

/** A planted bug is found within so many histories. */
export const BUG_HISTORIES = 400;

/** A history repeats what happens, but not to the write when: the one that found a bug is lived through so often. */
const TRIES = 3;

/** The history that found a bug when `deno task sim:audiences --every-bug` last ran. */
const found: Readonly<Record<string, number>> = FOUND;

/** A history that a planted bug breaks, and how; `undefined` where there is none. */
export async function huntBug(
  { name, patch }: AudienceBug,
): Promise<{ seed: number; problem: string } | undefined> {
  const code = await loadCode([patch]);
  const errorOf = (seed: number) => runHistory(seed, code).then(() => undefined, (error: Error) => error);
  const last = Array<number>(TRIES).fill(found[name] ?? 1);
  for (const seed of [...last, ...Array.from({ length: BUG_HISTORIES }, (_, n) => n + 1)]) {
    const error = await errorOf(seed);
    if (error === undefined) continue;
    // A patch that breaks the code, rather than a rule, would be found too.
    if (error.cause instanceof ReferenceError || error.cause instanceof TypeError) throw error;
    return { seed, problem: error.message };
  }
  return undefined;
}
