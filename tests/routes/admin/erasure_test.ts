/** `DELETE` of people over HTTP: what is answered, what is refused afterwards, and what is refused before. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { AS_ADMIN, AS_READER, openTestApp, type TestApp } from "../test_app.ts";

const erase = (test: TestApp, path: string) =>
  test.send(`/api/v1/${path}`, undefined, { method: "DELETE", headers: AS_ADMIN });

const NOTHING = { events: 0, logs: 0, groups: 0, rejected: 0 };

/** A user with a device, and another in the same group. */
async function openPlanted(): Promise<TestApp> {
  const test = await openTestApp();
  await plant(test);
  return test;
}

async function plant(test: TestApp): Promise<void> {
  await test.send("/api/v1/events/batch", {
    batch: [
      { type: "page", anonymousId: "device" },
      { type: "identify", userId: "planted", anonymousId: "device", traits: { plan: "pro" } },
      { type: "group", userId: "planted", groupId: "acme", traits: { size: 2 } },
      { type: "group", userId: "other", groupId: "acme", traits: { name: "Acme" } },
      { type: "track", userId: "other", event: "Bought" },
    ],
  });
}

Deno.test("an erased user is in no answer any more, and the answer of the erasure has the counts", async () => {
  await using test = await openPlanted();
  const { status, body } = await erase(test, "users/planted");
  strictEqual(status, 200);
  deepStrictEqual({ ...body, at: "" }, {
    erased: { events: 3, logs: 2, groups: 1, rejected: 0 },
    suppressed: false,
    at: "",
  });
  ok(/^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/.test(body.at));
  for (
    const path of ["users/planted", "users/planted/events", "anonymous/device", "anonymous/device/events"]
  ) {
    strictEqual((await test.get(`/api/v1/${path}`)).status, 404, path);
  }
  const group = (await test.get("/api/v1/groups/acme")).body;
  deepStrictEqual([group.traits, group.memberCount, group.eventCount], [{ name: "Acme" }, 1, 1]);
  const members = (await test.get("/api/v1/groups/acme/members")).body.members;
  deepStrictEqual(members.map(({ userId }: { userId: string }) => userId), ["other"]);
  deepStrictEqual((await test.get("/api/v1/groups/acme/events")).body.events.length, 1);
  // Again, and of somebody who was never there: nothing is left to be counted.
  const again = await erase(test, "users/planted");
  deepStrictEqual([again.status, again.body.erased, again.body.known], [200, NOTHING, undefined]);
  for (const nth of ["first", "second"]) {
    const never = await erase(test, "anonymous/nobody");
    deepStrictEqual([never.status, never.body.erased, never.body.known], [200, NOTHING, false], nth);
  }
});

Deno.test("an anonymous id that is erased leaves its user's own events, without the name", async () => {
  await using test = await openPlanted();
  deepStrictEqual((await erase(test, "anonymous/device")).body.erased, { ...NOTHING, events: 1, logs: 1 });
  const { body } = await test.get("/api/v1/users/planted");
  deepStrictEqual([body.traits, body.anonymousIds, body.eventCount], [{ plan: "pro" }, [], 2]);
  const { events } = (await test.get("/api/v1/users/planted/events")).body;
  ok(!JSON.stringify(events).includes("device"));
});

Deno.test("with SUPPRESSED_EVENTS=refuse events of a suppressed person are rejected one by one", async () => {
  await using test = await openTestApp({ suppressedEvents: "refuse" });
  await plant(test);
  strictEqual((await erase(test, "users/planted?suppress=all")).body.suppressed, true);
  const one = await test.send("/api/v1/events", { type: "page", userId: "planted" });
  deepStrictEqual([one.status, one.body.code], [403, "suppressed"]);
  ok(!JSON.stringify(one.body).includes("planted"));
  const typed = await test.send("/v1/identify", { userId: "planted", anonymousId: "new device" });
  strictEqual(typed.status, 403);
  const { status, body } = await test.send("/api/v1/events/batch", {
    batch: [
      { type: "page", userId: "other" },
      { type: "page", userId: "planted", messageId: "planted-message" },
      { type: "page", anonymousId: "device" },
      // Another user's, though on that device.
      { type: "page", userId: "other", anonymousId: "device" },
    ],
  });
  deepStrictEqual([status, body.accepted, body.rejected], [200, 2, 2]);
  deepStrictEqual(
    body.errors.map(({ index, status, code }: Record<string, unknown>) => [index, status, code]),
    [[1, 403, "suppressed"], [2, 403, "suppressed"]],
  );
  strictEqual((await test.get("/api/v1/users/planted")).status, 404);
  strictEqual((await test.get("/api/v1/anonymous/device")).status, 404);
  // What is logged of it is a count.
  ok(!JSON.stringify(test.logged).includes("planted"));
  strictEqual((await erase(test, "users/planted?suppress=false")).body.suppressed, true);
});

