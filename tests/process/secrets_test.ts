/**
 * Secrets stay secret: right and wrong ones are shown to a real server in every way that a request has, at the level of
 * the log that says most; then everything that it wrote and answered, and every byte of its database, is searched.
 *
 * How it works: a secret would be found in UTF-8, in UTF-16 (as the store may write strings), in base64 (as Basic has
 * it) and percent-encoded. The journal is compressed, so the logs as shown and exported are searched too. A word that is
 * no secret shows that the search finds what is there.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { hash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { runTask, type Server, startServer, tempDir } from "./server.ts";

const ADMIN_TOKEN = "planted-admin-of-environment-9a1f";
const READ_TOKEN = "planted-reader-of-environment-9a1f";
const WRITE_KEY = "planted-key-of-environment-9a1f";
const ACCESS_TOKEN = "planted-access-token-9a1f";
/** What nobody has. */
const WRONG = "planted-wrong-9a1f";

/** Stands in what a sender sent and may be kept, so it must be found. */
const KEPT_NAME = "kept-name-of-a-key-9a1f";
const KEPT_TRAIT = "kept-trait-9a1f";

const basic = (text: string) => `Basic ${btoa(text)}`;
const bearer = (token: string) => `Bearer ${token}`;

interface Asked {
  method?: string;
  headers?: Record<string, string>;
  body?: BodyInit;
}

/** Requests that show a secret in each place where one may stand; the events are those of a user named `kind`. */
function requestsWith(secret: string, kind: string): [path: string, init: Asked][] {
  const event = { type: "identify", userId: kind, traits: { a: KEPT_TRAIT } };
  const one = JSON.stringify(event);
  const json = (value: unknown): Asked => ({ method: "POST", body: JSON.stringify(value) });
  const post = (headers: Record<string, string>, body: BodyInit = one): Asked => ({
    method: "POST",
    headers,
    body,
  });
  const authorization = { authorization: bearer(secret) };
  return [
    ["/api/v1/events", post({ authorization: basic(`${secret}:`) })],
    ["/api/v1/events", post({ authorization: basic(`${secret}:${secret}`) })],
    ["/api/v1/events", post({ authorization: basic(`:${secret}`) })],
    ["/api/v1/events", post(authorization)],
    ["/api/v1/events", post({ authorization: secret })],
    ["/api/v1/events", post({ authorization: `Digest username="${secret}"` })],
    ["/api/v1/events", post({ "x-write-key": secret })],
    ["/api/v1/events", json({ ...event, writeKey: secret })],
    ["/api/v1/events", json({ ...event, writeKey: [secret] })],
    ["/api/v1/events", post({}, `{"writeKey":"${secret}","type":`)],
    ["/api/v1/events", post({}, `${secret}`)],
    ["/api/v1/events", post({ ...authorization, "content-encoding": secret })],
    ["/api/v1/events", post({ ...authorization, "content-encoding": "gzip" }, secret)],
    [
      "/api/v1/events",
      post({ "content-encoding": "gzip" }, new Uint8Array(gzipSync(`{"writeKey":"${secret}"`))),
    ],
    ["/api/v1/events", post({}, `{"writeKey":"${secret}","x":"${"x".repeat(5_000_000)}"}`)],
    ["/api/v1/events/batch", json({ batch: [{ ...event, writeKey: secret }], writeKey: secret })],
    [
      "/api/v1/events/batch",
      post(authorization, JSON.stringify({ batch: [{ ...event, writeKey: secret }] })),
    ],
    [`/api/v1/events?writeKey=${secret}`, post({})],
    [`/api/v1/users/${kind}?token=${secret}&limit=${secret}&at=${secret}&cursor=${secret}`, {
      headers: authorization,
    }],
    [`/api/v1/users/${kind}/events?limit=${secret}&cursor=${secret}`, { headers: authorization }],
    [`/api/v1/users/${secret}`, { headers: { ...authorization, cookie: `token=${secret}` } }],
    [`/api/v1/admin/keys/${secret}`, { method: "DELETE", headers: authorization }],
    ["/api/v1/admin/keys", { ...json({ name: KEPT_NAME, key: secret }), headers: authorization }],
    ["/api/v1/admin/keys", { ...json({ name: { secret } }), headers: authorization }],
    ["/api/v1/admin/stats", { headers: authorization }],
    [`/${secret}`, { headers: authorization }],
    [`/beacon/v1/batch?writeKey=${secret}`, json({ batch: [event] })],
    ["/api/v1/events", { method: "OPTIONS", headers: { origin: `https://${secret}` } }],
  ];
}

/** An answer as it came: head and body. */
async function answerOf(server: Server, [path, init]: [string, Asked]): Promise<string> {
  const response = await fetch(server.url + path, init);
  return `${response.status} ${JSON.stringify([...response.headers])} ${await response.text()}`;
}

/** All ways in which a word may be written. */
function formsOf(word: string): Buffer[] {
  const encoded = Buffer.from(word);
  // Basic may have anything before it, which moves the word within the groups of base64.
  const inBase64 = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), encoded]).toString("base64");
    return Buffer.from(text.slice(before === 0 ? 0 : 4, -4));
  });
  return [encoded, Buffer.from(word, "utf16le"), Buffer.from(encodeURIComponent(word)), ...inBase64];
}

