/**
 * `deno task import OLD.db`: a database that the real version 0.3 has made (`version_0_3/make.ts`) is imported whole. What
 * that version answered at last is in `version_0_3/answers.json`.
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { gunzipSync } from "node:zlib";
import { openStore, type Store } from "../../actors/store/store.ts";
import { openTools } from "../../actors/maintenance.ts";
import { systemClock } from "../../actors/store/clock.ts";
import { digestOfKey } from "../../actors/governance/stored_key.ts";
import { clockAt } from "../actors/clocks.ts";
import { ADMIN_TOKEN, closeInOrder, runCommand, runTask, tempDir } from "../process/server.ts";
import { AS_ADMIN, openTestApp, openTestSystem, type TestApp } from "../routes/test_app.ts";
import made from "./version_0_3/answers.json" with { type: "json" };

const HERE = new URL("./version_0_3/", import.meta.url);
const answers: Record<string, unknown> = made.answers;
const secrets: Record<string, string> = made.secrets;

/** Writes the database of version 0.3 to a file. */
function writeOld(path: string): void {
  const bytes = gunzipSync(Deno.readFileSync(new URL("signalfold.db.gz", HERE)));
  Deno.writeFileSync(path, bytes, { mode: 0o600 });
}

/** The folder of a test: the old database, and the path of the new one. */
async function oldAndNew() {
  const dir = await tempDir();
  const [oldPath, newPath] = [`${dir.path}/old.db`, `${dir.path}/new.db`];
  writeOld(oldPath);
  return { oldPath, newPath, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

/** The routes over an imported database, at the time when it was made: secrets that were rotated then are still valid. */
async function appOn(path: string): Promise<TestApp & { store: Store }> {
  const store = await openStore(path);
  const system = await openTestSystem(store, { clock: clockAt(() => made.madeAt + 60_000) });
  // The system closes its store.
  const app = await openTestApp({ system, clock: { nowMs: made.madeAt + 60_000 } });
  return Object.assign(app, { store });
}

/** A read of the old server, asked of the new one. */
async function read(app: TestApp, path: string) {
  const { status, body } = await app.get(path, AS_ADMIN);
  deepStrictEqual([path, status], [path, 200]);
  return body;
}

const keyOf = (secret: string) => ({ authorization: `Basic ${btoa(`${secret}:`)}` });
const track = (messageId: string, more: object) => ({ type: "track", event: "Resent", messageId, ...more });

Deno.test("a database of version 0.3 is imported whole: profiles, logs, members and contracts are equal", async () => {
  await using files = await oldAndNew();
  const before = await Deno.readFile(files.oldPath);
  const { code, stdout, stderr } = await runTask(files.newPath, "import", files.oldPath);
  deepStrictEqual([code, stderr], [0, ""]);
  strictEqual(
    stdout,
    "imported 466 events; 0 imported before; 4 write keys, 2 contracts, 3 suppressions, 4 receipts of erasures\n",
  );
  deepStrictEqual(
    Buffer.from(await Deno.readFile(files.oldPath)),
    Buffer.from(before),
    "the file is only read",
  );
  await using app = await appOn(files.newPath);
  const paths = Object.keys(answers).filter((path) => !/admin\/(stats|keys)/.test(path));
  ok(paths.length > 30 && paths.filter((path) => path.includes("/users/")).length > 20);
  for (const path of paths) deepStrictEqual(await read(app, path), answers[path], path);
  const { head } = answers["/api/v1/admin/stats"] as { head: number };
  strictEqual((await read(app, "/api/v1/admin/stats")).head, head);
});

Deno.test("imported write keys keep ids, settings and secrets, also one that was rotated", async () => {
  await using files = await oldAndNew();
  strictEqual((await runTask(files.newPath, "import", files.oldPath)).code, 0);
  await using app = await appOn(files.newPath);
  const stored = (body: { keys: { source?: string }[] }) =>
    body.keys.filter(({ source }) => source !== "environment");
  deepStrictEqual(
    stored(await read(app, "/api/v1/admin/keys")),
    stored(answers["/api/v1/admin/keys"] as { keys: { source?: string }[] }),
  );
  const statusOf = async (name: string) => {
    const event = track(`by ${name}`, { userId: "keys" });
    return (await app.send("/api/v1/events", event, { headers: keyOf(secrets[name]!) })).status;
  };
  const expected = {
    web: 200,
    webBefore: 200,
    mobile: 200,
    server: 200,
    serverBefore: 401,
    paused: 401,
    deleted: 401,
  };
  const found: Record<string, number> = {};
  for (const name of Object.keys(expected)) found[name] = await statusOf(name);
  deepStrictEqual(found, expected);
  const page = { type: "page", userId: "keys", messageId: "page" };
  strictEqual((await app.send("/api/v1/events", page, { headers: keyOf(secrets.mobile!) })).status, 403);
  strictEqual((await app.system.writeKeys.find(digestOfKey(secrets.mobile!)))?.rateLimit?.burst, 1000);
});

Deno.test("message ids of version 0.3 stay duplicates, those of erased events too", async () => {
  await using files = await oldAndNew();
  strictEqual((await runTask(files.newPath, "import", files.oldPath)).code, 0);
  await using app = await appOn(files.newPath);
  for (const messageId of ["m1", "m4", "s399", "tie-3", "e1", "e2", "e6", "after"]) {
    const { status, body } = await app.send("/api/v1/events", track(messageId, { userId: "again" }));
    deepStrictEqual([status, body], [200, { success: true, messageId, duplicate: true }]);
  }
  strictEqual((await app.get("/api/v1/users/again", AS_ADMIN)).status, 404);
});

Deno.test("an event that version 0.3 counted twice, since its window had passed, counts twice", async () => {
  await using files = await oldAndNew();
  strictEqual((await runTask(files.newPath, "import", files.oldPath)).code, 0);
  await using app = await appOn(files.newPath);
  const { events } = await read(app, "/api/v1/users/u1/events?limit=200&order=asc");
  const totals = events.filter((event: { messageId: string }) => event.messageId === "m4")
    .map((event: { properties: { total: number } }) => event.properties.total);
  deepStrictEqual(totals, [10, 11]);
});

Deno.test("people whom version 0.3 suppressed stay suppressed, and those it only erased do not", async () => {
  await using files = await oldAndNew();
  strictEqual((await runTask(files.newPath, "import", files.oldPath)).code, 0);
  await using app = await appOn(files.newPath);
  const { suppression } = app.system;
  await suppression.refresh();
  for (const names of [{ userId: "suppressed" }, { userId: "never-seen" }, { anonymousId: "a-suppressed" }]) {
    ok(suppression.isSuppressed(names), JSON.stringify(names));
  }
  for (const names of [{ userId: "erased" }, { anonymousId: "a-anonymous" }, { userId: "u1" }]) {
    ok(!suppression.isSuppressed(names), JSON.stringify(names));
  }
});

Deno.test("a receipt of version 0.3 keeps its sums, and a new erasure of the person reports only its own", async () => {
  await using files = await oldAndNew();
  strictEqual((await runTask(files.newPath, "import", files.oldPath)).code, 0);
  await using app = await appOn(files.newPath);
  const { status, body } = await app.send("/api/v1/users/erased", undefined, {
    method: "DELETE",
    headers: AS_ADMIN,
  });
  strictEqual(status, 200);
  deepStrictEqual([body.erased.events, body.suppressed], [1, false]);
  const again = await app.send("/api/v1/users/suppressed", undefined, {
    method: "DELETE",
    headers: AS_ADMIN,
  });
  deepStrictEqual([again.body.erased.events, again.body.suppressed], [0, true]);
});

Deno.test("what is imported equals what a replay gives", async () => {
  await using files = await oldAndNew();
  strictEqual((await runTask(files.newPath, "import", files.oldPath)).code, 0);
  const tools = await openTools({
    storage: files.newPath,
    clock: systemClock,
    newId: () => crypto.randomUUID(),
    onFault: (error) => console.error(error),
  });
  try {
    const { differences, compared } = await tools.verifyAll(":memory:", () => {});
    deepStrictEqual(differences, []);
    ok(compared > 30);
  } finally {
    tools.close();
  }
});

Deno.test("an import is repeated without effect, and an interrupted one continues", async () => {
  await using files = await oldAndNew();
  strictEqual((await runTask(files.newPath, "import", files.oldPath)).code, 0);
  const again = await runTask(files.newPath, "import", files.oldPath);
  deepStrictEqual([again.code, again.stderr], [0, ""]);
  match(again.stdout, /^\S+old\.db was imported before; nothing has changed\n$/);
  // As if it had been interrupted after its last commit, before it said so.
  const store = await openStore(files.newPath);
  const mark = await store.get<object>(["imported"]);
  await store.commit({ checks: [], sets: [[["imported"], { ...mark.value, done: "settings" }]] });
  store.close();
  const continued = await runTask(files.newPath, "import", files.oldPath);
  strictEqual(
    continued.stdout,
    "imported 0 events; 466 imported before; 0 write keys, 0 contracts, 0 suppressions, 0 receipts of erasures\n",
  );
  await using app = await appOn(files.newPath);
  deepStrictEqual(await read(app, "/api/v1/users/u1"), answers["/api/v1/users/u1"]);
});

Deno.test("an import that was interrupted among its settings imports them again, each once", async () => {
  await using files = await oldAndNew();
  strictEqual((await runTask(files.newPath, "import", files.oldPath)).code, 0);
  const store = await openStore(files.newPath);
  const mark = await store.get<object>(["imported"]);
  await store.commit({ checks: [], sets: [[["imported"], { ...mark.value, done: "nothing" }]] });
  store.close();
  const { stdout } = await runTask(files.newPath, "import", files.oldPath);
  match(stdout, /^imported 0 events; 466 imported before; 4 write keys, 2 contracts, 3 suppressions/);
  await using app = await appOn(files.newPath);
  strictEqual((await app.store.get<{ count: number }>(["suppressed"])).value?.count, 3);
});

/** Files that are refused: what is in them, and what is said. */
const REFUSED: [what: string, make: (path: string) => void, problem: RegExp][] = [
  [
    "the first half of a file",
    (path) => Deno.truncateSync(path, Math.floor(Deno.statSync(path).size / 2)),
    /Failed to read \S+old\.db: .*(malformed|damaged)/,
  ],
  [
    "a file with a damaged page",
    (path) => {
      using file = Deno.openSync(path, { write: true });
      file.seekSync(8 * 4096, Deno.SeekMode.Start);
      file.writeSync(new Uint8Array(12_288).fill(0xff));
    },
    /Failed to read \S+old\.db: .*(malformed|damaged)/,
  ],
  [
    "a SQLite file of another program",
    (path) => {
      Deno.removeSync(path);
      using database = new DatabaseSync(path);
      database.exec("CREATE TABLE person (name TEXT); INSERT INTO person VALUES ('a')");
    },
    /Failed to read \S+old\.db: it is not a database of Deno KV\./,
  ],
];

for (const [what, make, problem] of REFUSED) {
  Deno.test(`${what} is refused, and nothing is written`, async () => {
    await using files = await oldAndNew();
    make(files.oldPath);
    const { code, stdout, stderr } = await runTask(files.newPath, "import", files.oldPath);
    deepStrictEqual([code, stdout], [2, ""]);
    match(stderr, problem);
    await noFile(files.newPath);
  });
}

/** Databases of Deno KV that are refused: what is changed in the old one, and what is said. */
const CHANGED: [what: string, change: (store: Store) => Promise<unknown>, problem: RegExp][] = [
  [
    "a journal with a gap",
    (store) => store.commit({ checks: [], sets: [], deletes: [["journal", 3]] }),
    /The journal is damaged: chunk 3 is missing or unreadable/,
  ],
  [
    "a journal with an unreadable chunk",
    async (store) => {
      const { value } = await store.get<object>(["journal", 2]);
      await store.commit({ checks: [], sets: [[["journal", 2], { ...value, body: new Uint8Array(100) }]] });
    },
    /The journal is damaged: chunk 2 is missing or unreadable/,
  ],
  [
    "a journal with an event that its digest does not fit",
    async (store) => {
      const { value } = await store.get<{ digests: Uint8Array }>(["journal", 1]);
      const digests = value!.digests.slice();
      digests[0]! ^= 1;
      await store.commit({ checks: [], sets: [[["journal", 1], { ...value, digests }]] });
    },
    /The journal is damaged: chunk 1 is missing or unreadable/,
  ],
  [
    "a database with an unfinished erasure",
    (store) => store.commit({ checks: [], sets: [[["erasing"], { pushed: 5 }]] }),
    /old\.db has 1 unfinished erasures\. Start version 0\.3 on it/,
  ],
  [
    "a database of another program",
    (store) => store.commit({ checks: [], sets: [[["head"], "of somebody"]] }),
    /old\.db is not a database of version 0\.3\. Only those are imported whole/,
  ],
];

for (const [what, change, problem] of CHANGED) {
  Deno.test(`${what} is refused with one clear line, and nothing is written`, async () => {
    await using files = await oldAndNew();
    const store = await openStore(files.oldPath);
    await change(store);
    store.close();
    const { code, stderr } = await runTask(files.newPath, "import", files.oldPath);
    strictEqual(code, 2);
    match(stderr, problem);
    strictEqual(stderr.trim().split("\n").length, 1, stderr);
    await noFile(files.newPath);
  });
}

Deno.test("a database that is not empty is refused, and stays as it is", async () => {
  await using files = await oldAndNew();
  const store = await openStore(files.newPath);
  await store.commit({ checks: [], sets: [[["writeKey", "k1"], { id: "k1" }]] });
  store.close();
  const { code, stderr } = await runTask(files.newPath, "import", files.oldPath);
  strictEqual(code, 2);
  match(
    stderr,
    /The database of KV_URL is not empty\. Import \S+old\.db into a new one: set KV_URL to a file/,
  );
  const after = await openStore(files.newPath);
  const keys = await Array.fromAsync(after.list({ prefix: [] }), ({ key }) => key);
  after.close();
  deepStrictEqual(keys, [["writeKey", "k1"]]);
});

Deno.test("a database that has changed since its import began, and another one, are refused", async () => {
  await using files = await oldAndNew();
  strictEqual((await runTask(files.newPath, "import", files.oldPath)).code, 0);
  const change = async (key: [string, ...number[]], more: object) => {
    const store = await openStore(files.oldPath);
    const { value } = await store.get<object>(key);
    await store.commit({ checks: [], sets: [[key, { ...value, ...more }]] });
    store.close();
  };
  await change(["head"], { commit: "a later one" });
  const changed = await runTask(files.newPath, "import", files.oldPath);
  deepStrictEqual([changed.code, changed.stdout], [2, ""]);
  match(changed.stderr, /old\.db has changed since its import began\. Stop the servers that use it/);
  await change(["journal", 1], { commit: "another" });
  const other = await runTask(files.newPath, "import", files.oldPath);
  strictEqual(other.code, 2);
  match(other.stderr, /has an import of another database than \S+old\.db/);
});

Deno.test("a database is imported alone, without other files", async () => {
  await using files = await oldAndNew();
  const { code, stderr } = await runTask(files.newPath, "import", files.oldPath, files.oldPath);
  strictEqual(code, 2);
  match(stderr, /import a database alone, without other files/);
  await noFile(files.newPath);
});

/** Everything but an import that opens a database. */
const OPENING: [what: string, ...args: string[]][] = [
  ["a server", "start"],
  ["a replay", "replay"],
  ["a verification", "replay", "--verify"],
  ["an export", "export"],
  ["an import of events", "import", "-"],
  ["the management of write keys", "keys", "list"],
];

for (const [what, ...args] of OPENING) {
  Deno.test(`${what} refuses a database of version 0.3 in one line that names the import, and changes nothing`, async () => {
    await using files = await oldAndNew();
    const before = await Deno.readFile(files.oldPath);
    const env = { KV_URL: files.oldPath, ADMIN_TOKEN, PORT: "0" };
    const { code, stdout, stderr } = await runCommand(Deno.execPath(), ["task", "--quiet", ...args], env);
    deepStrictEqual([code === 0, stdout], [false, ""]);
    strictEqual(stderr.trim().split("\n").length, 1, stderr);
    match(stderr, /signalfold 0\.3 or older wrote this database\. .*deno task import OLD\.db/);
    closeInOrder(files.oldPath);
    deepStrictEqual(Buffer.from(await Deno.readFile(files.oldPath)), Buffer.from(before));
  });
}

async function noFile(path: string): Promise<void> {
  const found = await Deno.stat(path).then(() => true, () => false);
  ok(!found, `${path} was created`);
}
