import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { setImmediate } from "node:timers";
import { createFairQueue, type Turn } from "../../../routes/body/fair_queue.ts";
import { MAX_WAITING, WAIT_MS } from "../../../routes/body/semaphore.ts";

const OPTIONS = { room: 100, turnMs: 5, now: Date.now };

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Takes a turn that must be there at once. */
function atOnce(turn: Turn | Promise<Turn | undefined>): Turn {
  ok(!(turn instanceof Promise), "there is a turn at once");
  return turn;
}

Deno.test("work in an empty queue begins at once", () => {
  const queue = createFairQueue(OPTIONS);
  for (let n = 0; n < 3; n++) atOnce(queue.enter(["k"], 10)).leave();
});

Deno.test("one body is processed at a time, and the next begins when it is done", async () => {
  const queue = createFairQueue(OPTIONS);
  const first = atOnce(queue.enter(["k"], 1));
  let hasBegun = false;
  const second = Promise.resolve(queue.enter(["k"], 1)).finally(() => hasBegun = true);
  await nextTurn();
  strictEqual(hasBegun, false);
  first.spent(1);
  (await second)!.leave();
});

Deno.test("the event loop has its turn after a bounded amount of work, and not before", async () => {
  const queue = createFairQueue(OPTIONS);
  const order: string[] = [];
  const blocker = atOnce(queue.enter(["k"], 1));
  const work = async (name: string, ms: number) => {
    const turn = (await queue.enter(["k"], 1))!;
    order.push(name);
    turn.spent(ms);
    turn.leave();
  };
  const all = Promise.all([work("quick", 1), work("long", 10), work("after", 1)]);
  setImmediate(() => order.push("others"));
  blocker.leave();
  await all;
  deepStrictEqual(order, ["quick", "long", "others", "after"]);
});

Deno.test("after long work others have time for several turns", async () => {
  const queue = createFairQueue(OPTIONS);
  const order: string[] = [];
  const first = atOnce(queue.enter(["k"], 1));
  const second = (async () => {
    const turn = (await queue.enter(["k"], 1))!;
    order.push("second");
    turn.leave();
  })();
  const others = (async () => {
    for (let turns = 0; turns < 5; turns++) await nextTurn();
    order.push("others");
  })();
  first.spent(1_000);
  first.leave();
  await Promise.all([second, others]);
  deepStrictEqual(order, ["others", "second"]);
});

Deno.test("a body that comes right after much work waits for the event loop too", async () => {
  const queue = createFairQueue(OPTIONS);
  const first = atOnce(queue.enter(["k"], 1));
  first.spent(100);
  first.leave();
  const second = queue.enter(["k"], 1);
  ok(second instanceof Promise);
  (await second)!.leave();
});

Deno.test("admitted work is bounded by weight until it leaves or weighs less; one alone may weigh more", async () => {
  const queue = createFairQueue(OPTIONS);
  const first = atOnce(queue.enter(["k"], 150));
  first.spent(0);
  const second = queue.enter(["k"], 60);
  ok(second instanceof Promise);
  first.reweigh(40);
  const turn = (await second)!;
  turn.spent(0);
  const third = queue.enter(["k"], 60);
  ok(third instanceof Promise);
  turn.leave();
  (await third)!.leave();
});

Deno.test("work that turns out to weigh more takes room, and counts as used by its sender", async () => {
  const queue = createFairQueue(OPTIONS);
  const heavy = atOnce(queue.enter(["k", "heavy"], 1));
  heavy.reweigh(150);
  heavy.spent(0);
  const again = Promise.resolve(queue.enter(["k", "heavy"], 1));
  const light = Promise.resolve(queue.enter(["k", "light"], 1));
  strictEqual(queue.waiting(), 2, "there is no room");
  heavy.leave();
  const order: string[] = [];
  await Promise.all([
    again.then((turn) => (order.push("heavy"), turn!.leave())),
    light.then((turn) => (order.push("light"), turn!.leave())),
  ]);
  deepStrictEqual(order, ["light", "heavy"]);
});

/** How many bodies each sender has waiting at once: with one it would not be there when the next is chosen. */
const AT_ONCE = 3;

