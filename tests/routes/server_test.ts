/** What only a real connection shows: bodies that stall or break off, and answers that come before a body's end. */
import { match, ok, strictEqual } from "node:assert";
import type { Limits } from "../../routes/body/limits.ts";
import { beginEvent, eventually, sleep } from "../process/server.ts";
import { ADMIN_TOKEN, openTestApp, WRITE_KEY } from "./test_app.ts";

const EVENT = JSON.stringify({ type: "track", userId: "u1", event: "x" });

/** The routes on a port, with the real clock's pace for deadlines. */
async function openServer(limits: Partial<Limits> = {}) {
  const test = await openTestApp({ limits });
  const clock = setInterval(() => test.clock.nowMs = Date.now(), 5);
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request, info) => test.app.fetch(request, info),
  );
  const { port } = server.addr;
  return {
    ...test,
    server,
    url: `http://127.0.0.1:${port}`,
    connect: () => Deno.connect({ hostname: "127.0.0.1", port }),
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      clearInterval(clock);
      await test[Symbol.asyncDispose]();
    },
  };
}

function head(members: Record<string, string>, path = "/api/v1/events"): string {
  const lines = Object.entries({ host: "x", "x-write-key": WRITE_KEY, ...members }).map(([name, value]) =>
    `${name}: ${value}`
  );
  return `POST ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`;
}

/** The line of {@link head} that names the sender. */
const AS_SENDER = `x-write-key: ${WRITE_KEY}\r\n`;

const write = (connection: Deno.Conn, text: string) => connection.write(new TextEncoder().encode(text));
/** Reads up to the end of a problem's JSON. */
async function readAnswer(connection: Deno.Conn): Promise<string> {
  const bytes = new Uint8Array(4096);
  let text = "";
  while (!text.endsWith("}")) {
    const count = await connection.read(bytes);
    if (count === null) break;
    text += new TextDecoder().decode(bytes.subarray(0, count));
  }
  return text;
}

const readAll = (connection: Deno.Conn) => new Response(connection.readable).text();

Deno.test("a HEAD is answered like a GET, without a body and without a length that the GET does not have", async () => {
  await using server = await openServer();
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  for (
    const path of [
      "/healthz",
      "/openapi.json",
      "/api/v1/users/nobody",
      "/v1/projects/unknown/settings",
      "/v1/track",
    ]
  ) {
    const answers = [];
    for (const method of ["GET", "HEAD"]) {
      const answer = await fetch(server.url + path, { method, headers });
      answers.push({ answer, length: (await answer.text()).length });
    }
    const [get, head] = answers as [typeof answers[0], typeof answers[0]];
    strictEqual(head.answer.status, get.answer.status, path);
    strictEqual(head.answer.headers.get("content-type"), get.answer.headers.get("content-type"), path);
    strictEqual(head.length, 0, path);
    ok([null, String(get.length)].includes(head.answer.headers.get("content-length")), path);
  }
});

const HALF_BODIES: [what: string, sent: string][] = [
  ["of known length", head({ "content-length": "100" }) + "{"],
  ["that has not begun", head({ "content-length": "100" })],
  ["in chunks", head({ "transfer-encoding": "chunked" }) + "1\r\n{\r\n"],
  ["that is large", head({ "content-length": "1000000" }) + "{".repeat(1000)],
];

for (const [what, sent] of HALF_BODIES) {
  Deno.test(`a body ${what} that stalls is answered by 400, without a key by 401, and nobody else waits`, async () => {
    await using server = await openServer({ idleMs: 100 });
    for (
      const [text, expected] of [
        [sent, /^HTTP\/1\.1 400 Bad Request\r\n[^]*connection: close\r\n[^]*"code":"stalled_body"/i],
        [sent.replace(AS_SENDER, ""), /^HTTP\/1\.1 401 Unauthorized\r\n[^]*connection: close\r\n/i],
      ] as const
    ) {
      // The runtime leaves it to the sender, or to a proxy, to close the connection after such an answer.
      using connection = await server.connect();
      await write(connection, text);
      match(await readAnswer(connection), expected);
    }
    strictEqual((await fetch(`${server.url}/healthz`)).status, 200);
  });
}

