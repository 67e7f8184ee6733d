/**
 * Makes the database of version 0.3 that the tests import, by the real server of that version:
 *
 *     git worktree add --detach ../signalfold-0.3 42e8ff9
 *     deno run --allow-all tests/tasks/version_0_3/make.ts ../signalfold-0.3
 *
 * It sends events of all types over several days (the server's clock is moved between starts), manages write keys and
 * contracts, erases people, stops the server in order, and writes two files beside this one: `signalfold.db.gz`, and
 * `answers.json`: what that server answered at last, and what it was sent.
 */
import { gzipSync } from "node:zlib";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";

const HERE = new URL("./", import.meta.url).pathname;
const CHECKOUT = await Deno.realPath(Deno.args[0]!);
const ADMIN_TOKEN = "process_admin_token_0123456789";
const WRITE_KEY = "write_key_of_the_environment";
const HOUR_MS = 3_600_000;
const NOW = Date.now();
/** A start a few hours after the one before, so that a window of one day passes. */
const STEP_MS = 4 * HOUR_MS;
const STARTS = 24;
const TIES = "2026-05-04T10:00:00.000Z";
const LONG_ID = `long-${"ü".repeat(150)}`;

interface Server {
  ask(path: string, init?: { method?: string; body?: unknown }): Promise<unknown>;
  send(body: unknown, key?: string): Promise<{ duplicate?: boolean; results?: unknown }>;
  stop(): Promise<void>;
}

