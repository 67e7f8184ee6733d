/** Transformations over HTTP: saving, versions, tests with the code, tries, and what is never shown. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { MAX_TRANSFORMATIONS } from "../../../domain/transformation/definition.ts";
import { openStore } from "../../../actors/store/store.ts";
import { type Answer, AS_ADMIN, AS_READER, openTestApp, openTestSystem, type TestApp } from "../test_app.ts";

const RULES = { kind: "rules", rules: [{ remove: { paths: ["traits.email"] } }] };
const CODE = {
  kind: "javascript",
  code: "export default (event, { params }) => ({ ...event, properties: { key: params.key ?? null } })",
};

const path = (name: string, rest = "") => `/api/v1/admin/transformations/${encodeURIComponent(name)}${rest}`;
const ask = (test: TestApp, method: string, to: string, body?: unknown): Promise<Answer> =>
  test.send(to, body, { method, headers: AS_ADMIN });
const put = async (test: TestApp, name: string, draft: unknown) => {
  const answer = await ask(test, "PUT", path(name), draft);
  strictEqual(answer.status, 200, JSON.stringify(answer.body));
  return answer.body;
};
const tryOn = async (test: TestApp, name: string, body: unknown) => {
  const answer = await ask(test, "POST", path(name, "/try"), body);
  strictEqual(answer.status, 200, JSON.stringify(answer.body));
  return answer.body;
};

const PAGE = { type: "page", userId: "jane", messageId: "m1" };

Deno.test("a saved transformation is shown, listed, tried and deleted", async () => {
  await using test = await openTestApp();
  const { updatedAt, ...saved } = await put(test, "hide email", RULES);
  ok(Date.parse(updatedAt) > 0);
  deepStrictEqual(saved, { name: "hide email", ...RULES, version: 1 });
  deepStrictEqual((await ask(test, "GET", path("hide email"))).body, { ...saved, updatedAt });
  deepStrictEqual((await ask(test, "GET", "/api/v1/admin/transformations")).body, {
    transformations: [{ ...saved, updatedAt }],
  });
  const { durationUs, ...tried } = await tryOn(test, "hide email", {
    event: {
      type: "identify",
      messageId: "m",
      userId: "jane",
      traits: { email: "j@x.org", plan: "pro" },
      timestamp: "2026-01-01T00:00:00.000Z",
    },
  });
  ok(Number.isInteger(durationUs) && durationUs >= 0);
  deepStrictEqual(tried, {
    results: [{
      type: "identify",
      userId: "jane",
      traits: { plan: "pro" },
      messageId: "m",
      timestamp: "2026-01-01T00:00:00.000Z",
      receivedAt: "2026-01-01T00:00:00.000Z",
    }],
    logs: [],
  });
  strictEqual((await ask(test, "DELETE", path("hide email"))).status, 204);
  for (const [method, rest] of [["GET", ""], ["DELETE", ""]] as const) {
    strictEqual((await ask(test, method, path("hide email", rest))).status, 404);
  }
});

Deno.test("every save makes a version, and a version can be restored, as a new one", async () => {
  await using test = await openTestApp();
  await put(test, "t", RULES);
  await put(test, "t", { kind: "rules", rules: [{ drop: {} }] });
  const versions = async () => (await ask(test, "GET", path("t", "/versions"))).body.versions;
  const brief = async () =>
    (await versions()).map(({ at, by, address, ...rest }: Record<string, unknown>) => {
      ok(Date.parse(at as string) > 0);
      deepStrictEqual([by, address], ["admin", "192.0.2.1"]);
      return rest;
    });
  deepStrictEqual(await brief(), [
    { version: 2, kind: "rules", current: true },
    { version: 1, kind: "rules", current: false },
  ]);
  const restored = await ask(test, "POST", path("t", "/restore"), { version: 1 });
  deepStrictEqual([restored.status, restored.body.version, restored.body.rules], [200, 3, RULES.rules]);
  await ask(test, "DELETE", path("t"));
  deepStrictEqual(await brief(), [
    { version: 4, kind: "deleted", current: false },
    { version: 3, kind: "rules", current: false, restored: 1 },
    { version: 2, kind: "rules", current: false },
    { version: 1, kind: "rules", current: false },
  ]);
  const page = (await ask(test, "GET", path("t", "/versions?limit=1&before=3"))).body.versions;
  deepStrictEqual(page.map(({ version }: { version: number }) => version), [2]);
  const was = await ask(test, "GET", path("t", "/versions/1"));
  deepStrictEqual([was.status, was.body.name, was.body.version, was.body.rules], [200, "t", 1, RULES.rules]);
  for (const version of ["4", "9", "0", "x"]) {
    strictEqual((await ask(test, "GET", path("t", `/versions/${version}`))).status, 404, version);
  }
  for (const version of [4, 9]) {
    strictEqual((await ask(test, "POST", path("t", "/restore"), { version })).status, 404);
  }
  strictEqual((await ask(test, "POST", path("t", "/restore"), { version: 2 })).body.version, 5);
});

Deno.test("a failing test forbids saving, and says what it expected and got", async () => {
  await using test = await openTestApp();
  const tests = [
    { name: "passes", event: PAGE, expect: { ...PAGE, properties: { key: null } } },
    { name: "is wrong", event: PAGE, expect: null },
    { name: "expects an error", event: PAGE, expect: { error: "no such" } },
  ];
  const { status, body } = await ask(test, "PUT", path("t"), { ...CODE, tests });
  deepStrictEqual([status, body.code, body.errors.map((each: { path: string }) => each.path)], [
    422,
    "tests_failed",
    ["tests.1", "tests.2"],
  ]);
  match(body.errors[0].message, /^"is wrong" failed: expected null; got \{/);
  match(body.errors[1].message, /expected the error "no such"; got \{/);
  strictEqual((await ask(test, "GET", path("t"))).status, 404);
  strictEqual((await put(test, "t", { ...CODE, tests: tests.slice(0, 1) })).version, 1);
});

Deno.test("a test can expect nothing, several events or an error, and give a person", async () => {
  await using test = await openTestApp();
  const code = `export default (event, { person, groups }) => {
    if (event.type === "page") return null;
    if (event.type === "track") return [event, { ...event, event: "Again" }];
    if (event.type === "alias") throw new Error("No aliases.");
    return { ...event, traits: { plan: person.traits.plan, groups: groups.length } };
  }`;
  const track = { type: "track", userId: "u", event: "A" };
  await put(test, "t", {
    kind: "javascript",
    code,
    tests: [
      { name: "page", event: PAGE, expect: null },
      { name: "track", event: track, expect: [track, { ...track, event: "Again" }] },
      {
        name: "ids",
        event: { ...track, messageId: "m" },
        expect: [
          { ...track, messageId: "m#0" },
          { ...track, event: "Again", messageId: "m#1" },
        ],
      },
      {
        name: "alias",
        event: { type: "alias", userId: "u", previousId: "p" },
        expect: { error: "No aliases." },
      },
      { name: "any error", event: { type: "alias", userId: "u", previousId: "p" }, expect: { error: true } },
      {
        name: "person",
        event: { type: "identify", userId: "u" },
        person: { traits: { plan: "pro" } },
        expect: { type: "identify", userId: "u", traits: { plan: "pro", groups: 0 } },
      },
      {
        name: "no person",
        event: { type: "identify", userId: "u" },
        expect: { type: "identify", userId: "u", traits: { groups: 0 } },
      },
    ],
  });
});

Deno.test("dryRun checks and tests, and saves nothing", async () => {
  await using test = await openTestApp();
  const dry = (draft: unknown) => ask(test, "PUT", path("t", "?dryRun=true"), draft);
  deepStrictEqual([(await dry(RULES)).status, (await dry(RULES)).body.version], [200, 1]);
  strictEqual((await dry({ ...CODE, code: "export default 1 +" })).status, 400);
  strictEqual((await dry({ ...RULES, tests: [{ name: "x", event: PAGE, expect: null }] })).status, 422);
  strictEqual((await ask(test, "GET", path("t", "/versions"))).status, 404);
});

Deno.test("params are given to the code, and appear in no answer, no log and no version", async () => {
  await using test = await openTestApp({ logLevel: "debug" });
  const secret = "hunter2hunter2";
  const answers: Answer[] = [];
  const note = (answer: Answer) => {
    answers.push(answer);
    return answer.body;
  };
  const draft = { ...CODE, params: { key: secret, other: 5 } };
  deepStrictEqual(note(await ask(test, "PUT", path("t"), draft)).params, ["key", "other"]);
  note(await ask(test, "GET", path("t")));
  note(await ask(test, "GET", "/api/v1/admin/transformations"));
  note(await ask(test, "GET", path("t", "/versions")));
  note(await ask(test, "PUT", path("t", "?dryRun=true"), draft));
  note(await ask(test, "PUT", path("t"), { ...draft, code: "export default {" }));
  deepStrictEqual((await tryOn(test, "t", { event: PAGE })).results[0].properties, { key: secret });
  // A param that is absent or masked stays; `null` removes it.
  note(await ask(test, "PUT", path("t"), { ...CODE, params: { key: "***" } }));
  deepStrictEqual((await tryOn(test, "t", { event: PAGE })).results[0].properties, { key: secret });
  deepStrictEqual(note(await ask(test, "PUT", path("t"), { ...CODE, params: { key: null } })).params, [
    "other",
  ]);
  deepStrictEqual((await tryOn(test, "t", { event: PAGE })).results[0].properties, { key: null });
  deepStrictEqual(note(await ask(test, "POST", path("t", "/restore"), { version: 1 })).params, [
    "key",
    "other",
  ]);
  for (const { body } of answers) ok(!JSON.stringify(body).includes(secret));
  ok(!JSON.stringify(test.logged).includes(secret));
});

Deno.test("a try runs a draft for a name that nothing has, with logs, or tells the error and its line", async () => {
  await using test = await openTestApp();
  const draft = {
    kind: "javascript",
    code: 'export default (event) => {\n  console.log("saw", event.type);\n  return null;\n}',
  };
  const { durationUs: _, ...tried } = await tryOn(test, "new", { event: PAGE, draft });
  deepStrictEqual(tried, { results: [], logs: ["saw page"] });
  const failing = {
    kind: "javascript",
    code: 'export default (event) => {\n  console.log("x");\n  return event.a.b;\n}',
  };
  const { durationUs: __, ...failed } = await tryOn(test, "new", { event: PAGE, draft: failing });
  match(failed.error.message, /^TypeError: cannot read property 'b' of undefined/);
  deepStrictEqual([failed.error.line, failed.logs], [3, ["x"]]);
  const answer = await ask(test, "POST", path("new", "/try"), { event: PAGE });
  strictEqual(answer.status, 404);
  const bad = await ask(test, "POST", path("new", "/try"), {
    event: PAGE,
    draft: { kind: "javascript", code: "export default (e) => {\n  return e +;\n}" },
  });
  deepStrictEqual([bad.status, bad.body.errors], [400, [
    { path: "draft.code", message: "cannot be read: Unexpected token (line 2)" },
  ]]);
  const person = await tryOn(test, "new", {
    event: PAGE,
    person: { traits: { plan: "pro" } },
    draft: {
      kind: "javascript",
      code: "export default (e, { person }) => ({ ...e, name: person.traits.plan })",
    },
  });
  strictEqual(person.results[0].name, "pro");
});

Deno.test("Date.now() is the receivedAt of a try's event, else its timestamp, else the time of the call", async () => {
  await using test = await openTestApp();
  const draft = {
    kind: "javascript",
    code: "export default (e) => ({ ...e, properties: { now: Date.now() } })",
  };
  const nowOf = async (event: object) =>
    (await tryOn(test, "new", { event: { ...PAGE, ...event }, draft })).results[0].properties.now;
  const [a, b] = ["2026-01-02T03:04:05.000Z", "2025-01-02T03:04:05.000Z"];
  strictEqual(await nowOf({ receivedAt: a, timestamp: b }), Date.parse(a));
  strictEqual(await nowOf({ timestamp: b }), Date.parse(b));
  const before = Date.now();
  const now = await nowOf({});
  ok(now >= before - 1 && now <= Date.now() + 1);
});

Deno.test("integers beyond 2^53 keep their digits through rules and code", async () => {
  await using test = await openTestApp();
  const body = (draft: string) =>
    `{"event":{"type":"track","event":"A","userId":"u","properties":{"id":12345678901234567890}},"draft":${draft}}`;
  for (
    const draft of [
      '{"kind":"rules","rules":[{"rename":{"from":"properties.id","to":"properties.key"}},{"set":{"path":"properties.max","value":98765432109876543210}}]}',
      '{"kind":"javascript","code":"export default (e) => ({ ...e, properties: { key: e.properties.id, max: 98765432109876543210n } })"}',
    ]
  ) {
    const response = await test.app.request(path("t", "/try"), {
      method: "POST",
      headers: AS_ADMIN,
      body: body(draft),
    });
    const text = await response.text();
    match(text, /"properties":\{"key":12345678901234567890,"max":98765432109876543210\}/);
  }
});

const BAD_RESULTS: Record<string, [code: string, message: RegExp]> = {
  "too many events": ["(e) => Array(11).fill(e)", /at most 10 events; got 11/],
  "an event that is too large": [
    '(e) => ({ ...e, properties: { x: "é".repeat(20000) } })',
    /at most 32768 bytes/,
  ],
  "a type that is none": ['(e) => ({ ...e, type: "click" })', /type must be one of/],
  "an array of numbers": ["() => [1]", /Result 0: must be an event; got 1/],
  "an id that is none": ["(e) => ({ ...e, userId: {} })", /userId has the wrong type/],
  "properties that are a list": ["(e) => ({ ...e, properties: [] })", /properties has the wrong type/],
  "a time that is none": ['(e) => ({ ...e, timestamp: "yesterday" })', /timestamp has the wrong type/],
  "nothing": ["() => {}", /got undefined/],
};

Deno.test("a result that is no event is an error, and never sent", async () => {
  await using test = await openTestApp();
  for (const [name, [code, message]] of Object.entries(BAD_RESULTS)) {
    const draft = { kind: "javascript", code: `export default ${code}` };
    const { error } = await tryOn(test, "new", { event: PAGE, draft });
    match(error?.message ?? "", message, name);
  }
});

const BAD: Record<string, [draft: unknown, path: string, message: RegExp]> = {
  "no kind": [{}, "kind", /one of rules, javascript/],
  "an unknown kind": [{ kind: "python" }, "kind", /one of rules, javascript/],
  "an unknown member": [{ ...RULES, code: "" }, "code", /Unknown field "code"/],
  "no rules": [{ kind: "rules" }, "rules", /array of rules/],
  "a bad rule": [
    { kind: "rules", rules: [{ remove: { paths: ["messageId"] } }] },
    "rules.0.remove.paths.0",
    /cannot be changed/,
  ],
  "a bad condition": [
    { kind: "rules", rules: [{ drop: {}, where: { a: { $foo: 1 } } }] },
    "rules.0.where.a.$foo",
    /unknown operator/,
  ],
  "bad code": [{ kind: "javascript", code: "export default (\n" }, "code", /line 2/],
  "too much code": [
    { kind: "javascript", code: `export default () => null;${" ".repeat(65536)}` },
    "code",
    /65536 bytes/,
  ],
  "a test without a type": [
    { ...RULES, tests: [{ name: "x", event: {}, expect: null }] },
    "tests.0.event.type",
    /one of track/,
  ],
  "a test without an expectation": [
    { ...RULES, tests: [{ name: "x", event: PAGE }] },
    "tests.0.expect",
    /an event, null/,
  ],
  "too many params": [
    { ...CODE, params: Object.fromEntries(Array.from({ length: 51 }, (_, n) => [n, n])) },
    "params",
    /at most 50/,
  ],
};

Deno.test("an invalid draft is refused with its place, and changes nothing", async () => {
  await using test = await openTestApp();
  for (const [name, [draft, at, message]] of Object.entries(BAD)) {
    const { status, body } = await ask(test, "PUT", path("t"), draft);
    strictEqual(status, 400, name);
    strictEqual(body.errors[0].path, at, name);
    match(body.errors[0].message, message, name);
  }
  strictEqual((await ask(test, "GET", path("t", "/versions"))).status, 404);
});

Deno.test("a transformation that does not compress into one value of the store is refused", async () => {
  await using test = await openTestApp();
  const noise = crypto.getRandomValues(new Uint8Array(32_000)).toHex?.() ??
    Array.from(crypto.getRandomValues(new Uint8Array(32_000)), (n) => n.toString(36)).join("");
  const other = Array.from(crypto.getRandomValues(new Uint8Array(30_000)), (n) => n.toString(36)).join("");
  const { status, body } = await ask(test, "PUT", path("t"), {
    kind: "javascript",
    code: `export default () => null; //${noise.slice(0, 65_000)}`,
    tests: [{ name: "x", event: { ...PAGE, name: other.slice(0, 60_000) }, expect: null }],
  });
  deepStrictEqual([status, body.code], [400, "transformation_too_large"]);
});

Deno.test("there is a limit of transformations", async () => {
  await using test = await openTestApp();
  for (let n = 0; n < MAX_TRANSFORMATIONS; n++) await put(test, `t${n}`, RULES);
  const { status, body } = await ask(test, "PUT", path("one-more"), RULES);
  deepStrictEqual([status, body.code], [400, "too_many_transformations"]);
  strictEqual((await put(test, "t0", RULES)).version, 2);
});

Deno.test("transformations need the admin token", async () => {
  await using test = await openTestApp();
  for (const [method, to] of [["GET", path("t")], ["PUT", path("t")], ["POST", path("t", "/try")]] as const) {
    strictEqual(
      (await test.send(to, method === "GET" ? undefined : RULES, { method, headers: AS_READER })).status,
      403,
    );
  }
});

Deno.test("a change by one process reaches another, and a restart keeps all versions", async () => {
  const store = await openStore(":memory:");
  const shared = { ...store, close() {} };
  await using one = await openTestApp({ system: await openTestSystem(shared) });
  await using other = await openTestApp({ system: await openTestSystem(shared) });
  await put(one, "t", RULES);
  deepStrictEqual((await ask(other, "GET", path("t"))).body.version, 1);
  await put(other, "t", CODE);
  deepStrictEqual((await ask(one, "GET", path("t"))).body.version, 2);
  strictEqual((await tryOn(one, "t", { event: PAGE })).results[0].properties.key, null);
  store.close();
});

/** Sends track events `e0`, `e1`, …, each with its number. */
async function sendTracks(test: TestApp, count: number): Promise<void> {
  for (let from = 0; from < count; from += 200) {
    const batch = Array.from({ length: Math.min(200, count - from) }, (_, n) => ({
      type: "track",
      userId: `u${(from + n) % 7}`,
      event: (from + n) % 10 === 0 ? "Test" : "Order Completed",
      messageId: `e${from + n}`,
      properties: { n: from + n },
    }));
    const { body } = await test.send("/api/v1/events/batch", { batch });
    strictEqual(body.accepted, batch.length);
  }
}

