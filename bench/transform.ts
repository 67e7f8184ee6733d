/**
 * What transformations cost: per event, by rules and by code; to start, to hold, and to check against the past.
 *
 * deno task bench:transform [--events N]
 *
 * Each row has the share of one core that the process had, in all of its threads: on a busy machine a time says little
 * without it. `µs of a core` is the time by that share.
 */
import { parseArgs } from "node:util";
import { cpuUsage, memoryUsage } from "node:process";
import { openSystem } from "../actors/open.ts";
import { systemClock } from "../actors/store/clock.ts";
import { createEngine } from "../actors/transformation/engine.ts";
import type { Input } from "../actors/transformation/lines.ts";
import { type Runnable, runnableOf } from "../actors/transformation/run_definition.ts";
import { createSandbox, type Sandbox } from "../actors/transformation/sandbox.ts";
import type { StoredEvent } from "../domain/event/event.ts";
import { type Definition, definitionOf, draftSchema } from "../domain/transformation/definition.ts";
import { readProgram } from "../domain/transformation/program.ts";

const { values } = parseArgs({ options: { events: { type: "string", default: "10000" } } });
const EVENTS = Number(values.events);
const ROUNDS = 5;

/** Versions that are held at once, as many as one thread holds. */
const HELD = 20;

const event = (n: number): StoredEvent => ({
  type: n % 5 === 0 ? "identify" : "track",
  userId: `user_${n % 500}`,
  event: "Order Completed",
  properties: {
    order_id: `ord_${n}`,
    total: 99.999,
    currency: "USD",
    products: [{ sku: "a", price: 29.99, quantity: 2 }, { sku: "b", price: 9.99, quantity: 4 }],
  },
  traits: { email: `jane${n}@example.com`, plan: n % 2 === 0 ? "pro" : "free" },
  context: { ip: "203.0.113.42", locale: "en-US", page: { path: "/checkout" } },
  messageId: `m${n}`,
  timestamp: "2026-01-01T00:00:00.000Z",
  receivedAt: "2026-01-01T00:00:00.000Z",
});

const RULES = [
  { rename: { from: "properties.total", to: "properties.value" } },
  { set: { path: "context.source", value: "signalfold" } },
  { remove: { paths: ["context.ip"] } },
  { mask: { paths: ["traits.email"] } },
  { hash: { paths: ["userId"] } },
  { map: { path: "traits.plan", values: { pro: "p2", free: "p1" } } },
  { coerce: { path: "properties.products[].price", to: "string" } },
  { copy: { from: "context.page.path", to: "properties.page" } },
  { renameEvent: { to: "purchase" }, where: { event: "Order Completed" } },
  { drop: {}, where: { event: "Test" } },
];

const SMALL = `export default function transform(event, { params }) {
  if (event.event === "Test") return null;
  event.properties.plan = event.traits.plan;
  event.properties.total = Math.round(event.properties.total * 100) / 100;
  return event;
}`;
const WITH_PERSON = `export default function transform(event, { person }) {
  event.properties.plan = person.traits.plan;
  event.properties.orders = person.events["Order Completed"]?.count ?? 0;
  return event;
}`;

const defined = (draft: object): Definition => definitionOf(draftSchema.parse(draft), undefined);
const rules = (count: number) => defined({ kind: "rules", rules: RULES.slice(0, count) });
const code = (text: string) => defined({ kind: "javascript", code: text });

/** Measures some work: its time, and the share of a core that this process had meanwhile. */
async function measured(work: () => unknown): Promise<{ ms: number; share: number }> {
  const before = cpuUsage();
  const began = performance.now();
  await work();
  const ms = performance.now() - began;
  const { user, system } = cpuUsage(before);
  return { ms, share: (user + system) / 1_000 / ms };
}

/** The fastest of some rounds: a neighbour on the machine only ever makes one slower. */
async function best(work: () => unknown): Promise<{ ms: number; share: number }> {
  let found = await measured(work);
  for (let n = 1; n < ROUNDS; n++) {
    const next = await measured(work);
    if (next.ms < found.ms) found = next;
  }
  return found;
}

