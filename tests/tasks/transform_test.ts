/** `deno task transform` as it is typed: tests without a server, push and pull with one. */
import { deepStrictEqual, match, strictEqual } from "node:assert";
import { ADMIN_TOKEN, runCommand, startServer, tempDir } from "../process/server.ts";

const transform = (args: string[], env: Record<string, string> = {}) =>
  runCommand(Deno.execPath(), ["task", "--quiet", "transform", ...args], env);

async function write(folder: string, path: string, content: unknown): Promise<void> {
  await Deno.mkdir(`${folder}/${path.split("/")[0]}`, { recursive: true });
  const text = typeof content === "string" ? content : JSON.stringify(content);
  await Deno.writeTextFile(`${folder}/${path}`, text);
}

const DROP = {
  kind: "rules",
  rules: [{ drop: {}, where: { event: "Test" } }],
  tests: [{ name: "tests are dropped", event: { type: "track", userId: "u", event: "Test" }, expect: null }],
};
const CODE = "export default (event) => ({ ...event, properties: { ok: true } });\n";

Deno.test("deno task transform test runs the tests of files, and ends with 1 if one fails", async () => {
  await using dir = await tempDir();
  await write(dir.path, "transformations/drop.json", DROP);
  await write(dir.path, "transformations/code.js", CODE);
  const path = `${dir.path}/transformations`;
  const passed = await transform(["test", `${path}/drop.json`, `${path}/code.js`]);
  deepStrictEqual([passed.code, passed.stdout.trim().split("\n").map((line) => line.slice(path.length))], [
    0,
    [
      "/drop.json: 1 of 1 tests passed",
      "/code.js: 0 of 0 tests passed",
    ],
  ]);
  await write(dir.path, "transformations/code.json", {
    kind: "javascript",
    tests: [{ name: "is wrong", event: { type: "page", userId: "u" }, expect: null }],
  });
  const failed = await transform(["test", `${path}/code.json`]);
  strictEqual(failed.code, 1);
  match(failed.stderr, /code\.json: "is wrong" failed: expected null; got \{/);
  await write(dir.path, "transformations/code.js", "export default (event) => {\n  return event +;\n}");
  const unread = await transform(["test", `${path}/code.js`]);
  strictEqual(unread.code, 1);
  match(unread.stderr, /code\.js:2: Unexpected token/);
});

Deno.test("push saves a folder and pull writes one; both show what differs, and --dry-run changes nothing", async () => {
  await using dir = await tempDir();
  await using server = await startServer(`${dir.path}/kv.db`);
  const env = { SIGNALFOLD_URL: server.url, ADMIN_TOKEN };
  const list = async () => {
    const { body } = await server.ask("/api/v1/admin/transformations");
    return body.transformations.map(({ name, version }: { name: string; version: number }) =>
      `${name} ${version}`
    );
  };
  const mine = `${dir.path}/mine`;
  await write(mine, "transformations/drop%20tests.json", DROP);
  await write(mine, "transformations/code.js", CODE);
  await write(mine, "destinations/hook.json", {
    kind: "webhook",
    transformations: ["drop tests", "code"],
    settings: { url: "https://example.invalid/hook" },
  });
  const dry = await transform(["push", mine, "--dry-run"], env);
  strictEqual(dry.code, 0, dry.stderr);
  match(dry.stdout, /^\+export default \(event\)/m);
  match(dry.stdout, /3 definitions would be saved/);
  deepStrictEqual(await list(), []);
  const pushed = await transform(["push", mine], env);
  strictEqual(pushed.code, 0, pushed.stderr);
  deepStrictEqual(await list(), ["code 1", "drop tests 1"]);
  match((await transform(["push", mine], env)).stdout, /^nothing differs$/m);

  const theirs = `${dir.path}/theirs`;
  match((await transform(["pull", theirs, "--dry-run"], env)).stdout, /3 definitions would be written/);
  strictEqual(await Deno.stat(theirs).then(() => true, () => false), false);
  strictEqual((await transform(["pull", theirs], env)).code, 0);
  strictEqual(await Deno.readTextFile(`${theirs}/transformations/code.js`), CODE);
  deepStrictEqual(JSON.parse(await Deno.readTextFile(`${theirs}/transformations/drop%20tests.json`)), DROP);
  match((await transform(["pull", theirs], env)).stdout, /^nothing differs$/m);
  match((await transform(["push", theirs], env)).stdout, /^nothing differs$/m);

  await write(mine, "transformations/code.json", {
    kind: "javascript",
    tests: [{ name: "fails", event: { type: "page", userId: "u" }, expect: null }],
  });
  await write(mine, "transformations/drop%20tests.json", { ...DROP, rules: [{ drop: {} }] });
  const refused = await transform(["push", mine], env);
  strictEqual(refused.code, 2);
  match(refused.stderr, /transformations\/code is refused: .*tests\.0 "fails" failed/);
  deepStrictEqual(await list(), ["code 1", "drop tests 1"]);
});

const WRONG: [args: string[], says: RegExp][] = [
  [[], /no command is given/],
  [["frob"], /there is no command frob/],
  [["test"], /test takes FILE/],
  [["push"], /push takes DIR/],
  [["push", "a", "b"], /push takes DIR/],
  [["pull", "a"], /ADMIN_TOKEN must be set/],
  [["test", "none.json"], /none\.json does not exist/],
  [["push", ".", "--loud"], /unknown option --loud/],
];

Deno.test("wrong arguments end the task with one line", async () => {
  for (const [args, says] of WRONG) {
    const { code, stderr } = await transform(args);
    strictEqual(code, 2, args.join(" "));
    match(stderr, says);
  }
});