/** Starts 0.3 with a clock that is `movedMs` off. */
async function start(database: string, movedMs: number): Promise<Server> {
  const clockFile = `${database}.clock`;
  await Deno.writeTextFile(clockFile, String(movedMs));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-all", "tests/process/moved_clock.ts"],
    cwd: CHECKOUT,
    env: {
      ...{ PORT: "0", HOST: "127.0.0.1", KV_URL: database, ADMIN_TOKEN, WRITE_KEY, DEDUP_DAYS: "1" },
      ...{ CLOCK_FILE: clockFile, GEOIP_DB: "off" },
    },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let written = "";
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let url: string | undefined;
  while (url === undefined) {
    const { value, done } = await output.read();
    if (done) throw new Error(`0.3 does not start: ${written}`);
    written += value;
    url = /listens on (\S+)$/m.exec(written)?.[1];
  }
  async function request(path: string, init: RequestInit) {
    const response = await fetch(url + path, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }
  const json = (body: unknown) => typeof body === "string" ? body : JSON.stringify(body);
  const server: Server = {
    ask: (path, { method = "GET", body } = {}) =>
      request(path, {
        method,
        headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
        ...body !== undefined && { body: json(body) },
      }),
    send: (body, key = WRITE_KEY) =>
      request(Array.isArray(body) ? "/api/v1/events/batch" : "/api/v1/events", {
        method: "POST",
        headers: { authorization: `Basic ${btoa(`${key}:`)}`, "content-type": "application/json" },
        body: json(Array.isArray(body) ? { batch: body } : body),
      }),
    async stop() {
      await settled(server);
      child.kill("SIGTERM");
      await output.cancel();
      const { code } = await child.status;
      if (code !== 0) throw new Error(`0.3 ended with status ${code}`);
    },
  };
  return server;
}

async function settled(server: Server): Promise<void> {
  while ((await server.ask("/api/v1/admin/stats") as { unsettled: number }).unsettled > 0) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A time before the first start, so that events are late and keep it. */
const at = (hour: number) => new Date(NOW - STARTS * STEP_MS - 30 * HOUR_MS + hour * HOUR_MS).toISOString();
const track = (messageId: string, more: object) => ({
  type: "track",
  event: "Order Completed",
  messageId,
  ...more,
});

const folder = await Deno.makeTempDir({ prefix: "signalfold-0.3-" });
const database = `${folder}/signalfold.db`;
const secrets: Record<string, string> = { environment: WRITE_KEY };

type Created = { id: string; key: string };
const keys: Record<string, Created> = {};

async function manage(server: Server): Promise<void> {
  const create = async (name: string, more: object = {}) => {
    keys[name] = await server.ask("/api/v1/admin/keys", {
      method: "POST",
      body: { name, ...more },
    }) as Created;
    secrets[name] = keys[name].key;
  };
  await create("web");
  await create("mobile", { allowedTypes: ["track", "screen"], rateLimit: { perSecond: 500, burst: 1000 } });
  await create("server");
  await create("paused", { enabled: false });
  await create("deleted");
  await server.ask(`/api/v1/admin/keys/${keys.deleted!.id}`, { method: "DELETE" });
  const put = (name: string, body: object) =>
    server.ask(`/api/v1/admin/contracts/${name}`, { method: "PUT", body });
  const order = (required: string[], mode: string) => ({
    type: "track",
    event: "Checkout Started",
    mode,
    schema: { type: "object", properties: { properties: { type: "object", required } } },
  });
  await put("checkout", order([], "monitor"));
  await put("checkout", order(["cart_id"], "monitor"));
  await put("checkout", order(["cart_id"], "enforce"));
  await server.ask("/api/v1/admin/contracts/checkout/versions/2/restore", { method: "POST" });
  await put("signup", { type: "identify", mode: "monitor", schema: true, writeKeyIds: [keys.web!.id] });
  await put("obsolete", { type: "page", mode: "monitor", schema: true });
  await server.ask("/api/v1/admin/contracts/obsolete", { method: "DELETE" });
}

/** Events of every kind, from several senders. */
async function sendMany(server: Server): Promise<void> {
  await server.send([
    {
      type: "page",
      name: "Home",
      anonymousId: "a1",
      messageId: "m1",
      timestamp: at(0.1),
      context: { ip: "203.0.113.7", locale: "de" },
    },
    track("m2", { anonymousId: "a1", timestamp: at(0.2), event: "Product Viewed", properties: { id: 7 } }),
    {
      type: "identify",
      userId: "u1",
      anonymousId: "a1",
      messageId: "m3",
      timestamp: at(0.3),
      traits: { email: "a@example.org", plan: "free" },
    },
    // The same id twice in one batch, with other content: the first counts.
    track("m4", { userId: "u1", timestamp: at(0.4), properties: { total: 10 } }),
    track("m4", { userId: "u1", timestamp: at(0.4), properties: { total: 99 } }),
    {
      type: "group",
      userId: "u1",
      groupId: "g1",
      messageId: "m5",
      timestamp: at(0.5),
      traits: { name: "Acme", seats: 5 },
    },
    { type: "screen", userId: "u2", name: "Start", messageId: "m6", timestamp: at(0.6) },
    { type: "alias", userId: "u2", previousId: "old-2", messageId: "m7", timestamp: at(0.7) },
    {
      type: "identify",
      userId: "u2",
      messageId: "m8",
      timestamp: at(0.8),
      traits: { plan: "pro", gone: 1, nested: { a: [1, 2] } },
    },
    { type: "identify", userId: "u2", messageId: "m9", timestamp: at(0.9), traits: { gone: null } },
    track("m10", { anonymousId: "old-2", timestamp: at(0.05) }),
    { type: "group", anonymousId: "a2", groupId: "g1", messageId: "m11", timestamp: at(0.95) },
    track("m12", { userId: LONG_ID, event: "Größe geändert 🚀" }),
    track("m13", { userId: "n1", properties: { toString: 1 } }),
    { type: "identify", userId: "n1", messageId: "m14", traits: { "constructor": "x", " ": "blank" } },
  ], secrets.web);
  // Equal timestamps, from senders in turn: the order of the journal decides which trait stays.
  for (let n = 0; n < 12; n++) {
    const key = [secrets.web, secrets.server, WRITE_KEY][n % 3]!;
    await server.send({
      type: "identify",
      userId: "ties",
      messageId: `tie-${n}`,
      timestamp: TIES,
      traits: { last: n, [`t${n}`]: n },
    }, key);
  }
  // A number that no double holds, and a member that is not a prototype.
  await server.send(
    '{"type":"identify","userId":"exact","messageId":"big","traits":{"__proto__":"data","n":12345678901234567890}}',
  );
  // Somebody else logs in on the same device, and the first user comes back, late.
  await server.send([
    { type: "identify", userId: "u3", anonymousId: "a1", messageId: "m20", timestamp: at(2) },
    track("m21", { anonymousId: "a1", timestamp: at(2.5) }),
    track("m22", { anonymousId: "a1", timestamp: at(0.15) }),
    {
      type: "group",
      userId: "u3",
      groupId: "g2",
      messageId: "m23",
      timestamp: at(2.6),
      traits: { name: "Beta" },
    },
    { type: "identify", userId: "placeholder-user", anonymousId: "undefined", messageId: "m24" },
  ], secrets.server);
  const again = await server.send(track("m2", { anonymousId: "a1" }));
  if (again.duplicate !== true) throw new Error("a message id counts twice within the window");
  // To be erased later.
  await server.send([
    {
      type: "identify",
      userId: "erased",
      anonymousId: "a-erased",
      messageId: "e1",
      traits: { email: "secret@example.org" },
    },
    track("e2", { anonymousId: "a-erased" }),
    track("e3", { userId: "erased" }),
    { type: "group", userId: "erased", groupId: "g1", messageId: "e4" },
    {
      type: "identify",
      userId: "suppressed",
      anonymousId: "a-suppressed",
      messageId: "e5",
      traits: { email: "hidden@example.org" },
    },
    track("e6", { anonymousId: "a-anonymous" }),
    { type: "alias", userId: "u2", previousId: "a-anonymous", messageId: "e7" },
  ]);
}

async function sendAtScale(server: Server): Promise<void> {
  const batch = Array.from(
    { length: 400 },
    (_, n) => track(`s${n}`, { userId: `s${n % 20}`, properties: { n } }),
  );
  await server.send(batch, secrets.mobile);
}

// A window of one day passes between the first start and the last.
for (let n = 0; n < STARTS; n++) {
  const server = await start(database, -(STARTS - n) * STEP_MS);
  if (n === 0) {
    await manage(server);
    await sendMany(server);
    await sendAtScale(server);
  }
  await server.send(track(`hourly-${n}`, { userId: "u1", timestamp: at(3 + n) }));
  await server.stop();
}

const server = await start(database, 0);
const recounted = await server.send(track("m4", { userId: "u1", properties: { total: 11 } }));
if (recounted.duplicate !== false) throw new Error("the window did not pass: m4 is still a duplicate");
await server.send(track("hourly-9", { userId: "u1" }));
const rotated = await server.ask(`/api/v1/admin/keys/${keys.web!.id}/rotate`, {
  method: "POST",
  body: { graceSeconds: 30 * 86_400 },
}) as Created;
secrets.webBefore = secrets.web!;
secrets.web = rotated.key;
const dropped = await server.ask(`/api/v1/admin/keys/${keys.server!.id}/rotate`, {
  method: "POST",
  body: { graceSeconds: 0 },
}) as Created;
secrets.serverBefore = secrets.server!;
secrets.server = dropped.key;
await settled(server);
const receipts: Record<string, unknown> = {};
for (
  const path of [
    "users/erased",
    "users/suppressed?suppress=true",
    "anonymous/a-anonymous",
    "users/never-seen?suppress=true",
  ]
) {
  receipts[path] = await server.ask(`/api/v1/${path}`, { method: "DELETE" });
}
await server.send(track("after", { userId: "erased", event: "Came Back" }));
await settled(server);

// What the server answers at last.
const answers: Record<string, unknown> = {};
const read = async (path: string) => void (answers[path] = await server.ask(path));
const users = ["u1", "u2", "u3", LONG_ID, "n1", "ties", "exact", "placeholder-user", "erased", "s0", "s19"];
for (const id of users) {
  await read(`/api/v1/users/${encodeURIComponent(id)}`);
  await read(`/api/v1/users/${encodeURIComponent(id)}/events?limit=200&order=asc`);
}
for (const id of ["a1", "a2", "old-2", "undefined"]) {
  await read(`/api/v1/anonymous/${id}/events`).catch(() => {});
}
for (const id of ["g1", "g2"]) {
  await read(`/api/v1/groups/${id}`);
  await read(`/api/v1/groups/${id}/members`);
  await read(`/api/v1/groups/${id}/events?limit=200&order=asc`);
}
await read("/api/v1/admin/keys");
await read("/api/v1/admin/contracts");
for (const name of ["checkout", "signup", "obsolete"]) await read(`/api/v1/admin/contracts/${name}/versions`);
await read("/api/v1/admin/stats");
await server.stop();

const file = new DatabaseSync(database);
file.exec("PRAGMA wal_checkpoint(TRUNCATE); VACUUM");
file.close();
await Deno.writeFile(`${HERE}signalfold.db.gz`, gzipSync(await Deno.readFile(database), { level: 9 }));
const text = JSON.stringify({ madeAt: NOW, secrets, receipts, answers, longId: LONG_ID }, null, 1);
await Deno.writeTextFile(`${HERE}answers.json`, `${text}\n`);
await Deno.remove(folder, { recursive: true });
const { size } = await Deno.stat(`${HERE}signalfold.db.gz`);
console.log(`signalfold.db.gz has ${size} bytes, answers.json ${Buffer.byteLength(text)}`);
