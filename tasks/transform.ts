/** `deno task transform`: transformations and destinations as code, in somebody's own repository. */
import { createTwoFilesPatch } from "diff";
import { systemClock } from "../actors/store/clock.ts";
import { failedCases, runnableOf } from "../actors/transformation/run_definition.ts";
import { createSandbox } from "../actors/transformation/sandbox.ts";
import { canonicalJson, isObject } from "../domain/event/json.ts";
import { definitionOf } from "../domain/transformation/definition.ts";
import { readArguments } from "./arguments.ts";
import { fail, say, warn } from "./output.ts";
import { type Defined, filesOf, readFolder, readTransformation, writeFiles } from "./transform_files.ts";
import { readServer, save, serverOf } from "./transform_server.ts";

const HELP = `deno task transform COMMAND

Keeps transformations and destinations as files: transformations/NAME.json, with the code of JavaScript in NAME.js beside
it, and destinations/NAME.json. Names are percent-encoded.

  test FILE...          run the tests of transformations, without a server; status 1 if one fails
  push DIR [--dry-run]  show what differs on the server, and save it there
  pull DIR [--dry-run]  show what differs in the folder, and write it there

  --dry-run  change nothing
  --help     this text

push and pull need SIGNALFOLD_URL (default: http://127.0.0.1:8000) and ADMIN_TOKEN. Nothing is deleted. Secrets are never
pulled: a param "***" keeps the value that the server has.`;

const { values, positionals } = readArguments({
  help: HELP,
  options: { "dry-run": { type: "boolean" } },
  names: ["COMMAND", "FILE..."],
});
const [command, ...paths] = positionals;
const dryRun = values["dry-run"] ?? false;

if (command === "test") await test();
else if (command === "push") await push(onlyFolder());
else if (command === "pull") await pull(onlyFolder());
else fail(command === undefined ? "no command is given" : `there is no command ${command}`, HELP);

function onlyFolder(): string {
  const [folder, ...more] = paths;
  if (folder === undefined || more.length > 0) {
    fail(`${command} takes DIR; got ${paths.length} arguments`, HELP);
  }
  return folder.replace(/\/+$/, "");
}

/** Runs the tests of files, and ends the task with status 1 if one fails. */
async function test(): Promise<void> {
  if (paths.length === 0) fail("test takes FILE...; got 0 arguments", HELP);
  if (dryRun) fail("test takes no --dry-run: it changes nothing", HELP);
  const sandbox = createSandbox({ clock: systemClock, onFault: (error) => warn(String(error)) });
  let failures = 0;
  for (const path of paths) {
    const draft = await readTransformation(path);
    const runnable = runnableOf(definitionOf(draft, undefined), { key: path, version: path, sandbox });
    const loaded = await runnable.load();
    if ("problem" in loaded) {
      const { message, line } = loaded.problem;
      warn(`${path}${line === undefined ? "" : `:${line}`}: ${message}`);
      failures++;
      continue;
    }
    const tests = draft.tests ?? [];
    const failed = await failedCases(runnable, tests);
    for (const { name, message } of failed) warn(`${path}: ${JSON.stringify(name)} failed: ${message}`);
    failures += failed.length;
    say(`${path}: ${tests.length - failed.length} of ${tests.length} tests passed`);
  }
  sandbox.close();
  Deno.exit(failures === 0 ? 0 : 1);
}

/** Saves what differs on the server: transformations first, since destinations name them. */
async function push(folder: string): Promise<void> {
  const server = serverOf();
  const theirs = await readServer(server);
  const changed = (await readFolder(folder)).filter((mine) => !isSame(mine, find(theirs, mine)));
  for (const mine of changed) show(mine, { before: find(theirs, mine), after: mine });
  // All are checked before anything is saved.
  for (const mine of changed) if (mine.kind === "transformations") await save(server, mine, { dryRun: true });
  if (!dryRun) { for (const mine of changed) await save(server, mine, { dryRun: false }); }
  report(changed.length, dryRun ? "would be saved" : "saved");
}

/** Writes what differs in the folder. */
async function pull(folder: string): Promise<void> {
  const theirs = await readServer(serverOf());
  const mine = await readFolderIfAny(folder);
  const changed = theirs.filter((each) => !isSame(each, find(mine, each)));
  for (const each of changed) show(each, { before: find(mine, each), after: each });
  if (!dryRun) { for (const each of changed) await writeFiles(filesOf(folder, each)); }
  report(changed.length, dryRun ? "would be written" : "written");
}

async function readFolderIfAny(folder: string): Promise<Defined[]> {
  for (const kind of ["transformations", "destinations"]) {
    const isThere = await Deno.stat(`${folder}/${kind}`).then(() => true, () => false);
    if (isThere) return await readFolder(folder);
  }
  return [];
}

function find(among: readonly Defined[], { kind, name }: Defined): Defined | undefined {
  return among.find((each) => each.kind === kind && each.name === name);
}

/** Whether a definition says nothing that the other one does not; a param with a value of its own is always news. */
function isSame(one: Defined, other: Defined | undefined): boolean {
  if (other === undefined) return false;
  return one.kind === "destinations"
    ? isWithin(one.body, other.body)
    : canonicalJson(one.body) === canonicalJson(other.body);
}

/** Whether each member of one value is in the other: a file need not repeat the defaults of a destination. */
function isWithin(value: unknown, other: unknown): boolean {
  if (!isObject(value) || !isObject(other)) return canonicalJson(value) === canonicalJson(other);
  return Object.keys(value).every((key) => Object.hasOwn(other, key) && isWithin(value[key], other[key]));
}

/** Shows what changes in the files of a definition. */
function show(what: Defined, { before, after }: { before: Defined | undefined; after: Defined }): void {
  const [old, next] = [before && filesOf(".", before), filesOf(".", after)];
  for (const [path, text] of next) {
    const standing = old?.get(path) ?? "";
    if (standing === text) continue;
    const patch = createTwoFilesPatch(before === undefined ? "nothing" : path, path, standing, text, "", "");
    // The first line of a patch is a rule.
    for (const line of patch.trimEnd().split("\n").slice(1)) say(line);
  }
  if (before === undefined) say(`${what.kind}/${what.name} is new`);
}

function report(count: number, verb: string): void {
  say(count === 0 ? "nothing differs" : `${count} ${count === 1 ? "definition" : "definitions"} ${verb}`);
}
