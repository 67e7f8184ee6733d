/** `deno task release`: checks that a version is ready, and tags it. */
import { parseExact } from "../domain/event/exact_json.ts";
import { readArguments } from "./arguments.ts";
import { fail, say } from "./output.ts";

const HELP = `deno task release [--dry-run]

Checks that the version of deno.json can be released, and tags the last commit with it (v0.4.0). Everything must be
committed; CHANGELOG.md must begin with the version and today's date (UTC); the tests must hold a database of the version
before, with which they test the upgrade; and deno task check and deno task test:all must pass. Nothing is pushed.

  --dry-run   check everything, and make no tag`;

/** A version and its date, if it has one: `## 0.4.0 (2026-12-01)`. */
const HEADING = /^## (\d+\.\d+\.\d+)(?: \((\d{4}-\d{2}-\d{2})\))?$/gm;

const { values } = readArguments({ help: HELP, options: { "dry-run": { type: "boolean" } } });

const { version } = parseExact(Deno.readTextFileSync("deno.json")) as { version: string };
if (!/^\d+\.\d+\.\d+$/.test(version)) fail(`deno.json: version must be like 0.4.0; got ${version}`);
const tag = `v${version}`;

const previous = checkChangelog();
await checkRepository();
checkUpgrade(previous);
for (const task of ["check", "test:all"]) {
  say(`deno task ${task}`);
  if (!await succeeds(Deno.execPath(), "task", "--quiet", task)) {
    fail(`deno task ${task} failed; no tag is made`);
  }
}
if (values["dry-run"]) {
  say(`${version} can be released; no tag is made, because of --dry-run`);
} else {
  if (!await succeeds("git", "tag", "--annotate", tag, "--message", `signalfold ${version}`)) {
    fail(`git failed to make the tag ${tag}`);
  }
  say(`tagged ${tag}; git push origin ${tag} publishes it`);
}

/** Checks the first heading of the changelog; gives the version of the second, or nothing if it is the first version. */
function checkChangelog(): string | undefined {
  const text = Deno.readTextFileSync("CHANGELOG.md");
  const [first, second] = [...text.matchAll(HEADING)];
  if (first?.[1] !== version) {
    fail(`CHANGELOG.md must begin with version ${version}; it begins with ${first?.[1] ?? "none"}`);
  }
  const today = new Date().toISOString().slice(0, 10);
  if (first[2] !== today) {
    fail(`CHANGELOG.md: the heading must be "## ${version} (${today})"; got "${first[0]}"`);
  }
  const entries = text.slice(first.index + first[0].length, second?.index);
  if (!/^- /m.test(entries)) fail(`CHANGELOG.md has no entry for ${version}`);
  if (second !== undefined && !isLater(version, second[1]!)) {
    fail(`version ${version} of deno.json must be later than ${second[1]}, the last one of CHANGELOG.md`);
  }
  return second?.[1];
}

function isLater(version: string, other: string): boolean {
  const [a, b] = [version, other].map((each) => each.split(".").map(Number));
  const at = a!.findIndex((part, i) => part !== b![i]);
  return at >= 0 && a![at]! > b![at]!;
}

async function checkRepository(): Promise<void> {
  const changes = await outputOf("git", "status", "--porcelain");
  if (changes !== "") fail(`commit everything first; git status lists ${changes.split("\n")[0]!.trim()}`);
  if (await outputOf("git", "tag", "--list", tag) !== "") fail(`the tag ${tag} exists already`);
}

/** The tests of an upgrade open a database that the version before wrote. A patch keeps the one of its minor version. */
function checkUpgrade(previous: string | undefined): void {
  if (previous === undefined) return;
  const [major, minor] = previous.split(".");
  if (version.startsWith(`${major}.${minor}.`)) return;
  const path = `tests/tasks/version_${major}_${minor}/signalfold.db.gz`;
  try {
    Deno.statSync(path);
  } catch {
    fail(`${path} is missing: the tests need a database of version ${previous} to test the upgrade from it`);
  }
}

/** What a program prints; a failure ends the task. */
async function outputOf(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) fail(`${program} ${args[0]} failed: ${new TextDecoder().decode(stderr).split("\n")[0]}`);
  return new TextDecoder().decode(stdout).trimEnd();
}

/** Whether a program ends with status 0; what it prints is shown. */
async function succeeds(program: string, ...args: string[]): Promise<boolean> {
  return (await new Deno.Command(program, { args }).spawn().status).success;
}
