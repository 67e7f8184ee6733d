/**
 * What an attacker's bytes buy. Each shape of body floods a server, 60 at once and then for a while, from one address and
 * from 200, while an honest sender and `/healthz` are served beside it. Bars on time are held here only: the tests hold
 * what is true on any machine.
 */
import { ADMIN_TOKEN, eventually, type Server, sleep, startServer, tempDir } from "../process/server.ts";
import { type Flood, flood, type Flooded } from "./cost_flood.ts";
import { type Named, watchNames } from "./cost_named.ts";
import { honestPrices, priceOf, type Prices } from "./cost_prices.ts";
import { bytesOf, headersOf, KNOWN_SHAPES, nameOf, type Shape } from "./cost_shapes.ts";
import { measured, quiet } from "./cost_thread.ts";
import { type Honest, type HonestSeen, watchHonest } from "./cost_watch.ts";

/**
 * The bars of SECURITY.md. A flood that takes `worthNaming` of the thread must be named where `mostlyRefused` of its
 * requests are: what is taken and paid for is no attack.
 */
export const BARS = {
  healthMs: 500,
  honestP99Ms: 1_000,
  price: 3,
  namedS: 10,
  worthNaming: 0.15,
  mostlyRefused: 0.9,
};

/** Requests at once. */
const AT_ONCE = 60;

/** The floods of each shape: from how many addresses, and whether they go on. */
export const FLOODS = {
  "at once from 1": { addresses: 1, isSustained: false },
  "at once from 60": { addresses: AT_ONCE, isSustained: false },
  "sustained from 1": { addresses: 1, isSustained: true },
  "sustained from 200": { addresses: 200, isSustained: true },
} as const;
export type How = keyof typeof FLOODS;

/**
 * What an attacker may take beside what bytes pay for, in ms of the thread: what refused requests of an address, and the
 * credit of a key, allow at first (`routes/body/limits.ts`).
 */
const allowedMs = (addresses: number, forMs: number) => 250 * Math.min(addresses, 4) + 150 + forMs * 0.05;

/** A flood that has not ended so long after it should have is given up, in ms. */
const PATIENCE_MS = 120_000;

/** What came of one flood. */
export interface CostResult extends Flooded, HonestSeen, Named {
  name: string;
  /** Which of {@link CostOptions.shapes}. */
  shape: number;
  how: How;
  /** Time of the server's thread beyond the honest senders' own, in ms. */
  threadMs: number;
  /** Time that the server's thread waited for a processor, in ms: other processes held it up. */
  waitedMs: number;
  tookMs: number;
  /** How many times as much as honest bytes, beyond what is allowed; with that; and where requests count nothing. */
  timesHonest: number;
  timesInAll: number;
  timesByBytes: number;
  findings: string[];
}

/** What {@link attackByCost} needs. */
export interface CostOptions {
  shapes: readonly Shape[];
  /** How long each flood goes on, in ms. */
  ms: number;
  /** Which floods there are. */
  floods: readonly How[];
  /** Whether prices are compared and times are held to {@link BARS}, which is for a machine that does nothing else. */
  isTimed: boolean;
  /** What an earlier run did, which is left out. */
  done?: readonly CostResult[];
  /** No flood begins after so long, in ms. */
  mostMs?: number;
  say(line: string): void;
  found(what: string): void;
  /** Is told of each flood that has ended. */
  ended?(result: CostResult): Promise<void>;
}

/** A body that is parsed before it is refused, and how long it floods at a time until the log tells of it (ms). */
const REFUSED = KNOWN_SHAPES.at(-1)!;
const REFUSED_MS = 2_000;

