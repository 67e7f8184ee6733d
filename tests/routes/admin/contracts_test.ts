/** Event contracts over HTTP: what senders are told, and what administrators do with them. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { stillClock } from "../../actors/clocks.ts";
import { MAX_CONTRACTS, NO_CONTRACT } from "../../../actors/governance/contracts.ts";
import { SEGMENT_BATCH_PATHS, TYPED_PATHS } from "../../../routes/http/paths.ts";
import { writeKeyKey } from "../../../actors/store/keys.ts";
import { openStore, type Store } from "../../../actors/store/store.ts";
import { eventually } from "../../process/server.ts";
import { type Answer, AS_ADMIN, AS_SENDER, openTestApp, openTestSystem, type TestApp } from "../test_app.ts";

const ORDER = {
  type: "track",
  event: "Order Completed",
  schema: {
    required: ["properties"],
    properties: { properties: { required: ["total"], properties: { total: { type: "number" } } } },
  },
  mode: "enforce",
};

const order = (properties: object, more: object = {}) => ({
  type: "track",
  event: "Order Completed",
  userId: "u",
  properties,
  ...more,
});

const path = (name: string, rest = "") => `/api/v1/admin/contracts/${name}${rest}`;
const ask = (test: TestApp, method: string, to: string, body?: unknown): Promise<Answer> =>
  test.send(to, body, { method, headers: AS_ADMIN });
const put = async (test: TestApp, name: string, draft: unknown) => {
  const answer = await ask(test, "PUT", path(name), draft);
  strictEqual(answer.status, 200, JSON.stringify(answer.body));
  return answer.body;
};

const MESSAGE = 'properties.total must be number; got "99" (contract order: type).';

Deno.test("an event that breaks an enforced contract is 422, with the path and the rule", async () => {
  await using test = await openTestApp();
  await put(test, "order", ORDER);
  const { status, headers, body } = await test.send("/api/v1/events", order({ total: "99" }));
  const { requestId, ...rest } = body;
  ok(requestId);
  deepStrictEqual([status, headers.get("content-type"), rest], [422, "application/problem+json", {
    type: "about:blank",
    title: "Unprocessable Content",
    status: 422,
    detail: MESSAGE,
    success: false,
    code: "contract_violation",
    errors: [{ path: "properties.total", message: MESSAGE }],
  }]);
  strictEqual(headers.get("access-control-allow-origin"), "*");
  strictEqual((await test.send("/api/v1/events", order({ total: 99 }))).status, 200);
  strictEqual((await test.system.stats()).head, 1);
});

Deno.test("in a batch it is an error at its index, and the others are accepted", async () => {
  await using test = await openTestApp();
  await put(test, "order", ORDER);
  for (const to of ["/api/v1/events/batch", ...SEGMENT_BATCH_PATHS, "/beacon/v1/batch"]) {
    const { status, body } = await test.send(to, {
      batch: [order({ total: 1 }), order({ total: "99" }, { messageId: "m1" }), order({ total: "99" })],
    });
    strictEqual(status, 200, to);
    deepStrictEqual([body.received, body.accepted, body.rejected], [3, 1, 2], to);
    const error = {
      status: 422,
      code: "contract_violation",
      message: MESSAGE,
      path: "properties.total",
    };
    deepStrictEqual(body.errors, [{ index: 1, ...error, messageId: "m1" }, { index: 2, ...error }], to);
  }
});

Deno.test("the routes of Segment's clients obey contracts, with the type that they imply", async () => {
  await using test = await openTestApp();
  for (const [, type] of TYPED_PATHS) {
    await put(test, type, { type, schema: { required: ["ok"] }, mode: "enforce" });
  }
  for (const [to, type] of TYPED_PATHS) {
    const event = { userId: "u", event: "e", groupId: "g", previousId: "p" };
    const { status, body } = await test.send(to, event);
    deepStrictEqual([status, body.errors?.[0]?.path], [422, "ok"], to);
    match(body.detail, RegExp(`contract ${type}: required`));
    strictEqual((await test.send(to, { ...event, ok: 1 })).status, 200, to);
  }
});

Deno.test("a rejected event leaves its messageId free", async () => {
  await using test = await openTestApp();
  await put(test, "order", ORDER);
  strictEqual((await test.send("/api/v1/events", order({}, { messageId: "m" }))).status, 422);
  const { status, body } = await test.send("/api/v1/events", order({ total: 1 }, { messageId: "m" }));
  deepStrictEqual([status, body], [200, { success: true, messageId: "m", duplicate: false }]);
});

Deno.test("a monitored contract lets pass, and counts", async () => {
  await using test = await openTestApp();
  await put(test, "order", { ...ORDER, mode: "monitor" });
  strictEqual((await test.send("/api/v1/events", order({}))).status, 200);
  strictEqual((await test.send("/api/v1/events", order({ total: 1 }))).status, 200);
  deepStrictEqual(test.system.contracts.violations(), [{ contract: "order", mode: "monitor", count: 1 }]);
  await put(test, "order", ORDER);
  await test.send("/api/v1/events", order({}));
  await test.send("/api/v1/events", order({}));
  deepStrictEqual(test.system.contracts.violations(), [
    { contract: "order", mode: "monitor", count: 1 },
    { contract: "order", mode: "enforce", count: 2 },
  ]);
});

/** A contract that takes long, and an event that takes it. */
const COSTLY = {
  type: "track",
  schema: {
    properties: {
      properties: {
        properties: {
          list: { allOf: Array.from({ length: 11 }, () => ({ items: { not: { type: "string" } } })) },
        },
      },
    },
  },
  mode: "enforce",
};
const LONG = {
  type: "track",
  event: "A",
  userId: "u",
  properties: { list: Array.from({ length: 1_000 }, () => 1) },
};
const LONG_BATCH = Array.from({ length: 240 }, () => LONG);

