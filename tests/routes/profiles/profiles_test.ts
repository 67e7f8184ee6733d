import { deepStrictEqual, match, strictEqual } from "node:assert";
import { PAST_WEIGHT, PROFILE_WEIGHT, READS_AT_ONCE } from "../../../routes/profiles/read_turns.ts";
import { AS_ADMIN, openTestApp, openTestSystem } from "../test_app.ts";
import { StorageUnavailable } from "../../../actors/store/errors.ts";

const BATCH = "/api/v1/events/batch";

Deno.test("a profile, an anonymous profile and a group can be read right after the answer", async () => {
  await using test = await openTestApp();
  await test.send(BATCH, {
    batch: [
      { type: "identify", userId: "u1", traits: { plan: "pro" } },
      { type: "track", anonymousId: "a1", event: "Seen" },
      { type: "group", userId: "u1", groupId: "g1", traits: { name: "Acme" } },
    ],
  });
  const user = await test.get("/api/v1/users/u1");
  strictEqual(user.status, 200);
  strictEqual(user.headers.get("content-type"), "application/json");
  strictEqual(user.headers.get("access-control-allow-origin"), null);
  deepStrictEqual([user.body.userId, user.body.traits, user.body.eventCount], ["u1", { plan: "pro" }, 2]);
  strictEqual((await test.get("/api/v1/anonymous/a1")).body.eventCount, 1);
  strictEqual((await test.get("/api/v1/groups/g1")).body.traits.name, "Acme");
  deepStrictEqual(
    (await test.get("/api/v1/groups/g1/members")).body.members.map(({ userId }: { userId: string }) =>
      userId
    ),
    [
      "u1",
    ],
  );
  strictEqual((await test.get("/api/v1/users/u1", AS_ADMIN)).status, 200);
});

const IDS = [
  "a/b",
  "jane@example.com",
  "100%",
  "a b+c",
  "ünï",
  "?x=1",
  "#",
  "\r\n",
  "a%2Fb",
  "__proto__",
  "…".repeat(256),
];

for (const id of IDS) {
  Deno.test(`an id of ${JSON.stringify(id.slice(0, 20))} is named by its percent-encoding`, async () => {
    await using test = await openTestApp();
    strictEqual((await test.send("/api/v1/events", { type: "track", userId: id, event: "x" })).status, 200);
    const { status, body } = await test.get(`/api/v1/users/${encodeURIComponent(id)}`);
    deepStrictEqual([status, body.userId], [200, id]);
    strictEqual((await test.get(`/api/v1/users/${encodeURIComponent(id)}/events`)).body.events.length, 1);
  });
}

const UNSEEN = [
  "/api/v1/users/nobody",
  "/api/v1/anonymous/nobody",
  "/api/v1/groups/nobody",
  "/api/v1/users/nobody/events",
  "/api/v1/anonymous/nobody/events",
  "/api/v1/groups/nobody/events",
  "/api/v1/groups/nobody/members",
  `/api/v1/users/${"x".repeat(5000)}`,
];

for (const path of UNSEEN) {
  Deno.test(`${path.slice(0, 60)} is 404 without events`, async () => {
    await using test = await openTestApp();
    const { status, body } = await test.get(path);
    deepStrictEqual([status, body.code, body.success], [404, "not_found", false]);
    match(body.detail, /^Unknown (user|anonymous id|group|id): no event names it\.$/);
  });
}

for (const id of ["%", "%2", "%zz", "%ff", "a%c3"]) {
  Deno.test(`an id of ill-formed percent-encoding, ${id}, is 400`, async () => {
    await using test = await openTestApp();
    const { status, body } = await test.get(`/api/v1/users/${id}/events`);
    deepStrictEqual([status, body.code], [400, "invalid_id"]);
  });
}

