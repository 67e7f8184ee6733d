/**
 * `deno task dev` and `deno task start` as their users meet them: real processes, real ports, the permissions of the
 * tasks. Everything runs in one copy of the repository.
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { missing, testWhere } from "../needs.ts";
import { beginEvent, writes } from "../process/server.ts";
import { copyRepository, spawnTask } from "./spawned.ts";

const directory = await copyRepository();
let databases = 0;

const START = () => ({
  PORT: "0",
  KV_URL: `${directory}/start ${databases++}.db`,
  ADMIN_TOKEN: "planted-admin-token-0123456789",
  WRITE_KEY: "planted-write-key",
});

async function bash(line: string, env: Record<string, string> = {}): Promise<string> {
  const { stdout } = await new Deno.Command("bash", { args: ["-c", line], env, stderr: "null" }).output();
  return new TextDecoder().decode(stdout);
}

/** The two lines that are to be pasted: one sends, one reads. The word is in no other. */
function commandsOf(output: string): [send: string, read: string] {
  const lines = output.split("\n").filter((line) => /curl/i.test(line));
  strictEqual(lines.length, 2, output);
  for (const line of lines) match(line, /^curl /);
  return lines as [string, string];
}

const asAdmin = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

testWhere(missing("bash", "curl"), {
  name: "dev makes a write key and an admin token once, and prints them with a command that works",
  async fn() {
    let secrets: (string | undefined)[] = [];
    for (const times of [1, 2]) {
      await using dev = spawnTask(directory, "dev", { PORT: "0" });
      const url = await dev.url();
      match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
      const writeKey = /\bc[a-z0-9]{24}\b/.exec(dev.output())?.[0];
      const adminToken = /\b[0-9a-f]{48}\b/.exec(dev.output())?.[0];
      ok(writeKey !== undefined && adminToken !== undefined, dev.output());
      if (times === 2) deepStrictEqual([writeKey, adminToken], secrets);
      secrets = [writeKey, adminToken];

      const [send, read] = commandsOf(dev.output());
      const answer = JSON.parse(await bash(send));
      deepStrictEqual([answer.success, answer.duplicate], [true, false]);
      strictEqual(JSON.parse(await bash(read)).eventCount, times);
      strictEqual((await dev.stop("SIGINT")).code, 0, dev.errors());
    }
    const { mode } = await Deno.stat(`${directory}/.data/dev.json`);
    strictEqual((mode ?? 0) & 0o777, 0o600);
    ok((await Deno.stat(`${directory}/.data/signalfold.db`)).isFile);
  },
});

testWhere(missing("bash", "curl"), {
  name: "dev obeys every variable, and neither keeps nor prints a secret that is given",
  async fn() {
    const before = await Deno.readTextFile(`${directory}/.data/dev.json`).catch(() => "");
    const env = START();
    await using dev = spawnTask(directory, "dev", env);
    const url = await dev.url();
    const [send, read] = commandsOf(dev.output());
    match(send, /"\$WRITE_KEY:"/);
    match(read, /"Authorization: Bearer \$ADMIN_TOKEN"/);
    strictEqual(JSON.parse(await bash(send, { WRITE_KEY: env.WRITE_KEY })).success, true);
    strictEqual(JSON.parse(await bash(read, { ADMIN_TOKEN: env.ADMIN_TOKEN })).userId, "user_123");
    ok(url !== undefined);
    await dev.stop();
    ok((await Deno.stat(env.KV_URL)).isFile, "a database outside .data");
    for (const secret of [env.ADMIN_TOKEN, env.WRITE_KEY]) {
      strictEqual((dev.output() + dev.errors()).includes(secret), false);
    }
    strictEqual(await Deno.readTextFile(`${directory}/.data/dev.json`).catch(() => ""), before);
  },
});

Deno.test("dev reports a used port in one line", async () => {
  using other = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  await using dev = spawnTask(directory, "dev", { PORT: String(other.addr.port), KV_URL: ":memory:" });
  strictEqual((await dev.status).code, 1);
  match(dev.errors(), /^signalfold: cannot start: PORT \d+ is in use on 127\.0\.0\.1; choose another\n$/);
});

