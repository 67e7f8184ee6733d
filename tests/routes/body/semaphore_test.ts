import { deepStrictEqual, strictEqual } from "node:assert";
import { createSemaphore, MAX_WAITING, WAIT_MS } from "../../../routes/body/semaphore.ts";

Deno.test("a lane lets in what fits, and who waits in the order in which they came", async () => {
  const lane = createSemaphore(10, Date.now);
  strictEqual(lane.enter(6), true);
  strictEqual(lane.enter(4), true);
  const came: string[] = [];
  const enter = async (name: string, weight: number) => {
    strictEqual(await lane.enter(weight), true);
    came.push(name);
  };
  const waiting = [enter("large", 8), enter("small", 1)];
  lane.leave(4);
  await Promise.resolve();
  deepStrictEqual(came, [], "nobody overtakes");
  lane.leave(6);
  await Promise.all(waiting);
  deepStrictEqual(came, ["large", "small"]);
});

Deno.test("a lane lets in alone what weighs more than its room", async () => {
  const lane = createSemaphore(10, Date.now);
  strictEqual(lane.enter(25), true);
  const next = lane.enter(1);
  strictEqual(next instanceof Promise, true);
  lane.leave(25);
  strictEqual(await next, true);
});

Deno.test("who waits longer than a request may take is told that there is no room, and the next goes on", async () => {
  const clock = { nowMs: 0 };
  const lane = createSemaphore(10, () => clock.nowMs);
  strictEqual(lane.enter(4), true);
  const tooLong = lane.enter(8);
  clock.nowMs = WAIT_MS / 2;
  const behind = lane.enter(2);
  clock.nowMs = WAIT_MS;
  strictEqual(await tooLong, false);
  strictEqual(await behind, true);
});

Deno.test("a line is bounded: one more is told no at once", async () => {
  const lane = createSemaphore(1, Date.now);
  strictEqual(lane.enter(1), true);
  const line = Array.from({ length: MAX_WAITING }, () => lane.enter(1));
  strictEqual(await lane.enter(1), false);
  for (const next of line) {
    lane.leave(1);
    strictEqual(await next, true);
  }
});
