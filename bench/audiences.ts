/**
 * What audiences cost: building one over many people and events, previews, explaining, moments that come at once, and the
 * speed of single posts beside 0, 10 and 100 audiences.
 *
 * deno task bench:audiences [--events N] [--users N] [--pairs N] [--seconds N]
 */
import type { System } from "../actors/system.ts";
import { startServer } from "./load/server.ts";
import type { Server } from "./load/server.ts";
import { measure } from "./load/measure.ts";
import { SHAPES } from "./load/shapes.ts";
import { hasWrk } from "./load/wrk.ts";
import type { Outcome } from "./load/report.ts";
import {
  figure,
  median,
  mixedEvent,
  openOn,
  outcome,
  row,
  runBench,
  sendAll,
  type Stage,
  timed,
  trackEvent,
  untilSettled,
} from "./replay.ts";

const HELP = `deno task bench:audiences [--events N] [--users N] [--pairs N] [--seconds N]

  --events N   events that an audience is built from (1000000)
  --users N    users they are spread over (100000)
  --pairs N    interleaved pairs of loads, without and with audiences; the median counts (5)
  --seconds N  length of a load (8)
  --help       this text`;

const SIZES = { events: 1_000_000, users: 100_000, pairs: 5, seconds: 8 };

const AUTHOR = { by: "bench", address: "" };
const WRITE_KEY = "cbenchbenchbenchbenchbench";
const ADMIN_TOKEN = "bench-admin-token-of-one-run";

/** Events of the log that is explained, and people whose moments come at once. */
const LOG_EVENTS = 10_000;
const DUE = 50_000;

const BOUGHT_TWICE = { event: "Order Completed", count: { $gte: 2 }, within: "30d" };

