import { deepStrictEqual } from "node:assert";
import denoJson from "../deno.json" with { type: "json" };

/** The files of tests below a folder, by their paths from the root. */
function testFiles(folder: string): string[] {
  return [...Deno.readDirSync(new URL(`../${folder}/`, import.meta.url))].flatMap(({ name, isDirectory }) => {
    if (isDirectory) return testFiles(`${folder}/${name}`);
    return name.endsWith("_test.ts") ? [`${folder}/${name}`] : [];
  });
}

/** What a task runs: folders, and the files that stand beside them. */
function pathsOf(task: "test" | "test:slow"): string[] {
  return denoJson.tasks[task].split(" ").filter((word) => word.startsWith("tests/"));
}

function has(path: string, file: string): boolean {
  if (path === "tests/*_test.ts") return !file.slice("tests/".length).includes("/");
  return file.startsWith(path);
}

Deno.test("each test is in one suite: the quick one, or the slow one", () => {
  const suites = (["test", "test:slow"] as const).map(pathsOf);
  const wrong = testFiles("tests").filter((file) =>
    suites.filter((paths) => paths.some((path) => has(path, file))).length !== 1
  );
  deepStrictEqual(wrong, []);
  deepStrictEqual(denoJson.tasks["test:all"], "deno task test && deno task test:slow");
});
