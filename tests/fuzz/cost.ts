/**
 * What an attacker's bytes buy. Each shape of body floods a server, 60 at once and then for a while, from one address and
 * from 200, while an honest sender and `/healthz` are served beside it. Bars on time are held here only: the tests hold
 * what is true on any machine.
 */
import { gzipSync } from "node:zlib";
import {
  ADMIN_TOKEN,
  eventually,
  type Server,
  sleep,
  startServer,
  tempDir,
  WRITE_KEY,
} from "../process/server.ts";
import { flood, type Flooded } from "./cost_flood.ts";
import { bytesOf, headersOf, nameOf, type Shape } from "./cost_shapes.ts";
import { threadMs } from "./cost_thread.ts";
import { watchHonest } from "./cost_watch.ts";

/** The bars of issue and SECURITY.md. */
export const BARS = { healthMs: 500, honestP99Ms: 1_000, price: 3 };

/** Requests at once. */
const AT_ONCE = 60;

/** Addresses of the attacker: proxies that are trusted name them. */
const ONE_ADDRESS = ["192.0.2.1"];
const MANY_ADDRESSES = Array.from({ length: 200 }, (_, n) => `198.51.${Math.floor(n / 100)}.${n % 100}`);

/**
 * What an attacker may take beside what bytes pay for, in ms of the thread: what refused requests of an address, and the
 * credit of a key, allow at first (`routes/body/limits.ts`).
 */
const allowedMs = (addresses: number, forMs: number) => 250 * Math.min(addresses, 4) + 150 + forMs * 0.05;

/** What honest events cost, by coding and kind of route. */
export interface Prices {
  /** µs of the thread for each byte on the wire. */
  usPerByte: Record<string, number>;
  /** µs of the thread for a request of one small event. */
  usPerRequest: number;
}

/** What came of one flood. */
export interface CostResult extends Flooded {
  name: string;
  how: string;
  threadMs: number;
  /** How many times as much as honest bytes. */
  timesHonest: number;
  healthMs: number;
  honestP99Ms: number;
  honestRounds: number;
}

/** What {@link attackByCost} needs. */
export interface CostOptions {
  shapes: readonly Shape[];
  /** How long each flood goes on, in ms. */
  ms: number;
  /** Which floods there are. */
  floods: readonly ("at once" | "one address" | "200 addresses")[];
  /** Whether prices are compared and times are held to {@link BARS}, which is for a machine that does nothing else. */
  isTimed: boolean;
  say(line: string): void;
  found(what: string): void;
}

/** Floods a server with each shape, and says what came of it. */
export async function attackByCost(options: CostOptions): Promise<CostResult[]> {
  await using dir = await tempDir();
  await using server = await startServer(`${dir.path}/cost.db`, {
    TRUSTED_PROXIES: "1",
    AUTH_FAILURES_PER_MINUTE: "0",
  });
  const keys = {
    publicKey: await makeKey(server),
    limitedKey: await makeKey(server, { perSecond: 10, burst: 20 }),
  };
  const prices = options.isTimed ? await honestPrices(server) : undefined;
  if (prices !== undefined) options.say(`honest prices: ${JSON.stringify(prices)}`);
  const results: CostResult[] = [];
  const honest = watchHonest(server, options.found);
  // What the honest ones take while nobody floods.
  const idle = await measured(server, () => sleep(2_000));
  for (const shape of options.shapes) {
    const body = bytesOf(shape, keys.publicKey);
    for (const how of options.floods) {
      const forMs = how === "at once" ? 0 : options.ms;
      const addresses = how === "200 addresses" ? MANY_ADDRESSES : ONE_ADDRESS;
      honest.begin();
      const { result, ms, overMs } = await measured(server, () =>
        flood({
          port: Number(new URL(server.url).port),
          protocol: shape.protocol,
          path: shape.path,
          transfer: shape.transfer,
          headers: headersOf(shape, keys),
          body,
          addresses,
          atOnce: AT_ONCE,
          ms: forMs,
        }));
      const seen = honest.end();
      const took = Math.max(0, ms - (idle.ms / idle.overMs) * overMs);
      const price = prices === undefined ? Infinity : priceOf(prices, { shape, flooded: result }) / 1000;
      const timesHonest = Math.max(0, took - allowedMs(addresses.length, overMs)) / price;
      const line = { name: nameOf(shape), how, ...result, threadMs: Math.round(took), timesHonest, ...seen };
      results.push(line);
      options.say(shown(line, took / price));
      if (options.isTimed) judge(line, options.found);
      await quiet(server);
    }
  }
  await honest.check();
  await honest[Symbol.asyncDispose]();
  await eventually("the log tells of refused work", async () => {
    // It is told when more is refused.
    await (await fetch(`${server.url}/api/v1/events`, { method: "POST", body: "{}" })).body?.cancel();
    return server.written().includes('"refused_work"');
  });
  const tells = server.written().split("\n").filter((line) => line.includes('"refused_work"'));
  options.say(`the log tells of refused work ${tells.length} times: ${tells.join("\n")}`);
  const metrics = await (await fetch(`${server.url}/metrics`, { headers: ADMIN })).text();
  const figures = [...metrics.matchAll(/^signalfold_(?:refused_|senders_|bodies_).*$/gm)].map(([line]) =>
    line
  );
  options.say(figures.join("; "));
  if (!figures.some((line) => /refused_work_seconds_total\{sender="unknown"\} .*[1-9]/.test(line))) {
    options.found("the figures do not tell of refused work");
  }
  const { code } = await server.end("SIGTERM");
  if (code !== 0) options.found(`the server ended with ${code}: ${server.written().slice(-500)}`);
  for (const line of server.written().split("\n")) {
    if (line.includes('"level":"error"')) options.found(`logged: ${line.slice(0, 500)}`);
  }
  return results;
}

