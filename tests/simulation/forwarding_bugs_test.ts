import { ok } from "node:assert";
import fc from "fast-check";
import { STREAM_BUGS } from "../actors/delivery/planted.ts";
import { streamProperty } from "../actors/delivery/stream_histories.ts";
import { loadCode } from "./product.ts";

/** Histories in which a planted bug must show, and the seed of the first. */
const HISTORIES = 2_000;
const SEED = 1;

for (const { name, patch } of STREAM_BUGS) {
  Deno.test(`random histories of a stream find the planted bug "${name}"`, async () => {
    const code = await loadCode([patch]);
    let isFound = false;
    for (const heldInMemory of [0, 3, 1_000]) {
      if (isFound) break;
      const property = streamProperty(code, heldInMemory);
      const { failed, errorInstance } = await fc.check(property, {
        numRuns: HISTORIES,
        seed: SEED,
        endOnFailure: true,
      });
      isFound = failed;
      // A patch that breaks the code, rather than a rule, would be found too.
      if (failed) ok(!/(Reference|Syntax)Error/.test(String(errorInstance)), String(errorInstance));
    }
    ok(isFound, `not found in ${HISTORIES} histories`);
  });
}