/** Serves senders who come again and again, and says how much time each got. */
async function serve(
  { senders, ms, jobs, prices }: {
    senders: Record<string, string[]>;
    ms: (name: string) => number;
    jobs: number;
    prices?: Record<string, number>;
  },
): Promise<Record<string, number>> {
  const queue = createFairQueue({ ...OPTIONS, ...prices && { prices } });
  const served: Record<string, number> = {};
  let left = jobs;
  const blocker = atOnce(queue.enter(["blocker"], 1));
  const all = Object.entries(senders).flatMap((sender) => Array<typeof sender>(AT_ONCE).fill(sender));
  const sending = all.map(async ([name, path]) => {
    while (left > 0) {
      const turn = (await queue.enter(path, 1))!;
      if (left > 0) {
        left--;
        served[name] = (served[name] ?? 0) + ms(name);
      }
      turn.spent(ms(name));
      turn.leave();
    }
  });
  blocker.leave();
  await Promise.all(sending);
  return served;
}

/** Whether numbers are the same but for the work of one job or two. */
function near(one: number, other: number, slack: number): void {
  ok(Math.abs(one - other) <= slack, `${one} and ${other}`);
}

Deno.test("a key gets its share of the thread, however many senders another has, and however long their work takes", async () => {
  const crowd = Object.fromEntries(
    Array.from({ length: 20 }, (_, n) => [`crowd${n}`, ["known", "public", `192.0.2.${n}`]]),
  );
  const served = await serve({
    senders: { ...crowd, honest: ["known", "honest", "198.51.100.1"] },
    ms: (name) => name === "honest" ? 1 : 7,
    jobs: 400,
  });
  const crowdMs = Object.entries(served).filter(([name]) => name !== "honest").reduce(
    (n, [, ms]) => n + ms,
    0,
  );
  near(served.honest!, crowdMs, 15);
});

Deno.test("senders of one key share its part", async () => {
  const served = await serve({
    senders: { one: ["k", "a"], two: ["k", "b"] },
    ms: (name) => name === "one" ? 10 : 1,
    jobs: 300,
  });
  near(served.one!, served.two!, 20);
});

Deno.test("a group whose time is dearer gets less", async () => {
  const served = await serve({
    senders: { known: ["known", "k"], unknown: ["unknown", "a"] },
    ms: () => 1,
    jobs: 400,
    prices: { unknown: 3 },
  });
  near(served.known!, 3 * served.unknown!, 8);
});

Deno.test("a sender that was idle has no claim on the time that others used", async () => {
  const queue = createFairQueue(OPTIONS);
  for (let n = 0; n < 50; n++) {
    const turn = await queue.enter(["busy"], 1);
    turn!.spent(10);
    turn!.leave();
  }
  const order: string[] = [];
  const blocker = await queue.enter(["blocker"], 1);
  const work = async (name: string) => {
    const turn = (await queue.enter([name], 1))!;
    order.push(name);
    turn.spent(10);
    turn.leave();
  };
  const all = Promise.all([..."abcdefgh"].flatMap(() => [work("rested"), work("busy")]));
  blocker!.leave();
  await all;
  const firstHalf = order.slice(0, 8).filter((name) => name === "rested").length;
  ok(firstHalf <= 5, order.join());
});

Deno.test("work that waits too long is refused, and the next one continues", async () => {
  const clock = { nowMs: 0 };
  const queue = createFairQueue({ ...OPTIONS, now: () => clock.nowMs });
  const first = atOnce(queue.enter(["k"], 60));
  first.spent(0);
  const tooLong = queue.enter(["k"], 60);
  clock.nowMs = WAIT_MS / 2;
  const behind = queue.enter(["k"], 30);
  clock.nowMs = WAIT_MS;
  strictEqual(await tooLong, undefined);
  ok(await behind !== undefined);
});

Deno.test("the queue is bounded: one more is refused at once", async () => {
  const queue = createFairQueue(OPTIONS);
  const first = atOnce(queue.enter(["k"], 1));
  const line = Array.from({ length: MAX_WAITING }, (_, n) => queue.enter([`${n % 2_000}`], 1));
  strictEqual(await queue.enter(["k"], 1), undefined);
  strictEqual(queue.waiting(), MAX_WAITING);
  first.leave();
  for (const next of line) (await next)!.leave();
  strictEqual(queue.waiting(), 0);
});