Deno.test("an event that is accepted alone is accepted in any batch, however long the others take", async () => {
  await using test = await openTestApp();
  await put(test, "costly", COSTLY);
  strictEqual((await test.send("/api/v1/events", LONG)).status, 200);
  for (const to of ["/api/v1/events/batch", "/v1/batch"]) {
    const { body } = await test.send(to, { batch: LONG_BATCH });
    deepStrictEqual([body.accepted, body.errors], [LONG_BATCH.length, []], to);
  }
  const tried = await ask(test, "POST", path("draft", "/check?last=500"), COSTLY);
  // On a slow machine it ends after 10 s, and says so.
  const { checked, failed, complete } = tried.body;
  strictEqual(failed, 0);
  ok(
    complete ? checked === 2 * LONG_BATCH.length + 1 : checked > 0,
    `${checked} checked, complete: ${complete}`,
  );
});

/** A clock of which each look takes a while, however fast the machine is. */
function movingClock(): { nowMs: number } {
  let ms = Date.now();
  return {
    get nowMs() {
      return ms += 3;
    },
    set nowMs(to) {
      ms = to;
    },
  };
}

Deno.test("other requests have their turn while a batch is checked by costly contracts", async () => {
  await using test = await openTestApp({ clock: movingClock() });
  await put(test, "costly", COSTLY);
  let isDone = false;
  const sending = test.send("/api/v1/events/batch", { batch: LONG_BATCH }).finally(() => isDone = true);
  let answered = 0;
  while (!isDone) {
    strictEqual((await test.send("/api/v1/events", { type: "page", userId: "u" })).status, 200);
    answered++;
  }
  strictEqual((await sending).body.accepted, LONG_BATCH.length);
  ok(answered > 2, `${answered} requests between`);
});

Deno.test("a batch that contracts take longer than 10 s for is 503, of which nothing is accepted, and which its key's limit counts", async () => {
  await using test = await openTestApp({ clock: movingClock() });
  await put(test, "costly", COSTLY);
  await put(test, "pages", { type: "page", schema: false, mode: "monitor" });
  const batch = [{ type: "page", userId: "u" }, ...LONG_BATCH];
  const made = { name: "limited", rateLimit: { perSecond: 1_000, burst: batch.length } };
  const { body: { key } } = await ask(test, "POST", "/api/v1/admin/keys", made);
  const sending = test.send("/api/v1/events/batch", { batch }, {
    headers: { authorization: `Bearer ${key}` },
  });
  await eventually("its first event is checked", () => test.system.contracts.violations().length > 0, {
    everyMs: 0,
  });
  test.clock.nowMs += 10_001;
  const { status, headers, body } = await sending;
  deepStrictEqual([status, headers.get("retry-after"), body.code], [503, "1", "overloaded"]);
  match(body.detail, /timed out. Send smaller batches/);
  match(headers.get("ratelimit")!, /;r=0;/);
  strictEqual((await test.system.stats()).head, 0);
  strictEqual((await test.send("/api/v1/events", LONG)).status, 200);
});

