import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { monotonicFactory } from "ulid";
import { systemClock } from "../../../actors/store/clock.ts";
import type { Key } from "../../../actors/store/keys.ts";
import type { Store } from "../../../actors/store/store.ts";
import { MAX_WRITE_KEYS, newWriteKey, openWriteKeys } from "../../../actors/governance/write_keys.ts";
import { openOn } from "../histories.ts";
import { MEMORY, withFault } from "../stores.ts";
import { TooManyWriteKeys } from "../../../actors/store/errors.ts";

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

Deno.test("random bytes that would favour some letters are skipped", () => {
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

/** Puts keys where there are none, as processes before this one did. */
async function fill(store: Store, count: number): Promise<void> {
  for (let from = 0; from < count; from += 500) {
    const sets = Array.from({ length: Math.min(500, count - from) }, (_, n): [Key, unknown] => {
      const id = `k${from + n}`;
      return [["writeKey", id], { id, name: id, enabled: true, createdAt: "", digest: id }];
    });
    await store.commit({ checks: [], sets: [...sets, [["writeKeysChanged"], `${from}`]] });
  }
}

Deno.test("keys that are made at once, in two processes, are never more than there may be", async () => {
  await using place = await MEMORY.make();
  await fill(await place.open(), MAX_WRITE_KEYS - 3);
  const systems = [await openOn(await place.open()), await openOn(await place.open())];
  const made = await Promise.allSettled(
    Array.from({ length: 10 }, (_, n) => systems[n % 2]!.writeKeys.create({ name: `n${n}` })),
  );
  const refused = made.flatMap((each) => each.status === "rejected" ? [each.reason] : []);
  ok(refused.every((reason) => reason instanceof TooManyWriteKeys), String(refused));
  strictEqual(refused.length, 7);
  for (const { writeKeys } of systems) strictEqual((await writeKeys.list()).length, MAX_WRITE_KEYS);
  for (const system of systems) await system.close();
});

Deno.test("the last key that there may be is made, though storage denies that it was", async () => {
  await using place = await MEMORY.make();
  await fill(await place.open(), MAX_WRITE_KEYS - 1);
  const ulid = monotonicFactory();
  const keys = await openWriteKeys({
    store: withFault(await place.open(), { nth: 1, fault: "done but denied" }),
    clock: systemClock,
    newId: () => ulid(),
    randomBytes: random,
  });
  const { writeKey } = await keys.create({ name: "last" });
  const list = await keys.list();
  deepStrictEqual([list.length, list.filter(({ id }) => id === writeKey.id).length], [MAX_WRITE_KEYS, 1]);
  await keys.close();
});
