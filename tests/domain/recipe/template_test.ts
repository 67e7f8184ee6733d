/** Templates, and what recipes make of them. */
import { deepStrictEqual, notStrictEqual, ok, strictEqual, throws } from "node:assert";
import { parseExact } from "../../../domain/event/exact_json.ts";
import { ulidOf, uuidOf } from "../../../domain/recipe/derived_ids.ts";
import {
  compileRecipe,
  eventByRecipe,
  type Recipe,
  requestsByRecipe,
} from "../../../domain/recipe/recipe.ts";
import { RECIPES } from "../../../domain/recipe/recipes.ts";
import { compileTemplate, InvalidTemplate } from "../../../domain/recipe/template.ts";

const EVENT = parseExact(`{
  "type": "track", "messageId": "m-1", "timestamp": "2026-07-01T02:30:00.123Z", "empty": {}, "none": null,
  "properties": {"total": 9, "long": 12345678901234567890, "a b": "x", "_y": true, "nested": {"ü": [1]}, "gone": null}
}`);

const CASES: [template: unknown, made: unknown][] = [
  [{ a: { $path: "event.missing" }, b: [1, { $path: "event.missing" }] }, { b: [1] }],
  [{ $object: { $set: { $path: "event.type" }, $gone: { $path: "event.missing" } } }, { $set: "track" }],
  [{ $pair: [{ $path: "event.type" }, 1] }, { track: 1 }],
  [{ $pair: ["a", { $path: "event.missing" }] }, {}],
  [{ $flat: [[1, 2], 3, [4]] }, [1, 2, 3, 4]],
  [{ $pluck: [{ a: 1 }, { b: 2 }, { a: 3 }], name: "a" }, [1, undefined, 3]],
  [{ $cut: "Zoë🎁", length: 4 }, "Zoë"],
  [{ $params: { a: 1, ga_b: 2, google_c: 3 }, count: 5, name: 24, value: 36, wrapped: true }, {
    a: { value: 1 },
  }],
  [{ $nonEmpty: { $path: "event.empty" } }, undefined],
  [{ $uuid: "0190C2F0-0000-7000-8000-000000000001" }, "0190c2f0-0000-7000-8000-000000000001"],
  [{ $micros: { $path: "event.timestamp" } }, 1782873000123000],
  [{ $name: "2nd Order – Łódź" }, "nd_Order_d_"],
  [{ $name: "++" }, undefined],
  [{ $params: { $path: "event.properties" }, count: 25, name: 40, value: 100 }, {
    total: 9,
    long: "12345678901234567890",
    a_b: "x",
    y: "true",
    nested: '{"ü":[1]}',
  }],
  [{ $params: { $path: "event.properties" }, count: 2, name: 3, value: 5 }, { tot: 9, lon: "12345" }],
];

for (const [template, made] of CASES) {
  Deno.test(`the template ${JSON.stringify(template)} makes ${JSON.stringify(made)}`, () => {
    deepStrictEqual(compileTemplate(template)({ event: EVENT }), made);
  });
}

const WRONG: [template: unknown, path: string, message: RegExp][] = [
  [{ a: { $set: 1 } }, "a", /unknown instruction \$set/],
  [{ $pair: ["a"] }, "", /a name and a value/],
  [{ $params: {}, count: 0, name: 1, value: 1 }, "", /count, a whole number/],
  [{ $pluck: [] }, "", /name, a string/],
  [{ $cut: "a", length: 1.5 }, "", /length, a whole number/],
  [{ a: [{ $object: [] }] }, "a.0", /an object/],
];

for (const [template, path, message] of WRONG) {
  Deno.test(`the template ${JSON.stringify(template)} is refused`, () => {
    throws(
      () => compileTemplate(template),
      (error) => error instanceof InvalidTemplate && error.path === path && message.test(error.message),
    );
  });
}

