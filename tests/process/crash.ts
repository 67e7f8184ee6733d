/**
 * `deno task crash`: what `crash_run.ts` does, for many rounds. A line per round; status 1 at the first violation, and
 * then the database, the ledger and what the servers wrote are kept.
 */
import { parseArgs } from "node:util";
import { crash, type Round } from "./crash_run.ts";
import { createLedger, type Ledger, randomOf } from "./ledger.ts";
import type { Server } from "./server.ts";

const HELP = `deno task crash [--rounds N] [--seed N] [--processes N]

Servers on one database file, killed by SIGKILL at random under load; a client's ledger is held against the logs after
each round: nothing acknowledged lost, nothing halved, nothing twice, "replay --verify" clean.

  --rounds N      rounds, 100 by default
  --processes N   servers at a time, 3 by default
  --seed N        makes the same choices again; what the processes make of them is theirs
  --help          this text`;

/** A database serves for so many rounds, then a new one begins: young ones have hazards of their own, and checks stay quick. */
const ROUNDS_PER_DATABASE = 10;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    rounds: { type: "string", default: "100" },
    processes: { type: "string", default: "3" },
    seed: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(HELP);
  Deno.exit(0);
}
const rounds = wholeNumber("rounds", values.rounds);
const processes = wholeNumber("processes", values.processes);
const seed = values.seed === undefined
  ? Math.floor(Math.random() * 2 ** 32)
  : wholeNumber("seed", values.seed);

function wholeNumber(name: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= (name === "seed" ? 0 : 1)) return number;
  console.error(`crash: --${name} must be a whole number, found ${text}\n\n${HELP}`);
  Deno.exit(2);
}

console.log(`crash: ${rounds} rounds, ${processes} processes at a time, --seed ${seed}`);
const random = randomOf(seed);
const began = performance.now();
const total = { rounds: 0, kills: 0, events: 0, whole: 0, absent: 0 };

while (total.rounds < rounds) {
  const before = total.rounds;
  const folder = await Deno.makeTempDir({ prefix: "signalfold-crash-" });
  const ledger = createLedger(`crash_${before}`, random);
  const servers = new Map<string, Server>();
  let events = 0;
  try {
    await crash({
      kvUrl: `${folder}/kv.db`,
      ledger,
      processes,
      rounds: Math.min(ROUNDS_PER_DATABASE, rounds - before),
      random,
      onStart: (name, server) => servers.set(name, server),
      onRound(round) {
        total.rounds = before + round.round;
        total.kills += round.kills;
        total.whole += round.whole;
        total.absent += round.absent;
        events = round.events;
        tell(round);
      },
    });
  } catch (error) {
    console.error(`crash: violation in round ${total.rounds + 1}, --seed ${seed}`, error);
    await keep({ folder, ledger, servers });
    console.error(`crash: database, ledger and what the servers wrote are kept in ${folder}`);
    Deno.exit(1);
  }
  total.events += events;
  await Deno.remove(folder, { recursive: true });
}
console.log(
  `crash: ${total.rounds} rounds, ${total.kills} kills, ${total.events} events in ${seconds()} s: ` +
    `of ${total.whole + total.absent} requests that were not answered ${total.whole} were there whole and ` +
    `${total.absent} not at all; nothing acknowledged was lost, nothing was halved, nothing was there twice`,
);

function tell({ kills, events, whole, absent }: Round): void {
  console.log(
    `round ${total.rounds} of ${rounds}, ${seconds()} s: ${kills} killed, ${events} events, ` +
      `unanswered: ${whole} there, ${absent} not`,
  );
}

function seconds(): string {
  return ((performance.now() - began) / 1000).toFixed(0);
}

/** Puts beside the database what is needed to look into a violation. */
async function keep(
  { folder, ledger, servers }: { folder: string; ledger: Ledger; servers: Map<string, Server> },
): Promise<void> {
  await Deno.writeTextFile(`${folder}/ledger.json`, JSON.stringify(ledger.entries()));
  for (const [name, server] of servers) await Deno.writeTextFile(`${folder}/${name}.log`, server.written());
}
