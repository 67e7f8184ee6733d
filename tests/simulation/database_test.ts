import { deepStrictEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { createDatabase } from "./database.ts";
import { openHandle } from "./handle.ts";
import { createRandom } from "./random.ts";
import { drawWeather, noCounts } from "./weather.ts";
import { createWorld } from "./world.ts";

const part = fc.oneof(
  fc.constantFrom("", "a", "b", "é", "\u{10000}", "\uffff"),
  fc.constantFrom(-1, 0, 0.5, 1, 2, 1e15, -8.64e15),
);
const key = fc.array(part, { minLength: 1, maxLength: 3 });
const step = fc.oneof(
  fc.record({ do: fc.constant("set" as const), key, value: fc.nat(100), stale: fc.boolean() }),
  fc.record({ do: fc.constant("delete" as const), key, stale: fc.boolean() }),
  fc.record({
    do: fc.constant("list" as const),
    prefix: fc.array(part, { maxLength: 2 }),
    reverse: fc.boolean(),
    limit: fc.integer({ min: 1, max: 4 }),
    batchSize: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ do: fc.constant("range" as const), start: key, end: key, reverse: fc.boolean() }),
);

Deno.test("the database of the simulation answers as Deno KV does", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      const real = await Deno.openKv(":memory:");
      const made = openCalm(createDatabase());
      try {
        for (const each of steps) {
          const answers = [];
          for (const kv of [real, made]) answers.push(await doStep(kv, each));
          deepStrictEqual(answers[1], answers[0]);
        }
      } finally {
        real.close();
      }
    }),
    { numRuns: 30 },
  );
});

Deno.test("a key that ends with the stamp of its commit has it in the simulation as in Deno KV", async () => {
  const real = await Deno.openKv(":memory:");
  try {
    for (const kv of [real, openCalm(createDatabase())]) {
      const commit = async (value: string) => {
        const operation = kv.atomic();
        for (const prefix of [["journal"], ["body", 0]]) {
          operation.set([...prefix, kv.commitVersionstamp()] as unknown as Deno.KvKey, value);
        }
        return (await operation.commit() as Deno.KvCommitResult).versionstamp;
      };
      const stamps = [await commit("a"), await commit("b")];
      const entries = await Array.fromAsync(kv.list<string>({ prefix: ["journal"] }));
      deepStrictEqual(entries.map(({ key, value, versionstamp }) => [key, value, versionstamp]), [
        [["journal", stamps[0]], "a", stamps[0]],
        [["journal", stamps[1]], "b", stamps[1]],
      ]);
      deepStrictEqual((await kv.get(["body", 0, stamps[1]!])).value, "b");
      ok(stamps.every((stamp) => /^[0-9a-f]{20}$/.test(stamp!)) && stamps[0]! < stamps[1]!);
    }
  } finally {
    real.close();
  }
});

/** A handle in which nothing goes wrong. */
function openCalm(database: ReturnType<typeof createDatabase>) {
  const random = createRandom(1);
  return openHandle({
    world: createWorld(random, { trace: false }),
    database,
    weather: drawWeather(random, 1),
    counts: noCounts(),
    owner: { id: 1, alive: true, frozenUntilMs: 0 },
    die() {},
    isCalm: () => true,
  });
}

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Does a step, and gives what is to be the same: everything but stamps. */
async function doStep(kv: Pick<Deno.Kv, "get" | "list" | "atomic">, each: Step): Promise<unknown> {
  if (each.do === "list" || each.do === "range") {
    const { reverse } = each;
    const entries = each.do === "list"
      ? kv.list({ prefix: each.prefix }, { reverse, limit: each.limit, batchSize: each.batchSize })
      // Deno KV refuses a range whose end is before its start.
      : kv.list({ start: each.start, end: [...each.start, ...each.end] }, { reverse });
    const found = [];
    for await (const { key, value } of entries) found.push([key, value]);
    return found;
  }
  const { value, versionstamp } = await kv.get(each.key);
  const operation = kv.atomic().check({
    key: each.key,
    versionstamp: each.stale ? "0".repeat(20) : versionstamp,
  });
  if (each.do === "set") operation.set(each.key, each.value);
  else operation.delete(each.key);
  const { ok } = await operation.commit();
  return [value, ok, (await kv.get(each.key)).value];
}