Deno.test("an id becomes the same UUID and ULID each time, and another id another", () => {
  strictEqual(uuidOf("m-1"), uuidOf("m-1"));
  notStrictEqual(uuidOf("m-1"), uuidOf("m-2"));
  strictEqual(
    /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(uuidOf("m-1")),
    true,
  );
  // The time of the example of the specification of ULID, whose first ten characters are 01ARYZ6S41.
  strictEqual(ulidOf("m-1", 1469918176385).slice(0, 10), "01ARYZ6S41");
  strictEqual(/^[0-9A-HJKMNP-TV-Z]{26}$/.test(ulidOf("m-1", 1469918176385)), true);
  strictEqual(ulidOf("m-1", 0), ulidOf("m-1", 0));
  notStrictEqual(ulidOf("m-1", 0), ulidOf("m-2", 0));
});

Deno.test("a run of events with one method and URL is one request", () => {
  const recipe: Recipe = {
    title: "Two ends",
    settings: {},
    method: { $path: "events.0.method" },
    url: { $join: ["http://localhost/", { $path: "events.0.to" }] },
    event: { $path: "event" },
    body: { $path: "events" },
    maxEvents: 10,
  };
  const events = [
    { to: "a", n: 1 },
    { to: "a", n: 2 },
    { to: "b", n: 3 },
    { to: "b", n: 4, method: "PUT" },
    { to: "a", n: 5, method: "GET" },
  ];
  const requests = requestsByRecipe(compileRecipe(recipe), { events, settings: {}, now: "" });
  deepStrictEqual(
    requests.map((
      { request: { method, url, body }, events },
    ) => [method, url, events, JSON.parse(body).length]),
    [["POST", "http://localhost/a", 2, 2], ["POST", "http://localhost/b", 1, 1], [
      "PUT",
      "http://localhost/b",
      1,
      1,
    ], [
      "POST",
      "http://localhost/a",
      1,
      1,
    ]],
  );
});

for (const [name, recipe] of Object.entries(RECIPES)) {
  Deno.test(`the recipe ${name} compiles, and describes its settings`, () => {
    compileRecipe(recipe);
    for (const { description } of Object.values(recipe.settings)) {
      strictEqual(description.endsWith("."), true);
    }
  });
}

/** The bounds of https://developers.google.com/analytics/devguides/collection/protocol/ga4/sending-events#limitations. */
Deno.test("the recipe ga4 stays within the bounds of the protocol, whatever the event has", () => {
  const compiled = compileRecipe(RECIPES.ga4!);
  const many = Object.fromEntries(
    Array.from({ length: 60 }, (_, n) => [`${"ü long name ".repeat(6)}${n}`, "x".repeat(500)]),
  );
  const some = Object.fromEntries(
    Array.from({ length: 60 }, (_, n) => [`_name ${n}`, { nested: "🎁".repeat(200) }]),
  );
  const base = {
    messageId: "m",
    userId: "u",
    timestamp: "2026-07-01T02:30:00.123Z",
    receivedAt: "2026-07-01T02:30:01.000Z",
  };
  const events = ["track", "identify", "page", "screen", "group"].flatMap((type) =>
    [many, some].map((properties) => ({
      ...base,
      type,
      event: "9 Öl!".repeat(30),
      properties,
      traits: properties,
      groupId: "g".repeat(300),
    }))
  );
  for (const event of events) {
    const made = eventByRecipe(compiled, { event, settings: {}, options: {}, now: base.receivedAt }) as {
      user_properties?: Record<string, { value: unknown }>;
      events: { name: string; params: Record<string, unknown> }[];
    };
    const [{ name, params }] = made.events as [typeof made.events[number]];
    const isName = (text: string, length: number) =>
      /^[A-Za-z][A-Za-z0-9_]*$/.test(text) && text.length <= length;
    const isValue = (value: unknown, length: number) =>
      typeof value === "number" || String(value).length <= length;
    ok(isName(name, 40) && Object.keys(params).length <= 25, name);
    ok(Object.entries(params).every(([key, value]) => isName(key, 40) && isValue(value, 100)));
    const user = Object.entries(made.user_properties ?? {});
    ok(user.length <= 25 && user.every(([key, { value }]) => isName(key, 24) && isValue(value, 36)));
  }
});
