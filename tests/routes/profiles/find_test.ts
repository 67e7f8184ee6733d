/** Finding users and groups over HTTP. */
import { deepStrictEqual, strictEqual } from "node:assert";
import { AS_SENDER, openTestApp, type TestApp } from "../test_app.ts";

const identify = (test: TestApp, userId: string, traits: Record<string, unknown>) =>
  test.send("/api/v1/events", { type: "identify", userId, traits });

Deno.test("a user is found by a trait, ignoring case and surrounding blanks, with the traits that are looked up", async () => {
  await using test = await openTestApp();
  await identify(test, "u1", { email: " Jane@Example.com", phone: 4412345678901234, plan: "pro" });
  await identify(test, "u2", { email: "joe@example.com" });
  const { status, body } = await test.get("/api/v1/users?trait.email=%20jane%40example.COM%20");
  strictEqual(status, 200);
  deepStrictEqual(body, {
    users: [{ userId: "u1", traits: { email: " Jane@Example.com", phone: 4412345678901234 } }],
    cursor: null,
  });
  strictEqual((await test.get("/api/v1/users?trait.phone=4412345678901234")).body.users[0].userId, "u1");
  deepStrictEqual((await test.get("/api/v1/users?trait.email=jane@example.com&prefix=u2")).body.users, []);
  await identify(test, "u1", { email: "other@example.com" });
  deepStrictEqual((await test.get("/api/v1/users?trait.email=jane@example.com")).body.users, []);
});

Deno.test("ids that begin with a prefix come in order, in pages; long ids too", async () => {
  await using test = await openTestApp();
  const long = `b${"x".repeat(200)}`;
  for (const id of ["b2", "a1", "b1", long, "c"]) await identify(test, id, {});
  const page = async (query: string) => (await test.get(`/api/v1/users?${query}`)).body;
  const ids = ({ users }: { users: { userId: string }[] }) => users.map(({ userId }) => userId);
  deepStrictEqual(ids(await page("prefix=b")).toSorted(), ["b1", "b2", long]);
  const first = await page("limit=3");
  const second = await page(`limit=3&cursor=${first.cursor}`);
  deepStrictEqual([...ids(first), ...ids(second)], [long, "a1", "b1", "b2", "c"]);
  strictEqual(second.cursor, null);
});

Deno.test("groups are found likewise", async () => {
  await using test = await openTestApp();
  await test.send("/api/v1/events", {
    type: "group",
    userId: "u",
    groupId: "acme",
    traits: { email: "hi@acme.com" },
  });
  const found = [{ groupId: "acme", traits: { email: "hi@acme.com" } }];
  deepStrictEqual((await test.get("/api/v1/groups?trait.email=HI@acme.com")).body, {
    groups: found,
    cursor: null,
  });
  deepStrictEqual((await test.get("/api/v1/groups?prefix=ac")).body.groups, found);
});

Deno.test("a trait that is not looked up, a blank value and a wrong cursor are refused", async () => {
  await using test = await openTestApp();
  for (const query of ["trait.plan=pro", "trait.email=%20", "cursor=x", "limit=0", "email=x"]) {
    strictEqual((await test.get(`/api/v1/users?${query}`)).status, 400, query);
  }
  strictEqual((await test.get("/api/v1/users", AS_SENDER)).status, 403);
});
