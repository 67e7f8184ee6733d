/**
 * README.md, docs/tour.md and docs/settings.md are true: the table is the settings, the tour, run in order against a server
 * of its own, prints what it says, and README's steps are those of the tour.
 *
 * How it works: the code blocks of the tour are read. `deno task dev` is started in a copy of the repository, and the `sh`
 * blocks of the tour are run by one bash, each as it stands there but for the key, the token and the port. What each
 * prints is held against the block after it, and a `json` block's status (200 where it says none) against curl's. What
 * differs from run to run, as README says, is masked on both sides: ids, keys, cursors, times of receipt, durations.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { hash } from "node:crypto";
import { missing, testWhere } from "./needs.ts";
import { readConfig, settingsTable, VARIABLES } from "../config.ts";
import { writes } from "./process/server.ts";
import { copyRepository, spawnTask } from "./routes/spawned.ts";

const readDocument = (path: string) => Deno.readTextFileSync(new URL(`../${path}`, import.meta.url));
const README = readDocument("README.md");
const TOUR = readDocument("docs/tour.md");
const SETTINGS = readDocument("docs/settings.md");
const PERFORMANCE = readDocument("docs/performance.md");

/** The `sh` blocks that the tour's test does not run, and where what they say is run; the last by hand, as it loads a machine for minutes. */
const RUN_ELSEWHERE: Record<string, string> = {
  "npx -y deno@2.9.6 task dev\nnpx -y deno@2.9.6 task test\n": "tests/routes/start_test.ts",
  "npx -y deno@2.9.6 task example\n": "tests/clients/example_test.ts",
  "deno task bench:ingest\n": "bench/ingest.ts",
};

/** Between the outputs of two blocks. */
const MARK = "----- end of a block -----";

/** How the blocks are run: curl tells the status on a line of its own, and the Deno of this process stands in for npx's. */
const PRELUDE = `
curl() { command curl -w '\\n%{http_code}\\n' "$@"; }
npx() { shift 2; "$DENO" "$@"; }
`;

interface Block {
  language: string;
  /** The status that a `json` block says. */
  status: number;
  text: string;
  isTour: boolean;
}

function blocksOf(markdown: string): Block[] {
  const tourFrom = markdown.indexOf("\n## A tour in ten minutes\n");
  const tourTo = tourFrom === -1 ? -1 : markdown.length;
  return [...markdown.matchAll(/^```(\w+)(?: (\d+))?\n([^]*?)^```$/gm)].map((match) => ({
    language: match[1]!,
    status: Number(match[2] ?? 200),
    text: match[3]!,
    isTour: match.index > tourFrom && match.index < tourTo,
  }));
}

/** Text without what differs from run to run. */
function masked(text: string): string {
  return text
    .replaceAll(/\b[0-9A-HJKMNP-TV-Z]{26}\b/g, "ULID")
    .replaceAll(/\bc[a-z0-9]{24}\b/g, "WRITE_KEY")
    .replaceAll(/\b[0-9a-f]{48}\b/g, "TOKEN")
    .replaceAll(/\bwhsec_[\w+/=]+/g, "SECRET")
    .replaceAll(/127\.0\.0\.1:\d+/g, "127.0.0.1:PORT")
    .replaceAll(/"(receivedAt|createdAt|at|from|to)": ?"[^"]*"/g, '"$1":"NOW"')
    .replaceAll(/"cursor": ?"[\w-]*"/g, '"cursor":"CURSOR"')
    .replaceAll(/"tookMs": ?[\d.]+/g, '"tookMs":0')
    .replaceAll(/\bin \d+\.\d s\b/g, "in SECONDS");
}

