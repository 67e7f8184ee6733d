/**
 * What an event costs in the units by which Deno Deploy bills its database: 4 KB read, 1 KB written, each value and each
 * key rounded up; from its acceptance until it is settled.
 *
 * deno task bench:units [--events N] [--users N] [--distance MS]
 *
 * Every call to storage takes so long as from the database's own region; the store itself is in memory. Counting wants
 * no quiet machine. What a list reads counts as one value for each part that comes at once.
 */
import { serialize } from "node:v8";
import { openSystem } from "../actors/open.ts";
import { keyBytes } from "../actors/store/keys.ts";
import { type Entry, openStore, type Store } from "../actors/store/store.ts";
import type { Outcome } from "./load/report.ts";
import { COMMON, figure, mixedEvent, row, runBench, type Stage } from "./replay.ts";

const HELP = `deno task bench:units [--events N] [--users N] [--distance MS]

Counts the units of reading (4 KB) and of writing (1 KB) that an event costs until it is settled.

  --events N      events of each shape; a hundredth of them where they come one by one (20000)
  --users N       users they are spread over (5000)
  --distance MS   what each call to storage takes (7)
  --help          this text`;

const READ_UNIT = 4096;
const WRITE_UNIT = 1024;

/** What was read and written. */
interface Units {
  reads: number;
  writes: number;
  calls: number;
}

const SHAPES = [
  { name: "one by one, each settled", batch: 1, senders: 1, share: 0.01, settled: true },
  { name: "single posts, 32 at once", batch: 1, senders: 32, share: 1, settled: false },
  { name: "single posts, 128 at once", batch: 1, senders: 128, share: 1, settled: false },
  { name: "batches of 500, 4 at once", batch: 500, senders: 4, share: 1, settled: false },
];

function bytesOf(value: unknown): number {
  return value === null ? 0 : value instanceof Uint8Array ? value.length : serialize(value).length;
}

function units(bytes: number, unit: number): number {
  return Math.max(1, Math.ceil(bytes / unit));
}

/** A store in which each call takes a while and is counted. */
function counting(store: Store, distanceMs: number): { store: Store; counted: Units } {
  const counted: Units = { reads: 0, writes: 0, calls: 0 };
  const sizeOf = ({ key, value }: Entry) => keyBytes(key) + bytesOf(value);
  const away = async (): Promise<void> => {
    counted.calls++;
    await COMMON.clock.sleep(distanceMs);
  };
  /** What is listed comes in parts: each is one call, and is billed by its size. */
  const partly = (limit: number, size: number) => {
    let part = { entries: 0, bytes: 0 };
    const end = () => void (counted.reads += units(part.bytes, READ_UNIT));
    return {
      async take(entry: Entry): Promise<void> {
        part.entries++;
        part.bytes += sizeOf(entry);
        if (part.entries < Math.min(limit, size)) return;
        end();
        part = { entries: 0, bytes: 0 };
        await away();
      },
      end,
    };
  };
  return {
    counted,
    store: {
      ...store,
      async get<T>(key: readonly (string | number)[]) {
        await away();
        const entry = await store.get<T>(key);
        counted.reads += units(sizeOf(entry as Entry), READ_UNIT);
        return entry;
      },
      async getMany<T>(keys: (readonly (string | number)[])[]) {
        await away();
        const entries = await store.getMany<T>(keys);
        for (const entry of entries) counted.reads += units(sizeOf(entry as Entry), READ_UNIT);
        return entries;
      },
      async *list<T>(range: Parameters<Store["list"]>[0], options: Parameters<Store["list"]>[1] = {}) {
        const parts = partly(options.limit ?? Infinity, options.batchSize ?? 100);
        await away();
        for await (const entry of store.list<T>(range, options)) {
          await parts.take(entry as Entry);
          yield entry;
        }
        parts.end();
      },
      async scan<T>(
        range: Parameters<Store["scan"]>[0],
        limit: number,
        take: (entry: Entry<T>) => void,
      ) {
        await away();
        let bytes = 0;
        await store.scan<T>(range, limit, (entry) => {
          bytes += sizeOf(entry as Entry);
          take(entry);
        });
        counted.reads += units(bytes, READ_UNIT);
      },
      async commit(write) {
        await away();
        for (const [key, value] of write.sets) {
          counted.writes += units(keyBytes(key) + bytesOf(value), WRITE_UNIT);
        }
        counted.writes += write.deletes?.length ?? 0;
        return await store.commit(write);
      },
    },
  };
}

async function measure(
  { batch, senders, share, settled }: typeof SHAPES[number],
  { events, users, distance }: typeof SIZES,
): Promise<Units & { events: number }> {
  const { store, counted } = counting(await openStore(":memory:"), distance);
  let folded = 0;
  const system = await openSystem({
    ...COMMON,
    storage: store,
    observer: { settled: ({ events }) => void (folded += events) },
  });
  // Asking the system would be counted.
  const untilSettled = async (events: number) => {
    while (folded < events) await COMMON.clock.sleep(5);
  };
  await system.ready();
  const before = { ...counted };
  const count = Math.max(1, Math.round(events * share / batch));
  let sent = 0;
  let taken = 0;
  await Promise.all(Array.from({ length: senders }, async () => {
    while (sent++ < count) {
      await system.commit(Array.from({ length: batch }, () => mixedEvent(users)), "bench");
      taken += batch;
      if (settled) await untilSettled(taken);
    }
  }));
  await untilSettled(taken);
  const after = { ...counted };
  await system.close();
  return {
    events: count * batch,
    reads: after.reads - before.reads,
    writes: after.writes - before.writes,
    calls: after.calls - before.calls,
  };
}

const SIZES = { events: 20_000, users: 5_000, distance: 7 };

async function main({ sizes }: Stage<typeof SIZES>): Promise<Outcome[]> {
  row("units an event", "written", "read", "calls");
  for (const shape of SHAPES) {
    const { events, reads, writes, calls } = await measure(shape, sizes);
    row(shape.name, ...[writes, reads, calls].map((each) => figure(each / events, 3)));
  }
  return [];
}

if (import.meta.main) await runBench({ help: HELP, sizes: SIZES }, main);
