/**
 * What reads cost, in time and in values of the store, while one user's log grows: logs by pages, and profiles.
 *
 * deno task bench:read [--events N] [--reads N]
 *
 * The log grows to 10,000 events, then tenfold each time; 5 % of them came late, by random times up to the age of the log.
 * Everything is settled before it is read. Values are counted by reads of a process that has just opened the database,
 * times are those of one that has read before, in turn with a bare `kv.get`, which they are multiples of.
 */
import { SETTLED } from "../actors/store/keys.ts";
import { openStore, type Store } from "../actors/store/store.ts";
import type { System } from "../actors/system.ts";
import type { StoredEvent } from "../domain/event/event.ts";
import type { Outcome } from "./load/report.ts";
import {
  figure,
  median,
  openOn,
  outcome,
  percentile,
  row,
  runBench,
  sendAll,
  type Stage,
  timed,
  trackEvent,
  untilSettled,
} from "./replay.ts";
import type { LogQuery } from "../actors/reading/log_pages.ts";

const HELP = `deno task bench:read [--events N] [--reads N]

Reads pages of a log, and profiles, when it has 10,000 events, tenfold that, and so on to its end.

  --events N   events in the log at the end (1000000)
  --reads N    reads of each sort that are timed at each length (200); a tenth of them count values
  --help       this text`;

const SIZES = { events: 1_000_000, reads: 200 };

/** The shortest log that is measured. */
const SHORTEST = 10_000;

/** Events of a page of a log. */
const LIMIT = 50;

/** A page may read so many values: its events and the next one, each in a chunk of its own, and this many besides. */
const VALUES_BESIDES = 40;

/** Events read at once on the way to the middle of a log. */
const STRIDE = 1_000;

/** One event a second, so many of them late. */
const EVERY_MS = 1_000;
const LATE = 0.05;

const LONG = "long";
const SMALL = "small";
const LARGE = "large";

/** A store that counts the values it loads. */
export interface CountingStore extends Store {
  values(): number;
}

/** Counts keys asked for, there or not; of a list that is broken off, whole batches, as the store loads them so. */
export function counting(store: Store): CountingStore {
  let values = 0;
  return {
    ...store,
    values: () => values,
    get(key) {
      values++;
      return store.get(key);
    },
    getMany(keys) {
      values += keys.length;
      return store.getMany(keys);
    },
    scan(range, limit, take) {
      return store.scan(range, limit, (entry) => {
        values++;
        take(entry as never);
      });
    },
    async *list(range, options = {}) {
      const batch = options.batchSize ?? options.limit ?? 100;
      let left = 0;
      try {
        for await (const entry of store.list(range, options) as AsyncIterable<never>) {
          if (left === 0) left = Math.min(batch, options.limit ?? batch);
          left--;
          values++;
          yield entry;
        }
        left = 0;
      } finally {
        values += left;
      }
    },
  };
}

/** A sort of read. */
interface Read {
  name: string;
  isPage: boolean;
  read(system: System): Promise<unknown>;
}

/** The n-th event of the long log. */
function longEvent(index: number, beganMs: number): StoredEvent {
  const receivedMs = beganMs + index * EVERY_MS;
  const lateMs = Math.random() < LATE ? Math.random() * index * EVERY_MS : 0;
  return trackEvent(LONG, receivedMs - Math.floor(lateMs), receivedMs);
}

function identify(userId: string, traits: Record<string, unknown>): StoredEvent {
  const { event: _, properties: __, ...bare } = trackEvent(userId, Date.now());
  return { ...bare, type: "identify", traits };
}

/** A user with 20 events, and one with 2,000 traits of 100 bytes. */
async function addProfiles(system: System): Promise<void> {
  const small = Array.from({ length: 19 }, () => trackEvent(SMALL, Date.now()));
  await system.commit(
    [identify(SMALL, { name: "Ada", email: "ada@example.com", plan: "team" }), ...small],
    "b",
  );
  for (let part = 0; part < 10; part++) {
    const names = Array.from({ length: 200 }, (_, i) => `trait_${part * 200 + i}`);
    await system.commit([
      identify(LARGE, Object.fromEntries(names.map((name) => [name, name.padEnd(88, "x")]))),
    ], "b");
  }
}

/** The cursors on the way from one end of the log to its middle. */
async function cursorsOf(system: System, order: LogQuery["order"], events: number): Promise<string[]> {
  const cursors: string[] = [];
  const limit = Math.min(STRIDE, Math.ceil(events / 20));
  let cursor: string | undefined;
  for (let passed = 0; passed < events / 2; passed += limit) {
    const page = await system.reader.log("user", LONG, {
      limit,
      order,
      ...(cursor === undefined ? {} : { cursor }),
    });
    cursor = page!.cursor!;
    cursors.push(cursor);
  }
  return cursors;
}