Deno.test("only the first 4 MiB of a batch that its own context makes too large are checked by contracts", async () => {
  await using test = await openTestApp();
  await put(test, "all", { type: "track", schema: false, mode: "monitor" });
  const context = { note: "x".repeat(30_000) };
  const batch = Array.from({ length: 500 }, () => ({ type: "track", event: "A", userId: "u" }));
  const { status, body } = await test.send("/api/v1/events/batch", { batch, context });
  deepStrictEqual([status, body.code], [413, "batch_too_large"]);
  const count = test.system.contracts.violations()[0]!.count;
  ok(count > 100 && count < 150, `${count} events`);
});

Deno.test("violations are in the figures of administrators", async () => {
  await using test = await openTestApp({ unknownEvents: "monitor" });
  await put(test, "order", ORDER);
  await test.send("/api/v1/events", order({}));
  await test.send("/api/v1/events/batch", { batch: [order({}), { type: "page", userId: "u" }] });
  const { body } = await test.get("/api/v1/admin/stats", AS_ADMIN);
  const violations = body.counts.violations.map((
    { contract, mode, count }: Record<string, unknown>,
  ) => [contract, mode, count]);
  deepStrictEqual(violations.sort(), [[NO_CONTRACT, "monitor", 1], ["order", "enforce", 2]]);
});

Deno.test("the trace of an event names its contracts", async () => {
  await using test = await openTestApp();
  await put(test, "order", ORDER);
  await put(test, "all", { type: "track", schema: true, mode: "monitor" });
  await test.send("/api/v1/events/batch", {
    batch: [order({ total: 1 }, { messageId: "m" }), { type: "page", userId: "u", messageId: "p" }],
  });
  const contractOf = async (id: string) =>
    (await test.get(`/api/v1/admin/events/${id}`, AS_ADMIN)).body.contract;
  deepStrictEqual([await contractOf("m"), await contractOf("p")], [["all", "order"], null]);
});

Deno.test("a contract of one write key leaves the others alone", async () => {
  await using test = await openTestApp();
  const { key, writeKey } = await test.system.writeKeys.create({ name: "web" });
  await put(test, "order", { ...ORDER, writeKeyIds: [writeKey.id] });
  const send = (headers: HeadersInit) => test.send("/api/v1/events", order({}), { headers });
  strictEqual((await send({ authorization: `Bearer ${key}` })).status, 422);
  strictEqual((await send(AS_SENDER)).status, 200);
  const event = (await test.get("/api/v1/users/u/events")).body.events[0];
  deepStrictEqual(test.system.contracts.verdicts(event, writeKey.id).map(({ name }) => name), ["order"]);
  deepStrictEqual(test.system.contracts.verdicts(event, "default"), []);
});

Deno.test("the setting for events without a contract: allow, monitor, reject", async () => {
  for (const [unknownEvents, status] of [["allow", 200], ["monitor", 200], ["reject", 422]] as const) {
    await using test = await openTestApp({ unknownEvents });
    await put(test, "order", ORDER);
    const answer = await test.send("/api/v1/events", { type: "page", userId: "u" });
    deepStrictEqual([answer.status, answer.body.code], [status, status === 422 ? "no_contract" : undefined]);
    strictEqual((await test.send("/api/v1/events", order({ total: 1 }))).status, 200);
    const counted = unknownEvents === "allow"
      ? []
      : [{ contract: NO_CONTRACT, mode: unknownEvents === "reject" ? "enforce" : "monitor", count: 1 }];
    deepStrictEqual(test.system.contracts.violations(), counted);
  }
});

