/** `DELETE` of people over HTTP: what is answered, what is refused afterwards, and what is refused before. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { AS_ADMIN, openTestApp, type TestApp } from "../test_app.ts";

const erase = (test: TestApp, path: string) =>
  test.send(`/api/v1/${path}`, undefined, { method: "DELETE", headers: AS_ADMIN });

const NOTHING = { events: 0, logs: 0, groups: 0, rejected: 0 };

/** A user with a device, and another in the same group. */
async function openPlanted(): Promise<TestApp> {
  const test = await openTestApp();
  await test.send("/api/v1/events/batch", {
    batch: [
      { type: "page", anonymousId: "device" },
      { type: "identify", userId: "planted", anonymousId: "device", traits: { plan: "pro" } },
      { type: "group", userId: "planted", groupId: "acme", traits: { size: 2 } },
      { type: "group", userId: "other", groupId: "acme", traits: { name: "Acme" } },
      { type: "track", userId: "other", event: "Bought" },
    ],
  });
  return test;
}

Deno.test("a user who is erased is in no answer any more, and the answer says how much that was", async () => {
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
  deepStrictEqual((await erase(test, "users/planted")).body.erased, NOTHING);
  const never = await erase(test, "anonymous/nobody");
  deepStrictEqual([never.status, never.body.erased], [200, NOTHING]);
});

Deno.test("an anonymous id that is erased leaves its user's own events, without the name", async () => {
  await using test = await openPlanted();
  deepStrictEqual((await erase(test, "anonymous/device")).body.erased, { ...NOTHING, events: 1, logs: 1 });
  const { body } = await test.get("/api/v1/users/planted");
  deepStrictEqual([body.traits, body.anonymousIds, body.eventCount], [{ plan: "pro" }, [], 2]);
  const { events } = (await test.get("/api/v1/users/planted/events")).body;
  ok(!JSON.stringify(events).includes("device"));
});

Deno.test("later events of somebody who is suppressed are refused, each by itself, and change nothing", async () => {
  await using test = await openPlanted();
  strictEqual((await erase(test, "users/planted?suppress=true")).body.suppressed, true);
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
  // To be suppressed is for good, and known of who asks without.
  strictEqual((await erase(test, "users/planted?suppress=false")).body.suppressed, true);
});

for (
  const [path, place] of [
    ["users/planted?suppress=yes", "suppress"],
    ["users/planted?suppress=true&suppress=true", "suppress"],
    ["users/%E0%A4", ""],
    [`users/${"x".repeat(257)}`, ""],
    ["anonymous/device?suppress=", "suppress"],
  ] as const
) {
  Deno.test(`DELETE ${path.slice(0, 60)} is refused, and erases nobody`, async () => {
    await using test = await openPlanted();
    const { status, body } = await erase(test, path);
    deepStrictEqual([status, body.errors[0].path], [400, place]);
    strictEqual((await test.get("/api/v1/users/planted")).body.eventCount, 3);
  });
}

Deno.test("an id is erased as it is, be it longer than stands in a key, or what a path must encode", async () => {
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

Deno.test("nothing of somebody who is suppressed is kept as rejected, whatever else is wrong with it", async () => {
  await using test = await openPlanted();
  await erase(test, "users/planted?suppress=true");
  const refused = [
    { type: "track", userId: "planted" },
    { type: "page", userId: "planted", timestamp: "yesterday" },
    { type: "page", userId: "planted" },
    { type: "track", userId: "other" },
  ];
  for (const event of refused) ok((await test.send("/api/v1/events", event)).status >= 400);
  const kept =
    (await test.send("/api/v1/admin/rejected", undefined, { method: "GET", headers: AS_ADMIN })).body;
  deepStrictEqual(kept.rejected.map(({ event }: { event: { userId: string } }) => event.userId), ["other"]);
});
