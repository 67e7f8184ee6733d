/** A short run of the part "cost" of `deno task fuzz`: ten shapes, half a second each, and what is true on any machine. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { attackByCost } from "./cost.ts";
import { searchShapes } from "./cost_search.ts";
import { bytesOf, changed, KNOWN_SHAPES, nameOf, randomShape, textOf } from "./cost_shapes.ts";
import { randomOf } from "../process/ledger.ts";

/** How long each shape floods, in ms. */
const FLOOD_MS = 500;

Deno.test("dear bodies are refused for what they are, and honest events beside them are taken and kept", async () => {
  const findings: string[] = [];
  const results = await attackByCost({
    shapes: KNOWN_SHAPES,
    ms: FLOOD_MS,
    floods: ["one address"],
    isTimed: false,
    say() {},
    found: (what) => void findings.push(what),
  });
  deepStrictEqual(findings, []);
  strictEqual(results.length, 10);
  results.forEach(({ name, statuses, requests, honestRounds }, n) => {
    const { credential } = KNOWN_SHAPES[n]!;
    const taken = statuses[200] ?? 0;
    ok(requests >= 60, `${name}: every connection sent something`);
    ok(honestRounds > 0, `${name}: honest events came between`);
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
