/** One slice of load on one server, and slices joined into a result. */
import type { Server } from "./server.ts";
import type { Shape } from "./shapes.ts";
import { type Load, sendLoad } from "./wrk.ts";

/** What a slice gave. */
export interface Slice {
  load: Load;
  /** Stored by the time that everything was settled: those answered, and what was under way at the end. */
  events: number;
  /** From the last answer until everything was settled, in seconds. */
  settleS: number;
  /** Processor time of the server in load and settling, in seconds. */
  serverCpuS: number;
}

/** A target's result in a shape. */
export interface Result {
  target: string;
  shape: string;
  /** Events stored and settled, over the time of load and settling. */
  eventsPerS: number;
  answers: number;
  /** Times from request to answer; 0 where no answer came within the load. */
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  non2xx: number;
  socketErrors: number;
  loadS: number;
  settleS: number;
  /** The server's, with that of its helpers: processors kept busy. */
  serverCores: number;
  wrkCores: number;
  peakRssMb: number;
}

/** How often settling is asked for, and how long it may last, in ms. */
const POLL_MS = 20;
const SETTLE_MS = 120_000;

/** A server whose number of stored events stands still for so long has done what wrk left under way, in ms. */
const QUIET_MS = 300;

/**
 * Loads a server for some seconds and waits until it has settled. Throws where it did not store what it answered.
 *
 * What counts is what is stored, as wrk drops the answers under way at its end: of a server that takes seconds for a
 * batch, that is a good part of what it did.
 */
export async function measure(
  server: Server,
  shape: Shape,
  { seconds, ...script }: { dir: string; writeKey: string; seconds: number },
): Promise<Slice> {
  const before = { head: (await server.stats()).head, cpuS: server.cpuS() };
  const ended = Promise.withResolvers<void>();
  const loading = sendLoad({ port: server.port, ...script }, shape, seconds, ended.resolve);
  // Where wrk fails, that is what is thrown.
  await Promise.race([ended.promise, loading]);
  const settled = await untilSettled(server);
  const load = await loading;
  const events = settled.head - before.head;
  const perRequest = Math.max(1, shape.batch);
  const answered = (load.requests - load.non2xx) * perRequest;
  const underWay = (shape.connections + load.non2xx + load.socketErrors) * perRequest;
  if (events < answered || events > answered + underWay) {
    throw new Error(`${server.name} answered ${answered} events in ${shape.name} and stored ${events}`);
  }
  const slice: Slice = {
    load,
    events,
    settleS: Math.max(0, settled.atMs - load.endedMs) / 1000,
    serverCpuS: server.cpuS() - before.cpuS,
  };
  await untilQuiet(server);
  return slice;
}

/** Waits for the requests that wrk left under way, so that they are not done in another target's time. */
async function untilQuiet(server: Server): Promise<void> {
  for (let { head } = await untilSettled(server);;) {
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const now = await untilSettled(server);
    if (now.head === head) return;
    head = now.head;
  }
}

/** Polls until nothing is unsettled. */
async function untilSettled(server: Server): Promise<{ head: number; atMs: number }> {
  const until = Date.now() + SETTLE_MS;
  while (true) {
    const { head, unsettled } = await server.stats();
    if (unsettled === 0) return { head, atMs: Date.now() };
    if (Date.now() > until) {
      throw new Error(`${server.name} still has ${unsettled} events unsettled:\n${await server.logTail()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Joins the slices of one target in one shape. */
export function join(server: Server, shape: Shape, slices: Slice[]): Result {
  const sum = (of: (slice: Slice) => number) => slices.reduce((total, slice) => total + of(slice), 0);
  const [loadS, settleS] = [sum(({ load }) => load.durationS), sum((slice) => slice.settleS)];
  return {
    target: server.name,
    shape: shape.name,
    eventsPerS: sum(({ events }) => events) / (loadS + settleS),
    answers: sum(({ load }) => load.requests),
    p50Ms: percentile(slices, 0.5) / 1000,
    p99Ms: percentile(slices, 0.99) / 1000,
    maxMs: Math.max(...slices.map(({ load }) => load.maxUs)) / 1000,
    non2xx: sum(({ load }) => load.non2xx),
    socketErrors: sum(({ load }) => load.socketErrors),
    loadS,
    settleS,
    serverCores: sum((slice) => slice.serverCpuS) / (loadS + settleS),
    wrkCores: sum(({ load }) => load.cpuS) / loadS,
    peakRssMb: server.peakRssMb(),
  };
}

/**
 * A percentile over slices, in µs: wrk's own where there is one slice, otherwise from the percentiles of each,
 * weighted with its requests.
 */
export function percentile(slices: readonly Pick<Slice, "load">[], share: number): number {
  const [only] = slices;
  if (slices.length === 1 && only !== undefined) return share === 0.5 ? only.load.p50Us : only.load.p99Us;
  const points = slices.flatMap(({ load }) =>
    load.quantilesUs.map((us, index) => ({ us, weight: load.requests * (index < 99 ? 0.01 : 0.001) }))
  ).sort((a, b) => a.us - b.us);
  let left = share * points.reduce((total, { weight }) => total + weight, 0);
  for (const { us, weight } of points) {
    left -= weight;
    if (left <= 0) return us;
  }
  return points.at(-1)?.us ?? 0;
}
