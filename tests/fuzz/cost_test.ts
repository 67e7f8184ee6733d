/** A short run of the part "cost" of `deno task fuzz`: ten shapes, half a second each, and what is true on any machine. */
import { deepStrictEqual, fail, ok, strictEqual } from "node:assert";
import { attackByCost, type CostResult, p99 } from "./cost.ts";
import { addResult, beginRun, readRun } from "./cost_results.ts";
import { searchShapes } from "./cost_search.ts";
import { bytesOf, changed, KNOWN_SHAPES, nameOf, randomShape, textOf } from "./cost_shapes.ts";
import { randomOf } from "../process/ledger.ts";
import { tempDir } from "../process/server.ts";

/** How long each shape floods, in ms. */
const FLOOD_MS = 500;

Deno.test("dear bodies are refused for what they are, and honest events beside them are taken and kept", async () => {
  const findings: string[] = [];
  const results = await attackByCost({
    shapes: KNOWN_SHAPES,
    ms: FLOOD_MS,
    floods: ["sustained from 1"],
    isTimed: false,
    say() {},
    found: (what) => void findings.push(what),
  });
  deepStrictEqual(findings, []);
  strictEqual(results.length, 10);
  await goesOnWhereItStopped(results);
  results.forEach(({ name, statuses, requests, eventMs }, n) => {
    const { credential } = KNOWN_SHAPES[n]!;
    const taken = statuses[200] ?? 0;
    ok(requests >= 60, `${name}: every connection sent something`);
    ok(Object.keys(statuses).some((status) => status !== "0"), `${name}: something was answered`);
    ok(eventMs.length > 0, `${name}: honest events came between`);
    for (const status of Object.keys(statuses)) {
      ok(["0", "200", "400", "401", "413", "429", "503"].includes(status), `${name}: ${status}`);
    }
    if (!credential.startsWith("public")) strictEqual(taken, 0, name);
    // One that its sender's limit or credit pays for now and then.
    if (credential === "limited") ok((statuses[413] ?? 0) <= 20, `${name}: ${JSON.stringify(statuses)}`);
  });
});

Deno.test("the search finds shapes of all kinds, the same shape makes the same body, and names differ", async () => {
  const found = await searchShapes({ seed: 1, ms: 1_500, count: 20 });
  ok(found.length > 0 && found.length <= 20);
  for (const { usPerByte } of found) ok(usPerByte >= 0);
  const random = randomOf(7);
  const shapes = Array.from({ length: 50 }, () => randomShape(random));
  for (const shape of shapes) {
    deepStrictEqual(bytesOf(shape, "k"), bytesOf(shape, "k"), nameOf(shape));
    ok(textOf(shape, "k").length <= shape.bytes + 200, nameOf(shape));
  }
  ok(new Set(shapes.map(nameOf)).size > 40);
  ok(shapes.some((shape) => nameOf(changed(shape, random)) !== nameOf(shape)));
});

/** The file of a run holds its shapes and the floods that have ended; of one that was being written nothing counts. */
async function goesOnWhereItStopped(results: readonly CostResult[]): Promise<void> {
  await using dir = await tempDir();
  const path = `${dir.path}/results.ndjson`;
  strictEqual(await readRun(path), undefined);
  await beginRun(path, { shapes: KNOWN_SHAPES, results: [] });
  for (const result of results) await addResult(path, result);
  const run = { shapes: KNOWN_SHAPES, results: JSON.parse(JSON.stringify(results)) };
  await Deno.writeTextFile(path, '{"name":"none, HT', { append: true });
  deepStrictEqual(await readRun(path), run);
  const again = await attackByCost({
    shapes: KNOWN_SHAPES,
    ms: FLOOD_MS,
    floods: ["sustained from 1"],
    isTimed: true,
    done: run.results,
    say() {},
    found: (what) => fail(what),
  });
  strictEqual(again.length, results.length, "nothing was left to do");
}

Deno.test("the 99th percentile of times is one of them", () => {
  strictEqual(p99([]), 0);
  strictEqual(p99([5]), 5);
  strictEqual(p99(Array.from({ length: 200 }, (_, n) => 200 - n)), 199);
});