Deno.test("contracts are put, shown, listed and deleted", async () => {
  await using test = await openTestApp();
  const { writeKey: { id } } = await test.system.writeKeys.create({ name: "web" });
  const { updatedAt, ...shown } = await put(test, "order", { ...ORDER, writeKeyIds: [id] });
  ok(Date.parse(updatedAt) > 0);
  deepStrictEqual(shown, { name: "order", ...ORDER, writeKeyIds: [id], version: 1 });
  await put(test, "a", { type: "page", schema: true, mode: "monitor" });
  const { body } = await ask(test, "GET", "/api/v1/admin/contracts");
  deepStrictEqual(body.contracts.map(({ name }: { name: string }) => name), ["a", "order"]);
  deepStrictEqual((await ask(test, "GET", path("order"))).body, { ...shown, updatedAt });
  strictEqual((await ask(test, "DELETE", path("order"))).status, 204);
  for (const method of ["GET", "DELETE"]) strictEqual((await ask(test, method, path("order"))).status, 404);
  strictEqual((await test.send("/api/v1/events", order({}))).status, 200, "it is no longer enforced");
});

Deno.test("every change is a version, with author and time, that can be restored", async () => {
  await using test = await openTestApp();
  await put(test, "order", ORDER);
  await put(test, "order", ORDER);
  await put(test, "order", { ...ORDER, mode: "monitor" });
  await ask(test, "DELETE", path("order"));
  const list = async (query = "") =>
    (await ask(test, "GET", path("order", `/versions${query}`))).body.versions;
  const brief = async () =>
    (await list()).map((
      { version, contract, restored }: Record<string, unknown>,
    ) => [version, (contract as { mode: string } | null)?.mode ?? null, restored ?? null]);
  deepStrictEqual(
    await brief(),
    [[3, null, null], [2, "monitor", null], [1, "enforce", null]],
    "the same again is no change",
  );
  const [newest] = await list();
  deepStrictEqual([newest.by, newest.address], ["admin", "192.0.2.1"]);
  ok(Math.abs(Date.parse(newest.at) - Date.now()) < 60_000);

  const restored = await ask(test, "POST", path("order", "/versions/1/restore"));
  deepStrictEqual([restored.status, restored.body.version, restored.body.mode], [200, 4, "enforce"]);
  strictEqual((await test.send("/api/v1/events", order({}))).status, 422);
  deepStrictEqual((await brief())[0], [4, "enforce", 1]);
  deepStrictEqual((await list("?limit=2&before=4")).map(({ version }: { version: number }) => version), [
    3,
    2,
  ]);
  for (const n of ["3", "9", "0", "x", "1e3", "-1"]) {
    strictEqual((await ask(test, "POST", path("order", `/versions/${n}/restore`))).status, 404, n);
  }
  strictEqual((await ask(test, "GET", path("never", "/versions"))).status, 404);
  for (const query of ["?limit=0", "?limit=51", "?before=x"]) {
    strictEqual((await ask(test, "GET", path("order", `/versions${query}`))).status, 400, query);
  }
});

const BAD: [what: string, draft: unknown, at: string, code?: string][] = [
  ["no draft", [], ""],
  ["no type", { schema: true, mode: "enforce" }, "type"],
  ["an unknown type", { ...ORDER, type: "order" }, "type"],
  ["no schema", { type: "track", mode: "enforce" }, "schema"],
  ["no mode", { type: "track", schema: true }, "mode"],
  ["an unknown mode", { ...ORDER, mode: "warn" }, "mode"],
  ["an empty event", { ...ORDER, event: "" }, "event"],
  ["a long event", { ...ORDER, event: "x".repeat(501) }, "event"],
  ["an event of a page", { ...ORDER, type: "page" }, "event"],
  ["no write keys", { ...ORDER, writeKeyIds: [] }, "writeKeyIds"],
  ["many write keys", { ...ORDER, writeKeyIds: Array.from({ length: 51 }, () => "k") }, "writeKeyIds"],
  ["a long id of a write key", { ...ORDER, writeKeyIds: ["k", "x".repeat(201)] }, "writeKeyIds.1"],
  ["a member that is not known", { ...ORDER, writeKeyId: "x" }, "writeKeyId"],
  ["a schema that is none", { ...ORDER, schema: 5 }, "schema", "invalid_schema"],
  ["a wrong keyword", { ...ORDER, schema: { type: "strin" } }, "schema.type", "invalid_schema"],
  [
    "a remote reference",
    { ...ORDER, schema: { $ref: "https://example.com" } },
    "schema.$ref",
    "invalid_schema",
  ],
  [
    "recursion",
    { ...ORDER, schema: { properties: { children: { items: { $ref: "#" } } } } },
    "schema.properties.children.items.$ref",
    "invalid_schema",
  ],
  [
    "unevaluated properties",
    { ...ORDER, schema: { unevaluatedProperties: false } },
    "schema.unevaluatedProperties",
    "invalid_schema",
  ],
  [
    "a schema that takes too long",
    { ...ORDER, schema: { items: { anyOf: Array.from({ length: 99 }, () => ({ type: "string" })) } } },
    "schema.items.anyOf",
    "invalid_schema",
  ],
  ["an evil pattern", { ...ORDER, schema: { pattern: "(?!a)" } }, "schema.pattern", "invalid_schema"],
];