const REFUSED: [task: string, what: string, env: Record<string, string>, line: RegExp][] = [
  [
    "start",
    "without ADMIN_TOKEN",
    { ADMIN_TOKEN: "" },
    /^signalfold: cannot start: ADMIN_TOKEN must be set$/,
  ],
  ["start", "without KV_URL", { KV_URL: "" }, /^signalfold: cannot start: KV_URL must be set: .*$/],
  ["start", "with a bad PORT", { PORT: "http" }, /^signalfold: cannot start: PORT must be .*$/],
  [
    "start",
    "with a database that can't be opened",
    { KV_URL: "/nowhere/x.db" },
    /^signalfold: cannot start: failed to open KV_URL: .*$/,
  ],
  [
    "start",
    "with an address database that is not there",
    { GEOIP_DB: "/no/such.mmdb" },
    /^signalfold: cannot start: failed to read GEOIP_DB: .*$/,
  ],
  [
    "dev",
    "with an address database that is none",
    { GEOIP_DB: "deno.json" },
    /^signalfold: cannot start: failed to read GEOIP_DB: .*$/,
  ],
  [
    "dev",
    "with a bad TRUSTED_PROXIES",
    { TRUSTED_PROXIES: "all" },
    /^signalfold: cannot start: TRUSTED_PROXIES must be .*$/,
  ],
  ["dev", "with a bad LOG_LEVEL", { LOG_LEVEL: "loud" }, /^signalfold: cannot start: LOG_LEVEL must be .*$/],
  [
    "start",
    "with a HOST that is no address of this machine",
    { HOST: "192.0.2.77" },
    /^signalfold: cannot start: HOST must be an address of this machine; got 192\.0\.2\.77: .*$/,
  ],
  [
    "start",
    "with a HOST that no name server knows",
    { HOST: "no-such-host.invalid" },
    /^signalfold: cannot start: HOST must be an address of this machine; got no-such-host\.invalid: .*$/,
  ],
  [
    "dev",
    "with a HOST that has a port",
    { HOST: "localhost:8000" },
    /^signalfold: cannot start: HOST must be an address of this machine; got localhost:8000: .*$/,
  ],
  [
    "dev",
    "with a HOST that has a path",
    { HOST: "localhost/x" },
    /^signalfold: cannot start: HOST must be a .*$/,
  ],
  [
    "start",
    "with the ADMIN_TOKEN of a document that was copied",
    { ADMIN_TOKEN: "..." },
    /^signalfold: cannot start: ADMIN_TOKEN must have at least 24 characters: use openssl rand -hex 24$/,
  ],
  [
    "dev",
    "with a READ_TOKEN of one character",
    { READ_TOKEN: "x".repeat(32) },
    /^signalfold: cannot start: READ_TOKEN must have at least 8 distinct characters: use openssl .*$/,
  ],
  [
    "start",
    "with a WRITE_KEY that has a colon",
    { WRITE_KEY: "a:b" },
    /^signalfold: cannot start: WRITE_KEY must .*$/,
  ],
  ["dev", "with a comma in KV_URL", { KV_URL: "a,b" }, /^signalfold: cannot start: KV_URL must not .*$/],
];

for (const [task, what, env, line] of REFUSED) {
  Deno.test(`${task} ${what} ends with one line that names the variable`, async () => {
    await using refused = spawnTask(directory, task, { ...START(), ...env });
    strictEqual((await refused.status).code, 1);
    strictEqual(refused.output(), "");
    match(refused.errors().trimEnd(), line);
    strictEqual(refused.errors().includes("planted-"), false);
  });
}

Deno.test("start listens on loopback alone without HOST, and on HOST if it is set", async () => {
  const others = Deno.networkInterfaces().filter(({ address, family }) =>
    family === "IPv4" && !address.startsWith("127.")
  );
  for (const [host, isOpen] of [["", false], ["0.0.0.0", true]] as const) {
    await using started = spawnTask(directory, "start", { ...START(), HOST: host });
    const { hostname, port } = new URL(await started.url());
    strictEqual(hostname, "127.0.0.1");
    for (const { address } of others) {
      const connection = await Deno.connect({ hostname: address, port: Number(port) }).catch(() => undefined);
      connection?.close();
      strictEqual(connection !== undefined, isOpen, `${host}: ${address}`);
    }
  }
});

Deno.test("start names the missing variable if none is set", async () => {
  await using refused = spawnTask(directory, "start");
  strictEqual((await refused.status).code, 1);
  match(refused.errors(), /^signalfold: cannot start: ADMIN_TOKEN must be set\n$/);
});

Deno.test("start serves on a database whose path has a blank, prints no secret, and keeps answered events", async () => {
  const env = START();
  const headers = { authorization: `Basic ${btoa(`${env.WRITE_KEY}:`)}` };
  for (const eventCount of [1, 2]) {
    await using started = spawnTask(directory, "start", env);
    const url = await started.url();
    const body = JSON.stringify({ type: "track", userId: "u1", event: "x" });
    strictEqual((await fetch(`${url}/api/v1/events`, { method: "POST", headers, body })).status, 200);
    const profile = await (await fetch(`${url}/api/v1/users/u1`, asAdmin(env.ADMIN_TOKEN))).json();
    strictEqual(profile.eventCount, eventCount);
    strictEqual((await started.stop()).code, 0, started.errors());
    strictEqual((started.output() + started.errors()).includes("planted-"), false);
  }
});

Deno.test("a signal lets an accepted request be answered, then ends the process within 5 s", async () => {
  const env = START();
  await using started = spawnTask(directory, "start", env);
  const body = JSON.stringify({ type: "track", userId: "u1", event: "x" });
  using request = await beginEvent(await started.url(), { writeKey: env.WRITE_KEY, length: body.length });
  await request.write(body.slice(0, 10));
  started.process.kill("SIGTERM");
  await writes({ written: started.errors }, /"stopping"/);
  await request.write(body.slice(10));
  match(await request.answer(), /^HTTP\/1\.1 200 OK\r\n[^]*"success":true/);
  // In order: within the 5 s that `tests/process/stop_test.ts` tells of.
  strictEqual((await started.status).code, 0, started.errors());
});

Deno.test("a signal ends the process within 5 s, whatever senders and idle connections do", async () => {
  const env = START();
  await using started = spawnTask(directory, "start", env);
  const url = await started.url();
  const { port } = new URL(url);
  using stalled = await beginEvent(url, { writeKey: env.WRITE_KEY, length: 9 });
  await stalled.write("{");
  using idle = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
  await idle.write(new TextEncoder().encode("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"));
  await idle.read(new Uint8Array(1000));
  strictEqual((await started.stop("SIGTERM")).code, 0, started.errors());
});

Deno.test({
  name: "the copy of the repository is removed",
  fn: () => Deno.remove(directory, { recursive: true }),
});
