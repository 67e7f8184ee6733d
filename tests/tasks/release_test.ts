/** `deno task release` in repositories of its own, whose tests are one line. */
import { deepStrictEqual, match, ok } from "node:assert";
import { tempDir } from "../process/server.ts";
import { missing, testWhere } from "../needs.ts";

const RELEASE = new URL("../../tasks/release.ts", import.meta.url).pathname;

interface Given {
  version?: string;
  changelog?: string;
  /** What the tests of the repository exit with. */
  tests?: number;
  /** Whether there is a database of version 0.3. */
  old?: boolean;
}

async function run(cwd: string, program: string, ...args: string[]) {
  const env = { NO_COLOR: "1", GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" };
  const { code, stdout, stderr } = await new Deno.Command(program, { args, cwd, env }).output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), error: text.decode(stderr) };
}

/** A repository with one commit, and how a release in it ends. */
async function repository(
  {
    version = "0.4.0",
    changelog = "## 0.4.0 (TODAY)\n\n- One.\n\n## 0.3.0 (2026-11-24)\n",
    tests = 0,
    old = true,
  }: Given = {},
) {
  const dir = await tempDir();
  const write = (path: string, text: string) => Deno.writeTextFile(`${dir.path}/${path}`, text);
  const tasks = { check: "exit 0", "test:all": `exit ${tests}` };
  await write("deno.json", JSON.stringify({ version, tasks }));
  await write(
    "CHANGELOG.md",
    `# Changelog\n\n${changelog}`.replace("TODAY", new Date().toISOString().slice(0, 10)),
  );
  if (old) {
    await Deno.mkdir(`${dir.path}/tests/tasks/version_0_3`, { recursive: true });
    await write("tests/tasks/version_0_3/signalfold.db.gz", "x");
  }
  const git = (...args: string[]) =>
    run(dir.path, "git", "-c", "user.name=t", "-c", "user.email=t@t", ...args);
  for (const args of [["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"], ["config", "user.name", "t"]]) {
    deepStrictEqual((await git(...args)).code, 0);
  }
  await git("config", "user.email", "t@t");
  return {
    write,
    release: (...args: string[]) =>
      run(
        dir.path,
        Deno.execPath(),
        "run",
        "--no-prompt",
        "--no-config",
        "--allow-read",
        "--allow-run",
        RELEASE,
        ...args,
      ),
    tags: async () => (await git("tag")).out,
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

testWhere(missing("git"), {
  name: "a release that is ready is tagged once, and not by a dry run",
  async fn() {
    await using made = await repository();
    const tried = await made.release("--dry-run");
    deepStrictEqual([tried.code, await made.tags()], [0, ""], tried.error);
    match(tried.out, /0\.4\.0 can be released/);
    const done = await made.release();
    deepStrictEqual([done.code, await made.tags()], [0, "v0.4.0\n"], done.error);
    const again = await made.release();
    deepStrictEqual(again.code, 2);
    match(again.error, /the tag v0\.4\.0 exists already/);
  },
});

const REFUSED: [name: string, given: Given, error: RegExp][] = [
  ["whose version is missing in the changelog", { version: "0.5.0" }, /must begin with version 0\.5\.0/],
  ["without its date", { changelog: "## 0.4.0\n\n- One.\n" }, /the heading must be "## 0\.4\.0 \(/],
  ["without an entry", { changelog: "## 0.4.0 (TODAY)\n\n## 0.3.0\n\n- Old.\n" }, /no entry for 0\.4\.0/],
  [
    "that is not later than the last",
    { changelog: "## 0.4.0 (TODAY)\n\n- One.\n\n## 0.10.0\n" },
    /later than 0\.10\.0/,
  ],
  ["whose tests fail", { tests: 1 }, /deno task test:all failed/],
  ["without a database of the version before", { old: false }, /version_0_3.* is missing/],
  ["with a strange version", { version: "next" }, /version must be like 0\.4\.0; got next/],
];

for (const [name, given, error] of REFUSED) {
  testWhere(missing("git"), {
    name: `a release ${name} ends with status 2 and one line, and is not tagged`,
    async fn() {
      await using made = await repository(given);
      const end = await made.release();
      deepStrictEqual([end.code, await made.tags()], [2, ""]);
      match(end.error.trim().split("\n").at(-1)!, error);
    },
  });
}

testWhere(missing("git"), {
  name: "a release with changes that are not committed is refused by the name of the file",
  async fn() {
    await using made = await repository();
    await made.write("new.ts", "");
    const end = await made.release();
    deepStrictEqual(end.code, 2);
    ok(end.error.includes("new.ts"), end.error);
  },
});
