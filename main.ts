/**
 * The entry of `deno task start`, of `deno task dev` (which imports it) and of Deno Deploy: settings, storage, routes,
 * a server, and its end. Nothing relies on the end: answered events are durable.
 */
import { monotonicFactory } from "ulid";
import { systemClock } from "./actors/store/clock.ts";
import { openSystem } from "./actors/open.ts";
import { otherUsersMayRead } from "./actors/store/database_file.ts";
import type { System } from "./actors/system.ts";
import { traceOf } from "./actors/store/error_trace.ts";
import { readConfig, type Settings, VARIABLES } from "./config.ts";
import type { LookUp } from "./domain/enrichment/location.ts";
import { type App, createApp } from "./routes/app.ts";
import { installedCountries, lookUpIn } from "./ingest/countries.ts";
import type { Alert } from "./actors/delivery/work.ts";
import { createLog, type Log } from "./routes/http/logger.ts";
import { createMetrics } from "./routes/service/metrics.ts";
import { printable } from "./routes/http/printable.ts";
import { withTimeout } from "./actors/store/timeout.ts";

/** Longest time to answer requests once the process is told to stop. */
const DRAIN_MS = 3000;
/** One press of Ctrl+C may come twice, from the terminal and from the task's shell; later than this it is a second. */
const AGAIN_MS = 500;
/** Longest time for connections to close after that; the end of the process closes those whose clients do not read. */
const CLOSE_MS = 500;
/** Longest stop: process managers kill after 5 s. */
const STOP_MS = 4700;
/**
 * Deno KV closes its file in the background and does not report the end: a process that ends sooner leaves a WAL next
 * to the file (2 of 60 stops did).
 */
const FILE_MS = 100;

const DAY_MS = 86_400_000;

/** The system of this process, for the tick. */
let running: System | undefined;

// At the top level, because Deno Deploy finds it there. Settling is idempotent, and requests bring it about too.
Deno.cron("settle remaining events", "*/5 * * * *", async () => {
  await running?.tick?.();
});

/** Whether this runs on Deno Deploy, which knows its database and its port. */
export function isDeploy(env: Record<string, string | undefined>): boolean {
  return Boolean(env.DENO_DEPLOYMENT_ID || env.DENO_DEPLOY);
}

/** The variables that signalfold reads, and no others: the permissions name just these. */
export function readEnvironment(): Record<string, string | undefined> {
  const names = [...VARIABLES, "DENO_DEPLOYMENT_ID", "DENO_DEPLOY"];
  return Object.fromEntries(names.map((name) => [name, Deno.env.get(name)]));
}

/** Prints one line about the reason why signalfold cannot start, and ends the process. */
export function refuse(problem: string): never {
  console.error(printable(`signalfold: cannot start: ${problem}`));
  Deno.exit(1);
}

/**
 * Opens storage and serves until a signal comes. `announce` is given the URL once the port is open. A failure to start
 * ends the process with one line.
 */
export async function serve(settings: Settings, announce: (url: string) => void): Promise<void> {
  const log = createLog({ level: settings.logLevel, write: (line) => console.error(line), now: Date.now });
  endOnFault(log);
  const lookUp = await openLookUp(settings.geoipDb).catch((error) =>
    refuse(`failed to read GEOIP_DB: ${firstLine(error)}`)
  );
  const ulid = monotonicFactory();
  const newId = () => ulid();
  const metrics = createMetrics({ startedAt: Date.now(), memory: Deno.memoryUsage });
  const system = await openSystem({
    storage: settings.kvUrl,
    clock: systemClock,
    newId,
    randomBytes: (bytes) => void crypto.getRandomValues(bytes),
    lookupTraits: settings.lookupTraits,
    dedupMs: settings.dedupDays * DAY_MS,
    observer: metrics.observer,
    onFault: (error) => log.count("warn", "failed", { code: "settling", error: traceOf(error) }),
    forwarding: {
      allow: settings.forwardAllow,
      ...settings.secretsKey !== undefined && { secretsKey: settings.secretsKey },
      ...settings.alertWebhookUrl !== undefined && { alertUrl: settings.alertWebhookUrl },
      onAlert: (alert) => logAlert(log, alert),
    },
    onOtherServer: (message) => log.line("warn", message, { code: "other_server" }),
    onClockMoved: (message) => log.line("warn", message, { code: "clock_moved" }),
  }).catch((error) => refuse(`failed to open KV_URL: ${firstLine(error)}`));
  running = system;
  const notice = otherUsersMayRead(settings.kvUrl);
  if (notice !== undefined) log.line("warn", notice, { code: "file_mode" });
  const elapsed = () => performance.now();
  const app = createApp({ system, settings, log, metrics, now: Date.now, elapsed, newId, lookUp });
  const { host: hostname, port } = settings;
  const listening = Promise.withResolvers<string>();
  try {
    const server = Deno.serve({
      hostname,
      port,
      onListen: (address) => listening.resolve(urlOf(address)),
      onError(error) {
        log.count("error", "failed", { code: "internal", error: traceOf(error) });
        return new Response(null, { status: 500 });
      },
    }, (request, info) => app.fetch(request, info));
    stopOnSignal({ app, server, system, log });
  } catch (error) {
    await system.close();
    if (error instanceof Deno.errors.AddrInUse) {
      refuse(`PORT ${port} is in use on ${hostname}; choose another`);
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      refuse(`PORT ${port} is reserved: ${firstLine(error)}`);
    }
    refuse(`HOST must be an address of this machine; got ${hostname}: ${firstLine(error)}`);
  }
  announce(await listening.promise);
  await warnOfContracts(system, log);
}

