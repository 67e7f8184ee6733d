/**
 * How fast events go in: signalfold under load on a real port, in turn with its rivals, in one run.
 *
 * deno task bench:ingest [--seconds N] [--only shape,shape] [--rivals a,b] [--json]
 *
 * Each shape starts every target anew on an empty database and checks that it counts each event once, warms it up, and
 * then gives all of them slices of load in turn, so that a drift of the machine meets all. After each slice the
 * target settles what it has not settled, with nothing else running, and that time counts.
 */
import { parseArgs } from "node:util";
import { join as joinSlices, measure, type Result, type Slice } from "./load/measure.ts";
import { probe } from "./load/probe.ts";
import { barTable, outcomes, shapeTable } from "./load/report.ts";
import type { Server } from "./load/server.ts";
import { type Shape, SHAPES } from "./load/shapes.ts";
import { ON_POSTGRES, startTarget, type TargetName, TARGETS, WRITE_KEY } from "./load/target.ts";
import { hasWrk } from "./load/wrk.ts";
import { installPostgresRival } from "./rivals/postgres_install.ts";
import { type Cluster, startCluster } from "./rivals/postgres_cluster.ts";

/** Length of a measurement, in seconds, where `--seconds` does not say. */
const SECONDS = 20;

/** The longest slice of a target before the next one's turn, in seconds. */
const SLICE_S = 10;

/** The longest warm-up, in seconds. */
const WARM_UP_S = 3;

/** What a run is asked for. */
interface Run {
  seconds: number;
  shapes: Shape[];
  targets: TargetName[];
  json: boolean;
}

/** Reads the command line; throws a RangeError that says what is wrong. */
function readArguments(args: string[]): Run {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: "string" },
      only: { type: "string" },
      rivals: { type: "string" },
      json: { type: "boolean" },
    },
  });
  const seconds = Number(values.seconds ?? SECONDS);
  if (!Number.isInteger(seconds) || seconds < 1) {
    throw new RangeError("--seconds takes a whole number from 1");
  }
  const shapes = pick("--only", values.only, SHAPES.map(({ name }) => name));
  const rivals = pick("--rivals", values.rivals, TARGETS.slice(1));
  return {
    seconds,
    shapes: SHAPES.filter(({ name }) => shapes.includes(name)),
    targets: TARGETS.filter((name) => name === "signalfold" || rivals.includes(name)),
    json: values.json ?? false,
  };
}

function pick(option: string, value: string | undefined, choices: readonly string[]): readonly string[] {
  if (value === undefined) return choices;
  const picked = value.split(",").filter((name) => name !== "");
  const unknown = picked.find((name) => !choices.includes(name));
  if (unknown !== undefined) throw new RangeError(`${option} knows ${choices.join(", ")}, not ${unknown}`);
  return picked;
}

/** What a run has under way, and takes away at its end. */
interface Stage {
  dir: string;
  cluster: Cluster | undefined;
  servers: Server[];
}

/** Runs one shape on all targets. */
async function runShape(shape: Shape, run: Run, stage: Stage): Promise<Result[]> {
  const { dir, cluster, servers } = stage;
  try {
    for (const name of run.targets) {
      servers.push(await startTarget(name, { dir, cluster, shape: shape.name }));
    }
    const script = { dir, writeKey: WRITE_KEY };
    const slices = new Map<Server, Slice[]>(servers.map((server) => [server, []]));
    for (const server of servers) {
      if (server.name !== "bare") await probe(server);
      await measure(server, shape, { ...script, seconds: Math.min(WARM_UP_S, run.seconds) });
      await rest(cluster);
    }
    for (const [round, seconds] of rounds(shape, run.seconds).entries()) {
      // There and back, so that who comes first in one round comes last in the next.
      for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
        slices.get(server)!.push(await measure(server, shape, { ...script, seconds }));
        await rest(cluster);
      }
    }
    return servers.map((server) => joinSlices(server, shape, slices.get(server)!));
  } finally {
    await stopAll(servers);
  }
}

