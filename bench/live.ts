/**
 * What traces cost, in time and in values of the store; and what a live view costs those who send.
 *
 * deno task bench:live [--events N] [--log N] [--seconds N]
 *
 * Events are looked for in a journal that came in batches of 500 and in one that came event by event, 64 at a time, all
 * settled. Values are counted by a process that has just opened the database. The view is read in the thread of the
 * server that it slows, so its cost is overstated by what parsing it takes nobody, and reading it a little.
 */
import { ulid } from "ulid";
import { openStore } from "../actors/store/store.ts";
import type { System } from "../actors/system.ts";
import type { StoredEvent } from "../domain/event/event.ts";
import { createApp } from "../routes/app.ts";
import { createLog } from "../routes/http/logger.ts";
import type { Outcome } from "./load/report.ts";
import { counting } from "./read.ts";
import {
  figure,
  median,
  mixedEvent,
  openOn,
  row,
  runBench,
  sendAll,
  type Stage,
  timed,
  trackEvent,
  trackJson,
  untilSettled,
} from "./replay.ts";

const HELP = `deno task bench:live [--events N] [--log N] [--seconds N]

Finds events by their message ids, tells why a trait is what it is, and sends while somebody looks at the live view.

  --events N    events in each of the two journals that are searched (100000)
  --log N       events in the log of the user whose trait is told (1000000)
  --seconds N   seconds of each load (3)
  --help        this text`;

const SIZES = { events: 100_000, log: 1_000_000, seconds: 3 };

/** Events that are looked for, of each sort. */
const FINDS = 20;

/** Users that the events are spread over. */
const USERS = 10_000;

/** Requests under way at once. */
const SENDERS = 64;

/** The median time, and the median and the largest number of values, of finding each of some events. */
async function find(path: string, what: string, ids: readonly string[]): Promise<void> {
  const store = counting(await openStore(path));
  const system = await openOn(store);
  const [times, values]: [number[], number[]] = [[], []];
  for (const id of ids) {
    const before = store.values();
    times.push(await timed(() => system.traces.find(id)));
    values.push(store.values() - before);
  }
  await system.close();
  row(
    what,
    `${figure(median(times), 1)} ms`,
    `${figure(Math.max(...times), 1)} at most`,
    `${figure(median(values))} values`,
    `${figure(Math.max(...values))} at most`,
  );
}

async function traces(path: string, { events, inBatches }: { events: number; inBatches: boolean }) {
  const system = await openOn(path);
  const sent: string[] = [];
  const make = (index: number): StoredEvent => {
    const event = mixedEvent(USERS);
    // Half of the ids say when they were made.
    if (index % 2 === 0) event.messageId = ulid();
    sent.push(event.messageId);
    return event;
  };
  const send = (batch: StoredEvent[]) =>
    inBatches ? system.commit(batch, "b") : inLanes(batch, (event) => system.commit([event], "b"));
  await sendAll({ count: events, make, send });
  await untilSettled(system);
  await system.close();
  row(`${figure(events)} events`, inBatches ? "in batches" : "one by one");
  const some = (ids: string[]) =>
    Array.from({ length: FINDS }, (_, n) => ids[Math.floor((n / FINDS) * ids.length)]!);
  await find(path, "  an id that says when it was made", some(sent.filter((_, index) => index % 2 === 0)));
  await find(path, "  an id that says nothing", some(sent.filter((_, index) => index % 2 === 1)));
  await find(path, "  an id that is not there", Array.from({ length: FINDS }, () => crypto.randomUUID()));
}

async function inLanes<T>(items: readonly T[], act: (item: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: SENDERS / 8 }, async () => {
    while (next < items.length) await act(items[next++]!);
  }));
}