/** Floods a server with each shape, and says what came of it. */
export async function attackByCost(options: CostOptions): Promise<CostResult[]> {
  const { shapes, done = [], mostMs = Infinity, say } = options;
  const beganMs = performance.now();
  const planned = shapes.flatMap((shape, n) => options.floods.map((how) => ({ shape, n, how })));
  const todo = planned.filter(({ n, how }) => !done.some((past) => past.shape === n && past.how === how));
  if (todo.length === 0) return [...done];
  await using dir = await tempDir();
  await using server = await startServer(`${dir.path}/cost.db`, {
    TRUSTED_PROXIES: "1",
    AUTH_FAILURES_PER_MINUTE: "0",
  });
  const prices = options.isTimed ? await honestPrices(server) : undefined;
  if (prices !== undefined) say(`honest prices: ${JSON.stringify(prices)}`);
  let findings: string[] = [];
  const found = (what: string) => {
    findings.push(what);
    options.found(what);
  };
  const honest = watchHonest(server, found);
  const bench: Bench = { server, honest, prices, honestRoundMs: await costOfHonest(server, honest) };
  const results = [...done];
  for (const [index, { shape, n, how }] of todo.entries()) {
    const passedMs = performance.now() - beganMs;
    if (passedMs > mostMs) {
      options.found(`${todo.length - index} of ${planned.length} floods were not run in the time given`);
      break;
    }
    findings = [];
    const ran = await runFlood(bench, { shape, how, ms: options.ms, sender: index });
    await honest.check();
    const result: CostResult = { name: nameOf(shape), shape: n, how, ...ran, findings };
    if (options.isTimed) judge(result, found);
    results.push(result);
    await options.ended?.(result);
    say(`[${results.length}/${planned.length}, ${Math.round(passedMs / 1000)} s] ${shown(result)}`);
  }
  await honest.check();
  await honest[Symbol.asyncDispose]();
  // Floods that last are judged one by one.
  if (!options.isTimed) await expectNamed(server);
  await checkEnd(server, { say, found, hasRun: results.length > done.length });
  return results;
}

/** What all floods share. */
interface Bench {
  server: Server;
  honest: Honest;
  prices: Prices | undefined;
  /** What a round of the honest sender costs the server, in ms of its thread. */
  honestRoundMs: number;
}

async function costOfHonest(server: Server, honest: Honest): Promise<number> {
  honest.begin();
  const { ranMs } = await measured(server, () => sleep(2_000));
  return ranMs / Math.max(1, honest.end().eventMs.length);
}

/** Runs one flood, from addresses and by keys that have not sent before. */
async function runFlood(
  { server, honest, prices, honestRoundMs }: Bench,
  { shape, how, ms, sender }: { shape: Shape; how: How; ms: number; sender: number },
): Promise<Omit<CostResult, "name" | "shape" | "how" | "findings">> {
  const keys = await makeKeys(server);
  const forMs = FLOODS[how].isSustained ? ms : 0;
  const addresses = Array.from(
    { length: FLOODS[how].addresses },
    (_, n) => `100.${64 + (sender >> 8)}.${sender % 256}.${n}`,
  );
  const body = bytesOf(shape, keys.publicKey);
  const names = await watchNames(server, new Set([...addresses, ...keys.ids]));
  honest.begin();
  const { result, ranMs, waitedMs, tookMs } = await measured(
    server,
    () => floodWith(server, shape, { headers: headersOf(shape, keys), body, addresses, ms: forMs }),
  );
  const seen = honest.end();
  const named = await names.end();
  await quiet(server);
  const threadMs = Math.max(0, ranMs - honestRoundMs * seen.eventMs.length);
  const beyondMs = Math.max(0, threadMs - allowedMs(addresses.length, tookMs));
  const price = prices === undefined
    ? { ms: Infinity, byBytesMs: Infinity }
    : priceOf(prices, { shape, flooded: result });
  return {
    ...result,
    ...seen,
    ...named,
    threadMs: Math.round(threadMs),
    waitedMs: Math.round(waitedMs),
    tookMs: Math.round(tookMs),
    timesHonest: rounded(beyondMs / price.ms),
    timesInAll: rounded(threadMs / price.ms),
    timesByBytes: rounded(beyondMs / price.byBytesMs),
  };
}

/** Floods a server with bodies of a shape, {@link AT_ONCE} at a time. */
function floodWith(
  server: Server,
  { protocol, path, transfer }: Shape,
  sent: Pick<Flood, "headers" | "body" | "addresses" | "ms">,
): Promise<Flooded> {
  const port = Number(new URL(server.url).port);
  return flood({ port, protocol, path, transfer, atOnce: AT_ONCE, ...sent }, sent.ms + PATIENCE_MS);
}

const rounded = (value: number) => Math.round(value * 100) / 100;