async function runBash(script: string, cwd: string): Promise<string> {
  const unset = Object.fromEntries(VARIABLES.map((name) => [name, ""]));
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", script],
    cwd,
    env: { ...unset, DENO: Deno.execPath(), NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  strictEqual(code, 0, decoder.decode(stderr));
  return decoder.decode(stdout);
}

/** Holds what a block printed against the block that README shows after it. */
function compare(command: string, printed: string, shown: Block): void {
  if (shown.language === "text") return strictEqual(masked(printed), masked(shown.text), command);
  const lines = printed.trimEnd().split("\n");
  if (command.startsWith("curl ")) {
    strictEqual(Number(lines.pop()), shown.status, `status of ${command}${printed}`);
  }
  deepStrictEqual(JSON.parse(masked(lines.join("\n"))), JSON.parse(masked(shown.text)), command);
}

Deno.test("the table of settings in docs/settings.md is that of config.ts", () => {
  const rows = SETTINGS.split("\n").filter((line) => /^\| `[A-Z_]+` +\|/.test(line))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  deepStrictEqual(
    rows,
    settingsTable().map((
      { name, description, default: byDefault },
    ) => [`\`${name}\``, description, byDefault]),
  );
});

/** Every document that shows how a server is started, or what it prints. */
function documents(): string[] {
  const names = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"];
  for (const folder of ["docs", "docs/decisions"]) {
    for (const { name } of Deno.readDirSync(new URL(`../${folder}`, import.meta.url))) {
      if (name.endsWith(".md")) names.push(`${folder}/${name}`);
    }
  }
  return names;
}

Deno.test("no token that a document shows starts a server", () => {
  let shown = 0;
  for (const path of documents()) {
    const text = Deno.readTextFileSync(new URL(`../${path}`, import.meta.url));
    // What is set to a value that stands there, and what looks like a token. A command's output is another each time.
    const found = [...text.matchAll(/_TOKENS?=["']?(?![$"'])([^\s"'`]+)|\b([0-9a-f]{24,})\b/g)];
    const digests = new Set(
      [...text.matchAll(/"([^"\n]+)"/g)].map(([, shown]) =>
        hash("sha256", shown!.trim().toLowerCase(), "hex")
      ),
    );
    for (const [, set, printed] of found) {
      // What a recipe makes of a text that stands beside it.
      if (printed !== undefined && digests.has(printed)) continue;
      const config = readConfig({ ADMIN_TOKEN: set ?? printed, KV_URL: "x.db" }, {
        dev: false,
        deploy: false,
      });
      ok("problem" in config && config.problem.startsWith("ADMIN_TOKEN "), `${path}: ${set ?? printed}`);
      shown++;
    }
  }
  ok(shown > 0);
});

Deno.test("no write key that a document shows starts a server", () => {
  for (const path of documents()) {
    const text = Deno.readTextFileSync(new URL(`../${path}`, import.meta.url));
    const shown = text.matchAll(/\b(?:WRITE_KEY|KEY)=["']?(?![$"'])([^\s"'`]+)|\b(\w+_WRITE_KEY)\b/g);
    for (const [, set, named] of shown) {
      if (named === "DEFAULT_WRITE_KEY") continue;
      const env = { ADMIN_TOKEN: "3f8a1c5e9b2d7064af31", KV_URL: "x.db", WRITE_KEY: set ?? named };
      const config = readConfig({ ...env, ADMIN_TOKEN: "3f8a1c5e9b2d7064af31c25e" }, {
        dev: false,
        deploy: false,
      });
      ok("problem" in config && config.problem.startsWith("WRITE_KEY "), `${path}: ${set ?? named}`);
    }
  }
});

Deno.test("every link between the documents leads to a file", () => {
  const documents = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/architecture.md",
    "docs/operations.md",
    "docs/live.md",
    "docs/tour.md",
    "docs/settings.md",
    "docs/how-it-works.md",
    "docs/performance.md",
  ];
  for (const path of documents) {
    const url = new URL(`../${path}`, import.meta.url);
    for (const [, target] of Deno.readTextFileSync(url).matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      ok(Deno.statSync(new URL(target!, url)), `${path} links to ${target}`);
    }
  }
});

Deno.test("every command in README is a step of the tour, or is run by a test", () => {
  const steps = blocksOf(TOUR).filter(({ language }) => language === "sh").map(({ text }) => text);
  const shown = [README, PERFORMANCE].flatMap(blocksOf).filter(({ language }) => language === "sh")
    .map(({ text }) => text);
  ok(shown.filter((text) => steps.includes(text)).length >= 5);
  deepStrictEqual(shown.filter((text) => !steps.includes(text)), Object.keys(RUN_ELSEWHERE));
  for (const path of Object.values(RUN_ELSEWHERE)) {
    ok(Deno.statSync(new URL(`../${path}`, import.meta.url)).isFile);
  }
});

testWhere(missing("bash", "curl"), {
  name: "the tour, run in order on an empty database, prints what docs/tour.md shows",
  async fn() {
    const [greeting, ...blocks] = blocksOf(TOUR).filter(({ isTour }) => isTour);
    const directory = await copyRepository();
    try {
      await using server = spawnTask(directory, "dev", { PORT: "0" });
      const url = await server.url();
      await writes({ written: server.output }, /Ctrl\+C/);
      strictEqual(masked(server.output()), masked(greeting!.text));
      const [key, token] = ["write key", "admin token"].map((name) =>
        new RegExp(`${name} +(\\S+)`).exec(server.output())![1]!
      );
      const commands = blocks.filter(({ language }) => language === "sh");
      const script = commands.map(({ text }) => `${text}echo '${MARK}'\n`).join("")
        .replace("http://127.0.0.1:8000", url).replace("THE_WRITE_KEY", key!).replace(
          "THE_ADMIN_TOKEN",
          token!,
        );
      const printed = (await runBash(PRELUDE + script, directory)).split(`${MARK}\n`);
      strictEqual(printed.pop(), "");
      strictEqual(printed.length, commands.length);
      for (const [index, command] of commands.entries()) {
        const next = blocks[blocks.indexOf(command) + 1];
        if (next === undefined || next.language === "sh") strictEqual(printed[index], "", command.text);
        else compare(command.text, printed[index]!, next);
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
