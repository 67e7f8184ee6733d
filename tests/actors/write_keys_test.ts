import { match, ok, strictEqual } from "node:assert/strict";
import { newWriteKey } from "../../actors/write_keys.ts";
import { openOn } from "./histories.ts";
import { MEMORY } from "./stores.ts";

const random = (bytes: Uint8Array) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);

Deno.test("a write key is c and 24 letters, each of 36 as likely as the others: 124 bits", () => {
  const counts = new Map<string, number>();
  const keys = Array.from({ length: 4_000 }, () => newWriteKey(random));
  strictEqual(new Set(keys).size, keys.length);
  for (const key of keys) {
    match(key, /^c[a-z0-9]{24}$/);
    for (const letter of key.slice(1)) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  }
  strictEqual(counts.size, 36);
  const mean = 24 * keys.length / 36;
  // Seven standard deviations: once in some ten billion runs.
  const apart = 7 * Math.sqrt(mean);
  for (const [letter, count] of counts) ok(Math.abs(count - mean) < apart, `${letter}: ${count} of ${mean}`);
  ok(Math.log2(36 ** 24) > 124);
});

Deno.test("random bytes that would favour some letters are passed over", () => {
  let calls = 0;
  const key = newWriteKey((bytes) => bytes.fill(calls++ === 0 ? 252 : 251));
  strictEqual(calls, 2);
  strictEqual(key, `c${"9".repeat(24)}`);
});

Deno.test("keys and contracts that are changed all at once are all changed", async () => {
  await using place = await MEMORY.make();
  const system = await openOn(await place.open());
  const names = Array.from({ length: 40 }, (_, n) => `n${n}`);
  const author = { by: "admin", address: "" };
  await Promise.all(names.flatMap((name): Promise<unknown>[] => [
    system.writeKeys.create({ name }),
    system.contracts.put([{ name, type: "track", event: name, schema: {}, mode: "monitor" }], author),
  ]));
  strictEqual((await system.writeKeys.list()).length, names.length);
  strictEqual((await system.contracts.list()).length, names.length);
  await system.close();
});