Deno.test("a body that stalls behind a valid key in it is answered by 400", async () => {
  await using server = await openServer({ idleMs: 100 });
  using connection = await server.connect();
  const text = `{"writeKey":"${WRITE_KEY}",`;
  const body = `${text.length.toString(16)}\r\n${text}\r\n`;
  await write(connection, head({ "transfer-encoding": "chunked" }).replace(AS_SENDER, "") + body);
  match(await readAnswer(connection), /^HTTP\/1\.1 400 [^]*connection: close\r\n[^]*"code":"stalled_body"/i);
});

Deno.test("a sender that goes away in the middle disturbs nobody, and is no fault of ours", async () => {
  await using server = await openServer();
  for (const [, sent] of HALF_BODIES) {
    const connection = await server.connect();
    await write(connection, sent);
    connection.close();
  }
  const headers = { "x-write-key": WRITE_KEY };
  const answer = await fetch(`${server.url}/api/v1/events`, { method: "POST", headers, body: EVENT });
  strictEqual(answer.status, 200);
  strictEqual((await answer.json()).duplicate, false);
  for (const line of server.logged) strictEqual(line.level, "info", JSON.stringify(line));
});

Deno.test("the event of a sender that disconnects before the answer is accepted", async () => {
  await using server = await openServer();
  const connection = await server.connect();
  await write(connection, head({ "content-length": `${EVENT.length}` }) + EVENT);
  connection.close();
  await eventually("it is there", async () => (await server.get("/api/v1/users/u1")).status === 200);
  strictEqual((await server.get("/api/v1/users/u1")).body.eventCount, 1);
});

const REFUSED: [what: string, path: string, headers: Record<string, string>, status: number][] = [
  ["without a credential", "/api/v1/events", {}, 401],
  ["with a wrong credential", "/api/v1/events", { "x-write-key": "wrong" }, 401],
  ["that is too large", "/api/v1/events/batch", { "x-write-key": WRITE_KEY }, 413],
  ["to nowhere", "/nowhere", {}, 404],
];

for (const [what, path, headers, status] of REFUSED) {
  Deno.test(`a body of 6 MiB ${what} is read to its end, so that its sender gets the answer, ${status}`, async () => {
    await using server = await openServer();
    for (let times = 0; times < 3; times++) {
      const answer = await fetch(server.url + path, {
        method: "POST",
        headers,
        body: "x".repeat(6 * 1024 * 1024),
      });
      strictEqual(answer.status, status);
      strictEqual((await answer.json()).success, false);
    }
  });
}

Deno.test("one connection serves one request after another, refused or not", async () => {
  await using server = await openServer();
  const connection = await server.connect();
  const good = head({ "content-length": `${EVENT.length}` }) + EVENT;
  const wrong = head({ "content-length": "1", "x-write-key": "wrong" }) + "{";
  const last = head({ "content-length": `${EVENT.length}`, connection: "close" }) + EVENT;
  await write(connection, good + wrong + good + last);
  const statuses = [...(await readAll(connection)).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
  strictEqual(statuses.join(" "), "200 401 200 200");
});

Deno.test("stop() refuses new requests, and resolves once accepted ones are answered", async () => {
  await using server = await openServer();
  using request = await beginEvent(server.url, { writeKey: WRITE_KEY, length: EVENT.length });
  await request.write(EVENT.slice(0, 5));
  let hasStopped = false;
  const stopped = server.app.stop().then(() => hasStopped = true);

  const refused = await server.send("/api/v1/events", EVENT);
  strictEqual(refused.status, 503);
  ok(Number(refused.headers.get("retry-after")) >= 1);
  strictEqual(refused.headers.get("access-control-allow-origin"), "*");
  strictEqual(hasStopped, false);

  await request.write(EVENT.slice(5));
  match(await request.answer(), /^HTTP\/1\.1 200/);
  await stopped;
});

Deno.test("a body that the server's own end breaks off is 503, so that its sender tries again", async () => {
  const server = await openServer();
  using request = await beginEvent(server.url, { writeKey: WRITE_KEY, length: 1_000 });
  await request.write("{");
  server.app.stop();
  const closed = server[Symbol.asyncDispose]();
  // The first byte that comes when the end has begun breaks it off.
  let isAnswered = false;
  const answer = readAnswer(request.connection).finally(() => isAnswered = true);
  for (let n = 2; n < 1_000 && !isAnswered; n++) {
    await request.write("{").catch(() => {});
    await sleep(50);
  }
  match(await answer, /^HTTP\/1\.1 503 /);
  request[Symbol.dispose]();
  await closed;
});
