/**
 * What forwarding takes: events per second to a healthy webhook on this machine, one by one and in batches, beside a bare
 * loop of `fetch` to the same receiver; how long an event takes from its answer to its delivery; and what destinations cost
 * that want nothing. The receiver runs in a thread of its own.
 *
 * `deno task bench:forwarding`
 */
import process from "node:process";
import { monotonicFactory } from "ulid";
import { openSystem } from "../actors/open.ts";
import { systemClock } from "../actors/store/clock.ts";
import { createFilter, kindOf } from "../domain/forwarding/filter.ts";
import type { StoredEvent } from "../domain/event/event.ts";
import { LOOPBACK, readAllowList } from "../domain/forwarding/address.ts";
import { type Definition, definitionOf, definitionSchema } from "../domain/forwarding/definition.ts";
import type { System } from "../actors/system.ts";

const AUTHOR = { by: "bench", address: "" };
const PEOPLE = 500;

const RECEIVER = `
let count = 0; let last = 0; const delays = [];
const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen({ port }) { postMessage({ port }); } }, async (request) => {
  const body = await request.text();
  count += request.headers.get("x-batch") ? body.split('"messageId"').length - 1 : 1;
  const sent = /"sentMs":(\\d+)/.exec(body);
  if (sent) delays.push(Date.now() - Number(sent[1]));
  return new Response("ok");
});
onmessage = ({ data }) => {
  if (data === "reset") { count = 0; delays.length = 0; }
  postMessage({ count, delays: data === "delays" ? delays : [] });
};`;

/** A receiver in a thread of its own. */
async function startReceiver() {
  const url = URL.createObjectURL(new Blob([RECEIVER], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module" });
  const next = () =>
    new Promise<{ port: number; count: number; delays: number[] }>((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
    });
  const { port } = await next();
  const ask = (what: string) => {
    const answer = next();
    worker.postMessage(what);
    return answer;
  };
  return { url: `http://127.0.0.1:${port}`, ask, stop: () => worker.terminate() };
}

async function open(): Promise<System> {
  const ulid = monotonicFactory();
  return await openSystem({
    storage: ":memory:",
    clock: systemClock,
    newId: () => ulid(),
    randomBytes: (bytes) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>),
    dedupMs: 0,
    onFault: (error) => console.error(error),
    forwarding: { allow: readAllowList(LOOPBACK)! },
  });
}

let made = 0;

function eventOf(n: number, properties: Record<string, unknown> = {}): StoredEvent {
  const at = new Date().toISOString();
  return {
    type: "track",
    event: "Order Completed",
    userId: `u${n % PEOPLE}`,
    messageId: `m${++made}`,
    timestamp: at,
    receivedAt: at,
    properties: { n, text: "x".repeat(200), ...properties },
  };
}

type Receiver = Awaited<ReturnType<typeof startReceiver>>;

async function throughput(receiver: Receiver, { events, maxEvents }: { events: number; maxEvents: number }) {
  const system = await open();
  for (let from = 0; from < events; from += 500) {
    await system.commit(
      Array.from({ length: Math.min(500, events - from) }, (_, n) => eventOf(from + n)),
      "k",
    );
  }
  await system.tick?.();
  await receiver.ask("reset");
  const cpuBefore = cpuMs();
  const beganMs = performance.now();
  await system.forwarding.put(
    "Hook",
    definitionSchema.parse({
      kind: "webhook",
      from: "start",
      batch: { maxEvents },
      settings: { url: receiver.url, ...maxEvents > 1 && { headers: { "x-batch": "1" } } },
    }),
    AUTHOR,
  );
  while ((await receiver.ask("count")).count < events) await systemClock.sleep(5);
  const seconds = (performance.now() - beganMs) / 1000;
  const share = (cpuMs() - cpuBefore) / 1000 / seconds;
  await system.close();
  return { perSecond: events / seconds, share };
}

/** User and system time of this process, both threads. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The rival: a bare loop of `fetch`, eight at a time, of bodies that are ready. */
async function bareFetch(
  { url, ask }: Receiver,
  { events, maxEvents }: { events: number; maxEvents: number },
) {
  const bodies = Array.from({ length: Math.ceil(events / maxEvents) }, (_, n) =>
    JSON.stringify(
      maxEvents === 1 ? eventOf(n) : { batch: Array.from({ length: maxEvents }, (_, k) => eventOf(n + k)) },
    ));
  await ask("reset");
  const beganMs = performance.now();
  let next = 0;
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (next < bodies.length) {
      const body = bodies[next++]!;
      const headers = maxEvents > 1 ? { "x-batch": "1" } : {};
      await (await fetch(url, { method: "POST", body, headers })).text();
    }
  }));
  return { perSecond: bodies.length * maxEvents / ((performance.now() - beganMs) / 1000) };
}

