/**
 * Servers killed by SIGKILL at random moments under load. What a client may rely on: what was answered is there, a
 * request that was not is there whole or not at all, and sending it again doubles nothing. `deno task crash` does it for
 * a hundred rounds.
 */
import { strictEqual } from "node:assert";
import { crash } from "./crash_run.ts";
import { between, createLedger, type Ledger, newSeed, type Random, randomOf } from "./ledger.ts";
import { runTask, type Server, sleep, startServer, tempDir } from "./server.ts";

/** Rounds of a test: each ends with a kill. */
const ROUNDS = 3;
/** The kill comes between these times after the load began, in ms: in the midst of commits and of settling. */
const KILL_FROM_MS = 30;
const KILL_TO_MS = 900;

/** What must hold after a kill, seen through a server that has started since. */
async function checkRound(server: Server, ledger: Ledger, what: string): Promise<void> {
  const seen = await ledger.check(server);
  await ledger.sendUnanswered(server);
  const again = await ledger.check(server);
  strictEqual(again.absent, 0, "what was sent again is there");
  console.log(`${what}: ${seen.events} events; unanswered: ${seen.whole} there, ${seen.absent} not`);
}

async function verify(kvPath: string): Promise<void> {
  const { code, stdout, stderr } = await runTask(kvPath, "replay", "--verify");
  strictEqual(code, 0, `replay --verify: ${stdout}${stderr}`);
}

function killMoment(random: Random): Promise<void> {
  return sleep(between(random, KILL_FROM_MS, KILL_TO_MS));
}

Deno.test("a server killed at random moments has lost nothing it answered, and halved nothing", async () => {
  const random = randomOf(newSeed("kill one"));
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  const ledger = createLedger("one", random);
  for (let round = 1; round <= ROUNDS; round++) {
    {
      await using server = await startServer(kvPath);
      const load = ledger.load(server, { workers: 6, signal: AbortSignal.timeout(10_000), restMs: 20 });
      await killMoment(random);
      await server.end("SIGKILL");
      await load;
    }
    await using server = await startServer(kvPath);
    await checkRound(server, ledger, `round ${round}`);
    await verify(kvPath);
    // The next round begins with what this one left unsettled: this server is killed too, as it is.
    await ledger.send(server, Array.from({ length: 50 }, ledger.event));
    await server.end("SIGKILL");
  }
  await verify(kvPath);
});

Deno.test("of three servers on one database some are killed, again and again: the others go on, and all show the same", async () => {
  const random = randomOf(newSeed("kill of three"));
  await using dir = await tempDir();
  await crash({
    kvUrl: `${dir.path}/kv.db`,
    ledger: createLedger("three", random),
    processes: 3,
    rounds: ROUNDS,
    random,
    onRound: ({ round, kills, events, whole, absent }) =>
      console.log(
        `round ${round}: ${kills} killed, ${events} events; unanswered: ${whole} there, ${absent} not`,
      ),
  });
});
