/** `deno task export` and `deno task import`: what goes out comes in again, once. */
import { deepStrictEqual, match, strictEqual } from "node:assert";
import { missing, testWhere } from "../needs.ts";
import { createLedger, newSeed, randomOf, readLog, type SentEvent } from "../process/ledger.ts";
import { eventually, runCommand, runTask, type Server, startServer, tempDir } from "../process/server.ts";

/** Everything that a server shows of some users, anonymous ids and groups. */
async function everything(server: Server): Promise<Record<string, unknown>> {
  const shown: Record<string, unknown> = {};
  for (
    const [kind, id, count] of [["users", "user", 24], ["anonymous", "anon", 8], [
      "groups",
      "group",
      3,
    ]] as const
  ) {
    for (let n = 0; n < count; n++) {
      const path = `/api/v1/${kind}/${id}_${n}`;
      shown[path] = await server.ask(path);
      shown[`${path}/events`] = await readLog(server, `${path}/events`);
      if (kind === "groups") shown[`${path}/members`] = await server.ask(`${path}/members`);
    }
  }
  shown.head = (await server.ask("/api/v1/admin/stats")).body.head;
  return shown;
}

testWhere(missing("bash"), {
  name: "an export, imported into an empty database, shows the same; imported again it changes nothing",
  async fn() {
    await using dir = await tempDir();
    const from = `${dir.path}/from.db`;
    const to = `${dir.path}/to.db`;
    const ledger = createLedger("all", randomOf(newSeed("export and import")));
    let expected;
    {
      await using server = await startServer(from);
      const stop = new AbortController();
      const load = ledger.load(server, { workers: 4, signal: stop.signal, restMs: 50 });
      await eventually("a load that was answered", () => ledger.answered().length > 1_000);
      stop.abort();
      await load;
      expected = await everything(server);
    }
    const task = (name: string) => `"${Deno.execPath()}" task --quiet ${name}`;
    const script = `set -o pipefail; KV_URL=${from} ${task("export")} | KV_URL=${to} ${task("import -")}`;
    const piped = await runCommand("bash", ["-c", script], {});
    strictEqual(piped.code, 0, piped.stderr);
    match(piped.stdout, new RegExp(`imported ${ledger.answered().length} events; 0 duplicates skipped`));
    {
      await using server = await startServer(to);
      deepStrictEqual(await everything(server), expected);
    }
    // By a file this time.
    const file = `${dir.path}/events.ndjson`;
    const exported = await runTask(to, "export");
    await Deno.writeTextFile(file, exported.stdout);
    // While a server runs on the database.
    await using server = await startServer(to);
    const again = await runTask(to, "import", file);
    strictEqual(again.code, 0, again.stderr);
    match(again.stdout, new RegExp(`imported 0 events; ${ledger.answered().length} duplicates skipped`));
    deepStrictEqual(await everything(server), expected);
    const verified = await runTask(to, "replay", "--verify");
    strictEqual(verified.code, 0, verified.stdout);
  },
});

Deno.test("a line that is no event is named by its number, the others are in, and import ends with status 1", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  {
    await using server = await startServer(kvPath);
    const events = Array.from(
      { length: 6 },
      (_, n) => ({ type: "track", event: "E", userId: "u", messageId: `m${n}` }),
    );
    strictEqual((await server.send(events)).status, 200);
  }
  const { stdout } = await runTask(kvPath, "export");
  const lines = stdout.trimEnd().split("\n");
  strictEqual(lines.length, 6);
  lines.splice(2, 0, lines[0]!.slice(0, 20));
  lines.splice(4, 0, JSON.stringify({ ...JSON.parse(lines[0]!), messageId: "other", userId: undefined }));
  const file = `${dir.path}/events.ndjson`;
  await Deno.writeTextFile(file, lines.join("\n"));
  const target = `${dir.path}/target.db`;
  const { code, stdout: summary, stderr } = await runTask(target, "import", file);
  strictEqual(code, 1, stderr);
  deepStrictEqual([...stderr.matchAll(/events\.ndjson line (\d+):/gm)].map(([, number]) => number), [
    "3",
    "5",
  ], stderr);
  match(summary, /^imported 6 events; 0 duplicates skipped; 2 lines rejected$/m);
  await using server = await startServer(target);
  strictEqual((await server.ask("/api/v1/users/u")).body.eventCount, 6);
});

Deno.test("an export beside a server under load holds all that was answered before it, each once, line by line", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  await using server = await startServer(kvPath);
  const ledger = createLedger("live", randomOf(newSeed("export under load")));
  const stop = new AbortController();
  const load = ledger.load(server, { workers: 3, signal: stop.signal, restMs: 30 });
  await eventually("a load that was answered", () => ledger.answered().length > 1_000);
  const before = ledger.answered().map(({ messageId }) => messageId);
  const { code, stdout, stderr } = await runTask(kvPath, "export");
  stop.abort();
  await load;
  strictEqual(code, 0, stderr);
  const ids = stdout.trimEnd().split("\n").map((line) => (JSON.parse(line) as SentEvent).messageId);
  strictEqual(new Set(ids).size, ids.length);
  const exported = new Set(ids);
  deepStrictEqual(before.filter((id) => !exported.has(id)), []);
  match(stderr, new RegExp(`exported ${ids.length} events`));
});

Deno.test("export continues after a position, selects by time, and writes profiles as lines and as CSV", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  {
    await using server = await startServer(kvPath);
    const at = (day: number) => `2025-03-0${day}T00:00:00.000Z`;
    await server.send([
      {
        type: "identify",
        userId: "jane",
        traits: { name: 'J "D"', plan: "pro" },
        messageId: "m1",
        timestamp: at(1),
      },
      { type: "track", event: "A", userId: "joe", messageId: "m2", timestamp: at(2) },
      {
        type: "group",
        userId: "joe",
        groupId: "acme",
        traits: { size: [1, 2] },
        messageId: "m3",
        timestamp: at(3),
      },
    ]);
  }
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await runTask(kvPath, "export", ...args);
    strictEqual(code, 0, stderr);
    return { lines: stdout.split("\n").slice(0, -1), stderr };
  };
  const ids = ({ lines }: { lines: string[] }) => lines.map((line) => JSON.parse(line).messageId);
  const all = await run();
  deepStrictEqual(ids(all), ["m1", "m2", "m3"]);
  const position = /^to continue: --after ([0-9a-f]{24})$/m.exec(all.stderr)![1]!;
  deepStrictEqual(ids(await run("--after", position)), []);
  deepStrictEqual(ids(await run("--from", "2025-03-02", "--to", "2025-03-03T00:00:00Z")), ["m2"]);
  const profiles = (await run("--profiles")).lines.map((line) => JSON.parse(line));
  deepStrictEqual(profiles.map(({ userId, groupId }) => userId ?? groupId), ["jane", "joe", "acme"]);
  deepStrictEqual((await run("--profiles", "--csv")).lines, [
    "kind,id,firstSeen,lastSeen,eventCount,traits.name,traits.plan,traits.size",
    'user,jane,2025-03-01T00:00:00.000Z,2025-03-01T00:00:00.000Z,1,"J ""D""",pro,',
    "user,joe,2025-03-02T00:00:00.000Z,2025-03-03T00:00:00.000Z,2,,,",
    'group,acme,2025-03-03T00:00:00.000Z,2025-03-03T00:00:00.000Z,1,,,"[1,2]"',
  ]);
  for (const args of [["--csv"], ["--after", "x"], ["--from", "then"], ["--profiles", "--to", "2025"]]) {
    strictEqual((await runTask(kvPath, "export", ...args)).code, 2, args.join(" "));
  }
});