/** From the answer to the arrival, at a steady rate. */
async function delays(receiver: Receiver, { perSecond, seconds }: { perSecond: number; seconds: number }) {
  const system = await open();
  await system.forwarding.put(
    "Hook",
    definitionSchema.parse({ kind: "webhook", settings: { url: receiver.url } }),
    AUTHOR,
  );
  await receiver.ask("reset");
  const beganMs = performance.now();
  for (let n = 0; n < perSecond * seconds; n++) {
    const waitMs = beganMs + n * 1000 / perSecond - performance.now();
    if (waitMs > 1) await systemClock.sleep(waitMs);
    await system.commit([eventOf(n, { sentMs: Date.now() })], "k");
  }
  await systemClock.sleep(1_500);
  const { delays } = await receiver.ask("delays");
  delays.sort((a, b) => a - b);
  await system.close();
  return {
    p50: delays[Math.floor(delays.length / 2)],
    p99: delays[Math.floor(delays.length * 0.99)],
    n: delays.length,
  };
}

/** What 50 destinations cost per event that want none: the look-ups alone, and all that a process does. */
async function unrelated(events: number) {
  const definition: Definition = definitionOf(
    definitionSchema.parse({
      kind: "webhook",
      where: { event: "Nothing" },
      settings: { url: "http://127.0.0.1:9" },
    }),
    undefined,
  );
  const filters = Array.from({ length: 50 }, (_, n) => createFilter(`d${n}`, definition));
  const sample = Array.from({ length: 1000 }, (_, n) => eventOf(n));
  const began = performance.now();
  for (let round = 0; round < 100; round++) {
    for (const event of sample) {
      const kind = kindOf(event);
      for (const { mayWant } of filters) mayWant(kind);
    }
  }
  const lookUpUs = (performance.now() - began) * 1000 / (100 * sample.length);
  const spent: number[] = [];
  for (const count of [0, 50]) {
    const system = await open();
    for (let n = 0; n < count; n++) {
      const draft = { kind: "webhook", where: { event: "Nothing" }, settings: { url: "http://127.0.0.1:9" } };
      await system.forwarding.put(`d${n}`, definitionSchema.parse(draft), AUTHOR);
    }
    const before = cpuMs();
    for (let from = 0; from < events; from += 500) {
      await system.commit(Array.from({ length: 500 }, (_, n) => eventOf(from + n)), "k");
    }
    await system.tick?.();
    spent.push((cpuMs() - before) * 1000 / events);
    await system.close();
  }
  return { lookUpUs, allUs: spent[1]! - spent[0]! };
}

const shown = (value: number) => Math.round(value).toLocaleString("en");

if (import.meta.main) {
  const receiver = await startReceiver();
  for (
    const { events, maxEvents } of [{ events: 10_000, maxEvents: 1 }, { events: 100_000, maxEvents: 100 }]
  ) {
    // In turn, so that both meet the same machine.
    const own = await throughput(receiver, { events, maxEvents });
    const bare = await bareFetch(receiver, { events, maxEvents });
    console.log(
      `${maxEvents} at a time: ${shown(own.perSecond)} events/s (${
        own.share.toFixed(2)
      } of a core, the receiver included), ` +
        `bare fetch ${shown(bare.perSecond)} events/s: ${(own.perSecond / bare.perSecond).toFixed(2)} of it`,
    );
  }
  const { p50, p99, n } = await delays(receiver, { perSecond: 500, seconds: 10 });
  console.log(`from answer to delivery at 500 events/s: p50 ${p50} ms, p99 ${p99} ms (${n} events)`);
  const { lookUpUs, allUs } = await unrelated(50_000);
  console.log(
    `50 destinations that want nothing: ${lookUpUs.toFixed(2)} µs an event for the look-ups, ${
      allUs.toFixed(2)
    } µs in all`,
  );
  receiver.stop();
}
