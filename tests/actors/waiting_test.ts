import { ok, rejects, strictEqual } from "node:assert/strict";
import { eventWith, openOn } from "./histories.ts";
import { MEMORY } from "./stores.ts";
import { NotServing } from "../../actors/store/errors.ts";

Deno.test("waiting requests hold at most 64 MiB of JSON: one more is refused at once, and the others are stored", async () => {
  await using place = await MEMORY.make();
  const store = await place.open();
  const [gate, begun] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let isOpen = false;
  const system = await openOn({
    ...store,
    async commit(write) {
      if (!isOpen && write.stamped !== undefined) {
        begun.resolve();
        await gate.promise;
      }
      return await store.commit(write);
    },
  });
  const request = () => [eventWith({ properties: { text: "x".repeat(33 * 1024 * 1024) } })];
  const first = system.commit([eventWith()], "k");
  await begun.promise;
  const waiting = [system.commit(request(), "k"), system.commit(request(), "k")];
  await rejects(system.commit([eventWith()], "k"), (error) => {
    ok(error instanceof NotServing);
    strictEqual(error.code, "overloaded");
    return true;
  });
  isOpen = true;
  gate.resolve();
  strictEqual((await first)[0]!.duplicate, false);
  for (const receipts of await Promise.all(waiting)) strictEqual(receipts[0]!.duplicate, false);
  await system.close();
});

Deno.test("requests that wait share commits of 1 MiB of JSON at the most, however well they compress", async () => {
  const commits: number[] = [];
  const system = await openOn(":memory:", {
    observer: { committed: ({ events }) => void commits.push(events) },
  });
  const request = () => system.commit([eventWith({ properties: { text: "x".repeat(30 * 1024) } })], "k");
  await Promise.all(Array.from({ length: 200 }, request));
  strictEqual(commits.reduce((sum, events) => sum + events, 0), 200);
  ok(Math.max(...commits) <= 34, `${commits}`);
  await system.close();
});
