/** Tests that planted bugs are found: a file for each group of them, so that groups are hunted in parallel. */
import { ok } from "node:assert/strict";
import { hunt } from "./hunt.ts";
import type { Bug } from "./product.ts";

/** A planted bug is found within so many histories. */
const BUG_HISTORIES = 2_000;

/** Adds a test for each bug of a group. */
export function testBugs(bugs: readonly Bug[]): void {
  for (const { name, rule } of bugs) {
    Deno.test(`a planted bug is found: ${name}`, async () => {
      const { find } = await hunt({ from: 1, histories: BUG_HISTORIES, bug: name, workers: 1 });
      ok(find !== undefined, `not found in ${BUG_HISTORIES} histories; it breaks: ${rule}`);
      // A patch that breaks the code, rather than a rule, would be found too.
      ok(!/(Reference|Syntax)Error/.test(find.violation), find.violation);
    });
  }
}
