import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { FOLD_VERSION } from "../../../domain/profile/fact.ts";
import { clockAt } from "../clocks.ts";
import { createCounts, type EventCounts } from "../../../actors/stats/counts.ts";
import { COUNTS_KEPT_MS, encodeCounts } from "../../../actors/stats/counts_values.ts";
import { openStore, type Store } from "../../../actors/store/store.ts";
import {
  countRejected,
  countTaken,
  countViolations,
  newCounts,
  type Period,
  PERIOD_MS,
  PERIODS,
  rejectedCells,
  takenCells,
} from "../../../domain/stats/counts.ts";
import { EVENT_TYPES, type StoredEvent } from "../../../domain/event/event.ts";
import { FAULTS, withFault } from "../stores.ts";

const { minute: MINUTE, hour: HOUR, day: DAY } = PERIOD_MS;
/** An hour's beginning, in the middle of a day. */
const START = Date.parse("2026-03-10T12:00:00Z");
/** Later than an hour is summed up after its end. */
const SOON = 4 * MINUTE;

/** A store in memory, a clock that is moved, and processes that count over them. */
async function open() {
  const store = await openStore(":memory:");
  const clock = { ms: START };
  const processes: { close(): Promise<void> }[] = [];
  let ids = 0;
  return {
    store,
    clock,
    process(over: Store = store, now = () => clock.ms) {
      const counts = createCounts({
        store: over,
        owner: `p${++ids}`,
        clock: clockAt(now),
        newId: () => `id${++ids}`,
        foldVersion: FOLD_VERSION,
      });
      processes.push(counts);
      return counts;
    },
    async [Symbol.asyncDispose]() {
      for (const each of processes) await each.close();
      store.close();
    },
  };
}

const page = { type: "page" } as StoredEvent;
const track = (event: string) => ({ type: "track", event }) as StoredEvent;

/** Counts so many events of a moment. */
function take(counts: EventCounts, receivedAt: number, times: number, event = page): void {
  for (let n = 0; n < times; n++) {
    counts.taken([event], [{ messageId: "m", duplicate: false }], { writeKeyId: "k", receivedAt });
  }
}

/** How many events were accepted in each period of a span, as `[ms after START, events]`. */
async function read(counts: EventCounts, per: Period, span: { from?: number; to?: number } = {}) {
  const { from = START - 40 * DAY, to = START + 40 * DAY } = span;
  return await counts.read({ per, from, to }, () => {
    const periods: [number, number][] = [];
    return {
      take: ({ at, counts }) =>
        void periods.push([at - START, sum(takenCells(counts).map((cell) => cell.accepted))]),
      result: () => periods,
    };
  });
}

/** From one to another, without it. */
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n);

const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);

async function keysOf(store: Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list({ prefix: ["counts"] })) {
    keys.push(`${key[1]} ${key[3] ? "own" : "joined"}`);
  }
  return keys;
}

Deno.test("the counts of two processes add up by minute, hour and day, before and after the summing", async () => {
  await using test = await open();
  const { clock } = test;
  const [one, two] = [test.process(), test.process()];
  take(one, START, 1);
  take(two, START + 1, 2);
  take(one, START + MINUTE, 4);
  clock.ms = START + HOUR;
  take(two, clock.ms, 8);
  // What is in the memory of the other process alone would not be seen yet.
  await read(one, "minute");
  const minutes = [[0, 3], [MINUTE, 4], [HOUR, 8]];
  const hours = [[0, 7], [HOUR, 8]];
  const days = [[-12 * HOUR, 15]];
  for (const when of ["at once", "when the first hour is summed up", "when both are"]) {
    for (const [per, expected] of [["minute", minutes], ["hour", hours], ["day", days]] as const) {
      deepStrictEqual(await read(two, per), expected, `${per} ${when}`);
    }
    clock.ms += HOUR + SOON;
  }
  deepStrictEqual(
    [...new Set(await keysOf(test.store))].toSorted(),
    ["day joined", "hour joined", "minute joined", "minute own"],
    "minutes of two processes were joined",
  );
  deepStrictEqual(await read(one, "minute", { from: START + MINUTE, to: START + HOUR }), [[MINUTE, 4]]);
  deepStrictEqual(await read(one, "hour", { from: START + HOUR, to: START + 2 * HOUR }), [[HOUR, 8]]);
});

