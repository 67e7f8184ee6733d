/**
 * Transitions over rounds of SIGKILL: a webhook is told of each entry and of each exit exactly once. A delivery that was cut
 * off may be repeated, with the same message id: that is one transition.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { startReceiver } from "../actors/forwarding/receiver.ts";
import { between, newSeed, randomOf } from "./ledger.ts";
import { eventually, type Server, sleep, startServer, tempDir } from "./server.ts";

/** Rounds, each of which ends with a kill: `AUDIENCE_ROUNDS` asks for more. */
const ROUNDS = Number(Deno.env.get("AUDIENCE_ROUNDS") ?? 5);

/** The kill comes so long after the events, in ms: around evaluating, appending, forwarding, and the exits. */
const KILL_FROM_MS = 20;
const KILL_TO_MS = 2_500;

/** People who enter in each round. */
const PEOPLE = 20;

const ENV = { FORWARD_ALLOW: "127.0.0.0/8" };

async function define(server: Server, url: string): Promise<void> {
  const destination = {
    kind: "webhook",
    where: { "properties.audience": "recent" },
    from: "start",
    settings: { url, method: "POST" },
  };
  const audience = { where: { event: "Logged In", within: "30s" }, emit: true };
  for (const [path, body] of [["destinations/hook", destination], ["audiences/recent", audience]] as const) {
    const answer = await server.ask(`/api/v1/admin/${path}`, { method: "PUT", body });
    strictEqual(Math.floor(answer.status / 100), 2, JSON.stringify(answer.body));
  }
  await eventually("the audience is built", async () => {
    return (await server.ask("/api/v1/admin/audiences/recent")).body.state === "live";
  });
}

Deno.test("over rounds of SIGKILL a webhook is told of each entry and each exit exactly once", async () => {
  const random = randomOf(newSeed("transitions"));
  await using dir = await tempDir();
  await using receiver = startReceiver();
  const kvPath = `${dir.path}/kv.db`;
  const people = new Set<string>();
  {
    await using server = await startServer(kvPath, ENV);
    await define(server, receiver.url);
    await server.end("SIGTERM");
  }
  for (let round = 1; round <= ROUNDS; round++) {
    await using server = await startServer(kvPath, ENV);
    const batch = Array.from({ length: PEOPLE }, (_, n) => `r${round}-${n}`).map((userId) => {
      people.add(userId);
      return { type: "track", userId, event: "Logged In", messageId: `login-${userId}` };
    });
    const entered = () =>
      told().filter(([kind, userId]) => kind === "Audience Entered" && userId.startsWith(`r${round}-`));
    strictEqual((await server.send(batch)).status, 200);
    if (round % 2 === 0) {
      await eventually("all have entered", () => Promise.resolve(entered().length === PEOPLE));
    }
    await sleep(between(random, KILL_FROM_MS, KILL_TO_MS));
    await server.end("SIGKILL");
  }
  await using server = await startServer(kvPath, ENV);
  await eventually("everybody has left", async () => {
    const { status, body } = await server.ask("/api/v1/audiences/recent/members");
    return status === 200 && body.members.length === 0;
  });
  // What the journal has, by each user's log, is what was told.
  const expected: string[] = [];
  for (const userId of people) {
    const { body } = await server.ask(`/api/v1/users/${userId}/events?derived=true&order=asc`);
    const kinds = body.events.filter(({ derived }: { derived?: boolean }) => derived)
      .map(({ event }: { event: string }) => event);
    // A stay that lies wholly in the past, which a very slow machine makes of one, is not announced.
    if (kinds.length > 0) deepStrictEqual(kinds, ["Audience Entered", "Audience Exited"], userId);
    expected.push(...kinds.map((kind: string) => `${kind} ${userId}`));
  }
  await eventually("the webhook is told of all", () => Promise.resolve(told().length >= expected.length));
  deepStrictEqual(told().map((words) => words.join(" ")).sort(), expected.sort());
  ok(expected.length >= 2 * PEOPLE, "people were told of");
  console.log(`${expected.length} transitions of ${people.size} people over ${ROUNDS} kills`);

  /** What was told, each message id once. */
  function told(): [kind: string, userId: string][] {
    const byId = new Map<string, [string, string]>();
    for (const { body } of receiver.received) {
      const parsed = JSON.parse(body);
      for (const { messageId, event, userId } of parsed.batch ?? [parsed]) {
        byId.set(messageId, [event, userId]);
      }
    }
    return [...byId.values()];
  }
});
