/** Audiences over HTTP: definitions, members, explanations, previews and transitions. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { clockAt } from "../../actors/clocks.ts";
import { AS_ADMIN, AS_READER, openTestApp, openTestSystem, type TestApp } from "../test_app.ts";

const START = Date.parse("2026-03-10T12:00:00Z");
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Routes over a system of the same clock, which is moved. */
async function open() {
  const clock = { nowMs: START };
  const system = await openTestSystem(":memory:", { clock: clockAt(() => clock.nowMs) });
  const test = await openTestApp({ system, clock });
  return {
    ...test,
    clock,
    put: (name: string, body: unknown) =>
      test.send(`/api/v1/admin/audiences/${name}`, body, { method: "PUT", headers: AS_ADMIN }),
    track: async (userId: string, event: string, more: Record<string, unknown> = {}) => {
      const body = { type: "track", userId, event, ...more };
      strictEqual((await test.send("/api/v1/events", body)).status, 200);
    },
    members: async (name: string) => {
      const { status, body } = await test.get(`/api/v1/audiences/${name}/members`, AS_READER);
      strictEqual(status, 200, JSON.stringify(body));
      return body.members.map(({ userId }: { userId: string }) => userId);
    },
    [Symbol.asyncDispose]: () => test[Symbol.asyncDispose](),
  };
}

/** The transitions in a user's log, oldest first. */
async function transitionsOf({ get, system }: TestApp, userId: string): Promise<string[]> {
  await system.audiences.tick(10_000);
  const { body } = await get(`/api/v1/users/${userId}/events?derived=true&order=asc`, AS_READER);
  return body.events.filter(({ derived }: { derived?: boolean }) => derived)
    .map(({ event, properties }: { event: string; properties: { audience: string } }) =>
      `${event} ${properties.audience}`
    );
}

Deno.test("an audience is saved, shown, listed and deleted", async () => {
  await using test = await open();
  const where = { event: "Order Completed", count: { $gte: 2 }, within: "30d" };
  const saved = await test.put("vip", { where, description: "Good customers" });
  strictEqual(saved.status, 200);
  deepStrictEqual(saved.body.where, where);
  strictEqual(saved.body.emit, false);
  strictEqual(saved.body.version, 1);
  await test.system.audiences.tick(10_000);
  const shown = await test.get("/api/v1/admin/audiences/vip", AS_ADMIN);
  deepStrictEqual([shown.body.state, shown.body.members, shown.body.version], ["live", 0, 1]);
  match(shown.body.builtAt, /^2026-03-10T/);
  strictEqual((await test.get("/api/v1/admin/audiences", AS_ADMIN)).body.audiences.length, 1);
  strictEqual((await test.put("vip", { where, emit: true })).body.version, 2);
  strictEqual(
    (await test.send("/api/v1/admin/audiences/vip", undefined, { method: "DELETE", headers: AS_ADMIN }))
      .status,
    204,
  );
  strictEqual((await test.get("/api/v1/admin/audiences/vip", AS_ADMIN)).status, 404);
  strictEqual((await test.get("/api/v1/audiences/vip/members", AS_READER)).status, 404);
});

Deno.test("a definition that is wrong is refused with the path of each mistake, and changes nothing", async () => {
  await using test = await open();
  const { status, body } = await test.put("vip", {
    where: { all: [{ event: "" }, { event: "A", within: "3" }] },
  });
  strictEqual(status, 400);
  strictEqual(body.code, "invalid_audience");
  deepStrictEqual(body.errors.map(({ path }: { path: string }) => path), [
    "where.all.0.event",
    "where.all.1.within",
  ]);
  strictEqual((await test.put("vip", { where: { audience: "nobody" } })).status, 400);
  strictEqual((await test.put("vip", { where: { audience: "vip" } })).status, 400);
  strictEqual((await test.put("vip", {})).status, 400);
  deepStrictEqual((await test.get("/api/v1/admin/audiences", AS_ADMIN)).body.audiences, []);
});

Deno.test("an audience that another one names is not deleted, and no cycle is saved", async () => {
  await using test = await open();
  await test.put("buyers", { where: { event: "Order Completed" } });
  await test.put("others", { where: { not: { audience: "buyers" } } });
  const remove = (name: string) =>
    test.send(`/api/v1/admin/audiences/${name}`, undefined, { method: "DELETE", headers: AS_ADMIN });
  const refused = await remove("buyers");
  deepStrictEqual([refused.status, refused.body.code], [409, "audience_in_use"]);
  strictEqual((await test.put("buyers", { where: { audience: "others" } })).status, 400);
  strictEqual((await remove("others")).status, 204);
  strictEqual((await remove("buyers")).status, 204);
});

