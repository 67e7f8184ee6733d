/**
 * How long a start takes on an empty database: to the first answer, and to the first event that is stored.
 *
 * deno task bench:start [--rounds N]
 *
 * On this Deno with the flags of `deno task start` but all permissions; and on the version of Deno Deploy, from npm, as
 * Deploy starts it. Packages are loaded before, as they are on Deploy. The processor's time is told too: on a machine that
 * does other things the clock's says little.
 */
import { parseArgs } from "node:util";
import { DEPLOYED_DENO } from "../tests/process/deployed.ts";
import { freePort, processCpuS } from "./load/server.ts";
import { median } from "./replay.ts";

const HELP = `deno task bench:start [--rounds N]

Starts servers on empty databases, on this Deno and on the version of Deno Deploy in turn, and prints the time to the first
answer (GET /healthz) and to the first stored event.

  --rounds N   starts of each (10)
  --help       this text`;

const ROOT = new URL("../", import.meta.url).pathname;
const ADMIN_TOKEN = "bench_admin_token_0123456789";
const WRITE_KEY = "bench_write_key";

/** A server that has not answered by then has failed, in ms. */
const PATIENCE_MS = 60_000;

/** A runtime, and how it starts the server on a database of its own in a folder. */
interface Runtime {
  name: string;
  deno: string;
  flags: string[];
  env(folder: string): Record<string, string>;
}

/** What one start took. */
interface Times {
  answerMs: number;
  eventMs: number;
  cpuMs: number;
}

const { rounds } = readOptions();
const runtimes = await findRuntimes();
const times = new Map(runtimes.map(({ name }) => [name, [] as Times[]]));
// The first start of each compiles what later ones find.
for (const runtime of runtimes) await start(runtime);
for (let round = 0; round < rounds; round++) {
  for (const runtime of runtimes) times.get(runtime.name)!.push(await start(runtime));
}
console.log(
  `${"ms, medians of " + rounds}`.padEnd(24) +
    ["first answer", "its best", "first event", "processor"].map(cell).join(""),
);
for (const [name, each] of times) {
  const of = (member: keyof Times) => each.map((one) => one[member]);
  const best = Math.min(...of("answerMs"));
  console.log(
    name.padEnd(24) +
      [median(of("answerMs")), best, median(of("eventMs")), median(of("cpuMs"))].map(cell).join(""),
  );
}
if (DEPLOYED_DENO.missing !== undefined) console.log(`not measured: ${DEPLOYED_DENO.missing}`);

function cell(value: string | number): string {
  return (typeof value === "number" ? value.toFixed(0) : value).padStart(14);
}

function readOptions(): { rounds: number } {
  const { values } = parseArgs({
    options: { rounds: { type: "string", default: "10" }, help: { type: "boolean", default: false } },
  });
  if (values.help) {
    console.log(HELP);
    Deno.exit(0);
  }
  return { rounds: Number(values.rounds) };
}

async function findRuntimes(): Promise<Runtime[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  const v8Flags = /--v8-flags=\S+/.exec(tasks.start)![0];
  const here: Runtime = {
    name: `Deno ${Deno.version.deno}`,
    deno: Deno.execPath(),
    flags: [v8Flags],
    env: (folder) => ({ KV_URL: `${folder}/start.db` }),
  };
  if (DEPLOYED_DENO.path === undefined) return [here];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const denoDir: string = JSON.parse(new TextDecoder().decode(stdout)).denoDir;
  const deployed: Runtime = {
    name: "Deno 2.5.0, as deployed",
    deno: DEPLOYED_DENO.path,
    flags: [],
    // A database in the folder of Deno would not be empty the second time.
    env: (folder) => ({ KV_URL: `${folder}/start.db`, DENO_DEPLOY: "true", DENO_DIR: denoDir }),
  };
  return [here, deployed];
}

async function start({ deno, flags, env }: Runtime): Promise<Times> {
  const folder = await Deno.makeTempDir({ prefix: "signalfold-start-" });
  const url = `http://127.0.0.1:${freePort()}`;
  const beganMs = performance.now();
  const child = new Deno.Command(deno, {
    args: ["run", "--quiet", "--allow-all", ...flags, "main.ts"],
    cwd: ROOT,
    env: { ...env(folder), ADMIN_TOKEN, WRITE_KEY, HOST: "127.0.0.1", PORT: new URL(url).port },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    while (!await answers(`${url}/healthz`)) {
      if (performance.now() - beganMs > PATIENCE_MS) throw new Error("the server did not answer");
    }
    const answerMs = performance.now() - beganMs;
    const cpuMs = processCpuS(child.pid) * 1000;
    const stored = await answers(`${url}/api/v1/events`, {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`${WRITE_KEY}:`)}` },
      body: JSON.stringify({ type: "track", event: "Started", userId: "u1" }),
    });
    if (!stored) throw new Error("the first event was not stored");
    return { answerMs, eventMs: performance.now() - beganMs, cpuMs };
  } finally {
    child.kill("SIGKILL");
    await child.status;
    await Deno.remove(folder, { recursive: true });
  }
}

/** Whether a request is answered with 200; false after a moment where nobody listens. */
async function answers(url: string, init?: RequestInit): Promise<boolean> {
  try {
    const response = await fetch(url, init);
    await response.body?.cancel();
    return response.ok;
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 2));
    return false;
  }
}
