import { ok, strictEqual } from "node:assert/strict";
import { LIMITS } from "../../../actors/limits.ts";
import { systemClock } from "../../../actors/store/clock.ts";
import type { Journal } from "../../../actors/journal/journal_state.ts";
import type { Settler } from "../../../actors/settling/settler.ts";
import {
  createSettling,
  failedAgain,
  type Failing,
  failingFor,
  pauseFor,
} from "../../../actors/settling/backpressure.ts";

/** What of a journal waiting for room looks at. */
function settlingWith(tail: { events: number; bytes: number }) {
  let wakes = 0;
  const journal = {
    tail: () => ({ events: () => tail.events, bytes: () => tail.bytes }),
  } as unknown as Journal;
  const settler = { wake: () => void wakes++ } as unknown as Settler;
  return {
    settling: createSettling({ clock: systemClock, journal, limits: LIMITS }, () => settler),
    wakes: () => wakes,
  };
}

for (
  const [what, tail] of [
    ["so many events", { events: 480_001, bytes: 0 }],
    ["so many bytes", { events: 0, bytes: 192 * 1024 * 1024 + 1 }],
  ] as const
) {
  Deno.test(`who waits for room in a tail of ${what} waits until the deadline, and nothing goes on after it`, async () => {
    const { settling, wakes } = settlingWith(tail);
    const began = performance.now();
    await settling.room(1, began + 500);
    ok(performance.now() - began >= 499);
    const then = wakes();
    ok(then > 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    strictEqual(wakes(), then);
  });
}

Deno.test("a tail below its soft bounds has room at once; between the bounds senders are slowed", async () => {
  const room = async (events: number) => {
    const { settling } = settlingWith({ events, bytes: 0 });
    const began = performance.now();
    let isThere = false;
    const waiting = settling.room(2_000, began + 10_000).then(() => isThere = true);
    // No timer comes between these.
    for (let n = 0; n < 10; n++) await Promise.resolve();
    const atOnce = isThere;
    await waiting;
    return { atOnce, ms: performance.now() - began };
  };
  strictEqual((await room(240_000)).atOnce, true);
  // 2,000 events at the pace that a start assumes, 20,000 a second, at half of the way: 100 ms.
  const slowed = await room(360_000);
  ok(!slowed.atOnce && slowed.ms >= 99, `${slowed.ms}`);
});

Deno.test("settling counts as failing after 15 s of faults that are less than 15 s apart, until 15 s after the last", () => {
  let failing: Failing | undefined;
  for (const ms of [0, 14_000, 14_900]) failing = failedAgain(failing, ms);
  strictEqual(failingFor(undefined, 0), 0);
  strictEqual(failingFor(failing, 14_999), 0);
  strictEqual(failingFor(failing, 15_000), 15_000);
  strictEqual(failingFor(failing, 29_901), 0);
  // A fault long after the last begins anew.
  strictEqual(failingFor(failedAgain(failing, 40_000), 40_000), 0);
});

Deno.test("a sender's pause grows with how full the tail is, and has no end where it is full", () => {
  const pauses = [0.1, 0.5, 0.9].map((excess) => pauseFor(1_000, { excess, pace: 10_000 })!);
  ok(pauses[0]! < pauses[1]! && pauses[1]! < pauses[2]!, String(pauses));
  strictEqual(pauseFor(1_000, { excess: 1, pace: 10_000 }), undefined);
});
