/**
 * docs/contracts.md is true: its tour, run in order against a server of its own, prints what it shows.
 *
 * How it works: as README's tour (`readme_test.ts`). Each `sh` block is run by one bash; what its last lines print is held
 * against the blocks after it, one for each command that prints.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { missing, testWhere } from "./needs.ts";
import { ADMIN_TOKEN, ROOT, runCommand, startServer, tempDir, WRITE_KEY } from "./process/server.ts";

const PAGE = Deno.readTextFileSync(`${ROOT}docs/contracts.md`);
const MARK = "----- end of a block -----";
/** Each answer on a line of its own. */
const PRELUDE = `curl() { command curl -w '\\n' "$@"; }\n`;

/** Text without what differs from run to run. */
function masked(text: string): string {
  return text.replaceAll(/\b[0-9A-HJKMNP-TV-Z]{26}\b/g, "ULID")
    .replaceAll(/"(receivedAt|updatedAt|at)": ?"[^"]*"/g, '"$1":"NOW"')
    .replaceAll(/"cursor": ?"[\w-]*"/g, '"cursor":"CURSOR"');
}

/** Lines of JSON, or of text, as values that can be compared. */
function valuesOf(text: string): unknown[] {
  return masked(text).trim().split("\n").map((line) => line.startsWith("{") ? JSON.parse(line) : line);
}

testWhere(missing("bash", "curl", "grep"), {
  name: "the tour of docs/contracts.md, run in order on an empty database, prints what it shows",
  async fn() {
    const blocks = [...PAGE.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(([, language, text]) => ({
      language: language!,
      text: text!,
    }));
    const commands = blocks.filter(({ language }) => language === "sh");
    ok(commands.length > 7);
    await using dir = await tempDir();
    await using server = await startServer(`${dir.path}/kv.db`);
    const script = PRELUDE + commands.map(({ text }) => `${text}echo '${MARK}'\n`).join("");
    const env = { URL: server.url, KEY: WRITE_KEY, TOKEN: ADMIN_TOKEN };
    const { code, stdout, stderr } = await runCommand("bash", ["-c", script], env);
    strictEqual(code, 0, stderr);
    const printed = stdout.split(`${MARK}\n`);
    strictEqual(printed.pop(), "");
    for (const [index, { text }] of commands.entries()) {
      const at = blocks.findIndex((block) => block === commands[index]);
      const next = commands[index + 1];
      const shown = blocks.slice(at + 1, next === undefined ? undefined : blocks.indexOf(next))
        .flatMap(({ language, text }) => language === "json" ? [JSON.parse(masked(text))] : valuesOf(text));
      deepStrictEqual(valuesOf(printed[index]!), shown, text);
    }
  },
});