async function why(path: string, count: number): Promise<void> {
  const beganMs = Date.now() - count * 1_000;
  const system = await openOn(path);
  const make = (index: number): StoredEvent => {
    const event = trackEvent("long", beganMs + index * 1_000);
    if (index % 1_000 !== 0) return event;
    const { event: _, properties: __, ...bare } = event;
    return { ...bare, type: "identify", traits: index === 0 ? { rare: 1 } : { plan: index } };
  };
  await sendAll({ count, make, send: (batch) => system.commit(batch, "b") });
  await untilSettled(system);
  await system.close();
  for (const name of ["plan", "rare"]) {
    const store = counting(await openStore(path));
    const opened = await openOn(store);
    const before = store.values();
    const ms = await timed(() => opened.reader.trait("user", "long", name));
    row(
      `why, ${figure(count)} events: ${name}`,
      `${figure(ms, 1)} ms`,
      `${figure(store.values() - before)} values`,
    );
    await opened.close();
  }
}

const LISTENERS: [what: string, queries: string[]][] = [
  ["nobody listens", []],
  ["one, to all", [""]],
  ["one, to one user", ["?userId=user_1"]],
  ["one, to rejections", ["?status=rejected"]],
  ["eight, to all", Array.from({ length: 8 }, () => "")],
];

/** Events taken in a second, while some listen. */
async function load(
  system: System,
  { seconds, batch, queries }: { seconds: number; batch: number; queries: string[] },
) {
  const app = createApp({
    system,
    settings: { adminToken: "a", writeKey: "w", authFailuresPerMinute: 0 },
    log: createLog({ level: "off", write: () => {}, now: Date.now }),
    now: Date.now,
    newId: ulid,
  });
  const streams = await Promise.all(queries.map(async (query) => {
    const response = await app.request(`/api/v1/admin/live${query}`, {
      headers: { authorization: "Bearer a" },
    });
    const reader = response.body!.getReader();
    const reading = (async () => {
      while (!(await reader.read()).done);
    })();
    return { reader, reading };
  }));
  const untilMs = performance.now() + seconds * 1_000;
  let taken = 0;
  const post = async () => {
    const one = () => trackJson(`user_${Math.floor(Math.random() * USERS)}`, Date.now());
    while (performance.now() < untilMs) {
      const body = batch === 1 ? one() : `{"batch":[${Array.from({ length: batch }, one).join()}]}`;
      const path = batch === 1 ? "/api/v1/events" : "/api/v1/events/batch";
      const { status } = await app.request(path, { method: "POST", body, headers: { "x-write-key": "w" } });
      if (status !== 200) throw new Error(`the answer was ${status}`);
      taken += batch;
    }
  };
  const beganMs = performance.now();
  await Promise.all(Array.from({ length: batch === 1 ? SENDERS : 4 }, post));
  await untilSettled(system);
  const rate = taken / ((performance.now() - beganMs) / 1_000);
  for (const { reader, reading } of streams) {
    await reader.cancel();
    await reading;
  }
  return rate;
}

async function main({ sizes: { events, log, seconds }, dir }: Stage<typeof SIZES>): Promise<Outcome[]> {
  await traces(`${dir}/batches.db`, { events, inBatches: true });
  await traces(`${dir}/singles.db`, { events, inBatches: false });
  await why(`${dir}/why.db`, log);
  for (const batch of [1, 500]) {
    const system = await openOn(`${dir}/load${batch}.db`);
    const rates = new Map<string, number[]>();
    for (let round = 0; round < 3; round++) {
      for (const [what, queries] of LISTENERS) {
        const rate = await load(system, { seconds, batch, queries });
        rates.set(what, [...rates.get(what) ?? [], rate]);
      }
    }
    const alone = median(rates.get("nobody listens")!);
    for (const [what, all] of rates) {
      row(
        `${batch} a request, ${what}`,
        `${figure(median(all))}/s`,
        `${figure(median(all) / alone, 2)} of none`,
      );
    }
    await system.close();
  }
  return [];
}

if (import.meta.main) await runBench({ help: HELP, sizes: SIZES }, main);
