/** Lives through many histories, on all processors, until one comes to what must not happen. */
import type { Told } from "./history.ts";
import { type Counts, noCounts } from "./weather.ts";

/** What histories came to together. */
export interface Totals {
  histories: number;
  events: number;
  actors: number;
  requests: number;
  reads: number;
  erasures: number;
  /** The least that a history had. */
  fewestProcesses: number;
  fewestEvents: number;
  fewestActors: number;
  /** How long they lasted (virtual ms), and the longest that a sender waited. */
  lastedMs: number;
  waitedMs: number;
  counts: Counts;
}

/** A history that came to what must not happen. */
export interface Find {
  seed: number;
  violation: string;
  digest: string;
}

/** What a worker is told: first which bug to plant, if any, then which seeds to live through. */
export type ToWorker = { bug: string | undefined } | { from: number; count: number };

/** What a worker tells of some seeds: all of them, or up to the first find. */
export interface FromWorker {
  totals: Totals;
  find?: Find;
}

/** What to hunt. */
export interface Hunt {
  /** The first seed, and how many. */
  from: number;
  histories: number;
  /** The name of a planted bug. */
  bug?: string;
  onProgress?(done: number, totals: Totals): void;
}

/** Seeds that a worker lives through before it tells. */
const SEEDS_AT_ONCE = 25;

/** Totals of nothing. */
export function noTotals(): Totals {
  return {
    histories: 0,
    events: 0,
    actors: 0,
    requests: 0,
    reads: 0,
    erasures: 0,
    fewestProcesses: Infinity,
    fewestEvents: Infinity,
    fewestActors: Infinity,
    lastedMs: 0,
    waitedMs: 0,
    counts: noCounts(),
  };
}

/** Adds a history to totals. */
export function addTold(totals: Totals, told: Told): void {
  addTotals(totals, {
    ...told,
    histories: 1,
    fewestProcesses: told.processes,
    fewestEvents: told.events,
    fewestActors: told.actors,
  });
}

function addTotals(totals: Totals, more: Totals): void {
  for (
    const name of ["histories", "events", "actors", "requests", "reads", "erasures", "lastedMs"] as const
  ) {
    totals[name] += more[name];
  }
  for (const name of ["fewestProcesses", "fewestEvents", "fewestActors"] as const) {
    totals[name] = Math.min(totals[name], more[name]);
  }
  totals.waitedMs = Math.max(totals.waitedMs, more.waitedMs);
  for (const name of Object.keys(totals.counts) as (keyof Counts)[]) totals.counts[name] += more.counts[name];
}

/** Hunts. Gives the totals, and the find with the smallest seed of those that were under way when there was one. */
export async function hunt(
  { from, histories, bug, onProgress = () => {} }: Hunt,
): Promise<{ totals: Totals; find?: Find }> {
  const totals = noTotals();
  const end = from + histories;
  let next = from;
  let find: Find | undefined;

  function work(): Promise<void> {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    const tell = (message: ToWorker) => worker.postMessage(message);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const goOn = () => {
      if (find !== undefined || next >= end) return resolve();
      const count = Math.min(SEEDS_AT_ONCE, end - next);
      tell({ from: next, count });
      next += count;
    };
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      addTotals(totals, data.totals);
      if (data.find !== undefined && (find === undefined || data.find.seed < find.seed)) find = data.find;
      onProgress(totals.histories, totals);
      goOn();
    };
    tell({ bug });
    goOn();
    return promise.finally(() => worker.terminate());
  }

  const needed = Math.min(navigator.hardwareConcurrency, Math.ceil(histories / SEEDS_AT_ONCE));
  await Promise.all(Array.from({ length: needed }, work));
  return { totals, ...(find === undefined ? {} : { find }) };
}
