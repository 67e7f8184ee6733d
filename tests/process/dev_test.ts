/** `deno task dev` as a newcomer runs it: in a copy of the tree in which nothing was ever started. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { VARIABLES } from "../../config.ts";
import { ROOT, runCommand, type Server, serverOf, tempDir } from "./server.ts";

/** What the server is made of. */
const TREE = ["actors", "domain", "routes", "tasks", "config.ts", "main.ts", "deno.json", "deno.lock"];

async function copyTree(to: string): Promise<void> {
  const { code, stderr } = await runCommand("cp", ["-r", ...TREE.map((name) => ROOT + name), to], {});
  strictEqual(code, 0, stderr);
}

async function startDev(cwd: string): Promise<Server> {
  const blank = Object.fromEntries(VARIABLES.map((name) => [name, ""]));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", "dev"],
    cwd,
    env: { ...blank, PORT: "0" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return await serverOf(child);
}

/** The one line that can be pasted. */
function commandIn(written: string): string {
  const lines = written.split("\n").filter((line) => line.includes("curl"));
  strictEqual(lines.length, 1, written);
  ok(lines[0]!.startsWith("curl "), written);
  return lines[0]!;
}

function keysIn(written: string): string[] {
  return ["write key", "admin token"].map((name) => new RegExp(`${name} +(\\S+)`).exec(written)?.[1] ?? "");
}

Deno.test("deno task dev in a fresh tree prints a command that works when pasted, and the same keys at the next start", async () => {
  await using dir = await tempDir();
  await copyTree(dir.path);
  let keys;
  {
    await using server = await startDev(dir.path);
    const written = await printed(server);
    const { code, stdout, stderr } = await runCommand("bash", [
      "-c",
      `${commandIn(written)} -sS -w '\\n%{http_code}'`,
    ], {});
    strictEqual(code, 0, stderr);
    match(stdout, /"success":true/);
    match(stdout, /\n200$/);
    keys = keysIn(written);
    match(keys[0]!, /^c[a-z0-9]{24}$/);
    ok(keys[1]!.length >= 22, "128 bits at least");
    const mode = (await Deno.stat(`${dir.path}/.data/dev.json`)).mode! & 0o777;
    strictEqual(mode, 0o600);
    const end = await server.end("SIGINT");
    ok(end.ms < 5_000, `${end.ms} ms`);
  }
  await using server = await startDev(dir.path);
  const written = await printed(server);
  deepStrictEqual(keysIn(written), keys);
  const headers = { authorization: `Bearer ${keys[1]}` };
  const response = await fetch(`${server.url}/api/v1/users/user_123`, { headers });
  strictEqual((await response.json()).eventCount, 1, "and what was sent before is there");
  await server.end("SIGINT");
});

/** All of what a start prints: the line with the address comes first. */
async function printed(server: Server): Promise<string> {
  for (let tries = 0; tries < 100 && !server.written().includes("Ctrl+C"); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return server.written();
}