for (const [what, draft, at, code = "invalid_body"] of BAD) {
  Deno.test(`a draft with ${what} is 400 with the path, and changes nothing`, async () => {
    await using test = await openTestApp();
    for (const [method, rest] of [["PUT", ""], ["POST", "/check"]]) {
      const { status, body } = await ask(test, method!, path("order", rest), draft);
      if (what === "no draft") strictEqual(status, 400);
      else deepStrictEqual([status, body.code, body.errors[0].path], [400, code, at], JSON.stringify(body));
    }
    deepStrictEqual(await test.system.contracts.list(), []);
  });
}

Deno.test("a contract of a write key that is not there is 400 that names it; default and admin are always there", async () => {
  await using test = await openTestApp({ withoutWriteKey: true });
  const { writeKey } = await test.system.writeKeys.create({ name: "web", enabled: false });
  const writeKeyIds = ["default", writeKey.id, "admin"];
  for (const [method, rest] of [["PUT", ""], ["POST", "/check"]]) {
    const draft = { ...ORDER, writeKeyIds: [...writeKeyIds, "webb"] };
    const { status, body } = await ask(test, method!, path("order", rest), draft);
    deepStrictEqual([status, body.code], [400, "unknown_write_key"]);
    deepStrictEqual(body.errors, [{
      path: "writeKeyIds.3",
      message: 'must be the id or the name of a write key; got "webb"',
    }]);
    strictEqual((await ask(test, method!, path("order", rest), { ...ORDER, writeKeyIds })).status, 200);
  }
  await test.system.writeKeys.remove(writeKey.id);
  strictEqual((await ask(test, "PUT", path("order"), { ...ORDER, writeKeyIds })).status, 400);
  strictEqual((await ask(test, "POST", path("order", "/versions/1/restore"))).status, 200, "as it was then");
});

Deno.test("a name is decoded once, and has its bounds", async () => {
  await using test = await openTestApp();
  const name = "Order/Completed é";
  await put(test, encodeURIComponent(name), ORDER);
  strictEqual((await test.system.contracts.list())[0]!.name, name);
  await put(test, "x".repeat(100), ORDER);
  for (const bad of ["x".repeat(101), "%ff", "%ed%a0%80", NO_CONTRACT]) {
    strictEqual((await ask(test, "PUT", path(bad), ORDER)).status, 400, bad);
  }
});

Deno.test("a contract at all of its bounds can be stored", async () => {
  const wide = "\u0001";
  const store = await openStore(":memory:");
  const id = wide.repeat(50);
  const key = { id, name: "x", enabled: true, createdAt: "2025-03-15T00:00:00.000Z", digest: "x" };
  await store.commit({ checks: [], sets: [[writeKeyKey(id), key]] });
  await using test = await openTestApp({ system: await openTestSystem(store) });
  const draft = {
    type: "track",
    event: wide.repeat(500),
    schema: { const: "x".repeat(32 * 1024 - 12) },
    mode: "monitor",
    writeKeyIds: Array.from({ length: 50 }, () => id),
  };
  const { version } = await put(test, encodeURIComponent(wide.repeat(100)), draft);
  strictEqual(version, 1);
  strictEqual((await test.system.contracts.list()).length, 1);
});

Deno.test("the number of contracts is limited", async () => {
  await using test = await openTestApp();
  const author = { by: "admin", address: "" };
  const many = Array.from({ length: MAX_CONTRACTS }, (_, n) => ({
    name: `c${n}`,
    type: "alias" as const,
    schema: true,
    mode: "monitor" as const,
  }));
  await test.system.contracts.put(many, author);
  const { status, body } = await ask(test, "PUT", path("more"), ORDER);
  deepStrictEqual([status, body.code], [400, "too_many_contracts"]);
  strictEqual((await ask(test, "PUT", path("c0"), ORDER)).status, 200, "one that is there can be changed");
});

