/** What follows the method in a request, as it is on the wire: over real connections, since clients tidy it up. */
import { deepStrictEqual, match, strictEqual } from "node:assert";
import { AS_ADMIN, openTestApp, type TestApp, WRITE_KEY } from "../test_app.ts";

const SETTINGS = `/v1/projects/${WRITE_KEY}/settings`;

/** The status line and the body of the answer to a request that is written by hand. */
async function ask(port: number, line: string, lines: string[] = [], body = "") {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const head = [line, "connection: close", `authorization: ${AS_ADMIN.authorization}`, ...lines];
  await connection.write(new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n${body}`));
  const text = await new Response(connection.readable).text();
  return { status: Number(text.split(" ", 2)[1]), body: text.slice(text.indexOf("\r\n\r\n") + 4) };
}

async function serve(test: TestApp): Promise<AsyncDisposable & { port: number }> {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, test.app.fetch);
  return await Promise.resolve({
    port: server.addr.port,
    [Symbol.asyncDispose]: () => server.shutdown(),
  });
}

const READING = [
  "/metrics",
  "/openapi.json",
  "/docs",
  "/healthz",
  "/readyz",
  "/api/v1/admin/stats",
  "/api/v1/users/u",
];

/** What is put around a path, and whether the path is still the one that a proxy's exact rule names. */
const NAMES: [around: (path: string) => string, isSame: boolean][] = [
  [(path) => path, true],
  [(path) => `${path}?`, true],
  [(path) => `http://x${path}`, true],
  [(path) => `HTTP://x:8000${path}`, true],
  [(path) => `${path}/`, false],
  [(path) => `${path}//`, false],
  [(path) => `/${path}`, false],
  [(path) => `/.${path}`, false],
  [(path) => `/x/..${path}`, false],
  [(path) => `${path}#`, false],
  [(path) => `${path}#x`, false],
  [(path) => `${path}%2f`, false],
  [(path) => `/%${path.charCodeAt(1).toString(16)}${path.slice(2)}`, false],
  [(path) => `/${path.slice(1).toUpperCase()}`, false],
  [(path) => `http://x${path}/`, false],
  [(path) => `http://x/${path}`, false],
  [(path) => `http://x?${path}`, false],
  [(path) => `http://x#${path}`, false],
];

Deno.test("a path without events has one name, and a scheme and a host before it are ignored", async () => {
  await using test = await openTestApp();
  await using server = await serve(test);
  await test.send("/api/v1/events", { type: "page", userId: "u" });
  for (const path of READING) {
    for (const [around, isSame] of NAMES) {
      const target = around(path);
      const { status } = await ask(server.port, `GET ${target} HTTP/1.1`, ["host: y"]);
      strictEqual(status, isSame ? 200 : 404, target);
    }
  }
});

const SENDING = ["/api/v1/events", "/v1/track", "/api/s/s2s/page"];

Deno.test("a path that accepts events may begin with several slashes and end in one, also after a host", async () => {
  await using test = await openTestApp();
  await using server = await serve(test);
  const body = JSON.stringify({ type: "page", userId: "u", event: "x" });
  const length = `content-length: ${body.length}`;
  for (const path of SENDING) {
    for (
      const target of [path, `${path}/`, `/${path}`, `//${path}/?x=y`, `http://x${path}`, `http://x/${path}/`]
    ) {
      const { status } = await ask(server.port, `POST ${target} HTTP/1.1`, ["host: y", length], body);
      strictEqual(status, 200, target);
    }
  }
  for (const target of [SETTINGS, `/${SETTINGS}/`, "/sourceConfig/"]) {
    strictEqual((await ask(server.port, `OPTIONS ${target} HTTP/1.1`, ["host: y"])).status, 204, target);
  }
});

Deno.test("a target that is a URL of another scheme, or without a host, is 400", async () => {
  await using test = await openTestApp();
  await using server = await serve(test);
  for (
    const target of ["ftp://x/metrics", "http://u@x/metrics", "http://x:99999/metrics", `http://[/v1/track`]
  ) {
    const { status, body } = await ask(server.port, `GET ${target} HTTP/1.1`, ["host: y"]);
    strictEqual(status, 400, target);
    // What the runtime itself refuses has no body.
    if (body !== "") match(body, /"code":"invalid_host"/);
  }
});

Deno.test("a client's settings name the host of a target that is a URL, as RFC 9112 has it, by http or https", async () => {
  await using test = await openTestApp();
  await using server = await serve(test);
  for (const [target, protocol] of [[`http://x:1${SETTINGS}`, "http"], [`https://x:1${SETTINGS}`, "https"]]) {
    const { body } = await ask(server.port, `GET ${target} HTTP/1.1`, ["host: y"]);
    const { apiHost, protocol: found } = JSON.parse(body).integrations["Segment.io"];
    deepStrictEqual([apiHost, found], ["x:1/v1", protocol]);
  }
});
