import { deepStrictEqual, strictEqual } from "node:assert";
import { createSemaphore, MAX_WAITING, WAIT_MS } from "../../../routes/body/semaphore.ts";

Deno.test("a semaphore admits what fits, and waiting work in order of arrival", async () => {
  const semaphore = createSemaphore(10, Date.now);
  strictEqual(semaphore.enter(6), true);
  strictEqual(semaphore.enter(4), true);
  const came: string[] = [];
  const enter = async (name: string, weight: number) => {
    strictEqual(await semaphore.enter(weight), true);
    came.push(name);
  };
  const waiting = [enter("large", 8), enter("small", 1)];
  semaphore.leave(4);
  await Promise.resolve();
  deepStrictEqual(came, [], "nobody overtakes");
  semaphore.leave(6);
  await Promise.all(waiting);
  deepStrictEqual(came, ["large", "small"]);
});

Deno.test("a semaphore admits work heavier than its room alone", async () => {
  const semaphore = createSemaphore(10, Date.now);
  strictEqual(semaphore.enter(25), true);
  const next = semaphore.enter(1);
  strictEqual(next instanceof Promise, true);
  semaphore.leave(25);
  strictEqual(await next, true);
});

Deno.test("work that waits too long is refused, and the next continues", async () => {
  const clock = { nowMs: 0 };
  const semaphore = createSemaphore(10, () => clock.nowMs);
  strictEqual(semaphore.enter(4), true);
  const tooLong = semaphore.enter(8);
  clock.nowMs = WAIT_MS / 2;
  const behind = semaphore.enter(2);
  clock.nowMs = WAIT_MS;
  strictEqual(await tooLong, false);
  strictEqual(await behind, true);
});

Deno.test("a line is bounded: one more is refused at once", async () => {
  const semaphore = createSemaphore(1, Date.now);
  strictEqual(semaphore.enter(1), true);
  const line = Array.from({ length: MAX_WAITING }, () => semaphore.enter(1));
  strictEqual(await semaphore.enter(1), false);
  for (const next of line) {
    semaphore.leave(1);
    strictEqual(await next, true);
  }
});
