/**
 * The routes of Segment's clients, as tables. What the clients themselves do with them is in `tests/clients/`.
 */
import { deepStrictEqual, match, strictEqual } from "node:assert";
import { gzipSync } from "node:zlib";
import { AS_ADMIN, AS_SENDER, openTestApp, type TestApp, WRITE_KEY } from "../test_app.ts";

const TYPES = ["track", "identify", "page", "screen", "group", "alias"] as const;

/** An event of each type, without its type, that is by `u1`. */
const EVENTS: Record<typeof TYPES[number], Record<string, unknown>> = {
  track: { event: "Order Completed" },
  identify: { traits: { plan: "pro" } },
  page: { name: "Pricing" },
  screen: { name: "Settings" },
  group: { groupId: "g1" },
  alias: { previousId: "a1" },
};

const TYPED = TYPES.flatMap((type) =>
  [`/v1/${type}`, `/v1/${type[0]}`, `/api/s/${type}`, `/api/s/s2s/${type}`].map((path) =>
    [path, type] as const
  )
);
const BATCHES = [
  "/v1/batch",
  "/v1/import",
  "/v1/b",
  "/api/public/apps/batch",
  "/api/s/batch",
  "/api/s/s2s/batch",
  "/beacon/v1/batch",
];
const SETTINGS = `/v1/projects/${WRITE_KEY}/settings`;
const PLAIN = { "content-type": "text/plain" };

async function logOf(test: TestApp, userId = "u1") {
  return (await test.get(`/api/v1/users/${userId}/events`)).body.events;
}

for (const [path, type] of TYPED) {
  Deno.test(`${path} accepts an event as ${type}, with or without slashes around`, async () => {
    await using test = await openTestApp();
    for (const written of [path, `${path}/`, `http://localhost/${path}`]) {
      const body = { userId: "u1", ...EVENTS[type], writeKey: WRITE_KEY, messageId: written };
      const answer = await test.send(written, body, { headers: PLAIN });
      deepStrictEqual([answer.status, answer.body], [200, { success: true }]);
      strictEqual(answer.headers.get("access-control-allow-origin"), "*");
    }
    const events = await logOf(test);
    deepStrictEqual(events.map((event: { type: string }) => event.type), [type, type, type]);
    strictEqual("writeKey" in events[0], false);
  });
}

Deno.test("the type of the route outranks the body's", async () => {
  await using test = await openTestApp();
  await test.send("/v1/page", { type: "identify", userId: "u1" });
  strictEqual((await logOf(test))[0].type, "page");
});

Deno.test("a bad event on a route of one event is 400, with the reason", async () => {
  await using test = await openTestApp();
  const { status, body } = await test.send("/v1/t", { userId: "u1" });
  deepStrictEqual([status, body.success, body.errors[0].path], [400, false, "event"]);
});

Deno.test("a refusal on a path of the family says code and message, as its clients look for them; our own has the detail", async () => {
  await using test = await openTestApp();
  for (const path of [...TYPED.map(([path]) => path), ...BATCHES, `${BATCHES[0]}/`]) {
    const { status, body } = await test.send(path, "{");
    deepStrictEqual([status, body.code, body.message], [400, "invalid_json", body.detail], path);
  }
  for (const path of ["/api/v1/events", "/api/v1/events/batch"]) {
    const { status, body } = await test.send(path, "{");
    deepStrictEqual([status, "message" in body], [400, false]);
  }
});

for (const path of BATCHES) {
  Deno.test(`${path} accepts a batch, and an invalid event does not affect the others`, async () => {
    await using test = await openTestApp();
    const batch = [
      { type: "track", userId: "u1", event: "First" },
      { type: "track", userId: "u1", messageId: "bad" },
      { type: "track", userId: "u1", event: "Last" },
    ];
    const { status, headers, body } = await test.send(`${path}/`, { batch });
    strictEqual(status, 200);
    strictEqual(headers.get("access-control-allow-origin"), "*");
    const { message, ...error } = body.errors[0];
    match(message, /^event must be/);
    deepStrictEqual({ ...body, errors: [error] }, {
      success: true,
      received: 3,
      accepted: 2,
      rejected: 1,
      errors: [{ index: 1, status: 400, code: error.code, path: "event", messageId: "bad" }],
    });
    strictEqual(Object.keys(body)[0], "success");
    strictEqual((await logOf(test)).length, 2);
  });

  Deno.test(`${path} accepts 2,500 events at once, and refuses 2,501`, async () => {
    await using test = await openTestApp();
    const batch = Array.from({ length: 2501 }, () => ({ type: "page", userId: "u1" }));
    const refused = await test.send(path, { batch });
    deepStrictEqual([refused.status, refused.body.code], [400, "too_many_events"]);
    match(refused.body.detail, /at most 2500 .*send smaller batches/);
    strictEqual((await test.send(path, { batch: batch.slice(1) })).body.accepted, 2500);
  });
}