const ADMIN = { authorization: `Bearer ${ADMIN_TOKEN}` };

async function makeKey(server: Server, rateLimit?: { perSecond: number; burst: number }): Promise<string> {
  const body = { name: "attacked", ...rateLimit && { rateLimit } };
  return (await server.ask("/api/v1/admin/keys", { method: "POST", body })).body.key;
}

/** Runs something, and says how long it took and what of it the server's thread did. */
async function measured<T>(
  server: Server,
  work: () => Promise<T>,
): Promise<{ result: T; ms: number; overMs: number }> {
  const [beganMs, began] = [threadMs(server.pid), performance.now()];
  const result = await work();
  return { result, ms: threadMs(server.pid) - beganMs, overMs: performance.now() - began };
}

/** Floods leave work behind, which must not count as the next one's. */
async function quiet(server: Server): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const { ms, overMs } = await measured(server, () => sleep(200));
    if (ms < overMs * 0.2) return;
  }
}

const kindOf = ({ coding, path }: Pick<Shape, "coding" | "path">) =>
  `${coding === "plain" ? "plain" : "gzip"} ${path.endsWith("batch") ? "batch" : "single"}`;

function priceOf(prices: Prices, { shape, flooded }: { shape: Shape; flooded: Flooded }): number {
  const byBytes = flooded.bytes * prices.usPerByte[kindOf(shape)]!;
  return Math.max(byBytes, flooded.requests * prices.usPerRequest);
}

/** An event as clients send it. */
export function honestEvent(n: number) {
  return {
    type: "track",
    event: "Order Completed",
    userId: `user_${n % 500}`,
    messageId: crypto.randomUUID(),
    timestamp: new Date(1.7e12 + n * 1013).toISOString(),
    properties: {
      order_id: `o_${n}`,
      total: 12.5 + n,
      currency: "EUR",
      products: [{ sku: "a" }, { sku: "b" }],
    },
    context: {
      library: { name: "analytics-node", version: "1.2.3" },
      userAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
      page: { url: `https://shop.example.com/checkout/${n}`, path: "/checkout", title: "Checkout" },
      locale: "en-US",
    },
  };
}

/** Sends honest events of each kind, and says what a byte of them costs. */
async function honestPrices(server: Server): Promise<Prices> {
  const headers = { "x-write-key": WRITE_KEY };
  let n = 0;
  const usPerByte: Record<string, number> = {};
  let usPerRequest = 0;
  for (const kind of ["plain single", "gzip single", "plain batch", "gzip batch"]) {
    const [coding, route] = kind.split(" ");
    const bodies = Array.from({ length: route === "single" ? 2_000 : 60 }, () => {
      const text = JSON.stringify(
        route === "single"
          ? honestEvent(n++)
          : { batch: Array.from({ length: 200 }, () => honestEvent(n++)) },
      );
      return coding === "gzip" ? new Uint8Array(gzipSync(text)) : new TextEncoder().encode(text);
    });
    const path = route === "single" ? "/api/v1/events" : "/api/v1/events/batch";
    const more = coding === "gzip" ? { "content-encoding": "gzip" } : {};
    let next = 0;
    const { ms } = await measured(server, () =>
      Promise.all(Array.from({ length: 16 }, async () => {
        while (next < bodies.length) {
          const body = bodies[next++]!;
          const response = await fetch(server.url + path, {
            method: "POST",
            headers: { ...headers, ...more },
            body,
          });
          await response.body?.cancel();
        }
      })));
    const bytes = bodies.reduce((sum, { length }) => sum + length + 200, 0);
    usPerByte[kind] = (ms * 1000) / bytes;
    if (kind === "plain single") usPerRequest = (ms * 1000) / bodies.length;
    await quiet(server);
  }
  return { usPerByte, usPerRequest };
}

function shown(result: CostResult, withAllowance: number): string {
  const { name, how, bytes, requests, statuses, threadMs, timesHonest, healthMs, honestP99Ms, honestRounds } =
    result;
  return `${name} | ${how}: ${requests} requests, ${Math.round(bytes / 1000)} KB, ${
    JSON.stringify(statuses)
  }, ` +
    `${threadMs} ms, ${timesHonest.toFixed(2)} times honest (${
      withAllowance.toFixed(2)
    } with what is allowed), ` +
    `health ${healthMs} ms, event ${honestP99Ms} ms at p99 of ${honestRounds}`;
}

function judge(
  { name, how, timesHonest, healthMs, honestP99Ms }: CostResult,
  found: (what: string) => void,
): void {
  const at = `${name} | ${how}`;
  if (timesHonest > BARS.price) found(`${at}: bytes buy ${timesHonest.toFixed(1)} times what honest ones do`);
  if (healthMs > BARS.healthMs) found(`${at}: /healthz took ${healthMs} ms`);
  if (honestP99Ms > BARS.honestP99Ms) found(`${at}: an honest event took ${honestP99Ms} ms at p99`);
}
