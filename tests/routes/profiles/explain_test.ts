/** The trace of an event, and of a trait, as administrators and readers are told them. */
import { placed } from "../../domain/profile/facts.ts";
import { deepStrictEqual, match, strictEqual } from "node:assert";
import { AS_ADMIN, openTestApp, openTestSystem, type TestApp } from "../test_app.ts";

const traceOf = (test: TestApp, messageId: string, query = "") =>
  test.get(`/api/v1/admin/events/${encodeURIComponent(messageId)}${query}`, AS_ADMIN);

const whyOf = (test: TestApp, userId: string, name: string) =>
  test.get(`/api/v1/users/${encodeURIComponent(userId)}/traits/${encodeURIComponent(name)}/why`);

const identify = (messageId: string, traits: object, timestamp = "2025-03-15T14:30:00Z") => ({
  type: "identify",
  userId: "jane",
  messageId,
  traits,
  timestamp,
});

Deno.test("the trace of an event has all its facts", async () => {
  await using test = await openTestApp();
  const { writeKey, key } = await test.system.writeKeys.create({ name: "shop" });
  await test.send("/api/v1/events", identify("m1", { plan: "free", name: "Jane" }));
  await test.send("/api/v1/events", identify("m2", { plan: "pro", name: "Jane", __proto__: 1 }), {
    headers: { authorization: `Basic ${btoa(`${key}:`)}` },
  });
  const { status, body } = await traceOf(test, "m2");
  strictEqual(status, 200);
  const { event, commit, committedAt, position, ...rest } = body;
  match(position, /^[0-9a-f]{24}$/);
  deepStrictEqual(rest, {
    writeKeyId: writeKey.id,
    settled: false,
    logs: ["user/jane"],
    contract: null,
    contracts: [],
    changed: {
      profile: "user/jane",
      traits: { plan: { from: "free", to: "pro" } },
      eventCount: { from: 1, to: 2 },
      counts: { identify: { from: 1, to: 2 } },
    },
    deliveries: [],
  });
  const log = await test.get("/api/v1/users/jane/events?limit=1");
  deepStrictEqual(event, log.body.events[0]);
  match(commit, /^\S+$/);
  strictEqual(new Date(committedAt).toISOString(), committedAt);
});

Deno.test("the trace of a late event that changed no trait shows no change", async () => {
  await using test = await openTestApp();
  await test.send("/api/v1/events", identify("new", { plan: "pro" }));
  await test.send("/api/v1/events", identify("late", { plan: "free" }, "2024-01-01"));
  const { changed } = (await traceOf(test, "late")).body;
  deepStrictEqual(changed.traits, {});
  deepStrictEqual(changed.firstSeen, { from: "2025-03-15T14:30:00.000Z", to: "2024-01-01T00:00:00.000Z" });
});

/** Message ids that a path can't hold as they are. */
const HOSTILE_IDS = ["a/b", "a?b#c", "%41", "ä😀", "__proto__", "a b", "x".repeat(255)];

Deno.test("an event is found by any message id that one can have", async () => {
  await using test = await openTestApp();
  for (const messageId of HOSTILE_IDS) await test.send("/api/v1/events", identify(messageId, { a: 1 }));
  for (const messageId of HOSTILE_IDS) {
    strictEqual((await traceOf(test, messageId)).body.event.messageId, messageId);
  }
});