/** Logs what an operator should know of a destination; thousands of dead deliveries are one line a minute. */
function logAlert(log: Log, { type, destination, reason, position }: Alert): void {
  const members = { code: type, destination, ...reason !== undefined && { reason } };
  if (type !== "delivery.dead") {
    return log.line(type === "destination.recovered" ? "info" : "warn", type, members);
  }
  log.count("warn", type, { ...members, ...position !== undefined && { position } });
}

/** Logs the contracts that check nothing: an older version stored them with a schema that is no longer supported. */
async function warnOfContracts({ contracts }: System, log: Log): Promise<void> {
  // If storage does not answer, other lines report that; `GET /api/v1/admin/contracts` has the notices too.
  const stored = await contracts.list().catch(() => []);
  for (const { name, notice } of stored) {
    if (notice !== undefined) log.line("warn", notice, { code: "contract_unsupported", contract: name });
  }
}

/** The database of addresses of the settings, or else the installed one. */
async function openLookUp(path: string | undefined): Promise<LookUp | undefined> {
  if (path === "off") return undefined;
  return path === undefined ? await installedCountries() : lookUpIn(await Deno.readFile(path));
}

/** A URL for a client on this machine: an address that means all interfaces is not one to connect to. */
function urlOf({ hostname, port }: Deno.NetAddr): string {
  const host = hostname === "0.0.0.0" || hostname === "::" ? "127.0.0.1" : hostname;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0]!;
}

/** An uncaught fault ends the process, as Deno would end it, but with a log line in place of raw text. */
function endOnFault(log: Log): void {
  const end = (error: unknown): never => {
    log.line("error", "exiting after an unexpected error", { code: "internal", error: traceOf(error) });
    Deno.exit(1);
  };
  addEventListener("unhandledrejection", ({ reason }) => end(reason));
  addEventListener("error", ({ error }) => end(error));
}

interface Stoppable {
  app: App;
  server: Deno.HttpServer;
  system: System;
  log: Log;
}

/**
 * Accepts nothing more, answers accepted requests, closes storage, within {@link STOP_MS}; a second signal ends at
 * once.
 */
function stopOnSignal({ app, server, system, log }: Stoppable): void {
  let sinceMs: number | undefined;
  async function stop(): Promise<void> {
    if (sinceMs !== undefined) {
      if (Date.now() - sinceMs > AGAIN_MS) Deno.exit(1);
      return;
    }
    sinceMs = Date.now();
    setTimeout(() => Deno.exit(1), STOP_MS);
    log.line("info", "stopping");
    // Not by the server's own shutdown alone: that breaks off bodies that are still being read.
    await withTimeout(app.stop(), { clock: systemClock, ms: DRAIN_MS, onTimeout() {} });
    // No signal that aborts the server: Deno throws if one comes after the shutdown has begun.
    await withTimeout(server.shutdown(), { clock: systemClock, ms: CLOSE_MS, onTimeout() {} });
    await system.close();
    log.flush();
    await systemClock.sleep(FILE_MS);
    Deno.exit(0);
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    try {
      Deno.addSignalListener(signal, stop);
    } catch {
      // Windows knows no SIGTERM: there Ctrl+C is the way to stop.
    }
  }
}

const environment = readEnvironment();
const deploy = isDeploy(environment);
if (import.meta.main || deploy) {
  const config = readConfig(environment, { dev: false, deploy });
  if ("problem" in config) refuse(config.problem);
  await serve(config.settings, (url) => console.log(`signalfold listens on ${url}`));
}
