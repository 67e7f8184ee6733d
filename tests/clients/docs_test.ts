/**
 * docs/clients.md is true: each of its snippets is run as it stands, but for the address and the keys, and what it sent
 * is read back. The page's links and versions are held too.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { gzipSync } from "node:zlib";
import { eventually, ROOT, runTask, tempDir } from "../process/server.ts";
import { missingForBrowser, openBrowser, type Script, serveSite } from "./browser.ts";
import { missing, testWhere } from "../needs.ts";
import { installPackages, type Packages } from "./packages.ts";
import { installSenders, javaOptions, PYTHON, SENDERS } from "./senders.ts";
import { openStage, type Stage, WRITE_KEY } from "./stage.ts";

const DOCUMENT = Deno.readTextFileSync(`${ROOT}docs/clients.md`);
const SNIPPETS = [...DOCUMENT.matchAll(/^```(?!text)(\w+)\n([^]*?)^```$/gm)].map(([, language, text]) => ({
  language: language!,
  text: text!,
}));

let stage: Stage | undefined;
let packages: Packages | undefined;

Deno.test.beforeAll(async () => {
  packages = await installPackages();
  await installSenders(packages);
  stage = await openStage();
});
Deno.test.afterAll(async () => {
  await stage?.[Symbol.asyncDispose]();
  await packages?.[Symbol.asyncDispose]();
});

/** A snippet that was not written for its reader alone: with a real address and key. */
function filled(text: string): string {
  return text.replaceAll("127.0.0.1:8000", new URL(stage!.wire.url).host)
    .replaceAll("https://api.segment.io", stage!.wire.url)
    .replaceAll("YOUR_WRITE_KEY", WRITE_KEY);
}

async function run(
  program: string,
  args: string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd, env, stdin: "null" })
    .output();
  const decoder = new TextDecoder();
  ok(success, decoder.decode(stderr));
  return decoder.decode(stdout);
}

/** What each snippet needs on this machine, and how it is run. */
const LANGUAGES: Record<string, { missing: string | undefined; run: (text: string) => Promise<unknown> }> = {
  js: {
    missing: missing("node"),
    run: (text) => {
      const file = `${packages!.path}/${crypto.randomUUID()}.mjs`;
      Deno.writeTextFileSync(file, text);
      return run("node", [file], packages!.path);
    },
  },
  py: {
    missing: SENDERS.find(({ module, missing }) => module !== undefined && missing !== undefined)?.missing,
    run: (text) => run(PYTHON, ["-c", text], ROOT),
  },
  go: {
    missing: missing("go"),
    run: (text) => {
      const file = `${packages!.path}/${crypto.randomUUID()}.go`;
      Deno.writeTextFileSync(file, text);
      return run("go", ["run", "-trimpath", file], packages!.path);
    },
  },
  java: {
    missing: missing("mvn", "java", "javac"),
    run: (text) => {
      const file = `${packages!.path}/Example.java`;
      Deno.writeTextFileSync(file, text);
      return run("java", [...javaOptions(packages!), file], packages!.path);
    },
  },
  sh: {
    missing: missing("bash", "curl"),
    run: (text) => run("bash", ["-c", text], ROOT),
  },
};

/** The user of a snippet, who is in no other. */
const userOf = (text: string) => /docs-[a-z-]+/.exec(text)?.[0];

async function arrived(userId: string): Promise<void> {
  const path = `/api/v1/users/${userId}`;
  await eventually(`${userId} ordered`, async () => {
    const { status, body } = await stage!.server.ask(path);
    return status === 200 && body.events["Order Completed"]?.count === 1;
  });
  if (userId === "docs-curl") return;
  await eventually(
    `${userId} is pro`,
    async () => (await stage!.server.ask(path)).body.traits.plan === "pro",
  );
}