/** The sorts of read; `cursors` lead from either end of the log to its middle. */
function readsOf(cursors: Record<LogQuery["order"], string[]>): Read[] {
  const page = (name: string, order: LogQuery["order"], from?: string[]): Read => ({
    name,
    isPage: true,
    read({ reader }) {
      const cursor = from?.[Math.floor(Math.random() * from.length)];
      return reader.log("user", LONG, { limit: LIMIT, order, ...(cursor === undefined ? {} : { cursor }) });
    },
  });
  const profile = (name: string, userId: string): Read => ({
    name,
    isPage: false,
    read: ({ reader }) => reader.user(userId),
  });
  return [
    page(`the ${LIMIT} newest`, "desc"),
    page(`${LIMIT} from a cursor, newest first`, "desc", cursors.desc),
    page(`the ${LIMIT} oldest`, "asc"),
    page(`${LIMIT} from a cursor, oldest first`, "asc", cursors.asc),
    profile("profile of this user", LONG),
    profile("profile, 20 events", SMALL),
    profile("profile, 2,000 traits", LARGE),
  ];
}

/** How many values a read takes in a process that has read nothing before, each time in another. */
async function valuesOf({ read }: Read, path: string, times: number): Promise<number[]> {
  const values: number[] = [];
  for (let time = 0; time < times; time++) {
    const store = counting(await openStore(path));
    const system = await openOn(store);
    const before = store.values();
    await read(system);
    values.push(store.values() - before);
    await system.close();
  }
  return values;
}

/** What pages of a log read, in values. */
interface PageValues {
  mean: number;
  most: number;
}

/** Reads everything, and prints a table. */
async function measure(path: string, { events, reads }: typeof SIZES): Promise<PageValues> {
  const system = await openOn(path);
  const kv = await Deno.openKv(path);
  const all = readsOf({
    desc: await cursorsOf(system, "desc", events),
    asc: await cursorsOf(system, "asc", events),
  });
  const bareMs: number[] = [];
  const readMs = new Map(all.map((each): [Read, number[]] => [each, []]));
  for (let time = 0; time < reads; time++) {
    bareMs.push(await timed(() => kv.get(SETTLED as Deno.KvKey)));
    for (const [each, ms] of readMs) ms.push(await timed(() => each.read(system)));
  }
  kv.close();
  await system.close();
  const bare = median(bareMs);
  console.log();
  row(`log of ${figure(events)} events`, "p50 ms", "p99 ms", "x kv.get", "values, mean", "values, most");
  row("one kv.get", figure(bare, 2), figure(percentile(bareMs, 0.99), 2), "1.0", "1", "1");
  const ofPages: number[] = [];
  for (const [each, ms] of readMs) {
    const values = await valuesOf(each, path, Math.ceil(reads / 10));
    if (each.isPage) ofPages.push(...values);
    row(
      each.name,
      figure(median(ms), 2),
      figure(percentile(ms, 0.99), 2),
      figure(median(ms) / bare, 1),
      figure(mean(values), 1),
      figure(Math.max(...values)),
    );
  }
  return { mean: mean(ofPages), most: Math.max(...ofPages) };
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The lengths at which a log is measured. */
function lengthsTo(events: number): number[] {
  const lengths = [];
  for (let length = SHORTEST; length < events; length *= 10) lengths.push(length);
  return [...lengths, events];
}

async function main({ sizes: { events, reads }, dir }: Stage<typeof SIZES>): Promise<Outcome[]> {
  const path = `${dir}/read.db`;
  const beganMs = Date.now() - events * EVERY_MS;
  const pages: PageValues[] = [];
  let there = 0;
  for (const length of lengthsTo(events)) {
    const system = await openOn(path);
    if (there === 0) await addProfiles(system);
    await sendAll({
      count: length - there,
      make: (index) => longEvent(there + index, beganMs),
      send: (batch) => system.commit(batch, "bench"),
    });
    await untilSettled(system);
    await system.close();
    there = length;
    pages.push(await measure(path, { events: length, reads }));
  }
  const bound = LIMIT + 1 + VALUES_BESIDES;
  return [
    outcome(`most values of a page: ${bound}`, Math.max(...pages.map(({ most }) => most)) / bound, {
      atMost: 1,
    }),
    outcome("mean values of a page: the shortest log's", pages.at(-1)!.mean / pages[0]!.mean, {
      atMost: 1.5,
    }),
  ];
}

if (import.meta.main) await runBench({ help: HELP, sizes: SIZES }, main);