const REFUSED: [what: string, path: string, status: number, code: string][] = [
  ["a message id that no event has", "/api/v1/admin/events/other", 404, "not_found"],
  ["one that none can have", `/api/v1/admin/events/${"x".repeat(2_000)}`, 404, "not_found"],
  ["one that is ill-formed", "/api/v1/admin/events/%ff", 400, "invalid_id"],
  ["a moment that is none", "/api/v1/admin/events/m1?before=yesterday", 400, "invalid_query"],
  ["a position with a sign", "/api/v1/admin/events/m1?before=-1", 400, "invalid_query"],
  ["an empty position", "/api/v1/admin/events/m1?before=", 400, "invalid_query"],
  ["a moment before the event", "/api/v1/admin/events/m1?before=2020-01-01", 404, "not_found"],
  ["the event's own position", `/api/v1/admin/events/m1?before=${placed(1)}`, 404, "not_found"],
  ["a user never seen", "/api/v1/users/other/traits/plan/why", 404, "not_found"],
  ["a user of too long an id", `/api/v1/users/${"x".repeat(600)}/traits/plan/why`, 404, "not_found"],
  ["a trait that was never set", "/api/v1/users/jane/traits/other/why", 404, "not_found"],
  ["a trait of what every object has", "/api/v1/users/jane/traits/constructor/why", 404, "not_found"],
  ["a user who is ill-formed", "/api/v1/users/%ff/traits/plan/why", 400, "invalid_id"],
  ["a trait that is ill-formed", "/api/v1/users/jane/traits/%/why", 400, "invalid_id"],
  ["a trait without a name", "/api/v1/users/jane/traits//why", 404, "no_such_path"],
];

for (const [what, path, status, code] of REFUSED) {
  Deno.test(`${what} is ${status}`, async () => {
    await using test = await openTestApp();
    await test.send("/api/v1/events", identify("m1", { plan: "pro" }));
    const answer = await test.get(path, AS_ADMIN);
    deepStrictEqual([answer.status, answer.body.code], [status, code]);
  });
}

Deno.test("a search that reaches its bound says so, and how to continue", async () => {
  const system = await openTestSystem(":memory:", { limits: { searchEntries: 3 } });
  await using test = await openTestApp({ system });
  for (let n = 0; n < 8; n++) await test.send("/api/v1/events", identify(`m${n}`, { n }));
  const first = await traceOf(test, "m0");
  deepStrictEqual([first.status, first.body.code], [503, "search_unfinished"]);
  const next = /^<(\?before=[0-9a-f]{24})>; rel="next"$/.exec(first.headers.get("link")!)![1]!;
  match(first.body.detail, new RegExp(`\\${next}\\b`));
  const second = await traceOf(test, "m0", next);
  strictEqual(second.status, 503);
  const third = await traceOf(test, "m0", /<(.*)>/.exec(second.headers.get("link")!)![1]);
  deepStrictEqual([third.status, third.body.event.messageId], [200, "m0"]);
});

const TRAIT_NAMES = [
  "plan",
  "a.b",
  "a/b",
  "%2F",
  "__proto__",
  "toString",
  "ä😀",
  " ",
  "why",
  "x".repeat(1_000),
];

Deno.test("a trait of any name has its provenance, with the event that set it and the replaced value", async () => {
  await using test = await openTestApp();
  const traits = (value: unknown) =>
    JSON.parse(`{${TRAIT_NAMES.map((name) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)}}`);
  await test.send("/api/v1/events", identify("m1", traits(1), "2025-03-15T10:00:00Z"));
  await test.send("/api/v1/events", identify("m3", traits(3), "2025-03-15T12:00:00Z"));
  await test.send("/api/v1/events", identify("m2", traits(2), "2025-03-15T11:00:00Z"));
  for (const name of TRAIT_NAMES) {
    const { status, body: { receivedAt, ...body } } = await whyOf(test, "jane", name);
    strictEqual(status, 200);
    deepStrictEqual(body, {
      name,
      value: 3,
      timestamp: "2025-03-15T12:00:00.000Z",
      messageId: "m3",
      writeKeyId: "default",
      replaced: [
        { value: 2, timestamp: "2025-03-15T11:00:00.000Z", messageId: "m2" },
        { value: 1, timestamp: "2025-03-15T10:00:00.000Z", messageId: "m1" },
      ],
      moreBefore: null,
    });
    strictEqual(new Date(receivedAt).toISOString(), receivedAt);
  }
});

