/** `deno task vacuum`: what it may do, and what it says where there is nothing to be done. */
import { taskCommand } from "../task_command.ts";
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { openStore } from "../../actors/store/store.ts";
import { runCommand, runTask, tempDir } from "../process/server.ts";

Deno.test("while the file is rewritten the task can reach nothing else", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  const store = await openStore(kvPath);
  await store.commit({ checks: [], sets: [[["deleted"], "planted".repeat(1_000)]] });
  await store.commit({ checks: [], sets: [], deletes: [["deleted"]] });
  store.close();
  const [name, ...words] = taskCommand("vacuum").split("&&").at(-1)!.trim().split(" ");
  strictEqual(name, "deno");
  const probed = words.toSpliced(1, 0, "--preload=tests/tasks/vacuum_probe.ts");
  const { code, stdout, stderr } = await runCommand(Deno.execPath(), probed, { KV_URL: kvPath });
  deepStrictEqual([code, stderr], [0, ""]);
  match(stdout, /^VACUUM with nothing\nvacuum done in \d+\.\d s: \d+\.\d MB before, \d+\.\d MB after; /);
  ok(!(await Deno.readTextFile(kvPath)).includes("planted"));
});

Deno.test("a path that is not a file, or is missing, is refused in one line, and nothing is created", async () => {
  await using dir = await tempDir();
  for (const kvUrl of [":memory:", "http://127.0.0.1:1", `${dir.path}/none.db`]) {
    const { code, stdout, stderr } = await runTask(kvUrl, "vacuum");
    deepStrictEqual([code, stdout], [2, ""], kvUrl);
    match(stderr, /^signalfold: [^\n]+\n$/);
  }
  deepStrictEqual(await Array.fromAsync(Deno.readDir(dir.path)), []);
});
