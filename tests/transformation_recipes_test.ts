/** The recipes of `docs/transformations.md`: each is a transformation that can be saved, and its tests pass. */
import { deepStrictEqual, ok } from "node:assert";
import { failedCases, runnableOf } from "../actors/transformation/run_definition.ts";
import { createSandbox } from "../actors/transformation/sandbox.ts";
import { systemClock } from "../actors/store/clock.ts";
import { definitionOf, draftSchema } from "../domain/transformation/definition.ts";

const TEXT = Deno.readTextFileSync(new URL("../docs/transformations.md", import.meta.url));
const RECIPES = /^## Recipes\n([^]*?)^## /m.exec(TEXT)![1]!.split(/^### /m).slice(1);

/** The recipe of a section: a definition as JSON, or code with its tests as JSON. */
function recipeOf(section: string): unknown {
  const blockOf = (language: string) => RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, "m").exec(section)?.[1];
  const code = blockOf("js");
  const rest = JSON.parse(blockOf("json")!);
  return code === undefined ? rest : { kind: "javascript", code, ...rest };
}

Deno.test("there are twenty recipes", () => ok(RECIPES.length >= 20, String(RECIPES.length)));

for (const section of RECIPES) {
  const name = section.split("\n", 1)[0]!;
  Deno.test(`the recipe "${name}" works`, async () => {
    const draft = draftSchema.parse(recipeOf(section));
    const sandbox = createSandbox({ clock: systemClock, onFault: (error) => ok(false, String(error)) });
    const runnable = runnableOf(definitionOf(draft, undefined), { key: name, version: name, sandbox });
    ok(!("problem" in await runnable.load()));
    ok(draft.tests !== undefined && draft.tests.length > 0);
    deepStrictEqual(await failedCases(runnable, draft.tests), []);
    sandbox.close();
  });
}
