/** The engine alone: hostile code, what calls share, what they see, and how limits are found. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert";
import { BadCode, createEngine, type EngineLimits } from "../../../actors/transformation/engine.ts";
import { systemClock } from "../../../actors/store/clock.ts";
import { readProgram } from "../../../domain/transformation/program.ts";
import { ATTEMPTS, LEAKS, transforming } from "./hostile.ts";

const EVENT = { type: "track", messageId: "m", userId: "u", event: "A", properties: {} };

const lineOf = (more: object = {}, person: unknown = null) =>
  JSON.stringify([{ ...EVENT, ...more }, person, "2026-01-02T03:04:05.678Z"]);

async function engineOf(code: string, limits: Partial<EngineLimits> = {}, params = {}) {
  const program = readProgram(code);
  ok(!("problem" in program), JSON.stringify(program));
  return await createEngine({ source: program.source, version: "t@1", params }, {
    clock: systemClock,
    ...limits,
  });
}

/** The results of some events, as JSON. */
async function results(code: string, lines: string[], params = {}): Promise<unknown[]> {
  const engine = await engineOf(code, {}, params);
  const outputs = await engine.run(lines, false);
  return outputs.map((output) => {
    ok(output.startsWith("="), output);
    return JSON.parse(output.slice(1).split("\t")[0]!);
  });
}

for (const [name, { code, output }] of Object.entries(ATTEMPTS)) {
  Deno.test(`hostile code ends with a clean error: ${name}`, async () => {
    const engine = await engineOf(code);
    const [first] = await engine.run([lineOf()], false);
    match(first!, output);
    // Among others, in a batch, too; and the engine still runs.
    const again = await engine.run([lineOf(), lineOf()], false);
    for (const each of again) match(each, output);
  });
}

for (const [name, code] of Object.entries(LEAKS)) {
  Deno.test(`nothing that one call changes is visible to the next: ${name}`, async () => {
    const engine = await engineOf(code);
    for (const lines of [[lineOf(), lineOf(), lineOf()], [lineOf()]]) {
      for (const output of await engine.run(lines, false)) {
        strictEqual(JSON.parse(output.slice(1)).properties.found, undefined, output);
        match(output, /^=/);
      }
    }
  });
}

Deno.test("the event that overran is found alone, and the others of its batch are done again", async () => {
  const code = transforming('if (event.event === "Loop") for (;;) {}\nevent.properties.done = true;');
  const engine = await engineOf(code);
  const lines = Array.from({ length: 30 }, (_, n) => lineOf({ event: n === 17 ? "Loop" : "A" }));
  const outputs = await engine.run(lines, false);
  deepStrictEqual(
    outputs.map((output) => output[0]),
    Array.from({ length: 30 }, (_, n) => n === 17 ? "!" : "="),
  );
});

Deno.test("a batch has no part in the verdict: many events that take nearly all their steps pass together", async () => {
  const code = transforming("let n = 0; for (let i = 0; i < 900000; i++) n++; event.properties.n = n;");
  const found = await results(code, Array.from({ length: 5 }, () => lineOf()));
  deepStrictEqual(found.map((each) => (each as typeof EVENT).properties), Array(5).fill({ n: 900_000 }));
});

Deno.test("an asynchronous function is settled by its jobs", async () => {
  const code =
    "export default async (event) => { await null; await 0; event.properties.done = true; return event; }";
  deepStrictEqual(
    await results(code, [lineOf(), lineOf()]),
    Array(2).fill({ ...EVENT, properties: { done: true } }),
  );
});

Deno.test("the clock is the time of receipt, and local time is UTC", async () => {
  const code = transforming(`event.properties = {
    now: Date.now(), text: Date(), iso: new Date().toISOString(), parts: new Date(2026, 0, 2, 3).getTime(),
    same: new Date() instanceof Date && new Date().constructor === Date, parsed: Date.parse("2026-01-02T03:00:00"),
    hours: new Date(0).getHours(), offset: new Date(0).getTimezoneOffset(),
  };`);
  // The thread of engines has UTC; here it is set by the environment of the test.
  const offset = new Date(0).getTimezoneOffset();
  const [found] = await results(code, [lineOf()]) as { properties: Record<string, unknown> }[];
  const { now, iso, same } = found!.properties;
  deepStrictEqual([now, iso, same], [1767323045678, "2026-01-02T03:04:05.678Z", true]);
  if (offset === 0) strictEqual(found!.properties.parts, found!.properties.parsed);
});

Deno.test("chance is seeded by message id and version: the same for ever, and different for others", async () => {
  const code = transforming("event.properties = [Math.random(), Math.random()];");
  const found = await results(code, [lineOf(), lineOf(), lineOf({ messageId: "other" })]) as {
    properties: number[];
  }[];
  const [one, two, other] = found.map(({ properties }) => properties);
  deepStrictEqual(one, two);
  ok(one!.every((n) => n >= 0 && n < 1) && one![0] !== one![1] && one![0] !== other![0]);
  deepStrictEqual(one, [0.7121815202405415, 0.25591075681924746]);
});

