/**
 * What a limited write key costs an event, as a ratio: requests by a key with a limit against the same by one without, in
 * turns in one run, through the routes and the actors over a store in memory. Without a network, so that the ratio of a
 * server is nearer to 1. Run it by `deno task bench:limits`.
 */
import { systemClock } from "../../../actors/store/clock.ts";
import { openSystem } from "../../../actors/open.ts";
import { createApp } from "../../../routes/app.ts";
import { createLog } from "../../../routes/http/logger.ts";

/** Pairs of rounds; which of the two comes first changes with each. */
const PAIRS = 100;
/** Events in a round, and requests at once. */
const EVENTS = 2_000;
const CONCURRENCY = 64;
/** A limit that is never reached: what is measured is asking. */
const RATE_LIMIT = { perSecond: 1_000_000, burst: 1_000_000 };

let ids = 0;
const newId = () => `id${ids++}`;
const now = Date.now;
const system = await openSystem({
  storage: ":memory:",
  clock: systemClock,
  newId,
  randomBytes: (bytes) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>),
  dedupMs: 0,
  onFault: (error) => console.error(error),
});
const app = createApp({
  system,
  settings: { adminToken: "token", authFailuresPerMinute: 0 },
  log: createLog({ level: "error", write: console.error, now }),
  now,
  newId,
});
const limited = (await system.writeKeys.create({ name: "limited", rateLimit: RATE_LIMIT })).key;
const free = (await system.writeKeys.create({ name: "free" })).key;

const eventOf = (n: number) =>
  `{"type":"track","event":"Order Completed","userId":"user_${n % 500}","messageId":"message-${ids++}",` +
  `"timestamp":"2026-03-10T11:59:00Z","properties":{"total":${n},"currency":"USD"}}`;

/** Sends the events of a round in requests of `size`; gives microseconds an event. */
async function round(key: string, size: number): Promise<number> {
  const [path, bodies] = size === 1
    ? ["events", Array.from({ length: EVENTS }, (_, n) => eventOf(n))]
    : ["events/batch", Array.from({ length: EVENTS / size }, () => batchOf(size))];
  const headers = { authorization: `Basic ${btoa(`${key}:`)}` };
  const began = performance.now();
  await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
    for (let body = bodies.pop(); body !== undefined; body = bodies.pop()) {
      const request = new Request(`http://localhost/api/v1/${path}`, { method: "POST", headers, body });
      const { status } = await app.fetch(request);
      if (status !== 200) throw new Error(`answered ${status}`);
    }
  }));
  const us = (performance.now() - began) * 1000 / EVENTS;
  // What is settled behind one round must not be paid by the next.
  await system.tick?.();
  return us;
}

function batchOf(size: number): string {
  return `{"batch":[${Array.from({ length: size }, (_, n) => eventOf(n)).join(",")}]}`;
}

/** The quartiles. */
function quartiles(values: number[]): [low: number, median: number, high: number] {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))]!;
  return [at(0.25), at(0.5), at(0.75)];
}

for (const size of [1, 500]) {
  const [ofLimited, ofFree, ratios]: number[][] = [[], [], []];
  for (let pair = -2; pair < PAIRS; pair++) {
    const isFirst = pair % 2 === 0;
    const first = await round(isFirst ? limited : free, size);
    const second = await round(isFirst ? free : limited, size);
    // The first are to warm up.
    if (pair < 0) continue;
    const [mine, other] = isFirst ? [first, second] : [second, first];
    ofLimited!.push(mine);
    ofFree!.push(other);
    ratios!.push(mine / other);
  }
  const [low, median, high] = quartiles(ratios!).map((ratio) => ratio.toFixed(3));
  const us = (values: number[]) => quartiles(values)[1].toFixed(1);
  console.log(
    `${size === 1 ? "single posts" : `batches of ${size}`}: limited ${us(ofLimited!)} us an event, ` +
      `unlimited ${us(ofFree!)}; ratio ${median} (quartiles ${low} to ${high})`,
  );
}

// What is asked of the limit alone.
const [id, times] = ["alone", 1_000_000];
await system.rateLimits.take(id, RATE_LIMIT, { events: 0, now: now() });
const began = performance.now();
for (let n = 0; n < times; n++) system.rateLimits.take(id, RATE_LIMIT, { events: 0, now: now() });
console.log(`asking the limit alone: ${((performance.now() - began) * 1000 / times).toFixed(2)} us`);
await system.close();