Deno.test("members are live, leave because time passes, and come in pages and as NDJSON", async () => {
  await using test = await open();
  for (const userId of ["ann", "bob", "cyd"]) await test.track(userId, "Logged In");
  await test.put("recent", { where: { event: "Logged In", within: "2d" } });
  deepStrictEqual(await test.members("recent"), ["ann", "bob", "cyd"]);
  const page = await test.get("/api/v1/audiences/recent/members?limit=2", AS_READER);
  strictEqual(page.body.members.length, 2);
  const rest = await test.get(
    `/api/v1/audiences/recent/members?limit=2&cursor=${page.body.cursor}`,
    AS_READER,
  );
  deepStrictEqual([rest.body.members[0].userId, rest.body.cursor], ["cyd", null]);
  const until = new Date(START + 2 * DAY).toISOString();
  deepStrictEqual(rest.body.members[0], { userId: "cyd", since: new Date(START).toISOString(), until });
  const stream = await test.app.request("/api/v1/audiences/recent/members", {
    headers: { ...AS_READER, accept: "application/x-ndjson" },
  });
  strictEqual(stream.headers.get("content-type"), "application/x-ndjson");
  const lines = (await stream.text()).trim().split("\n").map((line) => JSON.parse(line).userId);
  deepStrictEqual(lines, ["ann", "bob", "cyd"]);
  test.clock.nowMs += DAY;
  await test.track("ann", "Logged In");
  test.clock.nowMs += DAY;
  deepStrictEqual(await test.members("recent"), ["ann"]);
  strictEqual((await test.get("/api/v1/audiences/recent/members?cursor=x", AS_READER)).status, 400);
  strictEqual((await test.get("/api/v1/audiences/recent/members", {})).status, 401);
});

Deno.test("a membership is explained by message ids, now and at a moment", async () => {
  await using test = await open();
  await test.track("ann", "Order Completed", { messageId: "order-1", properties: { total: 60 } });
  await test.put("spender", {
    where: {
      all: [{ sum: "properties.total", event: "Order Completed", value: { $gt: 100 } }, {
        not: { event: "Refund" },
      }],
    },
  });
  const path = "/api/v1/audiences/spender/members/ann";
  const before = (await test.get(path, AS_READER)).body;
  strictEqual(before.member, false);
  strictEqual(before.explain.all[0].holds, false);
  strictEqual(before.explain.all[0].found, 60);
  match(before.explain.all[0].missing, /60/);
  strictEqual(before.explain.all[1].holds, true);
  test.clock.nowMs += HOUR;
  await test.track("ann", "Order Completed", { messageId: "order-2", properties: { total: 50 } });
  const after = (await test.get(path, AS_READER)).body;
  deepStrictEqual([after.member, after.since], [true, new Date(START + HOUR).toISOString()]);
  deepStrictEqual(
    after.explain.all[0].events.map(({ messageId }: { messageId: string }) => messageId),
    ["order-2", "order-1"],
  );
  const at = (ms: number) => test.get(`${path}?at=${new Date(ms).toISOString()}`, AS_READER);
  strictEqual((await at(START)).body.member, false);
  strictEqual((await at(START + HOUR)).body.member, true);
  strictEqual((await at(START - 1)).status, 404);
  strictEqual((await test.get("/api/v1/audiences/spender/members/nobody", AS_READER)).status, 404);
  const mine = await test.get("/api/v1/users/ann/audiences", AS_READER);
  deepStrictEqual(mine.body.audiences, [{ name: "spender", since: new Date(START + HOUR).toISOString() }]);
  strictEqual((await test.get("/api/v1/users/nobody/audiences", AS_READER)).status, 404);
});

Deno.test("entering and leaving are events in the user's log that count nowhere", async () => {
  await using test = await open();
  await test.track("early", "Logged In");
  await test.put("recent", { where: { event: "Logged In", within: "1d" }, emit: true });
  await test.system.audiences.tick(10_000);
  test.clock.nowMs += HOUR;
  await test.track("late", "Logged In");
  deepStrictEqual(await transitionsOf(test, "early"), [], "who matched when it was built entered silently");
  deepStrictEqual(await transitionsOf(test, "late"), ["Audience Entered recent"]);
  test.clock.nowMs += DAY;
  deepStrictEqual(await transitionsOf(test, "early"), ["Audience Exited recent"]);
  deepStrictEqual(await transitionsOf(test, "late"), ["Audience Entered recent", "Audience Exited recent"]);
  const { body } = await test.get("/api/v1/users/late", AS_READER);
  deepStrictEqual([body.eventCount, body.version, Object.keys(body.events)], [1, 1, ["Logged In"]]);
  const log = await test.get("/api/v1/users/late/events", AS_READER);
  strictEqual(log.body.events.length, 1);
});

