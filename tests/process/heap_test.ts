/** However much was sent to one id, reading it takes no more memory than there is. */
import { strictEqual } from "node:assert";
import { eventually, startServer, tempDir } from "./server.ts";

/** Less than the events of one id take, and enough for all else. */
const HEAP_MB = 120;

/** Of some 28 KB each as JSON: 56 MB, and twice as much in memory. */
const EVENTS = 2_000;
const BATCH_EVENTS = 100;

Deno.test("an id of more events than the heap holds is read, now, in the past, settled or not", async () => {
  await using dir = await tempDir();
  await using server = await startServer(`${dir.path}/heap.db`, {}, { heapMb: HEAP_MB });
  const traits = Object.fromEntries(Array.from({ length: 400 }, (_, n) => [`t${n}`, "{".repeat(60)]));
  const path = "/api/v1/anonymous/of_large_events";
  for (let from = 0; from < EVENTS; from += BATCH_EVENTS) {
    const event = { type: "identify", anonymousId: "of_large_events", traits };
    const { status, body } = await server.send(Array(BATCH_EVENTS).fill(event));
    strictEqual(body.accepted, BATCH_EVENTS, `${status}`);
    if (from % 1000 === 0) strictEqual((await server.ask(path)).body.eventCount, from + BATCH_EVENTS);
  }
  strictEqual((await server.ask(`${path}?at=2100-01-01`)).body.eventCount, EVENTS);
  await eventually(
    "all is settled",
    async () => (await server.ask("/api/v1/admin/stats")).body.unsettled === 0,
  );
  for (const query of ["", "?at=2100-01-01", "?asOf=2100-01-01"]) {
    strictEqual((await server.ask(path + query)).body.eventCount, EVENTS, query);
  }
  strictEqual((await server.ask(`${path}?at=2020-01-01`)).status, 404);
});