const checkOn = async (test: TestApp, name: string, body: unknown) => {
  const answer = await ask(test, "POST", path(name, "/check"), body);
  strictEqual(answer.status, 200, JSON.stringify(answer.body));
  return answer.body;
};

const DRAFT = {
  kind: "javascript",
  code: `export default (event) => {
    const { n } = event.properties;
    if (event.event === "Test") return null;
    if (n % 10 === 1) throw new Error("odd one");
    if (n % 10 === 2) event.properties.changed = true;
    return event;
  }`,
};

Deno.test("a check compares a draft with the original, and shows twenty differences", async () => {
  await using test = await openTestApp();
  await sendTracks(test, 400);
  const { examples, ...counts } = await checkOn(test, "new", { draft: DRAFT, last: 300 });
  deepStrictEqual(counts, { checked: 300, same: 210, changed: 30, dropped: 30, failed: 30, complete: true });
  strictEqual(examples.length, 20);
  const [dropped, failed, changed] = examples;
  deepStrictEqual([dropped.messageId, dropped.before.properties, dropped.after], ["e100", { n: 100 }, null]);
  deepStrictEqual([failed.messageId, failed.after, failed.error], ["e101", null, {
    message: "odd one",
    line: 4,
  }]);
  deepStrictEqual(changed.after.properties, { n: 102, changed: true });
});

