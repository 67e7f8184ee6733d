import { ok, strictEqual } from "node:assert/strict";
import type { Journal } from "../../actors/journal.ts";
import type { Settler } from "../../actors/settler.ts";
import { createSettling } from "../../actors/settling.ts";

/** What of a journal waiting for room looks at. */
function settlingWith(tail: { events: number; bytes: number }) {
  let wakes = 0;
  const journal = {
    tail: () => ({ events: () => tail.events, bytes: () => tail.bytes }),
  } as unknown as Journal;
  const settler = { wake: () => void wakes++ } as unknown as Settler;
  return { settling: createSettling(journal, settler), wakes: () => wakes };
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
    await settling.room(1, began + 100);
    ok(performance.now() - began >= 99);
    const then = wakes();
    ok(then > 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    strictEqual(wakes(), then);
  });
}

Deno.test("a tail below its soft bounds has room at once; between the bounds senders are slowed", async () => {
  const roomMs = async (events: number) => {
    const { settling } = settlingWith({ events, bytes: 0 });
    const began = performance.now();
    await settling.room(2_000, began + 10_000);
    return performance.now() - began;
  };
  const [free, slowed] = [await roomMs(240_000), await roomMs(360_000)];
  // 2,000 events at the pace that a start assumes, 20,000 a second, at half of the way: 100 ms.
  ok(free < 50 && slowed >= 99, `${free} ${slowed}`);
});