Deno.test("one call puts the eight common contracts, and another changes their mode", async () => {
  await using test = await openTestApp();
  const { status, body } = await ask(test, "POST", "/api/v1/admin/common-contracts", { mode: "enforce" });
  strictEqual(status, 200);
  strictEqual(body.contracts.length, 8);
  strictEqual(
    (await test.send("/api/v1/events", order({ total: 1 }))).body.errors[0].path,
    "properties.order_id",
  );
  const again = await ask(test, "POST", "/api/v1/admin/common-contracts", { mode: "enforce" });
  deepStrictEqual(again.body, body, "the same again changes nothing");
  await ask(test, "POST", "/api/v1/admin/common-contracts", { mode: "monitor" });
  strictEqual((await test.send("/api/v1/events", order({ total: 1 }))).status, 200);
  for (const bad of [{}, { mode: "x" }, { mode: "enforce", more: 1 }]) {
    strictEqual((await ask(test, "POST", "/api/v1/admin/common-contracts", bad)).status, 400);
  }
});

Deno.test("a draft is tried on the last events before it is enforced", async () => {
  await using test = await openTestApp();
  const { key, writeKey } = await test.system.writeKeys.create({ name: "web" });
  await test.send("/api/v1/events", order({}, { messageId: "oldest" }));
  for (let n = 0; n < 4; n++) {
    await test.send("/api/v1/events/batch", {
      batch: Array.from(
        { length: 30 },
        (_, i) => order(i % 3 === 0 ? {} : { total: i }, { messageId: `m${n}_${i}` }),
      ),
    });
  }
  await test.send("/api/v1/events", { type: "page", userId: "u" });
  await test.send("/api/v1/events", order({ total: "1" }, { messageId: "web" }), {
    headers: { authorization: `Bearer ${key}` },
  });
  const check = async (draft: unknown, query = "") => {
    const { status, body } = await ask(test, "POST", path("draft", `/check${query}`), draft);
    strictEqual(status, 200, JSON.stringify(body));
    return body;
  };
  const whole = await check(ORDER);
  deepStrictEqual([whole.checked, whole.failed, whole.examples.length], [122, 42, 20]);
  deepStrictEqual(whole.examples[0], {
    messageId: "web",
    path: "properties.total",
    message: 'properties.total must be number; got "1" (contract draft: type).',
  });
  deepStrictEqual((await check(ORDER, "?last=1")).checked, 1, "the newest");
  deepStrictEqual(
    (await check(ORDER, "?last=2")).checked,
    1,
    "the page before it counts, and is not checked",
  );
  deepStrictEqual((await check(ORDER, "?last=20")).checked, 19, "within a batch too");
  deepStrictEqual((await check(ORDER, "?last=122")).checked, 121, "without the oldest");
  deepStrictEqual(await check({ ...ORDER, writeKeyIds: [writeKey.id], schema: true }), {
    checked: 1,
    failed: 0,
    complete: true,
    examples: [],
  });
  deepStrictEqual((await check({ type: "page", schema: false, mode: "monitor" })).failed, 1);
  deepStrictEqual(await test.system.contracts.list(), [], "nothing is stored by it");
  deepStrictEqual(test.system.contracts.violations(), []);
  for (const query of ["?last=0", "?last=x", "?last=100001", "?last=1000000"]) {
    strictEqual((await ask(test, "POST", path("draft", `/check${query}`), ORDER)).status, 400, query);
  }
});

Deno.test("a draft on an empty journal finds nothing", async () => {
  await using test = await openTestApp();
  const { body } = await ask(test, "POST", path("draft", "/check"), ORDER);
  deepStrictEqual(body, { checked: 0, failed: 0, complete: true, examples: [] });
});

