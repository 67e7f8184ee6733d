/**
 * Forbidden addresses, for each kind of destination and for alerts: refused when the destination is saved, and refused at
 * delivery, before a socket is opened. Names are resolved by the test, and whoever would connect is seen and stopped.
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { createAlerts } from "../../../actors/destinations/alerts.ts";
import { createConnections } from "../../../actors/destinations/connections.ts";
import { createSender, urlOf } from "../../../actors/destinations/kinds.ts";
import { type Clock, systemClock } from "../../../actors/store/clock.ts";
import { positionOf } from "../../../domain/event/position.ts";
import { readAllowList } from "../../../domain/forwarding/address.ts";
import { type Definition, definitionOf, definitionSchema } from "../../../domain/forwarding/definition.ts";
import { track, until } from "../forwarding/receiver.ts";

const TABLE = { schema: "public", table: "events" };
const KEYS = { accessKeyId: "id", secretAccessKey: "secret" };

/** A definition of each kind at a host. */
const KINDS: Record<string, (host: string) => object> = {
  webhook: (host) => ({ kind: "webhook", settings: { url: `https://${host}/hook` } }),
  segment: (host) => ({ kind: "segment", settings: { url: `https://${host}`, writeKey: "k" } }),
  postgres: (host) => ({ kind: "postgres", settings: { url: `postgres://${host}/events`, ...TABLE } }),
  clickhouse: (host) => ({
    kind: "clickhouse",
    settings: { url: `https://${host}`, database: "shop", table: "events" },
  }),
  s3: (host) => ({ kind: "s3", settings: { endpoint: `https://${host}`, bucket: "lake", ...KEYS } }),
  http: (host) => ({
    kind: "http",
    settings: { recipe: "posthog", url: `https://${host}`, apiKey: "phc_x" },
  }),
};

const FORBIDDEN: [form: string, host: string, addresses: string[]][] = [
  ["a dotted loopback address", "127.0.0.1", []],
  ["a decimal loopback address", "2130706433", []],
  ["an octal loopback address", "0177.0.0.1", []],
  ["a hexadecimal loopback address", "0x7f000001", []],
  ["an IPv4-mapped loopback address", "[::ffff:127.0.0.1]", []],
  ["NAT64 of a private address", "[64:ff9b::10.0.0.1]", []],
  ["localhost with a dot", "localhost.", []],
  ["the metadata address", "169.254.169.254", []],
  ["a name of a private address", "private.test", ["10.0.0.5"]],
  ["a name of a public and a private address", "two.test", ["93.184.216.34", "192.168.0.1"]],
];

/** Connections that a test sees: answers of DNS come one after another, the last of them again and again. */
function watched(answers: string[][]) {
  const connected: string[] = [];
  const connections = createConnections({
    allow: readAllowList("")!,
    resolve: () => Promise.resolve(answers.length > 1 ? answers.shift()! : answers[0] ?? []),
    onConnect(address, port) {
      connected.push(`${address}:${port}`);
      throw new Error(`a connection to ${address} was not refused`);
    },
  });
  return { connections, connected };
}

async function deliver(definition: Definition, connections: ReturnType<typeof watched>["connections"]) {
  const sender = createSender({
    name: "There",
    id: "d1",
    definition,
    secrets: [],
    connections,
    clock: systemClock,
    timeoutMs: 5_000,
  }, { replaced() {} });
  try {
    const event = track("u");
    const position = positionOf("1".padStart(20, "0"), 0);
    const events = [{ event, position, writeKeyId: "k", json: JSON.stringify(event) }];
    return await (await sender.prepare({ events, span: { from: position, to: position } })).send();
  } finally {
    await sender.close();
  }
}

for (const [kind, draftAt] of Object.entries(KINDS)) {
  const definitionAt = (host: string) => definitionOf(definitionSchema.parse(draftAt(host)), undefined);

  for (const [form, host, addresses] of FORBIDDEN) {
    Deno.test(`addresses: ${kind} at ${form} is refused at save and at delivery, and nothing is connected to`, async () => {
      const { connections, connected } = watched([addresses]);
      const definition = definitionAt(host);
      ok(await connections.refusalOf(urlOf(definition).url), "at save");
      const answer = await deliver(definition, connections);
      deepStrictEqual([answer.verdict, answer.isRefused], ["retry", true]);
      match(answer.reason!, /^refused: /);
      deepStrictEqual(connected, []);
    });
  }

  Deno.test(`addresses: ${kind} at a name that changes to the metadata address after it was saved is refused`, async () => {
    const { connections, connected } = watched([["93.184.216.34"], ["169.254.169.254"]]);
    const definition = definitionAt("rebind.test");
    strictEqual(await connections.refusalOf(urlOf(definition).url), undefined);
    match((await deliver(definition, connections)).reason!, /metadata/);
    deepStrictEqual(connected, []);
  });
}

for (const [form, host, addresses] of FORBIDDEN) {
  Deno.test(`addresses: alerts to ${form} are refused, and nothing is connected to`, async () => {
    const { connections, connected } = watched([addresses]);
    let pauses = 0;
    const clock: Clock = { ...systemClock, sleep: () => Promise.resolve(void pauses++) };
    const alerts = createAlerts({ url: `https://${host}/alerts`, connections, clock });
    alerts.send({ type: "destination.off", destination: "There" });
    await until("it was tried for the last time", () => pauses === 2, 60_000);
    await alerts.close();
    deepStrictEqual(connected, []);
  });
}
