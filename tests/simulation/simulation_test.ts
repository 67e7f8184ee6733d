/**
 * How it works: histories of several processes over a store in which everything goes wrong are lived through, each made by
 * one seed (`tests/simulation/`). `deno task sim` lives through 50,000 of them; here it is fewer. And bugs are planted, to
 * see that they are found.
 */
import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { createDatabase } from "./database.ts";
import { openHandle } from "./handle.ts";
import { live } from "./history.ts";
import { type Find, hunt } from "./hunt.ts";
import { type Bug, BUGS } from "./planted.ts";
import { loadCode, loadProducts } from "./product.ts";
import { createRandom } from "./random.ts";
import { drawWeather, noCounts } from "./weather.ts";
import { createWorld } from "./world.ts";

/** Histories that are lived through where nobody asks for more. */
const HISTORIES = 500;

/** A planted bug is found within so many. */
const BUG_HISTORIES = 2_000;

Deno.test("the same seed gives the same history, event by event, and another seed another one", async () => {
  const products = await loadProducts();
  for (const seed of [1, 4, 17, 2 ** 33 + 5]) {
    const first = await live(seed, products, { trace: true });
    ok(first.trace.length > 100);
    deepStrictEqual(await live(seed, products, { trace: true }), first);
    // Keeping a trace changes nothing.
    strictEqual((await live(seed, products)).digest, first.digest);
    notDeepStrictEqual((await live(seed + 1, products)).digest, first.digest);
  }
});

Deno.test("what asks for no history is refused: it would come to no violation", async () => {
  for (
    const args of [["--histories", "abc"], ["--histories", "0"], ["--seed", "x"], ["--bug", "none"], [
      "--found",
    ]]
  ) {
    const main = new URL("./main.ts", import.meta.url).pathname;
    const command = new Deno.Command(Deno.execPath(), { args: ["run", "-A", "--no-check", main, ...args] });
    const { code, stdout } = await command.output();
    deepStrictEqual([args, code, stdout.length], [args, 2, 0]);
  }
});

Deno.test(`${HISTORIES} histories come to no violation, and have all faults, processes, events and actors`, async () => {
  const { totals, find } = await hunt({ from: 1, histories: HISTORIES });
  strictEqual(find, undefined, `seed ${find?.seed}: ${find?.violation}`);
  strictEqual(totals.histories, HISTORIES);
  ok(totals.fewestProcesses >= 3, `${totals.fewestProcesses} processes`);
  ok(totals.fewestEvents >= 30, `${totals.fewestEvents} events`);
  ok(totals.fewestActors >= 10, `${totals.fewestActors} actors`);
  deepStrictEqual(Object.entries(totals.counts).filter(([, count]) => count === 0), []);
});

Deno.test("a patch that does not fit the source, or fits twice, is refused", async () => {
  for (const find of ["no such words", "import "]) {
    const refused = await loadCode([{ file: "actors/journal/chunk.ts", find, replace: "" }]).then(
      () => undefined,
      (error: Error) => error.message,
    );
    ok(refused?.startsWith("a patch of actors/journal/chunk.ts fits "), String(refused));
  }
});

/** Hunts that are under way: as many as there are processors, in the order of the list. */
const hunts = new Map<Bug, Promise<Find | undefined>>();

function huntFor(bug: Bug): Promise<Find | undefined> {
  if (hunts.size === 0) {
    const lanes = Array.from(
      { length: navigator.hardwareConcurrency },
      () => Promise.resolve<unknown>(undefined),
    );
    for (const [index, each] of BUGS.entries()) {
      const lane = index % lanes.length;
      const found = lanes[lane]!.then(() =>
        hunt({ from: 1, histories: BUG_HISTORIES, bug: each.name, workers: 1 })
      );
      lanes[lane] = found.catch(() => {});
      hunts.set(each, found.then(({ find }) => find));
    }
    for (const found of hunts.values()) found.catch(() => {});
  }
  return hunts.get(bug)!;
}

for (const bug of BUGS) {
  Deno.test({
    name: `a planted bug is found: ${bug.name}`,
    // Hunts for other bugs are under way meanwhile.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const find = await huntFor(bug);
      ok(find !== undefined, `not found in ${BUG_HISTORIES} histories; it breaks: ${bug.rule}`);
    },
  });
}

Deno.test("there are at least twenty planted bugs, no two of one name", () => {
  ok(BUGS.length >= 20);
  strictEqual(new Set(BUGS.map(({ name }) => name)).size, BUGS.length);
});

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
      const random = createRandom(1);
      const made = openHandle({
        world: createWorld(random, { trace: false }),
        database: createDatabase(),
        weather: drawWeather(random),
        counts: noCounts(),
        owner: { id: 1, alive: true, frozenUntilMs: 0 },
        die() {},
        isCalm: () => true,
      });
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
