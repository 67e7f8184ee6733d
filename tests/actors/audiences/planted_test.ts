import { deepStrictEqual } from "node:assert/strict";
import FOUND from "./found.json" with { type: "json" };
import { AUDIENCE_BUGS } from "./planted.ts";
import { patchedFiles } from "../../simulation/product.ts";

Deno.test("each patch that plants a bug in audiences fits the source once", async () => {
  const unfit: string[] = [];
  for (const { name, patch } of AUDIENCE_BUGS) {
    await patchedFiles([patch]).catch(({ message }) => unfit.push(`${name}: ${message}`));
  }
  deepStrictEqual(unfit, []);
});

Deno.test("found.json has a history for each bug planted in audiences (deno task sim:audiences --every-bug writes it)", () => {
  deepStrictEqual(Object.keys(FOUND).sort(), AUDIENCE_BUGS.map(({ name }) => name).sort());
});
