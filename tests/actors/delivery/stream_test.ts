import fc from "fast-check";
import { createStream } from "../../../actors/delivery/stream.ts";
import { streamProperty } from "./stream_histories.ts";

for (const heldInMemory of [0, 3, 1_000]) {
  Deno.test(`stream: with ${heldInMemory} held in memory nothing is lost and order is kept, whenever a process dies`, async () => {
    await fc.assert(streamProperty({ createStream }, heldInMemory), { numRuns: 400 });
  });
}