Deno.test("a check compares a draft with the current version, and the current version with the original", async () => {
  await using test = await openTestApp();
  await sendTracks(test, 50);
  await put(test, "t", DRAFT);
  const same = await checkOn(test, "t", { draft: DRAFT });
  deepStrictEqual([same.checked, same.same, same.failed], [50, 45, 5]);
  const current = await checkOn(test, "t", {});
  deepStrictEqual([current.checked, current.same, current.dropped, current.changed, current.failed], [
    50,
    35,
    5,
    5,
    5,
  ]);
  const rules = await checkOn(test, "t", { draft: { kind: "rules", rules: [{ drop: {} }] } });
  deepStrictEqual([rules.same, rules.dropped], [5, 45]);
  strictEqual(rules.examples.find((each: { before: unknown }) => each.before === null), undefined);
});

Deno.test("a check takes the last events that meet a condition", async () => {
  await using test = await openTestApp();
  await sendTracks(test, 100);
  const drop = { kind: "rules", rules: [{ drop: {} }] };
  const { checked, examples } = await checkOn(test, "new", {
    draft: drop,
    last: 3,
    where: { event: "Test" },
  });
  deepStrictEqual([checked, examples.map((each: { messageId: string }) => each.messageId)], [3, [
    "e70",
    "e80",
    "e90",
  ]]);
  strictEqual((await checkOn(test, "new", { draft: drop, where: { event: "None" } })).checked, 0);
  strictEqual((await ask(test, "POST", path("new", "/check"), {})).status, 404);
  for (
    const [body, at] of [[{ draft: drop, last: 10_001 }, "last"], [
      { draft: drop, where: { a: { $x: 1 } } },
      "where.a.$x",
    ]]
  ) {
    const answer = await ask(test, "POST", path("new", "/check"), body);
    deepStrictEqual([answer.status, answer.body.errors[0].path], [400, at]);
  }
});

