/** Tests that planted bugs are found: a file for each group of them, so that groups are hunted in parallel. */
import { ok } from "node:assert/strict";
import FOUND from "./bugs/found.json" with { type: "json" };
import { live } from "./history.ts";
import { type Bug, loadProducts } from "./product.ts";

/** A planted bug is found within so many histories. */
const BUG_HISTORIES = 2_000;

/** The history that found a bug when `deno task sim --every-bug` last ran: while the code is the same it finds it again. */
const found: Readonly<Record<string, number>> = FOUND;

/** Adds a test for each bug of a group. */
export function testBugs(bugs: readonly Bug[]): void {
  for (const bug of bugs) {
    Deno.test(`a planted bug is found: ${bug.name}`, async () => {
      const violation = await hunted(bug);
      ok(violation !== undefined, `not found in ${BUG_HISTORIES} histories; it breaks: ${bug.rule}`);
      // A patch that breaks the code, rather than a rule, would be found too.
      ok(!/(Reference|Syntax)Error/.test(violation), violation);
    });
  }
}

/** What a planted bug leads to: first the history that found it last time is lived through, then all from the first on. */
async function hunted({ name, patches }: Bug): Promise<string | undefined> {
  const products = await loadProducts(patches);
  const last = await live(found[name] ?? 1, products);
  if (last.violation !== undefined) return last.violation;
  for (let seed = 1; seed <= BUG_HISTORIES; seed++) {
    const { violation } = await live(seed, products);
    if (violation !== undefined) return violation;
  }
  return undefined;
}