Deno.test("a removed trait shows the event that removed it, and a visitor's trait that it is now the user's", async () => {
  await using test = await openTestApp();
  const visitor = {
    type: "identify",
    anonymousId: "laptop",
    messageId: "v",
    timestamp: "2025-03-01T09:00:00Z",
  };
  await test.send("/api/v1/events", { ...visitor, traits: { theme: "dark", plan: "free" } });
  await test.send("/api/v1/events", { ...identify("link", { plan: null }), anonymousId: "laptop" });
  const plan = (await whyOf(test, "jane", "plan")).body;
  deepStrictEqual([plan.value, plan.messageId, plan.replaced[0].messageId], [null, "link", "v"]);
  const theme = (await whyOf(test, "jane", "theme")).body;
  deepStrictEqual([theme.value, theme.messageId, theme.replaced], ["dark", "v", []]);
});

Deno.test("traits of groups are no user's", async () => {
  await using test = await openTestApp();
  const group = { type: "group", userId: "jane", groupId: "acme", traits: { plan: "enterprise" } };
  await test.send("/api/v1/events", group);
  strictEqual((await whyOf(test, "jane", "plan")).status, 404);
});

Deno.test("the trace of an event says of each contract whether it holds, as the contract is now", async () => {
  await using test = await openTestApp();
  const schema = { properties: { traits: { properties: { plan: { type: "string" } } } } };
  const author = { by: "admin", address: "" };
  await test.system.contracts.put([
    { name: "plans", type: "identify", schema, mode: "monitor" },
    { name: "other", type: "page", schema: false, mode: "enforce" },
  ], author);
  await test.send("/api/v1/events", identify("m1", { plan: 5 }));
  await test.send("/api/v1/events", identify("m2", { plan: "pro" }));
  const { body: { contract, contracts: [broken] } } = await traceOf(test, "m1");
  deepStrictEqual([contract, broken], [["plans"], {
    name: "plans",
    version: 1,
    mode: "monitor",
    holds: false,
    errors: [{
      path: "traits.plan",
      message: "traits.plan must be string; got 5 (contract plans: type).",
    }],
  }]);
  const { body: { contracts: [kept] } } = await traceOf(test, "m2");
  deepStrictEqual([kept.holds, kept.errors], [true, []]);
});

Deno.test("the 404 of an event that was rejected shows what was rejected", async () => {
  await using test = await openTestApp();
  await test.send("/api/v1/events", { type: "track", userId: "jane", messageId: "m1" });
  const { status, body } = await traceOf(test, "m1");
  deepStrictEqual([status, body.code, body.rejected.length], [404, "not_found", 1]);
  deepStrictEqual([body.rejected[0].code, body.rejected[0].event.userId], ["missing_event", "jane"]);
  strictEqual((await traceOf(test, "m2")).body.rejected, undefined);
});

Deno.test("a group's trait is explained by the event that set it", async () => {
  await using test = await openTestApp();
  const group = (messageId: string, traits: unknown, timestamp: string) =>
    test.send("/api/v1/events", {
      type: "group",
      userId: "u",
      groupId: "acme",
      traits,
      messageId,
      timestamp,
    });
  await group("g1", { plan: "free" }, "2025-01-01T00:00:00Z");
  await group("g2", { plan: "pro" }, "2025-01-02T00:00:00Z");
  const { status, body } = await test.get("/api/v1/groups/acme/traits/plan/why");
  deepStrictEqual([status, body.value, body.messageId], [200, "pro", "g2"]);
  deepStrictEqual(body.replaced, [{ value: "free", timestamp: "2025-01-01T00:00:00.000Z", messageId: "g1" }]);
  strictEqual((await test.get("/api/v1/groups/acme/traits/none/why")).status, 404);
  strictEqual((await test.get("/api/v1/groups/none/traits/plan/why")).status, 404);
});
