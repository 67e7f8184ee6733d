/** Query parameters that a route does not know: a typing error must not change what a request does. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { isSendingPath } from "../../../routes/http/paths.ts";
import { AS_ADMIN, AS_READER, AS_SENDER, openTestApp, WRITE_KEY } from "../test_app.ts";

/** Of health, documents and the console: nothing that they show depends on who asks, or for what. */
const OPEN = /^\/(healthz|readyz|openapi\.json|docs.*|console.*)$/;

Deno.test("an unknown parameter of a reading or admin route is 400, and the answer names it and the known ones", async () => {
  await using test = await openTestApp();
  const paths = test.app.routes
    .filter(({ method, path }) => method !== "OPTIONS" && !OPEN.test(path) && !isSendingPath(path));
  ok(paths.length > 20, `${paths.length}`);
  for (const { method, path } of paths) {
    const { status, body } = await test.send(`${path}?supress=planted`, undefined, {
      method,
      headers: AS_ADMIN,
    });
    deepStrictEqual([status, body.code, body.errors.length], [400, "invalid_query", 1], `${method} ${path}`);
    const [{ path: named, message }] = body.errors;
    strictEqual(named, "supress");
    match(message, /^is unknown: this route takes ./);
    strictEqual(JSON.stringify(body).includes("planted"), false);
  }
});

Deno.test("an erasure with a parameter that is spelt wrong erases nobody", async () => {
  await using test = await openTestApp();
  await test.send("/api/v1/events", { type: "page", userId: "u" });
  const { status, body } = await test.send("/api/v1/users/u?supress=true", undefined, {
    method: "DELETE",
    headers: AS_ADMIN,
  });
  strictEqual(status, 400);
  match(body.detail, /^supress is unknown: this route takes suppress/);
  strictEqual((await test.get("/api/v1/users/u")).body.eventCount, 1);
});

Deno.test("a caller without the right is told only that", async () => {
  await using test = await openTestApp();
  for (const [headers, status] of [[{}, 401], [AS_SENDER, 403], [AS_READER, 403]] as const) {
    strictEqual((await test.get("/api/v1/admin/stats?x=1", headers)).status, status);
  }
});

const UNKNOWN: [what: string, query: string, named: string][] = [
  ["another letter case", "?Limit=1", "Limit"],
  ["a name of objects", "?__proto__=1", "__proto__"],
  ["no name", "?=1", ""],
  ["a name that is ill-formed", "?%ff=1", "%ff"],
  ["a long name", `?${"x".repeat(5000)}`, "x".repeat(60)],
  ["one behind those that are known", "?limit=1&order=asc&user=u", "user"],
];

for (const [what, query, named] of UNKNOWN) {
  Deno.test(`${what} in a query is unknown`, async () => {
    await using test = await openTestApp();
    const { status, body } = await test.get(`/api/v1/users/u/events${query}`);
    deepStrictEqual([status, body.errors[0].path], [400, named]);
  });
}

Deno.test("a route that is asked without parameters may be asked with an empty query", async () => {
  await using test = await openTestApp();
  for (const query of ["?", "?&&"]) strictEqual((await test.get(`/metrics${query}`)).status, 200);
});

Deno.test("routes that clients send to, and open ones, pass over parameters of others", async () => {
  await using test = await openTestApp();
  const event = { type: "page", userId: "u" };
  strictEqual((await test.send("/api/v1/events?x=1", event)).status, 200);
  strictEqual((await test.send("/v1/page?x=1", event)).status, 200);
  const beacon = `/beacon/v1/batch?x=%ff&writeKey=${WRITE_KEY}`;
  strictEqual((await test.send(beacon, { batch: [event] }, { headers: {} })).status, 200);
  for (
    const path of [
      `/sourceConfig?p=npm&v=3&writeKey=${WRITE_KEY}`,
      `/v1/projects/${WRITE_KEY}/settings?x`,
      "/healthz?x",
    ]
  ) {
    strictEqual((await test.get(path, {})).status, 200, path);
  }
});