const SHAPES: [
  what: string,
  path: string,
  headers: Record<string, string>,
  body: unknown,
  stored: unknown,
][] = [
  [
    "RudderStack's server client: a form type, originalTimestamp and no timestamp, traits twice",
    "/v1/batch",
    { ...AS_SENDER, "content-type": "application/x-www-form-urlencoded", "content-encoding": "gzip" },
    {
      batch: [{
        userId: "u1",
        traits: { plan: "pro" },
        context: { traits: { plan: "pro" } },
        type: "identify",
        originalTimestamp: "2025-03-15T14:30:00.000Z",
      }],
      timestamp: "2025-03-15T14:31:00.000Z",
    },
    { timestamp: "2025-03-15T14:30:00.000Z", traits: { plan: "pro" } },
  ],
  [
    "Segment's Python client: null for what is absent, an offset with microseconds, no Z",
    "/v1/batch",
    AS_SENDER,
    {
      batch: [{
        anonymousId: null,
        userId: "u1",
        type: "identify",
        traits: { plan: "pro" },
        timestamp: "2025-03-15T16:30:00.712345+02:00",
        integrations: {},
      }],
    },
    { timestamp: "2025-03-15T14:30:00.712Z", anonymousId: undefined, traits: { plan: "pro" } },
  ],
  [
    "a client of Go: nanoseconds",
    "/v1/batch",
    AS_SENDER,
    { batch: [{ userId: "u1", type: "page", timestamp: "2025-03-15T14:30:00.712123456Z" }] },
    { timestamp: "2025-03-15T14:30:00.712Z" },
  ],
  [
    "a mobile client: traits in context only, the key in the body, text/plain",
    "/v1/b",
    PLAIN,
    {
      batch: [{ userId: "u1", anonymousId: "a1", type: "identify", context: { traits: { plan: "pro" } } }],
      sentAt: "2025-03-15T14:30:00Z",
      writeKey: WRITE_KEY,
    },
    { traits: { plan: "pro" } },
  ],
  [
    "Jitsu's client: the key in a header of its own, stars in the body",
    "/api/s/identify",
    { "x-write-key": WRITE_KEY },
    { type: "identify", userId: "u1", traits: { plan: "pro" }, writeKey: "***" },
    { traits: { plan: "pro" }, writeKey: undefined },
  ],
  [
    "a numeric id",
    "/v1/identify",
    AS_SENDER,
    { userId: 42, anonymousId: "", traits: { plan: "pro" } },
    { userId: "42", anonymousId: undefined },
  ],
];

for (const [what, path, headers, body, stored] of SHAPES) {
  Deno.test(`taken as it is on the wire: ${what}`, async () => {
    await using test = await openTestApp();
    const text = JSON.stringify(body);
    const isGzip = "content-encoding" in headers;
    const { status, body: answer } = await test.send(path, isGzip ? gzipSync(text) : text, { headers });
    deepStrictEqual([status, answer.success], [200, true]);
    const id = (stored as { userId?: string }).userId ?? "u1";
    const [event] = await logOf(test, id);
    const seen = Object.fromEntries(Object.keys(stored as object).map((key) => [key, event[key]]));
    deepStrictEqual(seen, stored);
  });
}

Deno.test("context.traits of other events enrich the event, and are no identify", async () => {
  await using test = await openTestApp();
  await test.send("/v1/t", { userId: "u1", event: "x", context: { traits: { plan: "pro" } } });
  const { body } = await test.get("/api/v1/users/u1");
  deepStrictEqual([body.traits, body.context.traits, body.counts.identify], [{}, { plan: "pro" }, 0]);
});

const QUERY = `?writeKey=${WRITE_KEY}`;
const PAGE = { type: "page", userId: "u1" };
const KEYS_IN_QUERY: [what: string, path: string, headers: Record<string, string>, status: number][] = [
  ["a beacon", `/beacon/v1/batch${QUERY}`, PLAIN, 200],
  ["a beacon beside an empty Authorization", `/beacon/v1/batch${QUERY}`, { authorization: "" }, 200],
  ["a beacon with a wrong key", "/beacon/v1/batch?writeKey=wrong", PLAIN, 401],
  ["a beacon with an empty key", "/beacon/v1/batch?writeKey=", PLAIN, 401],
  ["a beacon with two keys", `/beacon/v1/batch${QUERY}&writeKey=wrong`, PLAIN, 400],
  ["a beacon with a wrong header", `/beacon/v1/batch${QUERY}`, { "x-write-key": "wrong" }, 401],
  ["/v1/batch", `/v1/batch${QUERY}`, PLAIN, 401],
  ["/api/v1/events/batch", `/api/v1/events/batch${QUERY}`, PLAIN, 401],
];

for (const [what, path, headers, status] of KEYS_IN_QUERY) {
  Deno.test(`a key in the query of ${what} is ${status}`, async () => {
    await using test = await openTestApp();
    strictEqual((await test.send(path, { batch: [PAGE] }, { headers })).status, status);
  });
}