const has = (bytes: Uint8Array, word: string) =>
  formsOf(word).some((form) => Buffer.from(bytes).includes(form));

Deno.test("no secret is in an answer, in the log, or in the database", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/signalfold.db`;
  const env = { ADMIN_TOKEN, READ_TOKEN, WRITE_KEY, DENO_KV_ACCESS_TOKEN: ACCESS_TOKEN, LOG_LEVEL: "debug" };
  const server = await startServer(path, { ...env, AUTH_FAILURES_PER_MINUTE: "20" });
  await using _ = server;

  const made = await fetch(`${server.url}/api/v1/admin/keys`, {
    method: "POST",
    headers: { authorization: bearer(ADMIN_TOKEN) },
    body: JSON.stringify({ name: KEPT_NAME }),
  });
  strictEqual(made.status, 201);
  const { id, key } = await made.json();
  const secrets: [kind: string, secret: string][] = [
    ["stored", key],
    ["env", WRITE_KEY],
    ["read", READ_TOKEN],
    ["admin", ADMIN_TOKEN],
    ["wrong", WRONG],
  ];
  const answers: string[] = [];
  for (const [kind, secret] of secrets) {
    for (const request of requestsWith(secret, kind)) answers.push(await answerOf(server, request));
    // By the contract these two tell a write key to whoever asks with it; the log must not.
    for (const path of [`/v1/projects/${secret}/settings`, `/sourceConfig?writeKey=${secret}`]) {
      strictEqual(
        (await answerOf(server, [path, {}])).slice(0, 1),
        kind === "stored" || kind === "env" ? "2" : "4",
      );
    }
  }
  const statuses = new Set(answers.map((answer) => answer.slice(0, 3)));
  for (const status of ["200", "204", "400", "401", "403", "404", "413", "429"]) {
    ok(statuses.has(status), `${status} is among the answers`);
  }
  ok(![...statuses].some((status) => status >= "500"), [...statuses].join());
  const asAdmin = { headers: { authorization: bearer(ADMIN_TOKEN) } };
  for (const kind of ["stored", "env", "admin"]) {
    const log = await answerOf(server, [`/api/v1/users/${kind}/events?limit=500`, asAdmin]);
    ok(log.startsWith("200") && log.includes(KEPT_TRAIT), log.slice(0, 300));
    answers.push(log);
  }
  answers.push(await answerOf(server, ["/api/v1/admin/keys", asAdmin]));
  strictEqual((await server.end("SIGTERM")).code, 0);
  const exported = await runTask(path, "export");
  strictEqual(exported.code, 0, exported.stderr);

  const places: Record<string, Uint8Array> = {
    "an answer": Buffer.from(answers.join("\n")),
    "the log": Buffer.from(server.written()),
    "the export": Buffer.from(exported.stdout + exported.stderr),
  };
  for await (const { name } of Deno.readDir(dir.path)) {
    places[name] = await Deno.readFile(`${dir.path}/${name}`);
  }
  const found: string[] = [];
  for (const [where, bytes] of Object.entries(places)) {
    for (const [kind, secret] of [...secrets, ["access", ACCESS_TOKEN]]) {
      if (has(bytes, secret!)) found.push(`${kind} is in ${where}`);
    }
  }
  deepStrictEqual(found, []);

  const files = Object.keys(places).filter((name) => name.startsWith("signalfold.db"));
  const inFiles = (word: string) => files.some((name) => has(places[name]!, word));
  ok(inFiles(KEPT_NAME), "a word that is kept is found in the database");
  ok(inFiles(id) && inFiles(hash("sha256", key, "hex")), "of a key, its digest is kept");
  ok(has(places["the export"]!, KEPT_TRAIT), "a word that is kept is found in the export");
  ok(has(places["the log"]!, "unauthorized"), "the log tells of refusals");
});

Deno.test("the search finds a word in each of its forms", () => {
  for (
    const text of [WRONG, basic(`${WRONG}:`), basic(`:${WRONG}`), basic(`x:${WRONG}`), basic(`xy:${WRONG}z`)]
  ) {
    ok(has(Buffer.from(text), WRONG), text);
  }
  ok(has(Buffer.from(WRONG, "utf16le"), WRONG));
  ok(!has(Buffer.from(basic("something else")), WRONG));
});

Deno.test("a bad setting is named without its value, which may be a secret", async () => {
  await using dir = await tempDir();
  for (
    const [name, value] of [["ADMIN_TOKEN", `${WRONG} `], ["READ_TOKEN", `${WRONG}\u00e9`], [
      "READ_TOKEN",
      WRONG,
    ], [
      "WRITE_KEY",
      `${WRONG}:x`,
    ]]
  ) {
    const started = startServer(`${dir.path}/a.db`, { [name!]: value! });
    const message = await started.then(() => "it started", (error: Error) => error.message);
    ok(message.includes(name!) && !message.includes(WRONG), message);
  }
});