async function build(system: System, name: string, where: Record<string, unknown>): Promise<number> {
  const began = performance.now();
  await system.audiences.put({ name, where, emit: false }, AUTHOR);
  while ((await system.audiences.get(name))!.state !== "live") {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return performance.now() - began;
}

/** Building, previews and explaining on one database. */
async function onMany({ sizes: { events, users }, dir }: Stage<typeof SIZES>): Promise<Outcome[]> {
  const system = await openOn(`${dir}/many.db`);
  await sendAll({
    count: events,
    make: () => mixedEvent(users),
    send: (batch) => system.commit(batch, "bench"),
  });
  const now = Date.now();
  await sendAll({
    count: LOG_EVENTS,
    make: (n) => trackEvent("busy", now - n),
    send: (batch) => system.commit(batch, "bench"),
  });
  await untilSettled(system);
  const built = await build(system, "bought-twice", BOUGHT_TWICE);
  row(
    `built over ${figure(events)} events`,
    `${figure(built)} ms`,
    `${figure((await system.audiences.get("bought-twice"))!.members)} members`,
  );
  const where = { event: "Checkout Started", within: "7d" };
  const estimate = await system.audiences.preview({ where, exact: false });
  const exact = await system.audiences.preview({ where, exact: true });
  if ("refused" in estimate || "refused" in exact) throw new Error("the preview was refused");
  row("preview, estimated", `${figure(estimate.tookMs)} ms`, `${figure(estimate.members)} members`);
  row("preview, exact", `${figure(exact.tookMs)} ms`, `${figure(exact.members)} members`);
  const explained: number[] = [];
  for (let n = 0; n < 21; n++) {
    explained.push(await timed(() => system.audiences.member("bought-twice", "busy")));
  }
  row(`explain on ${figure(LOG_EVENTS)} events`, `${figure(median(explained), 1)} ms`);
  row("memory", `${figure(Deno.memoryUsage().rss / 1e6)} MB`);
  await system.close();
  return [
    outcome("building, s", built / 1000, { atMost: 20 }),
    outcome("preview estimated, s", estimate.tookMs / 1000, { atMost: 3 }),
    outcome("preview exact, s", exact.tookMs / 1000, { atMost: 20 }),
    outcome("explain, ms", median(explained), { atMost: 50 }),
  ];
}

/** Exits of many people that are due in one second, while reads are served. */
async function dueAtOnce({ dir }: Stage<typeof SIZES>): Promise<Outcome[]> {
  const system = await openOn(`${dir}/due.db`);
  const began = Date.now();
  await sendAll({
    count: DUE,
    make: (n) => trackEvent(`user_${n}`, began - n % 1_000),
    send: (batch) => system.commit(batch, "bench"),
  });
  await untilSettled(system);
  // They leave one second after another moment that is still to come.
  const seconds = Math.ceil((Date.now() - began) / 1000) + 20;
  await build(system, "recent", { type: "track", within: `${seconds}s` });
  const members = async () => (await system.audiences.get("recent"))!.members;
  const before = await members();
  const waits: number[] = [];
  let left = 0;
  while (await members() > 0) {
    waits.push(await timed(() => system.reader.user("user_1")));
    if (left === 0 && Date.now() > began + seconds * 1000) left = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  row(
    `${figure(before)} exits at once`,
    `${figure(performance.now() - left)} ms`,
    `longest read ${figure(Math.max(...waits))} ms`,
  );
  await system.close();
  return [];
}

/** Audiences of mixed kinds. */
function mixed(n: number): [string, Record<string, unknown>][] {
  const events = ["Order Completed", "Product Viewed", "Checkout Started", "Logged In", "Cart Viewed"];
  return Array.from({ length: n }, (_, i) => {
    const event = events[i % events.length]!;
    const kinds: Record<string, unknown>[] = [
      { event, count: { $gte: 2 + i % 7 }, within: `${1 + i % 30}d` },
      { event, last: { moreThan: `${1 + i % 20}d` } },
      { sum: "properties.total", event: "Order Completed", value: { $gt: 50 * i }, within: "90d" },
      {
        sequence: [{ event: "Checkout Started" }, {
          not: { event: "Order Completed" },
          within: `${1 + i % 5}h`,
        }],
      },
      { all: [{ traits: { plan: `plan ${i}` } }, { event }] },
      { event: `Event ${i}`, within: "7d" },
    ];
    return [`audience-${i}`, kinds[i % kinds.length]!];
  });
}

async function defined(server: Server, n: number): Promise<void> {
  const ask = (path: string, init?: RequestInit) =>
    fetch(`http://127.0.0.1:${server.port}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    });
  for (const [name, where] of mixed(n)) {
    const response = await ask(`/api/v1/admin/audiences/${name}`, {
      method: "PUT",
      body: JSON.stringify({ where }),
    });
    if (!response.ok) throw new Error(await response.text());
    await response.body?.cancel();
  }
  for (;;) {
    const { audiences } = await (await ask("/api/v1/admin/audiences")).json();
    if (audiences.every(({ state }: { state: string }) => state === "live")) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function caughtUp(server: Server): Promise<number> {
  const began = performance.now();
  for (;;) {
    const stats = await server.stats() as unknown as { subscriptions: Record<string, { lagEvents: number }> };
    if ((stats.subscriptions.audiences?.lagEvents ?? 0) === 0) return performance.now() - began;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Single posts beside audiences, in turn with the same without. */
async function posts({ sizes: { pairs, seconds }, dir }: Stage<typeof SIZES>): Promise<Outcome[]> {
  if (!await hasWrk()) {
    console.log("wrk is not installed: posts are not measured");
    return [];
  }
  const shape = SHAPES.find(({ name }) => name === "single-128")!;
  const outcomes: Outcome[] = [];
  for (const [n, atLeast] of [[0, 0.95], [10, 0.9], [100, 0.8]] as const) {
    const start = (name: string) =>
      startServer({
        name,
        main: "main.ts",
        env: { WRITE_KEY, KV_URL: `${dir}/${name}-${n}.db` },
        adminToken: ADMIN_TOKEN,
        logFile: `${dir}/${name}-${n}.log`,
      });
    const [without, beside] = [await start("without"), await start("beside")];
    await defined(beside, n);
    const ratios: number[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      const speeds: number[] = [];
      for (const server of [without, beside]) {
        const { load } = await measure(server, shape, { dir, writeKey: WRITE_KEY, seconds });
        speeds.push((load.requests - load.non2xx) / load.durationS);
        const lateMs = await caughtUp(server);
        if (server === beside) {
          row(
            `${n} audiences, pair ${pair + 1}`,
            ...speeds.map((speed) => `${figure(speed)}/s`),
            `caught up ${figure(lateMs)} ms`,
          );
        }
      }
      ratios.push(speeds[1]! / speeds[0]!);
    }
    await without.stop();
    await beside.stop();
    outcomes.push(outcome(`single posts beside ${n} audiences`, median(ratios), { atLeast }));
  }
  return outcomes;
}

if (import.meta.main) {
  await runBench({ help: HELP, sizes: SIZES }, async (stage) => [
    ...await onMany(stage),
    ...await dueAtOnce(stage),
    ...await posts(stage),
  ]);
}
