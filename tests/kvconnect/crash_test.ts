/**
 * Processes on one KV Connect server, killed by SIGKILL at random moments under load; and `denokv` itself killed too.
 * What a client may rely on is that of `tests/process/kill_test.ts`. A client meets 503 by sending the same again.
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { testWhere } from "../needs.ts";
import { between, createLedger, newSeed, type Random, randomOf } from "../process/ledger.ts";
import { type Answer, runCommand, type Server, sleep, startServer } from "../process/server.ts";
import { createDatabase } from "./database.ts";
import { missingDenokv, startDenokv } from "./denokv.ts";
import { createFaults } from "./faults.ts";
import { TIMES } from "./kinds.ts";
import { ACCESS_TOKEN, startKvConnect } from "./server.ts";

/** Rounds of a run in the suite; each ends with a kill. */
const ROUNDS = 1;
/** Of a hundred requests to the faulty server something befalls so many. */
const FAULTS_PERCENT = 3;
/** The kill comes between these times after the load began, in ms. */
const KILL_FROM_MS = 300;
const KILL_TO_MS = 1500;
/** How often a client tries a request that is answered 503. */
const TRIES = 10;

const ENV = { DENO_KV_ACCESS_TOKEN: ACCESS_TOKEN };

/** A server whose client meets 503 as it is told to: by the same again. */
async function startPatient(url: string): Promise<Server> {
  const server = await startServer(url, ENV);
  const again = async (request: () => Promise<Answer>): Promise<Answer> => {
    for (let tries = 1;; tries++) {
      const answer = await request();
      if (answer.status !== 503 || answer.body.code === "stopping" || tries === TRIES) return answer;
      await sleep(200);
    }
  };
  return {
    ...server,
    send: (...args) => again(() => server.send(...args)),
    ask: (...args) => again(() => server.ask(...args)),
  };
}

async function verify(url: string): Promise<void> {
  const args = ["task", "--quiet", "replay", "--verify"];
  for (let tries = 1;; tries++) {
    const { code, stdout, stderr } = await runCommand(Deno.execPath(), args, { KV_URL: url, ...ENV });
    // 2: the storage did not answer it. That is no difference.
    if (code === 2 && tries < TRIES) continue;
    return strictEqual(code, 0, `replay --verify: ${stdout}${stderr}`);
  }
}

/** Rounds of three processes, one of which is killed, and whatever else befalls the storage. */
async function crashRun(
  name: string,
  { url, random, befall }: { url: string; random: Random; befall?: () => Promise<void> },
): Promise<void> {
  const ledger = createLedger(name, random);
  for (let round = 1; round <= ROUNDS * TIMES; round++) {
    await using one = await startPatient(url);
    await using two = await startPatient(url);
    await using victim = await startPatient(url);
    const stop = new AbortController();
    const options = { workers: 2, signal: stop.signal, restMs: 40 };
    const loads = [one, two, victim].map((server) => ledger.load(server, options));
    await sleep(between(random, KILL_FROM_MS, KILL_TO_MS));
    await Promise.all([victim.end("SIGKILL"), befall?.()]);
    await sleep(300);
    stop.abort();
    await Promise.all(loads);
    await using restarted = await startPatient(url);
    const seen = await ledger.check(restarted);
    await ledger.sendUnanswered(two);
    const again = await ledger.check(one);
    strictEqual(again.absent, 0, "what was sent again is there");
    await verify(url);
    console.log(
      `${name}, round ${round}: ${again.events} events; unanswered: ${seen.whole} there, ${seen.absent} not`,
    );
  }
}

Deno.test("three processes on a KV Connect server that loses, delays and doubles requests, one killed: nothing lost, halved, twice", async () => {
  const random = randomOf(newSeed("crash over a faulty KV Connect server"));
  const faults = createFaults(random, FAULTS_PERCENT);
  await using server = startKvConnect({ database: createDatabase(random), faults });
  await crashRun("faulty", { url: server.url, random });
  console.log(
    `${server.seen.requests} requests, ${server.seen.writes} writes; ${JSON.stringify(faults.counts)}`,
  );
  strictEqual(server.seen.doneTwice, 0, "a write that comes twice is done once");
});

testWhere(missingDenokv, {
  name: "three processes on one denokv, one killed, and denokv killed with it: nothing lost, halved, twice",
  async fn() {
    const random = randomOf(newSeed("crash over denokv"));
    await using server = await startDenokv();
    await crashRun("denokv", { url: server.url, random, befall: server.killAndRestart });
  },
});

Deno.test("over KV Connect settling has a thread of its own, SIGTERM ends the process, and the next finds all", async () => {
  await using server = startKvConnect({ database: createDatabase(Math.random) });
  {
    await using process = await startServer(server.url, ENV);
    strictEqual((await process.send({ type: "track", userId: "u", event: "A", messageId: "m" })).status, 200);
    deepStrictEqual(
      (await process.send({ type: "track", userId: "u", event: "A", messageId: "m" })).body.duplicate,
      true,
    );
    strictEqual((await process.end("SIGTERM")).code, 0, process.written());
    ok(!process.written().includes("settling continues in the server's thread"), process.written());
  }
  await using process = await startServer(server.url, ENV);
  strictEqual((await process.ask("/api/v1/users/u")).body.eventCount, 1);
});

for (
  const [what, env] of [["a wrong", { DENO_KV_ACCESS_TOKEN: "another" }], ["no", {
    DENO_KV_ACCESS_TOKEN: "",
  }]] as const
) {
  Deno.test(`with ${what} access token it does not start, and says in one line that names the variable why`, async () => {
    await using server = startKvConnect({ database: createDatabase(Math.random) });
    const error = await startServer(server.url, env).then(() => undefined, (error) => error as Error);
    match(error?.message ?? "it started", /^signalfold: cannot start: .*(KV_URL|DENO_KV_ACCESS_TOKEN).*$/m);
    ok(!error!.message.includes("another"), "the token is not told");
  });
}