const percent = (share: number) => `${Math.round(share * 100)} %`;
const row = (what: string, ...cells: string[]) =>
  console.log(what.padEnd(44) + cells.map((cell) => cell.padStart(18)).join(""));

async function perEvent(
  what: string,
  runnable: Runnable,
  { batch, count = EVENTS }: { batch: number; count?: number },
) {
  const inputs: Input[] = Array.from({ length: count }, (_, n) => ({ event: event(n) }));
  await runnable.load();
  const { ms, share } = await best(async () => {
    for (let from = 0; from < count; from += batch) await runnable.run(inputs.slice(from, from + batch));
  });
  const us = ms * 1_000 / count;
  row(
    what,
    `${us.toFixed(1)} µs`,
    `${Math.round(1e6 / us)}/s`,
    percent(share),
    `${(us * Math.min(1, share)).toFixed(1)} µs of a core`,
  );
}

async function starts(): Promise<void> {
  const program = readProgram(SMALL);
  if ("problem" in program) throw new Error(program.problem.message);
  const made = { source: program.source, version: "b@1", params: {} };
  await createEngine(made, { clock: systemClock });
  const { ms, share } = await best(() => createEngine(made, { clock: systemClock }));
  row("start of an engine", `${ms.toFixed(1)} ms`, "", percent(share), "");
}

async function memory(sandbox: Sandbox): Promise<void> {
  const before = memoryUsage.rss();
  const held = Array.from(
    { length: HELD },
    (_, n) => runnableOf(code(SMALL), { key: `held${n}`, version: `held@${n}`, sandbox }),
  );
  const inputs = Array.from({ length: 100 }, (_, n) => ({ event: event(n) }));
  for (const each of held) await each.run(inputs);
  const mb = (memoryUsage.rss() - before) / 1024 / 1024;
  row(`${sandbox.status().engines} transformations held`, `${mb.toFixed(0)} MB more`);
}

async function checks(): Promise<void> {
  let id = 0;
  const system = await openSystem({
    storage: ":memory:",
    clock: systemClock,
    newId: () => `${++id}`,
    randomBytes: (bytes) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>),
    dedupMs: 0,
    onFault: (error) => console.error(error),
  });
  const count = 10_000;
  for (let from = 0; from < count; from += 500) {
    await system.commit(Array.from({ length: 500 }, (_, n) => event(from + n)), "bench");
  }
  for (
    const [what, text] of [["check of 10,000 events", SMALL], [
      "check of 10,000 events with the person",
      WITH_PERSON,
    ]]
  ) {
    const draft = draftSchema.parse({ kind: "javascript", code: text });
    const { ms, share } = await measured(async () => {
      const query = { draft, last: count, where: undefined, onProgress() {}, isCancelled: () => false };
      const result = await system.transformations.check("bench", query);
      if (result === undefined || "problem" in result || result.checked !== count || result.failed > 0) {
        throw new Error(JSON.stringify(result).slice(0, 500));
      }
    });
    row(
      what!,
      `${(ms / 1_000).toFixed(2)} s`,
      "",
      percent(share),
      `${(ms * Math.min(1, share) / 1_000).toFixed(2)} s of a core`,
    );
  }
  await system.close();
}

const sandbox = createSandbox({ clock: systemClock, onFault: (error) => console.error(error) });
row("", "time", "events", "share of a core", "");
const of = (definition: Definition, key: string) =>
  runnableOf(definition, { key, version: `${key}@1`, sandbox });
await perEvent("one rule", of(rules(1), "one"), { batch: 100 });
await perEvent("ten rules", of(rules(10), "ten"), { batch: 100 });
await perEvent("JavaScript, batches of 100", of(code(SMALL), "js"), { batch: 100 });
await perEvent("JavaScript, one by one", of(code(SMALL), "js"), { batch: 1, count: Math.min(EVENTS, 2_000) });
await starts();
await memory(sandbox);
sandbox.close();
await checks();