Deno.test("a slow draft lets other requests through while it is tried", async () => {
  await using test = await openTestApp();
  const event = {
    type: "track",
    event: "A",
    userId: "u",
    properties: { list: Array.from({ length: 1_000 }, () => 1) },
  };
  for (let n = 0; n < 8; n++) {
    await test.send("/api/v1/events/batch", { batch: Array.from({ length: 60 }, () => event) });
  }
  const slow = { items: { not: { type: "string" } } };
  const schema = {
    properties: { properties: { properties: { list: { allOf: Array.from({ length: 50 }, () => slow) } } } },
  };
  let isDone = false;
  const trying = ask(test, "POST", path("draft", "/check"), { type: "track", schema, mode: "monitor" })
    .finally(() => isDone = true);
  let answered = 0;
  while (!isDone) {
    strictEqual((await test.send("/api/v1/events", { type: "page", userId: "u" })).status, 200);
    answered++;
  }
  const { checked, complete } = (await trying).body;
  // On a machine that needs more than 10 s for it the answer is partial.
  ok(complete ? checked === 480 : checked > 0, JSON.stringify({ checked, complete }));
  ok(answered > 3, `${answered} requests between`);
});

Deno.test("checking a draft for longer than 10 s gives a partial answer that says so", async () => {
  const { clock, add } = stillClock();
  const store = await openStore(":memory:");
  /** Each chunk of the journal takes 6 s to be read. */
  const slow: Store = {
    ...store,
    async *list<T>(...args: Parameters<Store["list"]>) {
      for await (const entry of store.list<T>(...args)) {
        yield entry;
        if (entry.key[0] === "journal") add(6_000);
      }
    },
  };
  await using test = await openTestApp({ system: await openTestSystem(slow, { clock }) });
  for (let n = 0; n < 3; n++) {
    await test.send("/api/v1/events/batch", { batch: Array.from({ length: 10 }, () => order({})) });
  }
  // Settling reads the journal too.
  await test.system.tick!();
  const { body } = await ask(test, "POST", path("draft", "/check"), ORDER);
  deepStrictEqual([body.checked, body.failed, body.complete], [21, 21, false]);
  const less = await ask(test, "POST", path("draft", "/check?last=20"), ORDER);
  deepStrictEqual([less.body.checked, less.body.complete], [20, true]);
});

/** A contract as 0.3 stored it: under its name and as a version, with the mark that says so. */
async function storeAs03(store: Store, name: string, draft: object): Promise<void> {
  const version = {
    version: 1,
    at: "2026-11-24T18:00:00.000Z",
    by: "admin",
    address: "192.0.2.1",
    contract: new TextEncoder().encode(JSON.stringify({ name, ...draft })),
  };
  const mark = await store.get(["contractsChanged"]);
  const sets: [readonly (string | number)[], unknown][] = [
    [["contractsChanged"], crypto.randomUUID()],
    [["contract", name], version],
    [["contractVersion", name, 1], version],
  ];
  ok(await store.commit({ checks: [{ key: mark.key, stamp: mark.stamp }], sets, deletes: [] }) !== null);
}

const NOT_SUPPORTED: [what: string, schema: object, place: string][] = [
  [
    "recursion",
    { properties: { properties: { properties: { next: { $ref: "#" } } } } },
    "properties.properties.properties.next.$ref",
  ],
  ["unevaluatedProperties", { ...ORDER.schema, unevaluatedProperties: false }, "unevaluatedProperties"],
  ["unevaluatedItems", { properties: { a: { unevaluatedItems: false } } }, "properties.a.unevaluatedItems"],
  ["$dynamicRef", { $dynamicRef: "#n", $defs: { a: { $dynamicAnchor: "n" } } }, "$dynamicRef"],
];