Deno.test("no sender can say that an event was derived", async () => {
  await using test = await open();
  await test.track("ann", "Order Completed", { derived: true });
  const { body } = await test.get("/api/v1/users/ann", AS_READER);
  strictEqual(body.eventCount, 1);
});

Deno.test("a changed definition serves the old list until it is built, and announces only who differs", async () => {
  await using test = await open();
  await test.track("ann", "A");
  await test.track("bob", "B");
  await test.track("both", "A");
  await test.track("both", "B");
  await test.put("some", { where: { event: "A" }, emit: true });
  deepStrictEqual(await test.members("some"), ["ann", "both"]);
  await test.put("some", { where: { event: "B" }, emit: true });
  const between = await test.members("some");
  ok(between.join() === "ann,both" || between.join() === "bob,both", between.join());
  await test.system.audiences.tick(10_000);
  deepStrictEqual(await test.members("some"), ["bob", "both"]);
  deepStrictEqual(await transitionsOf(test, "ann"), ["Audience Exited some"]);
  deepStrictEqual(await transitionsOf(test, "bob"), ["Audience Entered some"]);
  deepStrictEqual(await transitionsOf(test, "both"), []);
});

Deno.test("a preview counts and compares without storing anything", async () => {
  await using test = await open();
  for (const userId of ["ann", "bob"]) await test.track(userId, "A");
  await test.track("cyd", "B");
  await test.put("some", { where: { event: "B" } });
  await test.system.audiences.tick(10_000);
  const preview = (body: unknown, query = "") =>
    test.send(`/api/v1/admin/audiences/preview${query}`, body, { headers: AS_ADMIN });
  const { body } = await preview({ where: { event: "A" } });
  deepStrictEqual({ ...body, sample: body.sample.sort(), tookMs: 0 }, {
    members: 2,
    exact: true,
    sample: ["ann", "bob"],
    wouldEnter: 2,
    wouldLeave: 0,
    tookMs: 0,
  });
  const compared = (await preview({ where: { event: "A" }, audience: "some" })).body;
  deepStrictEqual([compared.wouldEnter, compared.wouldLeave], [2, 1]);
  strictEqual((await preview({ where: {} })).status, 400);
  strictEqual((await test.get("/api/v1/admin/audiences", AS_ADMIN)).body.audiences.length, 1);
});

Deno.test("an erased person is in no list and explains nothing when the receipt is written", async () => {
  await using test = await open();
  await test.track("ann", "A");
  await test.put("some", { where: { event: "A" }, emit: true });
  deepStrictEqual(await test.members("some"), ["ann"]);
  const erased = await test.send("/api/v1/users/ann", undefined, {
    method: "DELETE",
    headers: AS_ADMIN,
  });
  strictEqual(erased.status, 200, JSON.stringify(erased.body));
  deepStrictEqual(await test.members("some"), []);
  strictEqual((await test.get("/api/v1/audiences/some/members/ann", AS_READER)).status, 404);
  strictEqual((await test.get("/api/v1/admin/audiences/some", AS_ADMIN)).body.members, 0);
});

Deno.test("an event is evaluated for the audiences that name it, and for no other", async () => {
  await using test = await open();
  for (let n = 0; n < 20; n++) {
    await test.put(`audience-${n}`, { where: { event: `Event ${n}`, within: "1d" } });
  }
  await test.track("ann", "Event 3");
  await test.system.audiences.tick(10_000);
  await test.members("audience-3");
  const before = (await test.system.audiences.figures()).evaluations;
  await test.track("ann", "Event 3");
  await test.track("ann", "Nobody Asks");
  deepStrictEqual(await test.members("audience-3"), ["ann"]);
  strictEqual((await test.system.audiences.figures()).evaluations - before, 1);
  const { body } = await test.get("/metrics", AS_READER);
  match(body, /signalfold_audience_members\{audience="audience-3"\} 1/);
  match(body, /signalfold_audience_evaluations_total \d+/);
});