Deno.test("params, person and groups are given, and params are read-only", async () => {
  const code = transforming(
    "event.properties = { key: params.key, plan: person.traits.plan, group: groups[0].groupId };",
  );
  const person = { traits: { plan: "pro" }, groups: [{ groupId: "acme" }] };
  deepStrictEqual(await results(code, [lineOf({}, person)], { key: "k" }), [
    { ...EVENT, properties: { key: "k", plan: "pro", group: "acme" } },
  ]);
});

Deno.test("own members may have names of built-in ones", async () => {
  const code = transforming(`
    class Special extends Error { constructor(message) { super(message); this.name = "Special"; } }
    const error = new Error("x"); error.message = "y"; error.toString = () => "z";
    event.toString = 1; event.constructor = 2; event.properties = { valueOf: 3, name: new Special("a").name };
  `);
  deepStrictEqual(await results(code, [lineOf()]), [
    { ...EVENT, toString: 1, constructor: 2, properties: { valueOf: 3, name: "Special" } },
  ]);
});

Deno.test("errors name their line", async () => {
  const engine = await engineOf(
    '// one\nexport default function (event) {\n  throw new TypeError("boom");\n}',
  );
  deepStrictEqual(await engine.run([lineOf()], false), ['!{"message":"TypeError: boom","line":3}']);
});

Deno.test("what is logged comes with the result, 4 KB at most, and not with another's", async () => {
  const code = transforming(
    'if (event.event === "B") for (let i = 0; i < 100; i++) console.log("é", { i }, "x".repeat(90));',
  );
  const engine = await engineOf(code);
  const [a, b, c] = await engine.run([lineOf(), lineOf({ event: "B" }), lineOf()], false);
  const logs: string[] = JSON.parse(b!.split("\t")[1]!);
  strictEqual(logs[0], `é {"i":0} ${"x".repeat(90)}`);
  const units = logs.join("\n").length;
  ok(units <= 4096 && units > 4000, String(units));
  deepStrictEqual([a!.split("\t").length, c!.split("\t").length], [1, 1]);
});

Deno.test("integers beyond 2^53 are BigInts for the code", async () => {
  const engine = await engineOf(transforming("event.properties.type = typeof event.properties.id;"));
  const line = lineOf({ properties: { id: "\u0001long:12345678901234567890" } });
  const [output] = await engine.run([line], true);
  match(output!, /"id":"\\u0001long:12345678901234567890","type":"bigint"/);
});

const PROBLEMS: Record<string, [code: string, message: RegExp, line?: number]> = {
  "a syntax error": ["export default (e) => {\n  return e +;\n}", /Unexpected token/, 2],
  "no export": ["const x = 1;", /must export a function/, 1],
  "an import": ["\nimport x from 'y';\nexport default x;", /must not import/, 2],
  "an export of another module": ["export { default } from 'y';", /must not import/, 1],
  "import()": ["export default async () => {\n  return await import('y');\n}", /must not import/, 2],
  "import.meta": ["export default () => import.meta.url", /must not import/, 1],
  "await outside of functions": ["const x = await 1;\nexport default () => x;", /./, 1],
  "a class": ["export default class {}", /not a class/, 1],
  "a return outside of functions": ["return 1;\nexport default () => 1;", /return/, 1],
};

Deno.test("code that cannot be read is refused with its line", () => {
  for (const [name, [code, message, line]] of Object.entries(PROBLEMS)) {
    const program = readProgram(code);
    ok("problem" in program, name);
    match(program.problem.message, message, name);
    strictEqual(program.problem.line, line, name);
  }
});

const FORMS = [
  "export default function transform(event) { return event; }",
  "export default function (event) { return event; }",
  "export default (event) => event",
  "const f = (event) => event;\nexport default f;",
  "function f(event) { return event; }\nexport { f as default };",
  "export const rate = 2;\nexport function half(n) { return n / 2; }\nexport default (event) => { half(rate); return event; }\n;[1].map(String)",
  "export default async function f(event) { return event; }",
];

Deno.test("a default export can be written in any form", async () => {
  for (const code of FORMS) deepStrictEqual(await results(code, [lineOf()]), [EVENT], code);
});

Deno.test("code that exports no function fails for each event, and code that only QuickJS refuses at once", async () => {
  const engine = await engineOf("export default 5;");
  match((await engine.run([lineOf()], false))[0]!, /The default export must be a function/);
  await rejects(
    createEngine({ source: "export default (", version: "", params: {} }, { clock: systemClock }),
    BadCode,
  );
});

Deno.test("a transformation that mentions the person is known", () => {
  const uses = (code: string) => (readProgram(code) as { usesPerson?: boolean }).usesPerson;
  deepStrictEqual(
    [
      "export default (e, { person }) => person",
      "export default (e, c) => c.groups",
      "export default (e) => e.personal",
    ].map(uses),
    [true, true, false],
  );
});