for (
  const { language, text } of SNIPPETS.filter(({ text }) =>
    userOf(text) !== undefined && userOf(text) !== "docs-both"
  )
) {
  const userId = userOf(text)!;
  if (language === "html") continue;
  const { missing, run: runIt } = LANGUAGES[language]!;
  testWhere(missing, {
    name: `the snippet of ${userId} runs as it stands, and its events arrive`,
    async fn() {
      await runIt(filled(text));
      await arrived(userId);
    },
  });
}

const SCRIPTS: Record<string, Script> = {
  "docs-analytics-next": "@segment/analytics-next/dist/umd/index.js",
  "docs-customerio-browser": "@customerio/cdp-analytics-browser/dist/umd/index.js",
  "docs-hightouch-browser": "@ht-sdks/events-sdk-js-browser/dist/umd/index.js",
  "docs-rudder-browser": "@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js",
  "docs-rudder-js": "rudder-sdk-js/dist/npm/index.js",
  "docs-dittofeed-web": { bundle: "@dittofeed/sdk-web" },
  "docs-jitsu-page": "@jitsu/js/dist/jitsu.es.js",
};

for (const { text } of SNIPPETS.filter(({ language }) => language === "html")) {
  const userId = userOf(text)!;
  testWhere(missingForBrowser, {
    name: `the page of ${userId} runs as it stands, and its events arrive`,
    async fn() {
      await using site = serveSite(packages!, { script: SCRIPTS[userId]!, html: filled(text) });
      await using browser = openBrowser(packages!);
      await browser.goto(site.url);
      await arrived(userId);
      deepStrictEqual((await browser.seen()).errors, []);
    },
  });
}

const both = SNIPPETS.find(({ text }) => userOf(text) === "docs-both")!;
testWhere(LANGUAGES.js!.missing, {
  name: "the snippet that sends to both gives both the same message ids",
  async fn() {
    const { wire } = stage!;
    const before = wire.exchanges.length;
    await LANGUAGES.js!.run(filled(both.text));
    await arrived("docs-both");
    const idsBy = (key: string) =>
      wire.exchanges.slice(before).filter(({ headers }) =>
        headers.authorization === `Basic ${btoa(`${key}:`)}`
      )
        .flatMap(({ body }) =>
          JSON.parse(body).batch.map(({ messageId }: { messageId: string }) => messageId)
        );
    strictEqual(idsBy(WRITE_KEY).length, 2);
    deepStrictEqual(idsBy("YOUR_SEGMENT_KEY"), idsBy(WRITE_KEY));
  },
});

const shell = SNIPPETS.filter(({ language, text }) => language === "sh" && userOf(text) === undefined);
testWhere(missing("bash", "grep", "gzip"), {
  name: "importing Segment's exports and comparing ids go as the page says",
  async fn() {
    await using dir = await tempDir();
    strictEqual(shell.length, 2);
    const line = (n: number) =>
      JSON.stringify({
        type: "page",
        userId: "u1",
        messageId: `m${n}`,
        timestamp: "2025-03-15T14:30:00.000Z",
        receivedAt: "2025-03-15T14:30:01.000Z",
      });
    await Deno.mkdir(`${dir.path}/segment-logs`);
    for (const [name, lines] of [["a", [1, 2]], ["b", [3]]] as const) {
      await Deno.writeFile(
        `${dir.path}/segment-logs/${name}.gz`,
        gzipSync(`${lines.map(line).join("\n")}\n`),
      );
    }
    const kvPath = `${dir.path}/kv.db`;
    // The tasks run in the repository, and the snippets where the exports are.
    const npx = `npx() { shift 2; (cd "${ROOT}" && "${Deno.execPath()}" "$@"); }\n`;
    const [imported, compared] = await Promise.all(
      shell.map(({ text }) => text.replaceAll("segment-logs/", `${dir.path}/segment-logs/`)),
    );
    const env = { KV_URL: kvPath };
    const said = await run("bash", ["-c", npx + imported], dir.path, env);
    ok(said.includes("imported 3 events; 0 duplicates skipped; 0 lines rejected"), said);
    strictEqual(await run("bash", ["-c", npx + compared], dir.path, env), "");

    // And it does say so when one is missing.
    await Deno.writeFile(`${dir.path}/segment-logs/c.gz`, gzipSync(`${line(4)}\n`));
    strictEqual(await run("bash", ["-c", npx + compared], dir.path, env), '"messageId":"m4"\n');
    strictEqual((await runTask(kvPath, "replay", "--verify")).code, 0);
  },
});