Deno.test("counts of processes before a restart are there after it, in the same minute too", async () => {
  await using test = await open();
  const before = test.process();
  take(before, START, 3);
  await before.close();
  const after = test.process();
  take(after, START + 1, 4);
  deepStrictEqual(await read(after, "minute"), [[0, 7]]);
  strictEqual(
    takenCells(after.sinceStart())[0]!.accepted,
    4,
    "since its start a process knows its own alone",
  );
});

Deno.test("counts are written when the next event comes 5 s later, so that other processes see them", async () => {
  await using test = await open();
  const [one, two] = [test.process(), test.process()];
  take(one, START, 1);
  deepStrictEqual(await read(two, "minute"), []);
  take(one, START + 5_000, 1);
  for (let tries = 0; tries < 10_000 && (await read(two, "minute")).length === 0; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  deepStrictEqual(await read(two, "minute"), [[0, 2]]);
});

Deno.test("duplicates, rejections, names and violations are read back as they were counted", async () => {
  await using test = await open();
  const counts = test.process();
  let violations = 2;
  counts.watch(() => [{ contract: "order placed", mode: "monitor", count: violations }]);
  const sending = { writeKeyId: "k", receivedAt: START };
  counts.taken([track("__proto__"), page], [
    { messageId: "a", duplicate: false },
    { messageId: "b", duplicate: true },
  ], sending);
  counts.rejected({ type: "track" }, {
    reason: "contract",
    code: "violation",
    message: "",
    path: "",
    errors: [],
  }, sending);
  const whole = () =>
    counts.read({ per: "day", from: START - DAY, to: START + DAY }, () => {
      let found = newCounts();
      return { take: ({ counts }) => void (found = counts), result: () => found };
    });
  await whole();
  violations = 5;
  const found = await whole();
  deepStrictEqual(takenCells(found), [
    { writeKeyId: "k", type: "track", accepted: 1, duplicate: 0 },
    { writeKeyId: "k", type: "page", accepted: 0, duplicate: 1 },
  ]);
  deepStrictEqual([...found.names], [["__proto__", 1]]);
  deepStrictEqual(rejectedCells(found)[0], [
    { reason: "contract", code: "violation", type: "track", writeKeyId: "k" },
    1,
  ]);
  deepStrictEqual(
    [...found.violated],
    [["monitor order placed", 5]],
    "each violation once, however often asked for",
  );
});

Deno.test("counts are kept for 30 days, and then dropped, of minutes, hours and days", async () => {
  await using test = await open();
  const { clock } = test;
  const counts = test.process();
  const kept: Record<string, number> = {};
  for (let day = 0; day <= 31; day++) {
    clock.ms = START + day * DAY;
    take(counts, clock.ms, 1);
    await read(counts, "day");
  }
  for (const per of PERIODS) kept[per] = (await read(counts, per)).length;
  deepStrictEqual(kept, { minute: 31, hour: 31, day: 31 });
  const oldest = Math.min(...(await read(counts, "minute")).map(([at]) => START + at));
  ok(oldest >= clock.ms - COUNTS_KEPT_MS);
  strictEqual(
    (await keysOf(test.store)).filter((key) => key.startsWith("minute")).length,
    31,
    "no more is stored",
  );
  clock.ms += 40 * DAY;
  take(counts, clock.ms, 1);
  for (const per of PERIODS) strictEqual((await read(counts, per, { to: clock.ms + DAY })).length, 1);
});

Deno.test("the newest 30 days with events are kept until newer ones replace them, however long nothing came", async () => {
  await using test = await open();
  const { clock } = test;
  const counts = test.process();
  const countDays = async (days: number) => {
    for (let day = 0; day < days; day++) {
      clock.ms += DAY;
      take(counts, clock.ms, 1);
      await read(counts, "day");
    }
  };
  await countDays(30);
  clock.ms += 365 * DAY;
  const all = { to: START + 1_000 * DAY };
  await countDays(10);
  strictEqual((await read(counts, "day", all)).length, 10, "by the clock the others are too old to be shown");
  // Set back, as one that was wrong.
  const later = clock.ms;
  clock.ms = START + 31 * DAY;
  const days = (await read(counts, "day", all)).map(([at]) => Math.floor(at / DAY));
  // The last was not summed up when it was last dropped.
  deepStrictEqual(days, [...numbers(10, 31), ...numbers(396, 406)].map((day) => day - 1));
  clock.ms = later;
  await countDays(30);
  clock.ms = START + 31 * DAY;
  for (const per of PERIODS) {
    strictEqual((await read(counts, per, all)).length, 31, `${per}: nothing else is left`);
  }
});

Deno.test("more old counts than one operation can drop are all dropped", async () => {
  await using test = await open();
  const { clock } = test;
  const counts = test.process();
  for (let minute = 0; minute < 250; minute++) {
    clock.ms = START + minute * MINUTE;
    take(counts, clock.ms, 1);
    await read(counts, "minute", { from: clock.ms, to: clock.ms + 1 });
  }
  strictEqual((await read(counts, "minute")).length, 250);
  for (let day = 1; day <= 31; day++) {
    clock.ms = START + day * DAY;
    take(counts, clock.ms, 1);
    await read(counts, "day");
  }
  deepStrictEqual((await read(counts, "minute")).map(([at]) => at / DAY), numbers(1, 32));
});

/** A month of history, and a process whose clock is wrong by so much for some hours, and then set right. */
const WRONG: [what: string, wrongMs: number][] = [
  ["40 days ahead", 40 * DAY],
  ["31 days ahead", 31 * DAY],
  ["5 hours ahead", 5 * HOUR],
  ["5 hours behind", -5 * HOUR],
  ["29 days behind", -29 * DAY],
];

for (const [what, wrongMs] of WRONG) {
  for (const isAlone of [true, false]) {
    const where = isAlone ? "alone" : "beside another";
    Deno.test(`a clock that is ${what} destroys no history and counts nothing twice: ${where}`, async () => {
      await using test = await open();
      const { clock } = test;
      let wrong = 0;
      const [right, bad] = [test.process(), test.process(test.store, () => clock.ms + wrong)];
      let counted = 0;
      const count = async (counts: EventCounts, at: number) => {
        take(counts, at, 1);
        await read(counts, "minute", { from: at, to: at + 1 });
        counted++;
      };
      for (let hour = 0; hour < 30 * 24; hour += 8) {
        clock.ms = START + hour * HOUR;
        await count(isAlone ? bad : right, clock.ms);
      }
      const history = { from: START + 2.5 * DAY, to: START + 28 * DAY };
      const before = await Promise.all(PERIODS.map((per) => read(right, per, history)));
      wrong = wrongMs;
      for (let minute = 0; minute < 200; minute += 3) {
        clock.ms += 3 * MINUTE;
        await count(bad, clock.ms + wrong);
        if (!isAlone) await count(right, clock.ms);
      }
      wrong = 0;
      for (let hour = 0; hour < 3; hour++) {
        clock.ms += HOUR;
        await count(bad, clock.ms);
      }
      for (const [i, per] of PERIODS.entries()) {
        if (wrongMs > -DAY) deepStrictEqual(await read(right, per, history), before[i], per);
        const all = { from: START - 40 * DAY, to: START + 100 * DAY };
        const total = sum((await read(right, per, all)).map(([, events]) => events));
        // A clock that is ahead takes the places of the oldest days by days of its own, of which it has two here.
        const lost = wrongMs > 30 * DAY ? 6 : 0;
        ok(total <= counted && total >= counted - lost, `${per}: ${total} of ${counted}`);
      }
    });
  }
}

for (const fault of FAULTS) {
  Deno.test(`a write that is ${fault} makes nothing count twice, and loses nothing that memory has`, async () => {
    // The first six writes are those of minutes, of the lease, of joining, of the hour and of dropping.
    for (let nth = 1; nth <= 6; nth++) {
      await using test = await open();
      const { clock } = test;
      const other = test.process();
      take(other, START, 1);
      await read(other, "minute");
      const faulty = withFault(test.store, { nth, fault });
      const counts = test.process(faulty);
      take(counts, START, 2);
      await read(counts, "minute").catch(() => {});
      clock.ms = START + HOUR + SOON;
      take(counts, clock.ms, 4);
      await read(counts, "minute").catch(() => {});
      clock.ms += MINUTE + 10_000;
      await read(counts, "minute").catch(() => {});
      const hours = await read(other, "hour");
      const isDead = fault.endsWith("dead");
      const [first, second] = [hours[0]![1], hours[1]?.[1] ?? 0];
      if (isDead) ok([1, 3].includes(first) && [0, 4].includes(second), `${nth}: ${hours}`);
      else deepStrictEqual(hours, [[0, 3], [HOUR, 4]], String(nth));
      deepStrictEqual(await read(other, "day"), [[-12 * HOUR, first + second]], String(nth));
      strictEqual(sum((await read(other, "minute")).map(([, n]) => n)), first + second, String(nth));
    }
  });
}

Deno.test("two processes that sum up at the same time count nothing twice", async () => {
  for (let times = 0; times < 10; times++) {
    await using test = await open();
    const processes = [test.process(), test.process(), test.process()];
    for (const counts of processes) take(counts, START, 1);
    await Promise.all(processes.map((counts) => read(counts, "minute")));
    test.clock.ms = START + HOUR + SOON;
    await Promise.all(processes.map((counts) => read(counts, "hour")));
    for (const per of PERIODS) deepStrictEqual((await read(processes[0]!, per)).map(([, n]) => n), [3], per);
  }
});

Deno.test("a process whose clock is far behind does not write joined counts again", async () => {
  await using test = await open();
  const [one, two] = [test.process(), test.process()];
  const slow = test.process(test.store, () => START);
  for (const counts of [one, two, slow]) {
    take(counts, START, 1);
    await read(counts, "minute");
  }
  test.clock.ms = START + HOUR + SOON;
  take(one, test.clock.ms, 1);
  await read(one, "hour");
  take(slow, START, 1);
  await read(slow, "minute");
  deepStrictEqual(await read(one, "minute", { to: START + HOUR }), [[0, 3]]);
});

Deno.test("an event of a minute that was written and let go is added to it", async () => {
  await using test = await open();
  const counts = test.process();
  take(counts, START, 3);
  await read(counts, "minute");
  test.clock.ms = START + 2 * MINUTE;
  take(counts, test.clock.ms, 1);
  await read(counts, "minute");
  take(counts, START, 2);
  deepStrictEqual(await read(counts, "minute"), [[0, 5], [2 * MINUTE, 1]]);
  strictEqual(takenCells(counts.sinceStart())[0]!.accepted, 6);
});

Deno.test("many minutes at once, as of a clock that jumps, don't grow memory, and the last ones are written", async () => {
  await using test = await open();
  const counts = test.process();
  for (let minute = 0; minute < 500; minute++) take(counts, START + minute * MINUTE, 1);
  strictEqual(takenCells(counts.sinceStart())[0]!.accepted, 500);
  ok((await read(counts, "minute")).length < 20);
});

Deno.test("a value of counts always fits in the store", () => {
  const counts = newCounts();
  const random = () =>
    Array.from({ length: 120 }, () => String.fromCharCode(0x4e00 + Math.random() * 20_000)).join("");
  const receipts = [{ duplicate: false }];
  for (let n = 0; n < 3_000; n++) {
    const writeKeyId = crypto.randomUUID();
    for (const type of EVENT_TYPES) {
      countTaken(counts, [{ type, event: random() } as StoredEvent], { receipts, writeKeyId });
    }
    countRejected(counts, {}, {
      rejection: { reason: "invalid", code: "bad", message: "", path: "", errors: [] },
      writeKeyId,
    });
    if (n < 100) countViolations(counts, { mode: "monitor", contract: random() }, 1);
  }
  const bytes = encodeCounts(counts).length;
  ok(bytes < 65_536, String(bytes));
});

Deno.test("a process whose clock ran ahead for a while does not block the counts of others", async () => {
  await using test = await open();
  const { clock } = test;
  const one = test.process();
  take(one, clock.ms, 1);
  await read(one, "minute");
  const ahead = test.process(test.store, () => clock.ms + 10 * DAY);
  take(ahead, clock.ms + 10 * DAY, 1);
  await read(ahead, "minute");
  await ahead.close();
  const counted = [];
  for (let n = 1; n <= 3; n++) {
    clock.ms += 2 * MINUTE;
    take(one, clock.ms, 1);
    counted.push(...await read(one, "minute", { to: clock.ms + MINUTE }));
  }
  ok(counted.some(([at]) => at === 0), "what was counted before is there");
  ok(counted.some(([at]) => at === 6 * MINUTE), JSON.stringify(counted));
});
