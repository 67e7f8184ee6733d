import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { writeKeyKey } from "../../../actors/store/keys.ts";
import { openStore } from "../../../actors/store/store.ts";
import { MAX_WRITE_KEYS } from "../../../actors/governance/write_keys.ts";
import { AS_ADMIN, openTestApp, openTestSystem, type TestApp, WRITE_KEY } from "../test_app.ts";

const KEYS = "/api/v1/admin/keys";
const TRACK = { type: "track", userId: "u1", event: "x" };
const basic = (key: string) => ({ authorization: `Basic ${btoa(`${key}:`)}` });

const create = (test: TestApp, body: unknown) => test.send(KEYS, body, { headers: AS_ADMIN });
const change = (test: TestApp, id: string, body: unknown) =>
  test.send(`${KEYS}/${id}`, body, { method: "PATCH", headers: AS_ADMIN });
const remove = (test: TestApp, id: string) =>
  test.send(`${KEYS}/${id}`, undefined, { method: "DELETE", headers: AS_ADMIN });
const sendBy = async (test: TestApp, key: string) =>
  (await test.send("/api/v1/events", TRACK, { headers: basic(key) })).status;

Deno.test("a write key is made, shown once, listed without its secret, changed and deleted", async () => {
  await using test = await openTestApp();
  const made = await create(test, { name: "website", allowedTypes: ["track", "page"] });
  strictEqual(made.status, 201);
  const { id, key, createdAt, lastChange, ...rest } = made.body;
  match(key, /^c[a-z0-9]{24}$/);
  match(createdAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  deepStrictEqual(rest, {
    name: "website",
    allowedTypes: ["track", "page"],
    enabled: true,
    source: "stored",
  });
  strictEqual(await sendBy(test, key), 200);

  const listed = await test.get(KEYS, AS_ADMIN);
  const { lastUsedAt, ...listedKey } = listed.body.keys[1];
  deepStrictEqual(listedKey, { id, createdAt, lastChange, ...rest });
  strictEqual(lastUsedAt, new Date(test.clock.nowMs).toISOString());
  strictEqual(JSON.stringify(listed.body).includes(key), false);

  const disabled = await change(test, id, { enabled: false, name: "old website", allowedTypes: null });
  const { lastChange: disabling } = disabled.body;
  deepStrictEqual([disabled.status, disabled.body], [200, {
    id,
    name: "old website",
    enabled: false,
    createdAt,
    lastUsedAt,
    lastChange: disabling,
    source: "stored",
  }]);
  strictEqual(await sendBy(test, key), 401);
  await change(test, id, { enabled: true });
  strictEqual(await sendBy(test, key), 200);

  const gone = await remove(test, id);
  deepStrictEqual([gone.status, gone.body], [204, ""]);
  strictEqual(await sendBy(test, key), 401);
  strictEqual((await remove(test, id)).status, 404);
  strictEqual((await change(test, id, { enabled: true })).status, 404);
});

Deno.test("a write key shows who changed it last, from where and when", async () => {
  await using test = await openTestApp();
  const who = { by: "admin", address: "192.0.2.1" };
  const made = (await create(test, { name: "website" })).body;
  const { at: madeAt, ...madeBy } = made.lastChange;
  deepStrictEqual(madeBy, who);
  ok(madeAt >= made.createdAt);
  const rotated = await test.send(`${KEYS}/${made.id}/rotate`, {}, { headers: AS_ADMIN });
  const { at, ...by } = rotated.body.lastChange;
  deepStrictEqual(by, who);
  ok(at >= madeAt);
  deepStrictEqual((await test.get(KEYS, AS_ADMIN)).body.keys[1].lastChange, { at, ...who });
});

Deno.test("the log has who creates, changes, rotates or deletes a write key, and no secret", async () => {
  await using test = await openTestApp();
  const { id, key } = (await create(test, { name: "website" })).body;
  await change(test, id, { enabled: false, name: "old" });
  const rotated = await test.send(`${KEYS}/${id}/rotate`, {}, { headers: AS_ADMIN });
  await remove(test, id);
  await remove(test, id);
  await create(test, { name: "" });
  const who = { level: "info", by: "admin", address: "192.0.2.1", writeKeyId: id };
  deepStrictEqual(test.logged.filter(({ by }) => by !== undefined).map(({ time: _, ...rest }) => rest), [
    { ...who, message: "write key created", name: "website" },
    { ...who, message: "write key changed", changed: "name,enabled" },
    { ...who, message: "write key rotated" },
    { ...who, message: "write key deleted" },
  ]);
  for (const secret of [key, rotated.body.key]) {
    strictEqual(JSON.stringify(test.logged).includes(secret), false);
  }
});

const BAD_KEYS: [what: string, body: unknown, named: string][] = [
  ["no name", {}, "name"],
  ["an empty name", { name: "" }, "name"],
  ["a name that is too long", { name: "x".repeat(201) }, "name"],
  ["a name of ill-formed Unicode", '{"name":"\\ud800"}', "name"],
  ["a type that is none", { name: "x", allowedTypes: ["click"] }, "allowedTypes.0"],
  ["no types at all", { name: "x", allowedTypes: [] }, "allowedTypes"],
  ["a type named twice", { name: "x", allowedTypes: ["track", "track"] }, "allowedTypes"],
  ["an enabled that is no boolean", { name: "x", enabled: "yes" }, "enabled"],
  ["a rate limit that is no object", { name: "x", rateLimit: 5 }, "rateLimit"],
  ["a rate limit without a burst", { name: "x", rateLimit: { perSecond: 1 } }, "rateLimit.burst"],
  ["a rate of nothing", { name: "x", rateLimit: { perSecond: 0, burst: 1 } }, "rateLimit.perSecond"],
  ["a rate below nothing", { name: "x", rateLimit: { perSecond: -1, burst: 1 } }, "rateLimit.perSecond"],
  ["a rate in words", { name: "x", rateLimit: { perSecond: "1", burst: 1 } }, "rateLimit.perSecond"],
  ["a rate that is huge", { name: "x", rateLimit: { perSecond: 1e7, burst: 1 } }, "rateLimit.perSecond"],
  ["a burst of nothing", { name: "x", rateLimit: { perSecond: 1, burst: 0 } }, "rateLimit.burst"],
  ["a burst of half an event", { name: "x", rateLimit: { perSecond: 1, burst: 1.5 } }, "rateLimit.burst"],
  ["a burst that is huge", { name: "x", rateLimit: { perSecond: 1, burst: 1e7 } }, "rateLimit.burst"],
  [
    "a rate limit with a member that is not known",
    { name: "x", rateLimit: { perSecond: 1, burst: 1, per: 2 } },
    "rateLimit.per",
  ],
  ["a member that is not known", { name: "x", allowedType: ["track"] }, "allowedType"],
  ["an array", [], ""],
  ["no JSON", "{", ""],
  ["nothing", undefined, ""],
];

for (const body of [[], "5", "null", '"text"']) {
  Deno.test(`an admin body that is ${JSON.stringify(body)} gets the message that it must be an object`, async () => {
    await using test = await openTestApp();
    const { id } = (await create(test, { name: "x" })).body;
    const answers = [
      await create(test, body),
      await change(test, id, body),
      await test.send(`${KEYS}/${id}/rotate`, body, { headers: AS_ADMIN }),
      await test.send("/api/v1/admin/contracts/c", body, { method: "PUT", headers: AS_ADMIN }),
      await test.send("/api/v1/admin/contracts/c/check", body, { headers: AS_ADMIN }),
      await test.send("/api/v1/admin/common-contracts", body, { headers: AS_ADMIN }),
    ];
    for (const answer of answers) {
      deepStrictEqual([answer.status, answer.body.errors], [400, [{
        path: "",
        message: "The body must be a JSON object.",
      }]]);
    }
  });
}

for (const [what, body, named] of BAD_KEYS) {
  Deno.test(`making a write key of ${what} is 400 and names "${named}"`, async () => {
    await using test = await openTestApp();
    const answer = await create(test, body);
    deepStrictEqual([answer.status, answer.body.errors[0].path], [400, named]);
    strictEqual((await test.get(KEYS, AS_ADMIN)).body.keys.length, 1);
  });
}

Deno.test("the write key of the environment is listed, and can't be changed or deleted", async () => {
  await using test = await openTestApp();
  const { keys } = (await test.get(KEYS, AS_ADMIN)).body;
  deepStrictEqual(keys, [{ id: "default", name: "WRITE_KEY", enabled: true, source: "environment" }]);
  for (const answer of [await change(test, "default", { enabled: false }), await remove(test, "default")]) {
    strictEqual(answer.status, 400);
    match(answer.body.detail, /server's environment \(WRITE_KEY\), or from \.data\/dev\.json/);
  }
  strictEqual(await sendBy(test, WRITE_KEY), 200);
});

Deno.test("a key can be named by its name, unless two keys have it", async () => {
  await using test = await openTestApp();
  const { id } = (await create(test, { name: "web site" })).body;
  strictEqual((await change(test, "web%20site", { enabled: false })).body.id, id);
  const other = (await create(test, { name: "web site" })).body.id;
  const { status, body } = await remove(test, "web%20site");
  deepStrictEqual([status, body.code], [400, "ambiguous_name"]);
  ok(body.detail.includes(id) && body.detail.includes(other));
  strictEqual((await remove(test, other)).status, 204);
  strictEqual((await remove(test, "web%20site")).status, 204);
});

Deno.test("without a write key in the environment there is no default one", async () => {
  await using test = await openTestApp({ withoutWriteKey: true });
  deepStrictEqual((await test.get(KEYS, AS_ADMIN)).body, { keys: [] });
  strictEqual((await remove(test, "default")).status, 404);
  strictEqual(await sendBy(test, WRITE_KEY), 401);
});

Deno.test("stats count accepted and unsettled events", async () => {
  await using test = await openTestApp();
  await test.send("/api/v1/events", TRACK);
  const { status, body } = await test.get("/api/v1/admin/stats", AS_ADMIN);
  strictEqual(status, 200);
  deepStrictEqual([body.head, body.settled + body.unsettled], [1, 1]);
});

Deno.test("a body with many mistakes gets the first of them, shortened", async () => {
  await using test = await openTestApp();
  const types = await create(test, { name: "x", allowedTypes: Array(100_000).fill("click") });
  deepStrictEqual([types.status, types.body.errors.length], [400, 1]);
  const member = await create(test, { name: "x", ["y".repeat(1_000_000)]: 1 });
  strictEqual(member.status, 400);
  strictEqual(member.body.errors[0].path.length, 256);
});

Deno.test("the number of write keys is limited until one is deleted", async () => {
  const store = await openStore(":memory:");
  const keyOf = (n: number) => ({
    id: `k${n}`,
    name: "x",
    enabled: true,
    createdAt: "2025-03-15T00:00:00.000Z",
    digest: `${n}`,
  });
  for (let from = 0; from < MAX_WRITE_KEYS - 1; from += 500) {
    const some = Array.from({ length: Math.min(500, MAX_WRITE_KEYS - 1 - from) }, (_, n) => keyOf(from + n));
    await store.commit({ checks: [], sets: some.map((key) => [writeKeyKey(key.id), key]) });
  }
  await using test = await openTestApp({ system: await openTestSystem(store) });
  strictEqual((await create(test, { name: "last" })).status, 201);
  const { status, body } = await create(test, { name: "one more" });
  deepStrictEqual([status, body.code], [400, "too_many_keys"]);
  strictEqual((await remove(test, "k7")).status, 204);
  strictEqual((await create(test, { name: "instead" })).status, 201);
});
