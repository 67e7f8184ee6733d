/**
 * `deno task bench:scale`: how many events a second 1, 2, 4 and 8 processes take on one `denokv` that is a network away,
 * and what each of them gets of it.
 *
 * How it works: `denokv` stands behind a relay that holds up each direction by half of a round trip. Each process gets
 * connections of its own for some seconds, and nothing is waited for then, so all of it ends in time. Processes, `denokv`,
 * relay and load share the machine: near its limit the figures say what the machine does. As root on Linux it runs in a
 * network of its own in which acknowledgements are not delayed (docs/operations.md says why); elsewhere it says so.
 */
import { parseArgs } from "node:util";
import { percentile } from "../../bench/load/measure.ts";
import { SHAPES } from "../../bench/load/shapes.ts";
import { hasWrk, type Load, sendLoad } from "../../bench/load/wrk.ts";
import { missing, runs } from "../needs.ts";
import { type Server, startServer, tempDir, WRITE_KEY } from "../process/server.ts";
import { missingDenokv, startDenokv } from "./denokv.ts";
import { startRelay } from "./relay.ts";
import { ACCESS_TOKEN } from "./server.ts";

const HELP =
  `deno task bench:scale [--round-trips MS,…] [--processes N,…] [--connections N] [--batch N] [--seconds N]

  --round-trips MS,…  0,5,20 by default
  --processes N,…     1,2,4,8 by default
  --connections N     of each process (32)
  --batch N           events of a request; 0 for single posts (0)
  --seconds N         of load for each row (12, as a process that gets nothing answers 503 after 10 s)
  --help              this text`;

/** Set in the network of its own. */
const INSIDE = "SIGNALFOLD_SCALE_INSIDE";

const QUICKACK = "ip link set lo up && ip route change local 127.0.0.1 dev lo proto kernel scope host " +
  "src 127.0.0.1 table local quickack 1";

interface Options {
  roundTrips: number[];
  processes: number[];
  connections: number;
  batch: number;
  seconds: number;
}

/** What processes took together. */
interface Row {
  perS: number[];
  p50Ms: number;
  p99Ms: number;
  refused: number;
  broken: number;
}

if (import.meta.main) await main();

async function main(): Promise<void> {
  const options = readOptions();
  const lacking = [missingDenokv, await hasWrk() ? undefined : "wrk"].filter((each) => each !== undefined);
  if (lacking.length > 0) {
    console.error(`${lacking.join(" and ")} needed`);
    Deno.exit(2);
  }
  if (Deno.env.get(INSIDE) === undefined && hasNetworks()) Deno.exit(await runInside());
  if (Deno.env.get(INSIDE) === undefined) {
    console.error("acknowledgements are delayed here: run it as root on Linux, with `unshare` and `ip`");
  }
  const { connections, batch, seconds } = options;
  const what = batch === 0 ? "single posts" : `batches of ${batch}`;
  console.log(`${what}, ${connections} connections to each process, ${seconds} s\n`);
  const head = ["round trip", "processes", "events/s", "times one", "of each process", "slowest of mean"];
  console.log(line([...head, "p50 ms", "p99 ms", "refused", "broken"]));
  console.log(line(Array(10).fill("---")));
  for (const roundTrip of options.roundTrips) {
    let one: number | undefined;
    for (const count of options.processes) {
      const { perS, p50Ms, p99Ms, refused, broken } = await measure(roundTrip, count, options);
      const all = perS.reduce((sum, each) => sum + each, 0);
      one ??= count === 1 ? all : undefined;
      const times = one === undefined || one === 0 ? "" : (all / one).toFixed(2);
      const share = all === 0 ? "" : (Math.min(...perS) / (all / count)).toFixed(2);
      const each = perS.map(whole).join(" ");
      const figures = [whole(all), times, each, share, p50Ms.toFixed(1), p99Ms.toFixed(1)];
      console.log(line([`${roundTrip} ms`, String(count), ...figures, String(refused), String(broken)]));
    }
  }
}

/** One row: a new database, so many processes. */
async function measure(roundTripMs: number, count: number, options: Options): Promise<Row> {
  await using dir = await tempDir();
  await using denokv = await startDenokv();
  const relay = startRelay(Number(new URL(denokv.url).port), { delayMs: roundTripMs / 2 });
  const servers: Server[] = [];
  try {
    const starting = Array.from({ length: count }, async () => {
      servers.push(await startServer(relay.url, { DENO_KV_ACCESS_TOKEN: ACCESS_TOKEN }));
    });
    await Promise.all(starting);
    const loads = await Promise.all(servers.map((server) => load(server, dir.path, options)));
    const answered = loads.map(({ requests, non2xx }) => requests - non2xx);
    return {
      perS: loads.map(({ durationS }, index) => answered[index]! * Math.max(1, options.batch) / durationS),
      p50Ms: percentile(loads.map((load) => ({ load })), 0.5) / 1000,
      p99Ms: percentile(loads.map((load) => ({ load })), 0.99) / 1000,
      refused: sumOf(loads, "non2xx"),
      broken: sumOf(loads, "socketErrors"),
    };
  } finally {
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    await relay.close();
  }
}

async function load({ url }: Server, dir: string, { connections, batch, seconds }: Options): Promise<Load> {
  const shape = { ...SHAPES.find(({ name }) => name === "single-128")!, connections, batch };
  const aim = { port: Number(new URL(url).port), writeKey: WRITE_KEY, dir: await Deno.makeTempDir({ dir }) };
  return await sendLoad(aim, shape, seconds, () => {});
}

function sumOf(loads: Load[], member: "non2xx" | "socketErrors"): number {
  return loads.reduce((sum, load) => sum + load[member], 0);
}

/** Whether this may make a network of its own. */
function hasNetworks(): boolean {
  return missing("unshare", "ip", "sh") === undefined && runs("unshare", "-n", "sh", "-c", QUICKACK);
}

/** Runs this once more in a network of its own, and gives its status. */
async function runInside(): Promise<number> {
  const again = [Deno.execPath(), "run", "--frozen", "-A", import.meta.filename!, ...Deno.args];
  const { code } = await new Deno.Command("unshare", {
    args: ["-n", "sh", "-c", `${QUICKACK} && exec "$@"`, "sh", ...again],
    env: { [INSIDE]: "true" },
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
  return code;
}

function line(cells: string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function whole(figure: number): string {
  return Math.round(figure).toLocaleString("en");
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      "round-trips": { type: "string", default: "0,5,20" },
      processes: { type: "string", default: "1,2,4,8" },
      connections: { type: "string", default: "32" },
      batch: { type: "string", default: "0" },
      seconds: { type: "string", default: "12" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    Deno.exit(0);
  }
  return {
    roundTrips: values["round-trips"].split(",").map(Number),
    processes: values.processes.split(",").map(Number),
    connections: Number(values.connections),
    batch: Number(values.batch),
    seconds: Number(values.seconds),
  };
}