Deno.test("events of a suppressed person are answered as accepted, and not stored", async () => {
  await using test = await openPlanted();
  await erase(test, "users/planted?suppress=all");
  const event = { type: "page", userId: "planted", messageId: "m1" };
  for (const nth of ["first", "second"]) {
    const { status, body } = await test.send("/api/v1/events", event);
    deepStrictEqual([status, body], [200, { success: true, messageId: "m1", duplicate: false }], nth);
  }
  deepStrictEqual((await test.send("/v1/identify", { userId: "planted", anonymousId: "x" })).body, {
    success: true,
  });
  const { body } = await test.send("/api/v1/events/batch", {
    batch: [event, { type: "page", anonymousId: "device" }, { type: "page", userId: "other" }, {
      type: "page",
    }],
  });
  deepStrictEqual([body.received, body.accepted, body.rejected], [4, 3, 1]);
  deepStrictEqual(body.errors.map(({ index }: { index: number }) => index), [3]);
  for (const path of ["users/planted", "anonymous/device", "anonymous/x"]) {
    strictEqual((await test.get(`/api/v1/${path}`)).status, 404, path);
  }
  // The message id stays free, for whoever uses it.
  deepStrictEqual((await test.send("/api/v1/events", { ...event, userId: "other" })).body.duplicate, false);
  const { counts } = (await test.get("/api/v1/admin/stats", AS_ADMIN)).body;
  deepStrictEqual([counts.suppressed, counts.rejected, counts.types.page.suppressed], [5, 1, 4]);
  deepStrictEqual(counts.rejections, [{ status: 400, code: "missing_id", count: 1 }]);
  const only = (await test.get("/api/v1/admin/stats?status=suppressed", AS_ADMIN)).body.counts;
  deepStrictEqual([only.accepted, only.rejected, only.suppressed], [0, 0, 5]);
  const metrics = (await test.get("/metrics")).body;
  match(metrics, /^signalfold_events_total\{outcome="suppressed",type="page"\} 4$/m);
  match(metrics, /^signalfold_rejected_events_total\{status="400",code="missing_id"\} 1$/m);
  ok(!/code="suppressed"/.test(metrics));
});

Deno.test("an invalid event does not reveal whether its person is suppressed: it is rejected in any case", async () => {
  await using test = await openPlanted();
  await test.system.contracts.put(
    [{ name: "none", type: "track", event: "Kept Out", schema: false, mode: "enforce" }],
    { by: "admin", address: "" },
  );
  await erase(test, "users/planted?suppress=true");
  for (const wrong of [{ type: "track", event: "Kept Out" }, { type: "track" }, { type: "nonsense" }]) {
    const ask = async (userId: string) => {
      const { status, body } = await test.send("/api/v1/events", { ...wrong, userId });
      return [status, body.code, body.detail];
    };
    deepStrictEqual(await ask("planted"), await ask("somebody"));
  }
  const { rejected } = (await test.get("/api/v1/admin/rejected", AS_ADMIN)).body;
  deepStrictEqual(
    new Set(rejected.map(({ event }: { event: { userId: string } }) => event.userId)),
    new Set(["somebody"]),
  );
});

Deno.test("an event that is answered and not stored has no live line", async () => {
  await using test = await openPlanted();
  await erase(test, "users/planted?suppress=true");
  const position = (await test.system.stats()).head;
  const listener = await test.system.live.listen({});
  await test.send("/api/v1/events", { type: "page", userId: "planted" });
  await test.send("/api/v1/events", { type: "page", messageId: "told" });
  const news = (await listener.next(5_000))!;
  deepStrictEqual(news.notes.map(({ status, messageId }) => [status, messageId]), [["rejected", "told"]]);
  strictEqual((await test.system.stats()).head, position);
  listener.close();
});

