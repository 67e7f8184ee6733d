import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { missing, runs } from "./needs.ts";

/** A call that starts a program of a name: Deno itself is started by its path. */
const STARTS = /\b(?:Deno\.Command|runCommand|spawn|run)\(\s*"([\w./-]+)"/g;

function* filesIn(folder: URL): Generator<URL> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* filesIn(new URL(`${name}/`, folder));
    else if (name.endsWith(".ts")) yield new URL(name, folder);
  }
}

Deno.test("every test that starts a program other than Deno declares what it needs", () => {
  const starting: string[] = [];
  for (const url of filesIn(new URL("./", import.meta.url))) {
    const text = Deno.readTextFileSync(url);
    // macOS has `ps` wherever it is: Linux is asked by /proc.
    const programs = [...text.matchAll(STARTS)].map(([, program]) => program!).filter((name) =>
      name !== "ps"
    );
    if (programs.length === 0) continue;
    starting.push(url.pathname);
    ok(
      /\bmissing\w*\b/.test(text),
      `${url.pathname} starts ${programs.join()} and does not use tests/needs.ts`,
    );
  }
  ok(starting.length > 7, starting.join());
});

Deno.test("missing requirements are named, and nothing is reported if all are there", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/there`, "");
    deepStrictEqual(missing(`${folder}/there`), undefined);
    deepStrictEqual(missing("no-such-a", `${folder}/there`, "no-such-b"), "no-such-a and no-such-b");
    strictEqual(runs(Deno.execPath(), "--version"), true);
    strictEqual(runs("no-such-a"), false);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
