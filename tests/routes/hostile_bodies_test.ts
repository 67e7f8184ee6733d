/** Bodies of hostile senders over real connections: what they hold, and that others are served beside them. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { gzipSync } from "node:zlib";
import http2 from "node:http2";
import type { Limits } from "../../routes/body/limits.ts";
import { openTestApp, WRITE_KEY } from "./test_app.ts";

const EVENT = { type: "track", userId: "u1", event: "x" };
const KIB = 1024;

/** The routes on a port, and connections that are closed in the end. */
async function openServer(limits: Partial<Limits> = {}) {
  const test = await openTestApp({ limits });
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request, info) => test.app.fetch(request, info),
  );
  const { port } = server.addr;
  const connections: Deno.Conn[] = [];
  return {
    ...test,
    url: `http://127.0.0.1:${port}`,
    port,
    /** Sends the beginning of a request, and leaves it so. */
    async begin(text: string): Promise<Deno.Conn> {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port });
      connections.push(connection);
      const bytes = new TextEncoder().encode(text);
      for (let from = 0; from < bytes.length;) from += await connection.write(bytes.subarray(from));
      return connection;
    },
    async post(path: string, body: BodyInit, headers: Record<string, string> = {}) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", body, headers });
      return { status: response.status, body: await response.json() };
    },
    async [Symbol.asyncDispose]() {
      for (const connection of connections) {
        try {
          connection.close();
        } catch {
          // Closed already.
        }
      }
      await server.shutdown();
      await test[Symbol.asyncDispose]();
    },
  };
}

async function firstOf(connection: Deno.Conn): Promise<string> {
  const bytes = new Uint8Array(4096);
  const count = await connection.read(bytes);
  return new TextDecoder().decode(bytes.subarray(0, count ?? 0));
}

const inBody = (members: object = {}) => JSON.stringify({ ...EVENT, writeKey: WRITE_KEY, ...members });
const AS_SENDER = { "x-write-key": WRITE_KEY };

Deno.test("stalled bodies of strangers take nothing from small ones with a key, nor from senders whose header has one", async () => {
  await using server = await openServer();
  const stalled = `POST /v1/track HTTP/1.1\r\nhost: x\r\ncontent-length: ${512 * KIB}\r\n\r\n` +
    " ".repeat(300 * KIB);
  for (let n = 0; n < 5; n++) await server.begin(stalled);
  const large = { batch: [EVENT], padding: "x".repeat(2_000 * KIB) };
  strictEqual((await server.post("/v1/track", inBody())).status, 200);
  strictEqual((await server.post("/v1/batch", JSON.stringify(large), AS_SENDER)).status, 200);
  // Their address has its one large body; others would have theirs.
  const second = await server.post("/v1/track", inBody({ padding: "x".repeat(100 * KIB) }));
  deepStrictEqual([second.status, second.body.code], [503, "overloaded"]);
});

Deno.test("stalled bodies with the public key take nothing from small ones, nor all of the memory from other keys", async () => {
  await using server = await openServer();
  const { key } = await server.system.writeKeys.create({ name: "other" });
  const stalled =
    `POST /v1/batch HTTP/1.1\r\nhost: x\r\nx-write-key: ${WRITE_KEY}\r\ncontent-length: 4194304\r\n\r\n` +
    " ".repeat(4_000 * KIB);
  for (let n = 0; n < 10; n++) await server.begin(stalled);
  strictEqual((await server.post("/v1/track", JSON.stringify(EVENT), AS_SENDER)).status, 200);
  const large = JSON.stringify({ batch: [EVENT], padding: "x".repeat(2_000 * KIB) });
  strictEqual((await server.post("/v1/batch", large, { "x-write-key": key })).status, 200);
});

Deno.test("an address in debt is answered before any of its body has come", async () => {
  await using server = await openServer({ refusedMs: 1, refusedMsPerS: 0.1 });
  const statuses: number[] = [];
  for (let n = 0; n < 20; n++) statuses.push((await server.post("/v1/batch", "{}")).status);
  deepStrictEqual([statuses[0], statuses.at(-1)], [401, 429]);
  const connection = await server.begin(
    "POST /v1/batch HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n",
  );
  match(await firstOf(connection), /^HTTP\/1\.1 429 [^]*connection: close[^]*"code":"too_much_refused"/i);
});

/** Streams at once on one connection of cleartext HTTP/2, which Deno speaks to whoever begins with it. */
const STREAMS = 40;

Deno.test("streams of one HTTP/2 connection are bounded as requests of one address are", async () => {
  await using server = await openServer();
  const session = http2.connect(server.url);
  session.on("error", () => {});
  const send = (headers: Record<string, string>, body: Uint8Array) =>
    new Promise<number>((resolve) => {
      const stream = session.request({ ":method": "POST", ":path": "/v1/batch", ...headers });
      let status = 0;
      stream.on("response", (answer) => status = Number(answer[":status"]));
      stream.on("error", () => {});
      stream.on("close", () => resolve(status));
      stream.resume();
      stream.end(body);
    });
  const large = new TextEncoder().encode(JSON.stringify({ batch: [EVENT], padding: "x".repeat(500 * KIB) }));
  const strangers = await Promise.all(Array.from({ length: STREAMS }, () => send({}, large)));
  ok(strangers.every((status) => status === 401 || status === 503), strangers.join());
  // One at a time is read and judged; for the others there is no room.
  ok(strangers.includes(401), strangers.join());
  const bombs = await Promise.all(
    Array.from(
      { length: STREAMS },
      () => send({ "content-encoding": "gzip" }, new Uint8Array(gzipSync("[".repeat(4_000_000)))),
    ),
  );
  deepStrictEqual([...new Set(bombs)], [401]);
  const small = new TextEncoder().encode(JSON.stringify({ batch: [EVENT] }));
  strictEqual(await send(AS_SENDER, small), 200);
  session.destroy();
  strictEqual((await fetch(`${server.url}/healthz`)).status, 200);
});