Deno.test("a check gives code the profile just before each event", async () => {
  await using test = await openTestApp();
  for (let n = 0; n < 12; n++) {
    await test.send("/api/v1/events", {
      type: "identify",
      userId: "u",
      messageId: `i${n}`,
      traits: { last: n },
    });
  }
  const draft = {
    kind: "javascript",
    code: `export default (event, { person }) => {
      if (event.traits.last !== (person.traits.last ?? -1) + 1) throw new Error(JSON.stringify(person));
      return event;
    }`,
  };
  const { checked, same } = await checkOn(test, "new", { draft, last: 10 });
  deepStrictEqual([checked, same], [10, 10]);
});

Deno.test("a check streams its progress to a client that accepts events", async () => {
  await using test = await openTestApp();
  await sendTracks(test, 250);
  const stream = async (name: string, body: unknown) =>
    await test.app.request(path(name, "/check"), {
      method: "POST",
      headers: { ...AS_ADMIN, accept: "text/event-stream" },
      body: JSON.stringify(body),
    });
  const response = await stream("new", { draft: DRAFT });
  strictEqual(response.headers.get("content-type"), "text/event-stream");
  const events = (await response.text()).trimEnd().split("\n\n").map((text) => {
    const [name, data] = text.split("\n");
    return [name!.slice("event: ".length), JSON.parse(data!.slice("data: ".length))];
  });
  deepStrictEqual(
    events.slice(0, -1),
    [0, 100, 200, 250].map((checked) => ["progress", { checked, of: 250 }]),
  );
  const [name, { checked, same }] = events.at(-1)!;
  deepStrictEqual([name, checked, same], ["result", 250, 175]);
  strictEqual((await stream("new", {})).status, 404);
});
