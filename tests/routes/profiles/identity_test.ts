/** Who is who over HTTP: ids that name nobody, and ids that too many have had. */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { openTestApp, type TestApp } from "../test_app.ts";

const identify = (userId: string, anonymousId: string, more: object = {}) => ({
  type: "identify",
  userId,
  anonymousId,
  ...more,
});

const sendAll = async (test: TestApp, batch: object[]) => {
  const { body } = await test.send("/api/v1/events/batch", { batch });
  strictEqual(body.accepted, batch.length, JSON.stringify(body.errors));
};

Deno.test("events of strangers with an id that 55 users have linked in turn belong to no user", async () => {
  await using test = await openTestApp();
  const users = Array.from({ length: 55 }, (_, n) => `u${n + 1}`);
  for (const userId of users) await sendAll(test, [identify(userId, "constant")]);
  await sendAll(test, [
    { type: "identify", anonymousId: "constant", traits: { email: "stranger@example.com" } },
    { type: "track", anonymousId: "constant", event: "Order Completed" },
    { type: "group", anonymousId: "constant", groupId: "acme" },
  ]);
  for (const userId of users) {
    const { body } = await test.get(`/api/v1/users/${userId}`);
    deepStrictEqual([body.traits, body.events, body.groups, body.eventCount], [{}, {}, [], 1], userId);
  }
  const { body } = await test.get("/api/v1/anonymous/constant");
  deepStrictEqual(
    [body.anonymousId, body.userId, body.traits, body.eventCount],
    ["constant", undefined, { email: "stranger@example.com" }, 3],
  );
  deepStrictEqual((await test.get("/api/v1/groups/acme/members")).body.members, [
    { anonymousId: "constant", joinedAt: body.lastSeen },
  ]);
});

for (const id of ["[object Object]", "NaN", "nil", "(null)", " ", "{{user_id}}", "0.0", "9774d56d682e549c"]) {
  Deno.test(`events of strangers with the anonymousId ${JSON.stringify(id)} reach no user, and keep the id`, async () => {
    await using test = await openTestApp();
    await sendAll(test, [
      identify("jane", id),
      { type: "alias", userId: "jane", previousId: id },
      { type: "identify", anonymousId: id, traits: { email: "stranger@example.com" } },
    ]);
    const { body } = await test.get("/api/v1/users/jane");
    deepStrictEqual([body.traits, body.anonymousIds, body.eventCount], [{}, [], 2]);
    const { events } = (await test.get("/api/v1/users/jane/events?order=asc")).body;
    deepStrictEqual([events[0].anonymousId, events[1].previousId], [id, id]);
  });
}

Deno.test("a user called undefined gets nothing of a visitor, who belongs to the real user", async () => {
  await using test = await openTestApp();
  await sendAll(test, [{ type: "track", anonymousId: "visitor", event: "Viewed" }]);
  await sendAll(test, [identify("undefined", "visitor")]);
  await sendAll(test, [identify("jane", "visitor")]);
  const real = (await test.get("/api/v1/users/jane")).body;
  deepStrictEqual([real.anonymousIds, real.events.Viewed?.count], [["visitor"], 1]);
  const { body } = await test.get("/api/v1/users/undefined");
  deepStrictEqual([body.anonymousIds, body.events, body.eventCount], [[], {}, 1]);
});

Deno.test("an identify links whatever else its sender sends: only the server can mark it as never linking", async () => {
  await using test = await openTestApp();
  await sendAll(test, [{ ...identify("jane", "phone"), neverLinks: true }]);
  deepStrictEqual((await test.get("/api/v1/users/jane")).body.anonymousIds, ["phone"]);
});

Deno.test("an additional placeholder id of a setting never links, and the event keeps that mark", async () => {
  await using test = await openTestApp({ placeholderIds: "kiosk-1, demo" });
  await sendAll(test, [
    identify("jane", "Kiosk-1"),
    identify("demo", "visitor"),
    { type: "track", anonymousId: "Kiosk-1", event: "Viewed" },
    identify("jane", "phone"),
  ]);
  const { body } = await test.get("/api/v1/users/jane");
  deepStrictEqual([body.anonymousIds, body.events], [["phone"], {}]);
  deepStrictEqual((await test.get("/api/v1/users/demo")).body.anonymousIds, []);
  strictEqual((await test.get("/api/v1/anonymous/Kiosk-1")).body.anonymousId, "Kiosk-1");
  const { events } = (await test.get("/api/v1/users/jane/events?order=asc")).body;
  deepStrictEqual(events.map(({ neverLinks }: { neverLinks?: true }) => neverLinks), [true, undefined]);
  // Without the setting, as when it is taken away and everything is folded again.
  const later = await openTestApp({ system: test.system });
  ok(!(await later.get("/api/v1/users/jane")).body.anonymousIds.includes("Kiosk-1"));
});
