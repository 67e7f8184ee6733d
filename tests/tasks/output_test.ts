/**
 * What tasks and servers print: no control character of a file, a key or an argument reaches the terminal, and no
 * password of `KV_URL` is in a message or in the list of processes.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { testWhere } from "../needs.ts";
import { createDatabase } from "../kvconnect/database.ts";
import { ACCESS_TOKEN, startKvConnect } from "../kvconnect/server.ts";
import { spawnTask } from "../routes/spawned.ts";
import { randomOf } from "../process/ledger.ts";
import { ADMIN_TOKEN, ROOT, runTask, startServer, type TaskEnd, tempDir } from "../process/server.ts";

/** A colour, a title, a line that looks like the task's own, C1 controls, a line separator, and text from right to left. */
const HOSTILE = "x\x1b[31m\x1b]0;title\x07\nsignalfold: forged\r\x9b2J\x85\u2028\u202e\x7fy";

/** Text as a terminal shows it has no control character but the ends of lines, and no line that an input made. */
function assertPrintable({ stdout, stderr }: Pick<TaskEnd, "stdout" | "stderr">, what: string): void {
  for (const text of [stdout, stderr]) {
    deepStrictEqual(
      text.match(/[^\P{Cc}\n]|[\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu),
      null,
      `${what}: ${text}`,
    );
    ok(!/^signalfold: forged/m.test(text), `${what}: ${text}`);
  }
}

Deno.test("no task prints a control character of a file, a key, an id or an argument", async (t) => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  await using server = await startServer(kvPath, { LOG_LEVEL: "debug" });
  const event = { type: "identify", userId: HOSTILE, traits: { [HOSTILE]: HOSTILE }, messageId: "hostile-1" };
  strictEqual((await server.send(event)).status, 200);
  strictEqual(
    (await server.ask("/api/v1/admin/keys", { method: "POST", body: { name: "plain" } })).status,
    201,
  );
  const file = `${dir.path}/${HOSTILE}`;
  await Deno.writeTextFile(
    file,
    [
      HOSTILE.replace("\n", ""),
      JSON.stringify({ type: HOSTILE }),
      `{"type":"track","userId":"u","event":"\x1b[31m"}`,
      JSON.stringify({ type: "track", event: "E", userId: "u", [HOSTILE]: 1, messageId: HOSTILE.repeat(50) }),
      JSON.stringify({ type: "track", event: "E", userId: "u", properties: { [`${HOSTILE}\ud800`]: 1 } }),
    ].join("\n"),
  );
  const tasks: [code: number, ...args: string[]][] = [
    [1, "import", file],
    [1, "import", file, file],
    [2, "import", `${dir.path}/none/${HOSTILE}`],
    [2, "import", `--${HOSTILE}`],
    [0, "export"],
    [2, "export", HOSTILE],
    [0, "replay", "--user", HOSTILE],
    [2, "replay", "--group", HOSTILE],
    [2, "replay", `--${HOSTILE}`],
    [0, "keys", "create", HOSTILE],
    [0, "keys", "create", HOSTILE, "--json"],
    [0, "keys", "list"],
    [0, "keys", "list", "--json"],
    [2, "keys", "delete", HOSTILE],
    [2, "keys", HOSTILE],
    [2, "keys", "list", `--${HOSTILE}`],
    [2, "backup", `${dir.path}/none/${HOSTILE}`],
    [2, "backup", file],
    [2, "vacuum", HOSTILE],
  ];
  for (const [code, ...args] of tasks) {
    await t.step(args.slice(0, 2).map((arg) => arg.replaceAll(HOSTILE, "…")).join(" "), async () => {
      const end = await runTask(kvPath, ...args);
      strictEqual(end.code, code, end.stderr);
      assertPrintable(end, args.join(" "));
    });
  }
  const end = await runTask(`${dir.path}/none/${HOSTILE}.db`, "export");
  assertPrintable(end, "a database of a hostile name");
  await server.end("SIGTERM");
  assertPrintable({ stdout: server.written(), stderr: "" }, "the log");
});

const PASSWORD = "planted-kv-password";

Deno.test("a user name, a password or a query in KV_URL is refused in one line that does not show it", async (t) => {
  const url = `http://user:${PASSWORD}@127.0.0.1:9/?token=${PASSWORD}`;
  const problem = "KV_URL must not contain a user name, a password or a query: set DENO_KV_ACCESS_TOKEN\n";
  for (
    const [task, ...args] of [["import", "deno.json"], ["export"], ["replay"], ["keys", "list"], [
      "backup",
      "x",
    ]]
  ) {
    await t.step(task!, async () => {
      const { code, stdout, stderr } = await runTask(url, task!, ...args);
      deepStrictEqual([code, stdout, stderr], [2, "", `signalfold: ${problem}`]);
    });
  }
  for (const task of ["start", "dev"]) {
    await t.step(task, async () => {
      await using started = spawnTask(ROOT, task, { KV_URL: url, ADMIN_TOKEN, WRITE_KEY: "w", PORT: "0" });
      strictEqual((await started.status).code, 1);
      deepStrictEqual([started.output(), started.errors()], ["", `signalfold: cannot start: ${problem}`]);
    });
  }
});

/** The command lines of all processes of this machine. */
function commandLines(): string {
  const lines = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      lines.push(Deno.readTextFileSync(`/proc/${name}/cmdline`));
    } catch {
      // It has ended.
    }
  }
  return lines.join("\n");
}

testWhere(Deno.build.os === "linux" ? undefined : "Linux", {
  name: "the URL of a KV Connect server is in no list of processes",
  async fn(t) {
    await using kv = startKvConnect({ database: createDatabase(randomOf(1)) });
    const env = {
      KV_URL: kv.url,
      DENO_KV_ACCESS_TOKEN: ACCESS_TOKEN,
      ADMIN_TOKEN,
      WRITE_KEY: "w",
      PORT: "0",
    };
    for (const [task, entry] of [["start", "main.ts"], ["dev", "tasks/dev.ts"]]) {
      await t.step(task!, async () => {
        await using started = spawnTask(ROOT, task!, env);
        await started.url();
        const lines = commandLines();
        ok(lines.includes(entry!));
        ok(!lines.includes(new URL(kv.url).host));
      });
    }
  },
});