const BAD_QUERIES: [path: string, named: string][] = [
  ["/api/v1/users/u1/events?limit=0", "limit"],
  ["/api/v1/users/u1/events?limit=501", "limit"],
  ["/api/v1/users/u1/events?limit=-1", "limit"],
  ["/api/v1/users/u1/events?limit=1.5", "limit"],
  ["/api/v1/users/u1/events?limit=ten", "limit"],
  ["/api/v1/users/u1/events?limit=", "limit"],
  ["/api/v1/users/u1/events?limit=1&limit=2", "limit"],
  ["/api/v1/users/u1/events?order=up", "order"],
  ["/api/v1/users/u1/events?type=click", "type"],
  ["/api/v1/users/u1/events?event=%ff", "event"],
  ["/api/v1/users/u1/events?cursor=", "cursor"],
  ["/api/v1/users/u1/events?cursor=made-up", "cursor"],
  [`/api/v1/users/u1/events?cursor=${"x".repeat(2000)}`, "cursor"],
  ["/api/v1/groups/g1/members?limit=0", "limit"],
  ["/api/v1/groups/g1/members?cursor=made-up", "cursor"],
  ["/api/v1/users/u1?at=yesterday", "at"],
  ["/api/v1/users/u1?at=", "at"],
  ["/api/v1/users/u1?at=1742049000000", "at"],
  ["/api/v1/users/u1?asOf=2025-02-30", "asOf"],
  ["/api/v1/groups/g1?asOf=never", "asOf"],
];

for (const [path, named] of BAD_QUERIES) {
  Deno.test(`${path.slice(0, 60)} is 400 and names ${named}`, async () => {
    await using test = await openTestApp();
    await test.send("/api/v1/events", { type: "group", userId: "u1", groupId: "g1" });
    const { status, body } = await test.get(path);
    deepStrictEqual([status, body.code, body.errors[0].path], [400, "invalid_query", named]);
  });
}

Deno.test("a log is paged by 50, newest first, from cursor to cursor until null", async () => {
  await using test = await openTestApp();
  const batch = Array.from({ length: 60 }, (_, minute) => ({
    type: "track",
    userId: "u1",
    event: minute % 2 === 0 ? "even" : "odd one",
    timestamp: `2025-03-15T14:${String(minute).padStart(2, "0")}:00Z`,
  }));
  await test.send(BATCH, {
    batch: [...batch, { type: "page", userId: "u1", timestamp: "2025-03-15T15:00:00Z" }],
  });
  const first = (await test.get("/api/v1/users/u1/events")).body;
  deepStrictEqual([first.events.length, first.events[0].type], [50, "page"]);
  const second = (await test.get(`/api/v1/users/u1/events?cursor=${encodeURIComponent(first.cursor)}`)).body;
  deepStrictEqual([second.events.length, second.cursor], [11, null]);
  const show = async (query: string) => (await test.get(`/api/v1/users/u1/events?${query}`)).body;
  strictEqual((await show("limit=500")).events.length, 61);
  strictEqual((await show("order=asc&limit=1")).events[0].timestamp, "2025-03-15T14:00:00.000Z");
  strictEqual((await show("type=page")).events.length, 1);
  strictEqual((await show("event=odd+one")).events.length, 30);
  strictEqual((await show("event=odd%20one&type=track&")).events.length, 30);
});

Deno.test("a profile is shown as it was at a moment and as it was known then, an offset's + encoded or not", async () => {
  await using test = await openTestApp();
  const timestamp = "2025-03-15T14:30:00Z";
  await test.send("/api/v1/events", { type: "identify", userId: "u1", traits: { plan: "pro" }, timestamp });
  const status = async (query: string) => (await test.get(`/api/v1/users/u1?${query}`)).status;
  strictEqual(await status("at=2025-03-15T14:30:00Z"), 200);
  strictEqual(await status("at=2025-03-15T16:30:00%2B02:00"), 200);
  strictEqual(await status("at=2025-03-15T16:30:00+02:00"), 200);
  strictEqual(await status("at=2025-03-15T14:29:59Z"), 404);
  strictEqual(await status("asOf=2025-03-16"), 404);
  strictEqual(await status(`asOf=${new Date(test.clock.nowMs).toISOString()}`), 200);
});