const settingsOf = (apiHost: string, protocol: string) => ({
  integrations: { "Segment.io": { apiKey: WRITE_KEY, apiHost, protocol } },
  metrics: { sampleRate: 0 },
});

Deno.test("the settings name the requested host, or PUBLIC_URL", async () => {
  await using plain = await openTestApp();
  const answer = await plain.get(SETTINGS, {});
  deepStrictEqual([answer.status, answer.body], [200, settingsOf("localhost/v1", "http")]);
  strictEqual(answer.headers.get("access-control-allow-origin"), "*");
  strictEqual((await plain.get(`http://localhost/${SETTINGS}/`, {})).status, 200);
  const elsewhere = await plain.get(`http://10.0.0.7:8000${SETTINGS}`, {});
  deepStrictEqual(elsewhere.body, settingsOf("10.0.0.7:8000/v1", "http"));

  await using behindProxy = await openTestApp({ publicUrl: "https://events.example.com" });
  deepStrictEqual((await behindProxy.get(SETTINGS, {})).body, settingsOf("events.example.com/v1", "https"));
});

Deno.test("the settings of a key that is unknown, disabled or ill-formed are 404", async () => {
  await using test = await openTestApp();
  const { key } =
    (await test.send("/api/v1/admin/keys", { name: "x", enabled: false }, { headers: AS_ADMIN }))
      .body;
  for (const asked of ["unknown", key, "%ff", "x".repeat(5000)]) {
    const { status, headers } = await test.get(`/v1/projects/${asked}/settings`, {});
    deepStrictEqual([status, headers.get("access-control-allow-origin")], [404, "*"], asked);
  }
});

Deno.test("asking for the settings of unknown keys is limited as other guesses are, and known ones are not", async () => {
  await using test = await openTestApp({ authFailuresPerMinute: 2 });
  const statuses = [];
  for (const key of ["a", "b", "c", WRITE_KEY]) {
    statuses.push((await test.get(`/v1/projects/${key}/settings`, {})).status);
  }
  deepStrictEqual(statuses, [404, 404, 429, 200]);
});

const SOURCE = {
  source: {
    id: "default",
    name: "default",
    writeKey: WRITE_KEY,
    workspaceId: "signalfold",
    enabled: true,
    config: {},
    destinations: [],
  },
};
const SOURCE_CONFIGS: [what: string, path: string, headers: Record<string, string>, status: number][] = [
  ["Basic", "/sourceConfig", AS_SENDER, 200],
  ["a key in the query", `/sourceConfig/${QUERY}`, {}, 200],
  ["both", `/sourceConfig/${QUERY}`, AS_SENDER, 200],
  ["a wrong Basic and a right query", `/sourceConfig/${QUERY}`, { authorization: "Basic eA==" }, 401],
  ["a wrong query", "/sourceConfig?writeKey=wrong", {}, 401],
  ["nothing", "/sourceConfig", {}, 401],
];

for (const [what, path, headers, status] of SOURCE_CONFIGS) {
  Deno.test(`RudderStack's source configuration with ${what} is ${status}`, async () => {
    await using test = await openTestApp();
    const answer = await test.get(path, headers);
    deepStrictEqual([answer.status, answer.headers.get("access-control-allow-origin")], [status, "*"]);
    if (status === 200) deepStrictEqual(answer.body, SOURCE);
  });
}

const PREFLIGHTS: (readonly [path: string, method: string])[] = [
  ...TYPED.map(([path]) => [path, "POST"] as const),
  ...BATCHES.map((path) => [path, "POST"] as const),
  [SETTINGS, "GET"],
  ["/sourceConfig/", "GET"],
];

for (const [path, method] of PREFLIGHTS) {
  Deno.test(`a preflight of ${method} ${path} is allowed with its requested headers`, async () => {
    await using test = await openTestApp();
    const { status, headers } = await test.send(path, undefined, {
      method: "OPTIONS",
      headers: {
        "origin": "https://shop.example.com",
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type,x-retry-count",
      },
    });
    strictEqual(status, 204);
    strictEqual(headers.get("access-control-allow-origin"), "*");
    strictEqual(headers.get("access-control-allow-methods"), method);
    strictEqual(headers.get("access-control-allow-headers"), "authorization,content-type,x-retry-count");
    strictEqual(headers.get("access-control-max-age"), "7200");
  });
}

Deno.test("a page of another origin may read why a route of Segment's clients refused it", async () => {
  await using test = await openTestApp();
  for (const path of ["/v1/t", "/v1/b", "/api/s/track", "/beacon/v1/batch", "/sourceConfig"]) {
    const method = path === "/sourceConfig" ? "GET" : "POST";
    const { status, headers } = await test.send(path, undefined, { method, headers: {} });
    strictEqual(status, 401, path);
    strictEqual(headers.get("access-control-allow-origin"), "*");
    strictEqual(headers.get("access-control-expose-headers"), "Retry-After");
  }
});
