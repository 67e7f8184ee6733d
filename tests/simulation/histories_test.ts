/**
 * How it works: histories of several processes over a store in which everything goes wrong are lived through, each made by
 * one seed (`tests/simulation/`). `deno task sim` lives through 50,000 of them; here it is fewer. And bugs are planted, to
 * see that they are found: a file for each group (`*_bugs_test.ts`), so that groups are hunted in parallel.
 */
import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { live } from "./history.ts";
import { hunt } from "./hunt.ts";
import { loadProducts } from "./product.ts";

/** Histories that are lived through where nobody asks for more. */
const HISTORIES = 500;

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
  // Histories of lanes are about who joins and leaves, and some have few events and actors.
  ok(totals.fewestEvents > 0, `${totals.fewestEvents} events`);
  ok(totals.events >= 30 * HISTORIES, `${totals.events} events in all`);
  ok(totals.fewestActors > 0, `${totals.fewestActors} actors`);
  ok(totals.actors >= 10 * HISTORIES, `${totals.actors} actors in all`);
  deepStrictEqual(Object.entries(totals.counts).filter(([, count]) => count === 0), []);
});
