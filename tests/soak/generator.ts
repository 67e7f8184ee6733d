/**
 * The load of the soak, a process of its own: `generator.ts URL RATE SECONDS SEED`.
 *
 * How it works: requests arrive by the clock, one each 1/RATE s, whether earlier ones were answered or not, and the time
 * of each counts from the moment when it was due. So a server that stalls for a second makes every request of that
 * second late, where a client that waits for answers would have made one (coordinated omission). A line of JSON tells of
 * each interval, by the arrivals in it, once all of them were answered.
 */
import { randomOf } from "../process/ledger.ts";
import { ADMIN_TOKEN, sleep, WRITE_KEY } from "../process/server.ts";
import { createTraffic } from "./traffic.ts";

/** Arrivals that are due are looked for this often. */
const TICK_MS = 4;
/** A request without an answer by then is an error; the server's own limit is 10 s. */
const ANSWER_MS = 20_000;
/** Requests under way at most: one that arrives beyond it is an error, unsent. */
const MAX_UNDER_WAY = 5_000;
/** Errors that are shown. */
const SHOWN = 3;

/** What an interval came to. */
export interface Interval {
  /** Counted from 1. */
  interval: number;
  requests: number;
  /** Events in requests that were answered 200. */
  events: number;
  errors: number;
  /** What the first errors were. */
  shown: string[];
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** Minutes as a rule; shorter where the whole run is. */
export function intervalSeconds(seconds: number): number {
  return Math.min(60, seconds);
}

interface Open {
  latencies: number[];
  events: number;
  errors: number;
  shown: string[];
  underWay: number;
}

/** The value below which a share of the sorted values is. */
function quantile(sorted: number[], share: number): number {
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]! * 10) / 10;
}

async function generate(
  url: string,
  { rate, seconds, seed }: { rate: number; seconds: number; seed: number },
) {
  const plan = createTraffic(`soak_${seed}`, randomOf(seed));
  const everyS = intervalSeconds(seconds);
  const intervals = Array.from(
    { length: Math.ceil(seconds / everyS) },
    (): Open => ({ latencies: [], events: 0, errors: 0, shown: [], underWay: 0 }),
  );
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 256 });
  const began = performance.now();
  const total = Math.floor(rate * seconds);
  let underWay = 0;
  let told = 0;

  async function arrive(dueMs: number): Promise<void> {
    const mine = intervals[Math.floor(dueMs / 1000 / everyS)]!;
    const { path, body, events } = plan();
    mine.underWay++;
    underWay++;
    const error = underWay > MAX_UNDER_WAY ? "too many requests under way" : await ask(path, body);
    underWay--;
    mine.underWay--;
    mine.latencies.push(performance.now() - began - dueMs);
    if (error === undefined) return void (mine.events += events);
    mine.errors++;
    if (mine.shown.length < SHOWN) mine.shown.push(`${path}: ${error}`);
  }

  /** Why a request was not answered as it should, or nothing. */
  async function ask(path: string, body: unknown): Promise<string | undefined> {
    const isRead = body === undefined;
    try {
      const response = await fetch(url + path, {
        client,
        signal: AbortSignal.timeout(ANSWER_MS),
        headers: { authorization: isRead ? `Bearer ${ADMIN_TOKEN}` : `Basic ${btoa(`${WRITE_KEY}:`)}` },
        ...!isRead && { method: "POST", body: JSON.stringify(body) },
      });
      const text = await response.text();
      const isFine = response.status === 200
        ? !/"rejected":[^0]/.test(text)
        : isRead && response.status === 404;
      return isFine ? undefined : `${response.status} ${text.slice(0, 200)}`;
    } catch (error) {
      return String(error);
    }
  }

  function tell(): void {
    for (; told < intervals.length; told++) {
      const { latencies, events, errors, shown, underWay } = intervals[told]!;
      if (underWay > 0 || performance.now() - began < (told + 1) * everyS * 1000) return;
      const sorted = latencies.toSorted((a, b) => a - b);
      console.log(JSON.stringify(
        {
          interval: told + 1,
          requests: sorted.length,
          events,
          errors,
          shown,
          p50Ms: quantile(sorted, 0.5),
          p99Ms: quantile(sorted, 0.99),
          maxMs: quantile(sorted, 1),
        } satisfies Interval,
      ));
      intervals[told]!.latencies = [];
    }
  }

  for (let made = 0; made < total;) {
    const nowMs = performance.now() - began;
    for (; made < total && (made * 1000) / rate <= nowMs; made++) void arrive((made * 1000) / rate);
    tell();
    await sleep(TICK_MS);
  }
  while (told < intervals.length) {
    tell();
    await sleep(TICK_MS);
  }
  client.close();
}

if (import.meta.main) {
  const [url, rate, seconds, seed] = Deno.args;
  await generate(url!, { rate: Number(rate), seconds: Number(seconds), seed: Number(seed) });
}
