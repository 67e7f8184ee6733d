/** The proxy's configuration that docs/operations.md shows, run as it stands there, where nginx is installed. */
import { match, ok, strictEqual } from "node:assert";
import { missing, testWhere } from "../needs.ts";
import { openViewer } from "../routes/admin/live_client.ts";
import {
  ADMIN_TOKEN,
  eventually,
  freePort,
  ROOT,
  type Server,
  startServer,
  tempDir,
  WRITE_KEY,
} from "./server.ts";

/** The deadlines of the configuration, and how much later they may be seen; those that nginx has by itself are 60 s. */
const DEADLINE_MS = 10_000;
const LATE_MS = 45_000;

/** nginx as documented, but for its ports and folders. */
async function startProxy(server: Server, folder: string) {
  const docs = await Deno.readTextFile(`${ROOT}docs/operations.md`);
  const block = /```nginx\n([^]*?)```/.exec(docs)?.[1] ?? "";
  ok(block.includes("127.0.0.1:8000") && block.includes("listen 8080;"));
  const port = freePort();
  const site = block.replace("127.0.0.1:8000", new URL(server.url).host)
    .replace("listen 8080;", `listen 127.0.0.1:${port};`);
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder}/${name};`).join("\n");
  await Deno.writeTextFile(
    `${folder}/nginx.conf`,
    // Its workers would be another user, who may not write into the test's folder.
    `${
      Deno.uid() === 0 ? "user root; " : ""
    }daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log; events {}\n` +
      `http {\naccess_log off;\n${paths}\n${site}}\n`,
  );
  const nginx = new Deno.Command("nginx", {
    args: ["-p", folder, "-c", `${folder}/nginx.conf`],
    stderr: "null",
  })
    .spawn();
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    port,
    async [Symbol.asyncDispose]() {
      nginx.kill("SIGTERM");
      await nginx.status;
    },
  };
}

/** Sends half a request; how long it takes until the connection ends. */
async function timeOf(port: number, half: string): Promise<number> {
  const began = performance.now();
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(half));
  const end = new Uint8Array(1000);
  // Reset, or closed.
  while (await connection.read(end).catch(() => null) !== null);
  return performance.now() - began;
}

/** The status of an event whose sender asks for HTTP/2 in plain text, as Java's own client does. */
async function statusOfUpgrade(port: number): Promise<number> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const body = '{"type":"page","userId":"h2c"}';
  const head = [
    "POST /api/v1/events HTTP/1.1",
    "host: x",
    "connection: Upgrade, HTTP2-Settings",
    "upgrade: h2c",
    "http2-settings: AAMAAABkAAQAAP__",
    `x-write-key: ${WRITE_KEY}`,
    `content-length: ${body.length}`,
  ];
  await connection.write(new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n${body}`));
  const answer = new Uint8Array(100);
  await connection.read(answer);
  return Number(new TextDecoder().decode(answer).split(" ", 2)[1]);
}

testWhere(missing("nginx"), {
  name: "the documented proxy cuts off half a head and half a body, and lets all else through",
  async fn() {
    await using dir = await tempDir();
    await using server = await startServer(`${dir.path}/proxied.db`);
    await using proxy = await startProxy(server, dir.path);
    await eventually(
      "the proxy answers",
      () => fetch(`${proxy.url}/healthz`).then((r) => r.text(), () => "").then(Boolean),
    );

    const head = "POST /api/v1/events HTTP/1.1\r\nhost: x\r\n";
    const halves = [`${head}x-a`, `${head}x-write-key: ${WRITE_KEY}\r\ncontent-length: 100\r\n\r\n{`];
    const cutOff = Promise.all(halves.map((half) => timeOf(proxy.port, half)));

    const headers = { "x-write-key": WRITE_KEY };
    const send = (body: string) => fetch(`${proxy.url}/api/v1/events`, { method: "POST", headers, body });
    const taken = await send('{"type":"page","userId":"a/b %"}');
    strictEqual((await taken.json()).success, true);
    // What a client asks of its own connection stays there: Deno would refuse it (see docs/clients.md).
    strictEqual(await statusOfUpgrade(proxy.port), 200);
    const large = await send(" ".repeat(4_500_000));
    strictEqual(large.status, 413);
    match(await large.text(), /"code":"body_too_large"/);
    strictEqual((await server.ask(`/api/v1/users/${encodeURIComponent("a/b %")}`)).body.eventCount, 1);

    // What comes is shown as it comes: the proxy holds nothing of it back.
    await using viewer = await openViewer(proxy.url, { token: ADMIN_TOKEN });
    for (let n = 0; n < 3; n++) {
      await send(JSON.stringify({ type: "page", userId: "u", messageId: `m${n}` }));
      await viewer.until("it", () => viewer.lines.at(-1)?.messageId === `m${n}`);
    }

    for (const ms of await cutOff) {
      ok(ms > DEADLINE_MS - 100 && ms < DEADLINE_MS + LATE_MS, `cut off after ${Math.round(ms)} ms`);
    }
  },
});
