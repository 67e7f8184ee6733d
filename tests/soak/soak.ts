/**
 * `deno task soak`: a server under load for some minutes. Status 1 where a request was not answered as it should, where
 * events are missing in the end, or where memory grows.
 */
import { parseArgs } from "node:util";
import { randomOf } from "../process/ledger.ts";
import { eventually, runTask, type Server, startServer, tempDir } from "../process/server.ts";
import { judgeMemory } from "./memory.ts";
import { soak } from "./soak_run.ts";
import { createEvents } from "./traffic.ts";

const HELP = `deno task soak [--minutes N] [--rate N] [--seed N]

A server on a database file under mixed load (single events, batches, links, groups, reads) that comes by the clock, not
by the answers. A line a minute: requests, errors, p50, p99, memory. Status 1 at an error, where an event is missing, or
where memory grows over the second half.

  --minutes N   5 by default
  --rate N      requests a second, 150 by default: some 510 events a second
  --seed N      the same requests again
  --help        this text`;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    minutes: { type: "string", default: "5" },
    rate: { type: "string", default: "150" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 32)) },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(HELP);
  Deno.exit(0);
}
const minutes = positive("minutes", values.minutes);
const rate = positive("rate", values.rate);
const seed = Number(values.seed);

function positive(name: string, text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  console.error(`soak: --${name} must be a number above 0, found ${text}\n\n${HELP}`);
  Deno.exit(2);
}

/** Batches sent before the load, and events in each: some 32 MB of them, as each of the server's caches holds 16 MB. */
const WARM_BATCHES = 250;
const WARM_EVENTS = 400;

/** Fills the caches of a server, so that what grows afterwards is no cache. Gives how many events that took. */
async function warmUp(server: Server): Promise<number> {
  const event = createEvents(`warm_${seed}`, randomOf(seed));
  let sent = 0;
  for (let n = 0; n < WARM_BATCHES; n++) {
    const batch = Array.from({ length: WARM_EVENTS }, event);
    const { status, body } = await server.send(batch);
    if (status !== 200) throw new Error(`warming up: ${status} ${JSON.stringify(body)}`);
    sent += body.accepted;
  }
  const isSettled = async () => (await server.ask("/api/v1/admin/stats")).body.unsettled === 0;
  await eventually("what warmed it up is settled", isSettled, { ms: 120_000 });
  return sent;
}

console.log(`soak: ${minutes} minutes, ${rate} requests a second, --seed ${seed}`);
const problems: string[] = [];
{
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  await using server = await startServer(kvPath);
  let requests = 0;
  let events = await warmUp(server);
  console.log(`warmed up with ${events} events`);
  const samples = await soak({
    server,
    rate,
    seconds: minutes * 60,
    seed,
    onInterval(interval, samples) {
      requests += interval.requests;
      events += interval.events;
      const memory = samples.map(({ megabytes }) => megabytes);
      console.log(
        `minute ${interval.interval}: ${interval.requests} requests, ${interval.events} events, ` +
          `${interval.errors} errors, p50 ${interval.p50Ms} ms, p99 ${interval.p99Ms} ms, ` +
          `max ${interval.maxMs} ms, memory ${Math.min(...memory).toFixed(0)} to ${
            Math.max(...memory).toFixed(0)
          } MB`,
      );
      if (interval.errors > 0) {
        problems.push(
          `minute ${interval.interval}: ${interval.errors} errors, such as ${interval.shown.join("; ")}`,
        );
      }
    },
  });
  const memory = judgeMemory(samples);
  console.log(
    `memory, second half: ${memory.megabytesPerMinute.toFixed(2)} MB a minute, ${
      memory.growth.toFixed(1)
    } MB in all ` +
      `(up to ${memory.allowed.toFixed(1)} MB count as none)`,
  );
  if (!memory.flat) problems.push(`memory grew by ${memory.growth.toFixed(1)} MB over the second half`);
  const { body: { head } } = await server.ask("/api/v1/admin/stats");
  if (head !== events) problems.push(`the journal holds ${head} events, ${events} were answered`);
  const { code, stdout, stderr } = await runTask(kvPath, "replay", "--verify");
  if (code !== 0) problems.push(`replay --verify: ${stdout}${stderr}`);
  const faults = server.written().split("\n").filter((line) => /"level":"(warn|error)"/.test(line));
  if (faults.length > 0) problems.push(`the server logged ${faults.join("\n")}`);
  console.log(`${requests} requests, ${events} events; ${stdout.trim()}`);
}
for (const problem of problems) console.error(`soak: ${problem}`);
if (problems.length > 0) Deno.exit(1);
console.log("soak: no error, nothing missing, memory flat");