async function stopAll(servers: Server[]): Promise<void> {
  for (let server = servers.pop(); server !== undefined; server = servers.pop()) await server.stop();
}

/** The lengths of the slices of a shape, in seconds. */
function rounds(shape: Shape, seconds: number): number[] {
  const whole = seconds * shape.length;
  const count = shape.whole ? 1 : Math.ceil(whole / SLICE_S);
  return Array.from({ length: count }, (_, index) => Math.floor((whole + index) / count));
}

/** Lets what one target left to be written go to disk, so that the next one does not pay for it. */
async function rest(cluster: Cluster | undefined): Promise<void> {
  await cluster?.checkpoint();
  await new Deno.Command("sync").output();
}

/** What the figures rest on, as lines. */
async function conditions(dir: string, cluster: Cluster | undefined): Promise<string[]> {
  const { stdout } = await new Deno.Command("stat", { args: ["-f", "-c", "%T", dir] }).output();
  const fileSystem = new TextDecoder().decode(stdout).trim();
  const memoryGb = (Deno.systemMemoryInfo().total / 2 ** 30).toFixed(0);
  return [
    `Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores, ${memoryGb} GB, data on ${fileSystem}`,
    ...fileSystem === "tmpfs"
      ? ["!!! data in memory: durable writes cost nothing here; set TMPDIR to a disk"]
      : [],
    ...cluster === undefined ? [] : [
      `${cluster.version}: ${cluster.settings.join(", ")}; else its defaults`,
      "its clients: Node and pg, 20 connections, one statement per request; postgres-grouped: 4 connections, one " +
      "statement for all that waits; their MB are those of the HTTP server alone",
    ],
  ];
}

/** One run; the status to exit with. */
async function main(): Promise<number> {
  const run = readArguments(Deno.args);
  if (!await hasWrk()) {
    console.error("bench:ingest needs wrk on the path: apt-get install wrk, or https://github.com/wg/wrk");
    return 1;
  }
  const stage: Stage = {
    dir: await Deno.makeTempDir({ prefix: "signalfold-bench-" }),
    cluster: undefined,
    servers: [],
  };
  // Nothing else would end the database server, which leaves the terminal's group of processes.
  const interrupted = Promise.withResolvers<number>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => interrupted.resolve(130));
  }
  try {
    return await Promise.race([measureAll(run, stage), interrupted.promise]);
  } finally {
    await stopAll(stage.servers);
    await stage.cluster?.stop();
    await Deno.remove(stage.dir, { recursive: true });
  }
}

async function measureAll(run: Run, stage: Stage): Promise<number> {
  // With --json standard output has nothing but the figures.
  const say = run.json ? console.error : console.log;
  const onPostgres = run.targets.some((name) => ON_POSTGRES.includes(name));
  if (onPostgres) stage.cluster = await startCluster(stage.dir);
  const lacking = !onPostgres
    ? undefined
    : stage.cluster === undefined
    ? "no initdb on the path or in /usr/lib/postgresql (apt-get install postgresql)"
    : await installPostgresRival(stage.dir)
    ? undefined
    : "npm could not install its client, or Node is missing";
  if (lacking !== undefined) {
    say(`PostgreSQL is left out: ${lacking}`);
    run.targets = run.targets.filter((name) => !ON_POSTGRES.includes(name));
  }
  const lines = await conditions(stage.dir, stage.cluster);
  say([...lines, ""].join("\n"));
  const results: Result[] = [];
  for (const shape of run.shapes) {
    const ofShape = await runShape(shape, run, stage);
    results.push(...ofShape);
    say(shapeTable(shape, ofShape));
  }
  const reached = outcomes(results);
  say(barTable(reached));
  if (run.json) console.log(JSON.stringify({ conditions: lines, results, bars: reached }, null, 2));
  return 0;
}

if (import.meta.main) {
  try {
    Deno.exit(await main());
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
