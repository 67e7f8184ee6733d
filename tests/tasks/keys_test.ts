/** `deno task keys` as it is typed, on the database of a server that runs. */
import { deepStrictEqual, match, strictEqual } from "node:assert";
import { openStore } from "../../actors/store/store.ts";
import { eventually, runTask, startServer, tempDir } from "../process/server.ts";

const TRACK = { type: "track", userId: "u1", event: "x" };

Deno.test("deno task keys makes, lists, changes, rotates and deletes keys that a running server obeys within 5 s", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  await using server = await startServer(kvPath);
  const keys = async (...args: string[]) => {
    const { code, stdout, stderr } = await runTask(kvPath, "keys", ...args, "--json");
    strictEqual(code, 0, stderr);
    return JSON.parse(stdout);
  };
  const sends = (key: string, status: number) =>
    eventually(`${status}`, async () => (await server.send(TRACK, key)).status === status, { ms: 5_000 });

  const { id, key, createdAt, lastChange, ...made } = await keys(
    "create",
    "web",
    "--rate",
    "0.01",
    "--burst",
    "1",
  );
  match(key, /^c[a-z0-9]{24}$/);
  deepStrictEqual(made, { name: "web", rateLimit: { perSecond: 0.01, burst: 1 }, enabled: true });
  deepStrictEqual([lastChange.by, lastChange.address], ["deno task keys", ""]);
  await sends(key, 200);
  await sends(key, 429);
  deepStrictEqual(
    await keys("change", id, "--name", "site", "--types", "track", "--no-limit").then(
      ({ lastUsedAt, lastChange: _, ...rest }) => (match(lastUsedAt, /Z$/), rest),
    ),
    { id, name: "site", allowedTypes: ["track"], enabled: true, createdAt },
  );
  await sends(key, 200);
  const rotated = await keys("rotate", id, "--grace", "0");
  await sends(key, 401);
  await sends(rotated.key, 200);
  strictEqual((await keys("disable", id)).enabled, false);
  await sends(rotated.key, 401);
  strictEqual((await keys("enable", id)).enabled, true);
  await sends(rotated.key, 200);
  const text = (await runTask(kvPath, "keys", "list")).stdout;
  match(text, new RegExp(`^${id}  "site"  enabled  track  no limit  last used `));
  strictEqual(text.includes(rotated.key), false);
  deepStrictEqual(await keys("delete", id), { deleted: id });
  await sends(rotated.key, 401);
  deepStrictEqual(await keys("list"), { keys: [] });
});

const WRONG: [args: string[], says: RegExp][] = [
  [[], /no command/],
  [["frob"], /there is no command frob\. The commands are list, create, change, /],
  [["create"], /create takes NAME; got 0/],
  [["create", "x", "--types", "click"], /--types must be one of track/],
  [["create", "x", "--rate", "1"], /--rate and --burst must be given together/],
  [["create", "x", "--rate", "0", "--burst", "1"], /--rate must be at least/],
  [["create", "x", "--rate", "1", "--burst", "many"], /--burst must be/],
  [["change", "nobody"], /at least one option/],
  [["rotate", "nobody", "--grace", "x"], /--grace must be/],
  [["list", "--grace", "3"], /list does not accept --grace/],
  [["delete", "nobody"], /Unknown write key nobody: it is neither the id nor the name of one/],
  [["disable", "default"], /The key default is not in the database: .*WRITE_KEY.*dev\.json/],
  [["list", "--frob"], /unknown option --frob/],
  [["list", "-x"], /unknown option -x/],
  [["list", "--json", "--json"], /--json is given twice/],
  [["create", "x", "--types"], /--types needs a value/],
];

Deno.test("deno task keys reports an error in one line, and ends with status 2", async () => {
  await using dir = await tempDir();
  (await openStore(`${dir.path}/kv.db`)).close();
  for (const [args, says] of WRONG) {
    const { code, stdout, stderr } = await runTask(`${dir.path}/kv.db`, "keys", ...args);
    deepStrictEqual([code, stdout], [2, ""], args.join(" "));
    match(stderr, says);
  }
});

Deno.test("deno task keys takes the name of a key in place of its id, unless two keys have it", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  (await openStore(kvPath)).close();
  const run = async (...args: string[]) => await runTask(kvPath, "keys", ...args, "--json");
  const { id } = JSON.parse((await run("create", "web")).stdout);
  strictEqual(JSON.parse((await run("disable", "web")).stdout).id, id);
  const other = JSON.parse((await run("create", "web")).stdout);
  const { code, stderr } = await run("delete", "web");
  strictEqual(code, 2);
  match(stderr, new RegExp(`Several write keys have the name web; use an id: .*${id}`));
  strictEqual((await run("delete", other.id)).code, 0);
  deepStrictEqual(JSON.parse((await run("delete", "web")).stdout), { deleted: id });
});

Deno.test("a task names the missing folder of KV_URL", async () => {
  await using dir = await tempDir();
  await Deno.writeTextFile(`${dir.path}/empty.ndjson`, "");
  const { code, stderr } = await runTask(`${dir.path}/none/kv.db`, "import", `${dir.path}/empty.ndjson`);
  strictEqual(code, 2);
  match(
    stderr,
    /failed to open storage: the folder \S+\/none does not exist; create it, or correct the path/,
  );
});

Deno.test("keys, export and replay report a missing database, and do not create one", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/misspelt.db`;
  for (
    const [task, ...args] of [["keys", "create", "web"], ["keys", "list"], ["export"], ["replay", "--verify"]]
  ) {
    const { code, stdout, stderr } = await runTask(path, task!, ...args);
    deepStrictEqual([code, stdout], [2, ""], stderr);
    match(stderr, /No database at .*misspelt\.db\. Point KV_URL at/);
  }
  deepStrictEqual(await Array.fromAsync(Deno.readDir(dir.path)), []);
});
