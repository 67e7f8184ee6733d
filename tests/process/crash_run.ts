/**
 * Rounds of crashes: several servers on one database under load, some of them killed by SIGKILL at random moments.
 *
 * How it works: a round starts what is missing to `processes` servers, sends through all of them, and kills one to all
 * at moments of their own, in the midst of commits, of settling and of starting; now and then a `replay` of everything
 * that runs beside them is killed too. Servers that were spared live on into the next round, with whatever they had in
 * memory. Then, with all servers there again, a ledger (`ledger.ts`) is held against one of them, what was not answered
 * is sent again through another, the ledger is held against a third, and `replay --verify` must find nothing.
 */
import { strictEqual } from "node:assert";
import { between, type Ledger, type Random } from "./ledger.ts";
import { ROOT, runTask, type Server, sleep, startServer } from "./server.ts";

/** A kill comes between these times after the load began, in ms: in the midst of commits and of settling. */
const KILL_FROM_MS = 30;
const KILL_TO_MS = 900;
/** Those that were spared go on for so long: they find the journal moved, the lease taken and a round half done. */
const AFTER_MS = 300;
/** How often a killed server is replaced at once, to start while others commit, instead of at the end of the round. */
const REPLACED_AT_ONCE = 0.5;
/** How often a full replay runs beside the servers, and is killed. */
const REPLAY_BESIDE = 0.1;
/** Requests that wait at each server, and the rest between two of one client, in ms: a round stays at some thousands of events. */
const WORKERS = 3;
const REST_MS = 100;
/** Events sent after the check, so that the next round begins with something unsettled. */
const LEFT_OVER = 50;

/** What the rounds need. */
export interface CrashOptions {
  /** A new database: a file, or a KV Connect URL. */
  kvUrl: string;
  ledger: Ledger;
  /** Servers at a time. */
  processes: number;
  rounds: number;
  random: Random;
  /** Given every server and what it is called, as it starts. */
  onStart?(name: string, server: Server): void;
  /** Called after each round that held. */
  onRound(round: Round): void;
}

/** What a round came to. */
export interface Round {
  /** Counted from 1. */
  round: number;
  /** Servers and replays that were killed. */
  kills: number;
  /** Events in the journal. */
  events: number;
  /** Requests without an answer that were there whole, and not at all. */
  whole: number;
  absent: number;
}

/** Lives through the rounds; throws at the first violation, with the servers of that moment killed. */
export async function crash(options: CrashOptions): Promise<void> {
  const { kvUrl, ledger, processes, rounds, random, onStart = () => {}, onRound } = options;
  let started = 0;
  let servers: Server[] = [];

  async function start(): Promise<Server> {
    const name = `server-${++started}`;
    const server = await startServer(kvUrl);
    onStart(name, server);
    return server;
  }

  /** Loads all servers and kills some; gives how many kills there were. */
  async function attack(): Promise<number> {
    const stop = new AbortController();
    const load = { workers: WORKERS, signal: stop.signal, restMs: REST_MS };
    const loads = servers.map((server) => ledger.load(server, load));
    const victims = chosen(servers, { count: between(random, 1, processes), random });
    const replay = random() < REPLAY_BESIDE ? [killReplay(kvUrl, between(random, 200, 2_000))] : [];
    const kills = victims.map(async (victim) => {
      await sleep(between(random, KILL_FROM_MS, KILL_TO_MS));
      await victim.end("SIGKILL");
      if (random() > REPLACED_AT_ONCE) return undefined;
      const server = await start();
      loads.push(ledger.load(server, load));
      return server;
    });
    const replaced = (await Promise.all(kills)).filter((server) => server !== undefined);
    await Promise.all(replay);
    await sleep(AFTER_MS);
    stop.abort();
    await Promise.all(loads);
    servers = [...servers.filter((server) => !victims.includes(server)), ...replaced];
    return victims.length + replay.length;
  }

  async function fill(): Promise<void> {
    const missing = Array.from({ length: processes - servers.length }, start);
    servers = [...servers, ...await Promise.all(missing)];
  }

  try {
    await fill();
    for (let round = 1; round <= rounds; round++) {
      const kills = await attack();
      await fill();
      const [first, second = first, third = first] = chosen(servers, { count: processes, random });
      const { whole, absent } = await ledger.check(first!);
      await ledger.sendUnanswered(second!);
      const { events, absent: left } = await ledger.check(third!);
      strictEqual(left, 0, "what was sent again is there");
      const { code, stdout, stderr } = await runTask(kvUrl, "replay", "--verify");
      strictEqual(code, 0, `replay --verify: ${stdout}${stderr}`);
      onRound({ round, kills, events, whole, absent });
      await ledger.send(first!, Array.from({ length: LEFT_OVER }, ledger.event));
    }
  } finally {
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  }
}

/** Some of the servers, in an order by chance. */
function chosen(servers: Server[], { count, random }: { count: number; random: Random }): Server[] {
  return servers.map((server) => ({ server, order: random() }))
    .sort((a, b) => a.order - b.order)
    .slice(0, count)
    .map(({ server }) => server);
}

/** Begins to replay everything, in a process of its own, and kills it. */
async function killReplay(kvUrl: string, afterMs: number): Promise<void> {
  // Not by its task, whose shell would be killed and the replay go on.
  const replay = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-all", "tasks/replay.ts"],
    cwd: ROOT,
    env: { KV_URL: kvUrl },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await sleep(afterMs);
  try {
    replay.kill("SIGKILL");
  } catch {
    // It was through before.
  }
  await replay.status;
}
