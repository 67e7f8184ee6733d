/**
 * Connections to destinations. Names are resolved by a resolver of the test, and what would be connected to is seen before a
 * socket is opened: no test lets a packet out to an address that is not loopback.
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { systemClock } from "../../../actors/store/clock.ts";
import { createConnections } from "../../../actors/destinations/connections.ts";
import { createHttpClient } from "../../../actors/destinations/http_request.ts";
import { LOOPBACK, readAllowList } from "../../../domain/forwarding/address.ts";

interface Receiver extends AsyncDisposable {
  port: number;
  requests: string[];
}

function receive(answer: (request: Request) => Response): Receiver {
  const requests: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    requests.push(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`);
    return answer(request);
  });
  return { port: server.addr.port, requests, [Symbol.asyncDispose]: () => server.shutdown() };
}

/** Connections by names of the test; whoever would connect to what is not loopback is stopped, and fails the test. */
function connectionsTo(names: Record<string, string[][]>, allow = LOOPBACK) {
  const connected: string[] = [];
  const looked: string[] = [];
  const connections = createConnections({
    allow: readAllowList(allow)!,
    resolve(host) {
      looked.push(host);
      const answers = names[host] ?? [[]];
      return Promise.resolve(answers.length > 1 ? answers.shift()! : answers[0]!);
    },
    onConnect(address, port) {
      connected.push(`${address}:${port}`);
      if (!/^(127\.|::1$)/.test(address)) throw new Error(`a connection to ${address} was not refused`);
    },
  });
  return { connections, connected, looked };
}

async function post(connections: ReturnType<typeof connectionsTo>["connections"], url: string) {
  const client = createHttpClient({ connections, clock: systemClock, timeoutMs: 5_000 });
  try {
    return await client.prepare({ method: "POST", url, headers: {}, body: "x" }).send();
  } finally {
    await client.close();
  }
}

const FORBIDDEN: [form: string, host: string, addresses: string[]][] = [
  ["a decimal loopback address", "2130706433", []],
  ["an octal loopback address", "0177.0.0.1", []],
  ["a mapped loopback address", "[::ffff:127.0.0.1]", []],
  ["NAT64 of a private address", "[64:ff9b::10.0.0.1]", []],
  ["localhost with a dot", "localhost.", []],
  ["the metadata address", "169.254.169.254", []],
  ["a name of a private address", "private.test", ["10.0.0.5"]],
  ["a name of a public and a private address", "two.test", ["93.184.216.34", "192.168.0.1"]],
  ["a name of the metadata address", "meta.test", ["169.254.169.254"]],
];

for (const [form, host, addresses] of FORBIDDEN) {
  Deno.test(`connections: ${form} is refused before a socket is opened`, async () => {
    const { connections, connected } = connectionsTo({ [host]: [addresses] }, "");
    ok(await connections.refusalOf(`https://${host}/`), "when it is saved");
    const answer = await post(connections, `http://${host}:9/`);
    deepStrictEqual([answer.verdict, answer.isRefused], ["retry", true]);
    match(answer.reason!, /^refused: /);
    deepStrictEqual(connected, []);
  });
}

Deno.test("connections: a host that does not resolve may be saved, and is tried again at delivery", async () => {
  const { connections } = connectionsTo({});
  strictEqual(await connections.refusalOf("https://unknown.test/"), undefined);
  strictEqual((await post(connections, "http://unknown.test/")).verdict, "retry");
});

Deno.test("connections: a name goes to the address that was checked, and is looked up once for a connection", async () => {
  await using receiver = receive(() => new Response("ok"));
  const { connections, connected, looked } = connectionsTo({ "hook.test": [["127.0.0.1"]] });
  const answer = await post(connections, `http://hook.test:${receiver.port}/a`);
  deepStrictEqual([answer.verdict, answer.response], ["delivered", { status: 200, body: "ok" }]);
  deepStrictEqual([connected, looked], [[`127.0.0.1:${receiver.port}`], ["hook.test"]]);
  deepStrictEqual(receiver.requests, ["POST /a x"]);
});

Deno.test("connections: DNS that changes between check and connect changes nothing", async () => {
  await using receiver = receive(() => new Response());
  const { connections, connected } = connectionsTo({ "rebind.test": [["127.0.0.1"], ["169.254.169.254"]] });
  strictEqual((await post(connections, `http://rebind.test:${receiver.port}/`)).verdict, "delivered");
  // The next connection finds the changed answer, and is refused.
  match((await post(connections, `http://rebind.test:${receiver.port}/`)).reason!, /metadata/);
  deepStrictEqual(connected, [`127.0.0.1:${receiver.port}`]);
});

Deno.test("connections: a redirect is not followed", async () => {
  await using receiver = receive(() =>
    new Response(null, { status: 302, headers: { location: "http://169.254.169.254/latest" } })
  );
  const { connections, connected } = connectionsTo({});
  const answer = await post(connections, `http://127.0.0.1:${receiver.port}/`);
  deepStrictEqual([answer.verdict, answer.response?.status], ["dead", 302]);
  strictEqual(connected.length, 1);
});
