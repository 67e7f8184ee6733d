import { taskCommand, TASKS } from "./task_command.ts";
import { deepStrictEqual, ok } from "node:assert";

/** The files of tests below a folder, by their paths from the root. */
function testFiles(folder: string): string[] {
  return [...Deno.readDirSync(new URL(`../${folder}/`, import.meta.url))].flatMap(({ name, isDirectory }) => {
    if (isDirectory) return testFiles(`${folder}/${name}`);
    return name.endsWith("_test.ts") ? [`${folder}/${name}`] : [];
  });
}

/** Whether a task runs a file: by its path, its folder, or as a file beside the folders, and not by one that it leaves out. */
function runs(task: "test" | "test:slow", file: string): boolean {
  const words = taskCommand(task).split(" ");
  const ignored = words.flatMap((word) => word.startsWith("--ignore=") ? word.slice(9).split(",") : []);
  const isBeside = !file.slice("tests/".length).includes("/");
  return !ignored.includes(file) &&
    words.some((word) =>
      word.startsWith("tests/") && (word === "tests/*_test.ts" ? isBeside : file.startsWith(word))
    );
}

Deno.test("each test is in one suite: the quick one, or the slow one", () => {
  deepStrictEqual(testFiles("tests").filter((file) => runs("test", file) === runs("test:slow", file)), []);
  deepStrictEqual(taskCommand("test:all"), "deno task test && deno task test:slow");
});

Deno.test("every task has a description, and dev and start print no long command", () => {
  for (const [name, { description, command }] of Object.entries(TASKS)) {
    ok(description.length > 3, name);
    if (["dev", "start"].includes(name)) ok(command.length < 80, command);
  }
});