Deno.test("every snippet is run by a test", () => {
  ok(SNIPPETS.every(({ language }) => language === "html" || language in LANGUAGES));
  const users = SNIPPETS.map(({ text }) => userOf(text)).filter((user) => user !== undefined);
  strictEqual(new Set(users).size, users.length);
  strictEqual(users.length + shell.length, SNIPPETS.length);
});

/** Packages of the tests that send nothing to signalfold: tools, and clients that recipes are compared with. */
const NO_SENDERS = new Set([
  "playwright-core",
  "axe-core",
  "@segment/snippet",
  "@amplitude/analytics-node",
  "customerio-node",
  "electron-google-analytics4",
  "mixpanel",
  "posthog-node",
]);

Deno.test("the page's table names each client with the version that is tested", () => {
  const { imports } = JSON.parse(Deno.readTextFileSync(`${ROOT}tests/clients/packages/deno.json`));
  const clients = Object.entries(imports as Record<string, string>).filter(([name]) => !NO_SENDERS.has(name));
  const requirements = Deno.readTextFileSync(`${ROOT}tests/clients/packages/requirements.txt`);
  const versionOf = (name: string) => new RegExp(`^${name}==(.*)$`, "m").exec(requirements)![1]!;
  const read = (file: string) => Deno.readTextFileSync(`${ROOT}tests/clients/packages/${file}`);
  const [go] = read("go.mod").matchAll(/^require (\S+) v(\S+)$/gm);
  const [java] = read("pom.xml").matchAll(
    /<groupId>(.*)<\/groupId>\s*<artifactId>(analytics)<\/artifactId>\s*<version>(.*)<\/version>/g,
  );
  const tested = [
    [go![1]!, go![2]!],
    [`${java![1]}:${java![2]}`, java![3]!],
    ...clients.map(([name, specifier]) => [name, specifier.split("@").at(-1)!]),
    ...SENDERS.filter(({ module }) => module !== undefined).map(({ name }) => [name, versionOf(name)]),
  ];
  const rows = [...DOCUMENT.matchAll(/^\| `([^`]+)` +\| (\S+) +\|/gm)].map((
    [, name, version],
  ) => [name, version]);
  deepStrictEqual(rows.sort(), tested.sort());
});

Deno.test("every link of the page leads to a file", () => {
  const prose = DOCUMENT.replaceAll(/^```[^]*?^```$/gm, "");
  const targets = [...prose.matchAll(/\]\((?!https?:)([^)#]+)/g)].map((found) => found[1]!);
  ok(targets.length > 0);
  for (const target of targets) Deno.statSync(new URL(target, `file://${ROOT}docs/`));
});

Deno.test("the project itself depends on no client but the one that it serves, at the version that is tested", () => {
  const locked = Deno.readTextFileSync(`${ROOT}deno.lock`);
  for (
    const name of ["@segment/analytics-node", "@segment/snippet", "@rudderstack/", "@jitsu/", "playwright"]
  ) {
    strictEqual(locked.includes(name), false, name);
  }
  const importsOf = (path: string) => JSON.parse(Deno.readTextFileSync(`${ROOT}${path}`)).imports;
  const served = "@segment/analytics-next";
  strictEqual(importsOf("deno.json")[served], importsOf("tests/clients/packages/deno.json")[served]);
});