Deno.test("storage that does not answer makes a reading 503 with Retry-After", async () => {
  const system = await openTestSystem();
  const user = () => Promise.reject(new StorageUnavailable("busy"));
  await using test = await openTestApp({ system: { ...system, reader: { ...system.reader, user } } });
  const { status, headers } = await test.get("/api/v1/users/u1");
  deepStrictEqual([status, headers.get("retry-after")], [503, "1"]);
});

Deno.test("the number of concurrent reads is limited, more so of the past, and the others wait", async () => {
  const system = await openTestSystem();
  let underWay = 0;
  let most = 0;
  let expected = 0;
  const user: typeof system.reader.user = async () => {
    most = Math.max(most, ++underWay);
    // The first wait until as many are there as may be, and then a little for one more.
    while (most < expected) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve, 1));
    underWay--;
    return {};
  };
  const standIn = { ...system, reader: { ...system.reader, user } };
  await using test = await openTestApp({ system: standIn, undocumented: true });
  for (
    const [query, weight] of [["", PROFILE_WEIGHT], ["?at=2025-01-01", PAST_WEIGHT]] as const
  ) {
    [most, expected] = [0, Math.floor(READS_AT_ONCE / weight)];
    const reads = Array.from({ length: 100 }, () => test.get(`/api/v1/users/u1${query}`));
    for (const { status } of await Promise.all(reads)) strictEqual(status, 200);
    strictEqual(most, expected);
  }
});

Deno.test("reads of users don't wait for reads of groups, which may wait for settling", async () => {
  const system = await openTestSystem();
  const settled = Promise.withResolvers<null>();
  const reader = { ...system.reader, group: () => settled.promise, user: () => Promise.resolve({}) };
  await using test = await openTestApp({ system: { ...system, reader }, undocumented: true });
  const groups = Array.from({ length: READS_AT_ONCE }, () => test.get("/api/v1/groups/g1"));
  strictEqual((await test.get("/api/v1/users/u1")).status, 200);
  settled.resolve(null);
  for (const { status } of await Promise.all(groups)) strictEqual(status, 404);
});

Deno.test("a page of a log weighs more, the more events it may hold", async () => {
  const system = await openTestSystem();
  let underWay = 0;
  let most = 0;
  const log: typeof system.reader.log = async () => {
    most = Math.max(most, ++underWay);
    await new Promise((resolve) => setTimeout(resolve, 1));
    underWay--;
    return null;
  };
  await using test = await openTestApp({ system: { ...system, reader: { ...system.reader, log } } });
  for (const [limit, weight] of [[1, 2], [100, 2], [101, 3], [500, 6]] as const) {
    most = 0;
    const reads = Array.from({ length: 50 }, () => test.get(`/api/v1/users/u1/events?limit=${limit}`));
    for (const { status } of await Promise.all(reads)) strictEqual(status, 404);
    strictEqual(most, Math.floor(READS_AT_ONCE / weight));
  }
});

Deno.test("an id longer than an event can have, or a cursor longer than a page gives, is not looked up", async () => {
  const system = await openTestSystem();
  const looked: string[] = [];
  const reader = {
    ...system.reader,
    user: (id: string) => Promise.resolve((looked.push(id), null)),
    log: (_: string, id: string) => Promise.resolve((looked.push(id), null)),
    trait: (id: string) => Promise.resolve((looked.push(id), null)),
  };
  await using test = await openTestApp({ system: { ...system, reader } });
  for (const [units, times] of [[512, 3], [513, 0]] as const) {
    const id = "x".repeat(units);
    looked.length = 0;
    for (const rest of ["", "/events", "/traits/plan/why"]) {
      strictEqual((await test.get(`/api/v1/users/${id}${rest}`)).status, 404);
    }
    strictEqual(looked.length, times);
  }
  looked.length = 0;
  for (const [units, status] of [[8192, 404], [8193, 400]] as const) {
    const path = `/api/v1/users/u1/events?cursor=${"x".repeat(units)}`;
    strictEqual((await test.get(path)).status, status);
  }
  strictEqual(looked.length, 1);
});
