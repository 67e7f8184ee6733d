/** Files that hold events or secrets can be read by their owner only, whatever the umask and whichever task makes them. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { missing, missingPosix, testWhere } from "../needs.ts";
import { copyRepository, spawnTask } from "../routes/spawned.ts";
import { runCommand, runTask, startServer, tempDir } from "../process/server.ts";

/** What most shells have: others may read what is made. */
if (missingPosix === undefined) Deno.umask(0o022);

const EVENT = { type: "track", userId: "u", event: "A", messageId: "m1" };

/** The modes of the files of a folder, by name. */
function modesIn(path: string): Record<string, string> {
  const names = Array.from(Deno.readDirSync(path), ({ name }) => name).sort();
  const modeOf = (name: string) => (Deno.statSync(`${path}/${name}`).mode! & 0o777).toString(8);
  return Object.fromEntries(names.map((name) => [name, modeOf(name)]));
}

/** Runs a task with its standard output in a file, as a shell does it. */
function exportTo(kvPath: string, redirection: string) {
  return runCommand("bash", ["-c", `"$DENO" task --quiet export ${redirection}`], {
    DENO: Deno.execPath(),
    KV_URL: kvPath,
  });
}

testWhere(missingPosix ?? missing("bash"), {
  name: "a server and its tasks make database, -wal, -shm, backup and export with mode 0600",
  async fn() {
    await using dir = await tempDir();
    const kvPath = `${dir.path}/kv.db`;
    await using server = await startServer(kvPath);
    strictEqual((await server.send(EVENT)).status, 200);
    deepStrictEqual(modesIn(dir.path), { "kv.db": "600", "kv.db-shm": "600", "kv.db-wal": "600" });
    await server.end("SIGTERM");
    ok(!server.written().includes("file_mode"), server.written());

    strictEqual((await runTask(kvPath, "backup", `${dir.path}/backup.db`)).code, 0);
    const exported = await exportTo(kvPath, `> "${dir.path}/events.ndjson"`);
    strictEqual(exported.code, 0);
    match(
      exported.stderr,
      /^The export file is now readable by its owner only \(mode 0600, was 0644\)\.$/m,
    );
    match(exported.stderr, /^exported 1 events$/m);
    strictEqual((await runTask(`${dir.path}/copy.db`, "import", `${dir.path}/events.ndjson`)).code, 0);
    strictEqual((await runTask(`${dir.path}/copy.db`, "vacuum")).code, 0);
    const modes = modesIn(dir.path);
    for (const name of ["backup.db", "copy.db", "events.ndjson", "kv.db"]) {
      strictEqual(modes[name], "600", name);
    }
    deepStrictEqual(Object.values(modes).filter((mode) => mode !== "600"), [], JSON.stringify(modes));
  },
});

testWhere(missingPosix ?? missing("bash"), {
  name: "an export that is appended to a file, or goes to a pipe, changes no mode",
  async fn() {
    await using dir = await tempDir();
    const kvPath = `${dir.path}/kv.db`;
    await Deno.writeTextFile(`${dir.path}/in.ndjson`, `${JSON.stringify(EVENT)}\n`);
    strictEqual((await runTask(kvPath, "import", `${dir.path}/in.ndjson`)).code, 0);
    const appended = await exportTo(kvPath, `>> "${dir.path}/in.ndjson"`);
    match(appended.stderr, /^Other users of this machine can access the export file \(mode 0644\)\.$/m);
    strictEqual(modesIn(dir.path)["in.ndjson"], "644");
    const piped = await exportTo(kvPath, "| cat");
    match(piped.stderr, /^exported 1 events\nto continue: --after [0-9a-f]{24}\n$/);
    strictEqual(JSON.parse(piped.stdout).messageId, "m1");
  },
});

testWhere(missingPosix, {
  name: "a database that other users can read is told of in one line, keeps its mode, and its backup is 0600",
  async fn() {
    await using dir = await tempDir();
    const kvPath = `${dir.path}/kv.db`;
    await Deno.writeTextFile(kvPath, "");
    await using server = await startServer(kvPath);
    strictEqual((await server.send(EVENT)).status, 200);
    await server.end("SIGTERM");
    const told = server.written().split("\n").filter((line) => line.includes("file_mode"));
    strictEqual(told.length, 1, server.written());
    match(
      JSON.parse(told[0]!).message,
      /^Other users of this machine can read the database file \(mode 0644\): run chmod 600 /,
    );
    const { code, stderr } = await runTask(kvPath, "backup", `${dir.path}/backup.db`);
    strictEqual(code, 0, stderr);
    match(stderr, /^signalfold: Other users of this machine can read the database file \(mode 0644\): .*\n$/);
    const modes = modesIn(dir.path);
    deepStrictEqual([modes["kv.db"], modes["backup.db"]], ["644", "600"]);
  },
});

testWhere(missingPosix, {
  name: "deno task dev gives dev.json mode 0600, and again where it has another",
  async fn() {
    const directory = await copyRepository();
    try {
      for (const _time of ["new", "kept"]) {
        await using dev = spawnTask(directory, "dev", { PORT: "0" });
        await dev.url();
        deepStrictEqual(
          Object.entries(modesIn(`${directory}/.data`)).filter(([, mode]) => mode !== "600"),
          [],
        );
        await dev.stop();
        await Deno.chmod(`${directory}/.data/dev.json`, 0o644);
      }
      strictEqual((await Deno.stat(`${directory}/.data`)).mode! & 0o777, 0o700);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
