/**
 * `deno task kvconnect:processes`: how many events a second 1, 2 and 4 processes take on one `denokv`, and one process on
 * a file beside it. Load generator, `denokv` and processes share the machine: on few processors the figures say what
 * more processes cost there, not what they bring on machines of their own. Needs `denokv` and `wrk`.
 */
import { type Shape, SHAPES } from "../../bench/load/shapes.ts";
import { hasWrk, sendLoad } from "../../bench/load/wrk.ts";
import { eventually, type Server, startServer, tempDir, WRITE_KEY } from "../process/server.ts";
import { missingDenokv, startDenokv } from "./denokv.ts";
import { ACCESS_TOKEN } from "./server.ts";

/** Length of a measurement in seconds, and runs of which the median is shown. */
const SECONDS = 5;
const RUNS = 3;
/** What is not settled at the end is waited for so long, in ms. */
const SETTLE_MS = 120_000;

const LOADS = ["single-128", "batch-10k"].map((name) => SHAPES.find((shape) => shape.name === name)!);

/** Events a second that servers take together, what is not settled at the end waited for and counted in. */
async function measure(
  servers: Server[],
  shape: Shape,
  dir: string,
): Promise<{ perS: number; failed: number }> {
  const connections = shape.connections / servers.length;
  const began = performance.now();
  const loads = await Promise.all(servers.map(({ url }) => {
    const aim = { port: Number(new URL(url).port), writeKey: WRITE_KEY, dir: Deno.makeTempDirSync({ dir }) };
    return sendLoad(aim, { ...shape, connections }, SECONDS, () => {});
  }));
  const loadedS = (performance.now() - began) / 1000;
  await eventually(
    "everything is settled",
    async () => (await servers[0]!.ask("/api/v1/admin/stats")).body.unsettled === 0,
    { ms: SETTLE_MS, everyMs: 100 },
  );
  const seconds = (performance.now() - began) / 1000;
  const failed = loads.reduce((sum, load) => sum + load.non2xx + load.socketErrors, 0);
  const requests = loads.reduce((sum, load) => sum + load.requests, 0) - failed;
  console.error(
    `${requests} requests in ${loadedS.toFixed(1)} s, settled ${(seconds - loadedS).toFixed(1)} s later`,
  );
  return { perS: requests * Math.max(1, shape.batch) / seconds, failed };
}

/** One run: a new database, so many processes. */
async function run(count: number, onFile: boolean, shape: Shape): Promise<number> {
  await using dir = await tempDir();
  await using denokv = onFile ? undefined : await startDenokv();
  const url = denokv?.url ?? `${dir.path}/kv.db`;
  const servers: Server[] = [];
  try {
    for (let i = 0; i < count; i++) {
      servers.push(await startServer(url, { DENO_KV_ACCESS_TOKEN: ACCESS_TOKEN }));
    }
    const { perS, failed } = await measure(servers, shape, dir.path);
    console.error(
      `${onFile ? "file" : "denokv"}, ${count} processes, ${shape.name}: ${
        Math.round(perS)
      } events/s, ${failed} failed`,
    );
    return perS;
  } finally {
    for (const server of servers) await server[Symbol.asyncDispose]();
  }
}

async function median(count: number, onFile: boolean, shape: Shape): Promise<number> {
  const figures: number[] = [];
  for (let i = 0; i < RUNS; i++) figures.push(await run(count, onFile, shape));
  return figures.sort((a, b) => a - b)[RUNS >> 1]!;
}

if (import.meta.main) {
  if (missingDenokv !== undefined || !await hasWrk()) {
    console.error("denokv and wrk are needed");
    Deno.exit(2);
  }
  console.log(`| storage | processes | ${LOADS.map(({ says }) => says).join(" | ")} |`);
  console.log(`| --- | --- | ${LOADS.map(() => "---").join(" | ")} |`);
  for (const [count, onFile] of [[1, true], [1, false], [2, false], [4, false]] as const) {
    const figures: number[] = [];
    for (const shape of LOADS) figures.push(await median(count, onFile, shape));
    const cells = figures.map((figure) => Math.round(figure).toLocaleString("en"));
    console.log(`| ${onFile ? "a file" : "denokv"} | ${count} | ${cells.join(" | ")} |`);
  }
}