for (const [what, schema, place] of NOT_SUPPORTED) {
  Deno.test(`a contract that 0.3 stored with ${what} becomes a monitor, with a notice, until it is saved`, async () => {
    const store = await openStore(":memory:");
    await storeAs03(store, "order", { ...ORDER, schema });
    await storeAs03(store, "other", { ...ORDER, schema: { required: ["anonymousId"] } });
    await using test = await openTestApp({ system: await openTestSystem(store), unknownEvents: "reject" });
    const { body: { contracts } } = await ask(test, "GET", "/api/v1/admin/contracts");
    const [shown, other] = contracts;
    deepStrictEqual([shown.schema, shown.mode, shown.version], [schema, "monitor", 1]);
    match(shown.notice, /^This contract checks no events: schema\..*Save it with another schema\.$/);
    ok(shown.notice.includes(`schema.${place} `), shown.notice);
    deepStrictEqual([other.mode, other.notice], ["enforce", undefined]);
    deepStrictEqual((await ask(test, "GET", path("order"))).body, shown);

    strictEqual(
      (await test.send("/api/v1/events", order({}))).body.errors[0].path,
      "anonymousId",
      "by the other",
    );
    strictEqual((await ask(test, "DELETE", path("other"))).status, 204);
    strictEqual((await test.send("/api/v1/events", order({}))).status, 200, "by this one");
    deepStrictEqual(test.system.contracts.violations().map(({ contract }) => contract), ["other"]);

    const again = await ask(test, "PUT", path("order"), { ...ORDER, schema });
    deepStrictEqual([again.status, again.body.code, again.body.errors[0].path], [
      400,
      "invalid_schema",
      `schema.${place}`,
    ]);
    const restored = await ask(test, "POST", path("order", "/versions/1/restore"));
    deepStrictEqual([restored.status, restored.body.code], [400, "invalid_schema"]);
    const { body: { versions } } = await ask(test, "GET", path("order", "/versions"));
    deepStrictEqual(versions[0].contract, { name: "order", ...ORDER, schema }, "as it was stored");

    const saved = await put(test, "order", ORDER);
    deepStrictEqual([saved.mode, saved.version, saved.notice], ["enforce", 2, undefined]);
    strictEqual((await test.send("/api/v1/events", order({}))).status, 422);
  });
}

Deno.test("the mode of a contract can be changed alone", async () => {
  await using test = await openTestApp();
  const saved = await put(test, "order", { ...ORDER, mode: "monitor" });
  const patched = await ask(test, "PATCH", path("order"), { mode: "enforce" });
  deepStrictEqual([patched.status, patched.body.mode, patched.body.version], [
    200,
    "enforce",
    saved.version + 1,
  ]);
  deepStrictEqual(patched.body.schema, saved.schema);
  strictEqual((await ask(test, "PATCH", path("order"), { mode: "loud" })).status, 400);
  strictEqual((await ask(test, "PATCH", path("order"), { schema: true })).status, 400);
  strictEqual((await ask(test, "PATCH", path("nothing"), { mode: "enforce" })).status, 404);
});

Deno.test("a contract may name a write key by its name, unless several have it; its id is stored", async () => {
  await using test = await openTestApp();
  const { writeKey: { id } } = await test.system.writeKeys.create({ name: "web" });
  const { writeKeyIds } = await put(test, "order", { ...ORDER, writeKeyIds: ["web", id, "default"] });
  deepStrictEqual(writeKeyIds, [id, "default"]);
  await test.system.writeKeys.create({ name: "web" });
  const { status, body } = await ask(test, "PUT", path("order"), {
    ...ORDER,
    writeKeyIds: ["default", "web"],
  });
  deepStrictEqual([status, body.errors], [400, [{
    path: "writeKeyIds.1",
    message: 'must be an id: 2 write keys have this name; got "web"',
  }]]);
});

Deno.test("a monitored contract shows its last 100 violations, newest first, and none of an erased person", async () => {
  await using test = await openTestApp();
  await put(test, "order", { ...ORDER, mode: "monitor" });
  strictEqual((await ask(test, "GET", path("nothing", "/violations"))).status, 404);
  const batch = Array.from(
    { length: 120 },
    (_, n) => ({ ...order({}), messageId: `wrong-${n}`, userId: "many" }),
  );
  await test.send("/api/v1/events/batch", { batch });
  await test.send("/api/v1/events", { ...order({}), messageId: "last", userId: "one" });
  await test.send("/api/v1/events", { type: "page", userId: "one" });
  const read = async () => (await ask(test, "GET", path("order", "/violations"))).body;
  const { violations, checked, complete } = await read();
  deepStrictEqual([violations.length, checked, complete], [100, 100, true]);
  deepStrictEqual(
    violations.slice(0, 2).map(({ messageId }: { messageId: string }) => messageId),
    ["last", "wrong-119"],
  );
  const { receivedAt, path: at, message } = violations[0];
  deepStrictEqual([Date.parse(receivedAt), at], [test.clock.nowMs, "properties.total"]);
  ok(message.includes("contract order"), message);
  strictEqual((await ask(test, "DELETE", "/api/v1/users/many")).status, 200);
  deepStrictEqual(
    (await read()).violations.map(({ messageId }: { messageId: string }) => messageId),
    ["last"],
  );
});