Deno.test("suppress=true is the id itself; all is its devices too, until somebody else logs in on them", async () => {
  for (const suppress of ["true", "all"]) {
    await using test = await openPlanted();
    await erase(test, `users/planted?suppress=${suppress}`);
    const later = (ms: number) => new Date(test.clock.nowMs + ms).toISOString();
    test.clock.nowMs += 60_000;
    const send = (event: object, atMs: number) =>
      test.send("/api/v1/events", { type: "page", timestamp: later(atMs), ...event });
    await send({ anonymousId: "device", messageId: "mine" }, -30_000);
    strictEqual((await test.get("/api/v1/anonymous/device")).status, suppress === "all" ? 404 : 200);
    // A new user logs in, and what they did before, in one batch and in another request.
    const { body } = await test.send("/api/v1/events/batch", {
      batch: [
        { type: "identify", userId: "new", anonymousId: "device", timestamp: later(-20_000) },
        { type: "page", anonymousId: "device", timestamp: later(-10_000) },
        { type: "page", anonymousId: "device", timestamp: later(-25_000) },
      ],
    });
    deepStrictEqual([body.accepted, body.rejected], [3, 0]);
    await send({ anonymousId: "device" }, -5_000);
    const { eventCount } = (await test.get("/api/v1/users/new")).body;
    strictEqual(eventCount, suppress === "all" ? 3 : 5);
  }
});

Deno.test("a suppression is lifted by id, and later events are stored again", async () => {
  await using test = await openPlanted();
  await erase(test, "users/planted?suppress=all");
  const lift = (path: string) => erase(test, `admin/suppressed/${path}`);
  deepStrictEqual([(await lift("users/nobody")).status, (await lift("anonymous/planted")).status], [
    404,
    404,
  ]);
  strictEqual((await lift("users/planted")).status, 204);
  strictEqual((await lift("users/planted")).status, 404);
  await test.send("/api/v1/events", { type: "page", userId: "planted" });
  strictEqual((await test.get("/api/v1/users/planted")).body.eventCount, 1);
  await test.send("/api/v1/events", { type: "page", anonymousId: "device" });
  strictEqual((await test.get("/api/v1/anonymous/device")).status, 404);
  strictEqual((await lift("anonymous/device")).status, 204);
  await test.send("/api/v1/events", { type: "page", anonymousId: "device" });
  strictEqual((await test.get("/api/v1/anonymous/device")).status, 200);
  strictEqual((await erase(test, "users/planted")).body.suppressed, false);
  strictEqual((await lift("users/%E0%A4")).status, 400);
  const { status } = await test.send("/api/v1/admin/suppressed/users/planted", undefined, {
    method: "DELETE",
    headers: AS_READER,
  });
  strictEqual(status, 403);
});

Deno.test("a dry run shows what would be erased, by owner and time, and changes nothing", async () => {
  await using test = await openPlanted();
  const at = (n: number) => new Date(test.clock.nowMs - 1_000_000 + n * 1000).toISOString();
  await test.send("/api/v1/events/batch", {
    batch: [
      { type: "identify", userId: "planted", anonymousId: "shared", timestamp: at(10) },
      { type: "page", anonymousId: "shared", timestamp: at(5) },
      { type: "page", anonymousId: "shared", timestamp: at(15) },
      { type: "identify", userId: "other", anonymousId: "shared", timestamp: at(20) },
      { type: "page", anonymousId: "shared", timestamp: at(25) },
      { type: "identify", userId: "planted", anonymousId: "shared", timestamp: at(30) },
      { type: "page", anonymousId: "shared", timestamp: at(35) },
      { type: "track", userId: "planted" },
    ],
  });
  const before = await everything(test);
  const dry = await erase(test, "users/planted?dryRun=true&suppress=all");
  const wouldErase = {
    events: 8,
    logs: 3,
    groups: 1,
    rejected: 1,
    anonymousIds: ["device", "shared"],
    intervals: [
      { anonymousId: "device", events: 1, from: null, until: null },
      { anonymousId: "shared", events: 2, from: null, until: at(20) },
      { anonymousId: "shared", events: 1, from: at(30), until: null },
    ],
  };
  deepStrictEqual([dry.status, dry.body], [200, { wouldErase }]);
  deepStrictEqual(await everything(test), before);
  await test.send("/api/v1/events", { type: "page", userId: "planted" });
  const { intervals: _, anonymousIds: __, ...counts } = wouldErase;
  deepStrictEqual((await erase(test, "users/planted")).body.erased, { ...counts, events: 9 });
  const none = await erase(test, "users/nobody?dryRun=true");
  deepStrictEqual(none.body, { wouldErase: { ...NOTHING, anonymousIds: [], intervals: [] }, known: false });
});

