/** Hostile transformations on a real server, beside 100 events a second for another destination. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { ATTEMPTS, transforming } from "../actors/transformation/hostile.ts";
import { startReceiver } from "../actors/forwarding/receiver.ts";
import { testWhere } from "../needs.ts";
import { DEPLOYED_DENO, openPlatform } from "./deployed.ts";
import { eventually, type Server, sleep, startServer, tempDir } from "./server.ts";

const missingLinux = Deno.build.os === "linux" ? undefined : "Linux, for the memory of a process";

/** Ten people send ten events together, ten times a second. */
const PEOPLE = 10;
const EVERY_MS = 100;

/** Steady events that must arrive after each attempt began. */
const BESIDE = 2 * PEOPLE;

/** An engine has 32 MB, and an attempt takes up to two: one that stayed for each would soon exceed this. */
const GROWTH_MB = 200;

/** The resident memory of a process, in MB: pages of 4 KiB. */
const residentMb = async ({ pid }: Server) =>
  Number((await Deno.readTextFile(`/proc/${pid}/statm`)).split(" ")[1]) * 4 / 1024;

/** Sends steady events until it is stopped; how many of each person's were accepted. */
function steadily(server: Server) {
  let rounds = 0;
  let isStopped = false;
  const sending = (async () => {
    while (!isStopped) {
      const { status, body } = await server.send(
        Array.from({ length: PEOPLE }, (_, n) => ({
          type: "track",
          userId: `steady_${n}`,
          event: "Steady",
          properties: { n: rounds },
        })),
      );
      deepStrictEqual([status, body.accepted], [200, PEOPLE]);
      rounds++;
      await sleep(EVERY_MS);
    }
  })();
  return {
    rounds: () => rounds,
    async stop() {
      isStopped = true;
      await sending;
    },
  };
}

async function put(server: Server, path: string, body: unknown): Promise<void> {
  const answer = await server.ask(`/api/v1/admin/${path}`, { method: "PUT", body });
  ok(answer.status === 200 || answer.status === 201, JSON.stringify(answer));
}

/** Makes a server run hostile code, one attempt after the other. */
async function attack(server: Server): Promise<void> {
  await using receiver = startReceiver();
  const settings = { url: `${receiver.url}/fine` };
  await put(server, "transformations/fine", {
    kind: "javascript",
    code: transforming("event.properties.fine = true;"),
  });
  await put(server, "transformations/hostile", { kind: "javascript", code: transforming("return null;") });
  await put(server, "destinations/Fine", {
    kind: "webhook",
    settings,
    where: { event: "Steady" },
    transformations: ["fine"],
    batch: { maxEvents: 50 },
  });
  await put(server, "destinations/Hostile", {
    kind: "webhook",
    settings: { url: `${receiver.url}/hostile` },
    where: { event: "Attack" },
    transformations: ["hostile"],
  });
  const arrived = () => receiver.messageIds().length;
  const steady = steadily(server);
  await eventually("steady events arrive", () => arrived() >= 10 * PEOPLE);
  const restingMb = await residentMb(server);
  let attacks = 0;
  for (const [name, { code }] of Object.entries(ATTEMPTS)) {
    await put(server, "transformations/hostile", { kind: "javascript", code });
    const before = steady.rounds() * PEOPLE;
    strictEqual((await server.send({ type: "track", userId: "mallory", event: "Attack" })).status, 200);
    attacks++;
    await eventually(`the event of "${name}" is dead`, async () => {
      const { body: { status } } = await server.ask("/api/v1/admin/destinations/Hostile");
      strictEqual(status.state === "paused", false, name);
      return status.dead === attacks;
    });
    await eventually(`events beside "${name}" arrive`, () => arrived() >= before + BESIDE);
    strictEqual((await server.ask("/healthz")).status, 200, name);
    await eventually(
      `the memory of "${name}" is given back`,
      async () => await residentMb(server) < restingMb + GROWTH_MB,
    );
  }
  await steady.stop();
  await eventually("all steady events arrive", () => arrived() >= steady.rounds() * PEOPLE);
  const byPerson = Map.groupBy(
    receiver.received.flatMap(({ body }) => JSON.parse(body).batch ?? [JSON.parse(body)]),
    ({ userId }) => userId,
  );
  const all = Array.from({ length: steady.rounds() }, (_, n) => ({ n, fine: true }));
  strictEqual(byPerson.size, PEOPLE);
  for (const events of byPerson.values()) deepStrictEqual(events.map(({ properties }) => properties), all);
  strictEqual(receiver.received.filter(({ path }) => path !== "/fine").length, 0);
}

testWhere(missingLinux, {
  name: "no hostile code disturbs 100 events a second of another destination, or keeps its memory",
  async fn() {
    await using dir = await tempDir();
    await using server = await startServer(`${dir.path}/kv.db`, { FORWARD_ALLOW: "127.0.0.1" });
    await attack(server);
  },
});

testWhere(missingLinux ?? DEPLOYED_DENO.missing, {
  name: "no hostile code disturbs another destination on the Deno of Deno Deploy",
  async fn() {
    await using platform = await openPlatform();
    await using server = await platform.start({ FORWARD_ALLOW: "127.0.0.1" });
    await attack(server);
  },
});
