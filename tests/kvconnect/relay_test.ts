/** The relay that stands for a distance: what it holds up, and what it does not. */
import { deepStrictEqual, ok } from "node:assert/strict";
import { startRelay } from "./relay.ts";

/** Sends a number of bytes one by one through a relay to an echo; gives what came back, and when the first did. */
async function echoed(delayMs: number, count: number): Promise<{ bytes: number[]; firstMs: number }> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const echoing = listener.accept().then((connection) =>
    connection.readable.pipeTo(connection.writable).catch(() => {})
  );
  const relay = startRelay((listener.addr as Deno.NetAddr).port, { delayMs });
  const client = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(relay.url).port) });
  const beganMs = performance.now();
  const bytes: number[] = [];
  let firstMs = 0;
  const writing = (async () => {
    for (let n = 0; n < count; n++) await client.write(new Uint8Array([n]));
  })();
  const buffer = new Uint8Array(count);
  while (bytes.length < count) {
    bytes.push(...buffer.subarray(0, await client.read(buffer) ?? 0));
    firstMs ||= performance.now() - beganMs;
  }
  await writing;
  client.close();
  await relay.close();
  listener.close();
  await echoing;
  return { bytes, firstMs };
}

Deno.test("a relay delays each direction by its setting, and keeps all bytes in order", async () => {
  for (const delayMs of [0, 20]) {
    const { bytes, firstMs } = await echoed(delayMs, 200);
    deepStrictEqual(bytes, Array.from({ length: 200 }, (_, n) => n));
    ok(firstMs >= 2 * delayMs, `${firstMs} ms for both directions of ${delayMs} ms`);
  }
});