/** Keys that nobody has used: one without a limit, and one with. */
async function makeKeys(server: Server): Promise<{ publicKey: string; limitedKey: string; ids: string[] }> {
  const make = async (rateLimit?: { perSecond: number; burst: number }) => {
    const body = { name: "attacked", ...rateLimit && { rateLimit } };
    return (await server.ask("/api/v1/admin/keys", { method: "POST", body })).body;
  };
  const [open, limited] = [await make(), await make({ perSecond: 10, burst: 20 })];
  return { publicKey: open.key, limitedKey: limited.key, ids: [open.id, limited.id] };
}

async function expectNamed(server: Server): Promise<void> {
  const keys = await makeKeys(server);
  const headers = headersOf(REFUSED, keys);
  const body = bytesOf(REFUSED, keys.publicKey);
  await eventually("the log tells of refused work", async () => {
    if (server.written().includes('"refused_work"')) return true;
    // On a slow machine the floods were too far apart to take a large part of its time: one goes on until they do.
    await floodWith(server, REFUSED, { headers, body, addresses: ["100.127.0.1"], ms: REFUSED_MS });
    return false;
  });
}

/** What log and figures say in the end, and whether the server ends in order. */
async function checkEnd(
  server: Server,
  { say, found, hasRun }: Pick<CostOptions, "say" | "found"> & { hasRun: boolean },
): Promise<void> {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  const metrics = await (await fetch(`${server.url}/metrics`, { headers })).text();
  const figures = [...metrics.matchAll(/^signalfold_(?:refused_|senders_|bodies_).*$/gm)].map(([line]) =>
    line
  );
  say(figures.join("; "));
  if (
    hasRun && !figures.some((line) => /refused_work_seconds_total\{sender="unknown"\} .*[1-9]/.test(line))
  ) {
    found("the figures do not tell of refused work");
  }
  const { code } = await server.end("SIGTERM");
  if (code !== 0) found(`the server ended with ${code}: ${server.written().slice(-500)}`);
  for (const line of server.written().split("\n")) {
    if (line.includes('"level":"error"')) found(`logged: ${line.slice(0, 500)}`);
  }
}

function shown(result: CostResult): string {
  const { name, how, bytes, requests, statuses, healthMs, healthNetMs, eventMs, eventNetMs, rssMb } = result;
  const { threadMs, waitedMs, tookMs, timesHonest, timesInAll, timesByBytes, logS, metricsS } = result;
  return `${name} | ${how}: ${requests} requests, ${Math.round(bytes / 1000)} KB, ` +
    `${JSON.stringify(statuses)} in ${tookMs} ms, ${threadMs} ms of the thread (waited ${waitedMs}), ` +
    `${timesHonest} times honest (${timesInAll} with what is allowed, ${timesByBytes} by bytes), ` +
    `health ${healthNetMs} ms (${healthMs} by the clock), event ${p99(eventNetMs)} ms ` +
    `(${p99(eventMs)} by the clock) at p99 of ${eventMs.length}, ${rssMb} MB, ` +
    `named after ${logS ?? "-"} s by the log, ${metricsS ?? "-"} s by the figures`;
}

/** Judges one flood. The slower it makes honest events, the fewer there are: of less than 100 the slowest is judged. */
function judge(result: CostResult, found: (what: string) => void): void {
  const { name, how, timesHonest, healthNetMs, eventNetMs, logS, metricsS } = result;
  const at = `${name} | ${how}`;
  if (timesHonest > BARS.price) found(`${at}: bytes buy ${timesHonest.toFixed(1)} times what honest ones do`);
  if (healthNetMs > BARS.healthMs) found(`${at}: /healthz took ${healthNetMs} ms`);
  const eventMs = p99(eventNetMs);
  if (eventMs > BARS.honestP99Ms) {
    found(`${at}: an honest event took ${eventMs} ms at p99 of ${eventNetMs.length}`);
  }
  if (!mustBeNamed(result)) return;
  const latestS = Math.max(logS ?? Infinity, metricsS ?? Infinity);
  if (latestS > BARS.namedS) found(`${at}: named after ${logS} s by the log, ${metricsS} s by the figures`);
}

function mustBeNamed({ threadMs, tookMs, requests, statuses }: CostResult): boolean {
  if (tookMs < BARS.namedS * 1000 || threadMs < tookMs * BARS.worthNaming) return false;
  return requests - (statuses[200] ?? 0) >= requests * BARS.mostlyRefused;
}

/** The 99th percentile. */
export function p99(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? 0;
}