Deno.test("a dry run for an anonymous id counts what names it", async () => {
  await using test = await openPlanted();
  const { body } = await erase(test, "anonymous/device?dryRun=true");
  deepStrictEqual(body, {
    wouldErase: { ...NOTHING, events: 1, logs: 1, anonymousIds: ["device"], intervals: [] },
  });
  strictEqual((await test.get("/api/v1/users/planted")).body.eventCount, 3);
});

/** All that a reader is shown of the planted ones. */
async function everything(test: TestApp): Promise<unknown[]> {
  const paths = [
    "users/planted",
    "users/planted/events",
    "users/other",
    "anonymous/shared/events",
    "groups/acme",
  ];
  const read = paths.map(async (path) => (await test.get(`/api/v1/${path}`)).body);
  return [...await Promise.all(read), (await test.get("/api/v1/admin/rejected", AS_ADMIN)).body];
}

Deno.test("erasures and liftings are in the log, with their author and a digest of the person", async () => {
  await using test = await openPlanted();
  await erase(test, "users/planted?suppress=true");
  await erase(test, "users/planted?dryRun=true");
  await erase(test, "admin/suppressed/users/planted");
  const acts = test.logged.filter(({ by }) => by !== undefined);
  const person = acts[0]!.person;
  match(String(person), /^[0-9a-f]{12}$/);
  const common = { level: "info", by: "admin", address: "192.0.2.1", kind: "user", person };
  deepStrictEqual(acts.map(({ time: _, ...rest }) => rest), [
    { message: "person erased", ...common, suppressed: true, events: 3, logs: 2, groups: 1, rejected: 0 },
    { message: "suppression lifted", ...common },
  ]);
  ok(!JSON.stringify(test.logged).includes("planted"));
});

for (
  const [path, place] of [
    ["users/planted?suppress=yes", "suppress"],
    ["users/planted?suppress=true&suppress=true", "suppress"],
    ["users/%E0%A4", ""],
    [`users/${"x".repeat(257)}`, ""],
    ["anonymous/device?suppress=", "suppress"],
    ["users/planted?suppress=ALL", "suppress"],
    ["users/planted?dryRun=yes", "dryRun"],
    ["users/planted?supress=true", "supress"],
  ] as const
) {
  Deno.test(`DELETE ${path.slice(0, 60)} is refused, and erases nobody`, async () => {
    await using test = await openPlanted();
    const { status, body } = await erase(test, path);
    deepStrictEqual([status, body.errors[0].path], [400, place]);
    strictEqual((await test.get("/api/v1/users/planted")).body.eventCount, 3);
  });
}

Deno.test("any id can be erased: also one longer than a key holds, or one that a path must encode", async () => {
  await using test = await openPlanted();
  for (const id of ["x".repeat(256), "a/b c?#%", "#u", "\u{1f600}", "__proto__", "u\u0000"]) {
    await test.send("/api/v1/events", { type: "page", userId: id });
    const { body } = await erase(test, `users/${encodeURIComponent(id)}`);
    strictEqual(body.erased?.events, 1, id);
  }
  strictEqual((await test.get("/api/v1/users/planted")).status, 200);
});

