/** What is written names files that exist. */
import { deepStrictEqual, ok } from "node:assert/strict";

const ROOT = new URL("../", import.meta.url);

/** A path of a file of ours, from the root. */
const PATH = /(?<=[`(\s])(?:\.\.\/)*((?:actors|bench|docs|domain|ingest|routes|tasks|tests)\/[\w/-]+\.\w+)/g;

/** Markdown files of the root and of `docs/`, and the sources of a place, whose comments name files too. */
function filesIn(folder: string, ending: string): string[] {
  return [...Deno.readDirSync(new URL(folder, ROOT))].flatMap(({ name, isDirectory }) => {
    if (isDirectory) return folder === "./" ? [] : filesIn(`${folder}${name}/`, ending);
    return name.endsWith(ending) ? [`${folder}${name}`] : [];
  });
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(new URL(path, ROOT)).isFile;
  } catch {
    return false;
  }
}

Deno.test("every file that the documents and the comments name exists", () => {
  const texts = [
    ...filesIn("./", ".md"),
    ...filesIn("docs/", ".md"),
    ...["actors/", "domain/", "routes/", "tasks/", "bench/"].flatMap((folder) => filesIn(folder, ".ts")),
  ];
  const named = texts.flatMap((file) =>
    [...Deno.readTextFileSync(new URL(file, ROOT)).matchAll(PATH)].map(([, path]) => ({ file, path: path! }))
  );
  ok(named.length > 50, `${named.length} paths are found`);
  deepStrictEqual(named.filter(({ path }) => !exists(path)), []);
});
