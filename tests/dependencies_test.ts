/** What others wrote and we run: of exact versions, as they were when they were looked at, and without running at install. */
import { taskCommand, TASKS } from "./task_command.ts";
import { deepStrictEqual, match, ok } from "node:assert";

const read = (path: string) => JSON.parse(Deno.readTextFileSync(new URL(`../${path}`, import.meta.url)));
const config = read("deno.json");
const lock = read("deno.lock");
const COMMANDS = Object.keys(TASKS).map((name) => [name, taskCommand(name)] as const);

interface Locked {
  integrity?: string;
  scripts?: boolean;
}

Deno.test("every package comes from npm, by one exact version", () => {
  const imports = Object.values<string>(config.imports);
  ok(imports.length > 3);
  for (const specifier of imports) {
    match(specifier, /^npm:(@[\w.-]+\/)?[\w.-]+@\d+\.\d+\.\d+$/);
    ok(specifier in lock.specifiers, specifier);
  }
  deepStrictEqual(Object.keys(lock.specifiers).filter((each) => !each.startsWith("npm:")), []);
  deepStrictEqual([lock.remote, lock.redirects, lock.jsr], [undefined, undefined, undefined]);
});

Deno.test("the lock is frozen, and has a digest of every package and of their dependencies", () => {
  deepStrictEqual(config.lock, { path: "deno.lock", frozen: true });
  const packages = Object.entries<Locked>(lock.npm);
  ok(packages.length >= Object.keys(config.imports).length);
  for (const [name, { integrity }] of packages) match(integrity ?? "", /^sha512-[A-Za-z0-9+/]{86}==$/, name);
  for (const [name, command] of COMMANDS) {
    ok(!/--no-lock|--frozen=false|--lock=/.test(command), name);
  }
});

Deno.test("no package runs anything when it is installed", () => {
  const withScripts = Object.entries<Locked>(lock.npm).filter(([, { scripts }]) => scripts === true);
  deepStrictEqual(withScripts, [], "Deno marks a package with an install script so in the lock");
  for (const [name, command] of COMMANDS) {
    ok(!command.includes("--allow-scripts"), name);
  }
  deepStrictEqual([config.allowScripts, config.nodeModulesDir], [undefined, "none"]);
});

Deno.test("the task that SQLite needs all permissions for may load no package and nothing from outside", () => {
  const run = taskCommand("vacuum").split("&&").at(-1)!;
  ok(run.includes(" --no-npm ") && run.includes(" --no-remote "), run);
});

Deno.test("the tasks for production are given permissions by name, and never all", () => {
  for (const name of ["start", "dev", "replay", "export", "import", "keys"]) {
    ok(!/--allow-(all|run|ffi|sys|import)\b|(^|\s)-A(\s|$)/.test(taskCommand(name)), name);
    ok(!/--allow-(env|write)(\s|$)/.test(taskCommand(name)), name);
  }
});
