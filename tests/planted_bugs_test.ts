/** What a change of the source may break of the simulation, told at once: the hunts themselves take minutes. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import FOUND from "./simulation/bugs/found.json" with { type: "json" };
import { BUGS } from "./simulation/planted.ts";
import { patchedFiles } from "./simulation/product.ts";

Deno.test("each patch that plants a bug fits the source once", async () => {
  const unfit: string[] = [];
  for (const { name, patches } of BUGS) {
    await patchedFiles(patches).catch(({ message }) => unfit.push(`${name}: ${message}`));
  }
  deepStrictEqual(unfit, []);
});

Deno.test("a patch that does not fit the source, or fits twice, is refused", async () => {
  for (const find of ["no such words", "import "]) {
    const refused = await patchedFiles([{ file: "actors/appending/appender.ts", find, replace: "" }]).then(
      () => undefined,
      (error: Error) => error.message,
    );
    ok(refused?.startsWith("a patch of actors/appending/appender.ts fits "), String(refused));
  }
});

Deno.test("found.json has a history for each planted bug (deno task sim --every-bug writes it)", () => {
  deepStrictEqual(Object.keys(FOUND).sort(), BUGS.map(({ name }) => name).sort());
});

Deno.test("there are planted bugs for each rule, no two of one name", () => {
  ok(BUGS.length >= 79, `${BUGS.length} bugs`);
  strictEqual(new Set(BUGS.map(({ name }) => name)).size, BUGS.length);
});