Deno.test("a group call that only names an erased anonymous id stays in its group", async () => {
  await using test = await openTestApp();
  await test.send("/api/v1/events/batch", {
    batch: [
      { type: "group", userId: "other", anonymousId: "device", groupId: "acme" },
      { type: "identify", userId: "other", anonymousId: "device" },
      { type: "group", anonymousId: "device", groupId: "acme" },
    ],
  });
  await erase(test, "anonymous/device");
  const { status, body } = await test.get("/api/v1/groups/acme");
  deepStrictEqual([status, body.eventCount, body.memberCount], [200, 1, 1]);
});

Deno.test("rejected events of a user and of their devices go with them; another's stay, without the name", async () => {
  await using test = await openPlanted();
  for (
    const event of [
      { type: "track", userId: "planted" },
      { type: "track", anonymousId: "device", properties: { email: "jane@example.com" } },
      { type: "track", userId: "other", anonymousId: "device" },
      { type: "track", anonymousId: "another device" },
    ]
  ) strictEqual((await test.send("/api/v1/events", event)).status, 400);
  strictEqual((await erase(test, "users/planted")).body.erased.rejected, 2);
  const kept =
    (await test.send("/api/v1/admin/rejected", undefined, { method: "GET", headers: AS_ADMIN })).body;
  deepStrictEqual(kept.rejected.map(({ event }: { event: unknown }) => event), [
    { type: "track", anonymousId: "another device" },
    { type: "track", userId: "other" },
  ]);
});

/** What a client may get wrong about an id, each of which was kept after an erasure. */
const LONG_ID = "😀".repeat(200);
const REJECTED: [what: string, id: string, event: Record<string, unknown>][] = [
  ["user_id", "jane.doe", { type: "page", user_id: "jane.doe", traits: { email: "jane@example.com" } }],
  ["an object as userId", "jane.doe", { type: "page", userId: { id: "jane.doe" } }],
  ["an array as userId", "jane.doe", { type: "page", userId: ["jane.doe"] }],
  ["context.traits alone", "jane.doe", { type: "page", context: { traits: { id: "jane.doe" } } }],
  ["an alias without userId", "jane.doe", { type: "alias", previousId: "jane.doe" }],
  ["the type", "jane.doe", { type: "identify:jane.doe", userId: "other" }],
  ["the messageId", "jane.doe", { type: "track", userId: "other", messageId: "jane.doe-17" }],
  ["a key", "jane.doe", { type: "track", userId: "other", properties: { "jane.doe": 1 } }],
  ["an id of an event that is too large", LONG_ID, {
    type: "track",
    event: "x",
    userId: LONG_ID,
    properties: { text: "x".repeat(33_000) },
  }],
  ["an anonymousId of one that is too large", LONG_ID, {
    type: "track",
    event: "x",
    anonymousId: LONG_ID,
    properties: { text: "x".repeat(33_000) },
  }],
];

for (const [what, id, event] of REJECTED) {
  Deno.test(`after an erasure no rejected event has the id in ${what}`, async () => {
    await using test = await openTestApp();
    ok((await test.send("/api/v1/events", event)).status >= 400);
    ok((await test.send("/api/v1/events", { type: "track", userId: "other" })).status === 400);
    const kept = async () => {
      return (await test.get("/api/v1/admin/rejected", AS_ADMIN)).body.rejected as { event: unknown }[];
    };
    strictEqual((await kept()).length, 2);
    const { body } = await erase(test, `users/${encodeURIComponent(id)}?suppress=true`);
    strictEqual(body.erased.rejected, 1);
    deepStrictEqual((await kept()).map(({ event }) => event), [{ type: "track", userId: "other" }]);
  });
}

Deno.test("a rejected event of a suppressed person is not kept, whatever else is wrong with it", async () => {
  await using test = await openPlanted();
  await erase(test, "users/planted?suppress=true");
  const refused = [
    { type: "track", userId: "planted" },
    { type: "page", userId: "planted", timestamp: "yesterday" },
    { type: "page", user_id: "planted", traits: { email: "jane@example.com" } },
    { type: "page", userId: { id: "planted" } },
    { type: "track", userId: "other" },
  ];
  for (const event of refused) ok((await test.send("/api/v1/events", event)).status >= 400);
  const kept =
    (await test.send("/api/v1/admin/rejected", undefined, { method: "GET", headers: AS_ADMIN })).body;
  deepStrictEqual(kept.rejected.map(({ event }: { event: { userId: string } }) => event.userId), ["other"]);
});
