/** Test events go the way of any event, as a write key; and what the server says of itself. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { VERSION } from "../../../routes/http/version.ts";
import { AS_ADMIN, AS_READER, AS_SENDER, openTestApp, READ_TOKEN, type TestApp } from "../test_app.ts";

const AUTHOR = { by: "admin", address: "" };
const event = {
  type: "track",
  userId: "test_user",
  event: "Tested",
  messageId: "t1",
  properties: { n: "1" },
};

const send = (test: TestApp, body: unknown) =>
  test.send("/api/v1/admin/test-events", body, { headers: AS_ADMIN });

Deno.test("a test event is stored under the chosen key, and a second one is a duplicate", async () => {
  await using test = await openTestApp();
  const { writeKey } = await test.system.writeKeys.create({ name: "web" });
  const body = { writeKeyId: writeKey.id, event };
  deepStrictEqual((await send(test, body)).body, { success: true, messageId: "t1", duplicate: false });
  deepStrictEqual((await send(test, body)).body, { success: true, messageId: "t1", duplicate: true });
  const { body: trace } = await test.get("/api/v1/admin/events/t1", AS_ADMIN);
  deepStrictEqual([trace.writeKeyId, trace.event.event], [writeKey.id, "Tested"]);
  deepStrictEqual((await test.get("/api/v1/users/test_user")).body.eventCount, 1);
});

Deno.test("a test event is refused as its key would be: by type, contract, form and rate", async () => {
  await using test = await openTestApp();
  const { writeKey } = await test.system.writeKeys.create({
    name: "web",
    allowedTypes: ["track"],
    rateLimit: { perSecond: 0.01, burst: 3 },
  });
  const { id: writeKeyId } = writeKey;
  await test.system.contracts.put([{
    name: "tested",
    type: "track",
    event: "Tested",
    schema: { properties: { properties: { properties: { n: { type: "number" } } } } },
    mode: "enforce",
  }], AUTHOR);
  const answers = [];
  for (const more of [{ type: "page" }, {}, { event: "" }, { event: "Other" }]) {
    const { status, body } = await send(test, { writeKeyId, event: { ...event, ...more } });
    answers.push([status, body.code]);
  }
  deepStrictEqual(answers, [
    [403, "forbidden_type"],
    [422, "contract_violation"],
    [400, "missing_event"],
    [429, "rate_limited"],
  ]);
  const { body } = await test.get("/api/v1/admin/rejected?code=contract_violation", AS_ADMIN);
  strictEqual(body.rejected[0].writeKeyId, writeKeyId);
});

Deno.test("a dry run says what would become of an event, and stores and counts nothing", async () => {
  await using test = await openTestApp();
  await test.system.contracts.put([{ name: "all", type: "track", schema: false, mode: "monitor" }], AUTHOR);
  const { status, body } = await send(test, { writeKeyId: "default", event, dryRun: true });
  deepStrictEqual([status, body.wouldAccept, body.errors, body.location], [200, true, [], null]);
  deepStrictEqual(body.contracts.map(({ name, holds }: { name: string; holds: boolean }) => [name, holds]), [
    ["all", false],
  ]);
  const bad = await send(test, { writeKeyId: "default", event: { type: "page" }, dryRun: true });
  deepStrictEqual([bad.body.wouldAccept, bad.body.errors[0].code, bad.body.errors[0].status], [
    false,
    "missing_id",
    400,
  ]);
  const { body: stats } = await test.get("/api/v1/admin/stats", AS_ADMIN);
  deepStrictEqual([stats.head, stats.counts.accepted, stats.counts.rejected], [0, 0, 0]);
  deepStrictEqual((await test.get("/api/v1/admin/rejected", AS_ADMIN)).body.rejected, []);
  deepStrictEqual(test.system.contracts.violations(), []);
});

Deno.test("a test event needs an enabled write key and a known body", async () => {
  await using test = await openTestApp();
  const { writeKey } = await test.system.writeKeys.create({ name: "off", enabled: false });
  for (const writeKeyId of [writeKey.id, "nobody"]) {
    const { status, body } = await send(test, { writeKeyId, event });
    deepStrictEqual([status, body.code, body.errors[0].path], [400, "unknown_write_key", "writeKeyId"]);
  }
  for (const body of [{}, { writeKeyId: "default" }, { writeKeyId: "default", event, dry: true }]) {
    deepStrictEqual((await send(test, body)).body.code, "invalid_body");
  }
});

Deno.test("about says what the caller may do and how the server is set, without secrets", async () => {
  await using test = await openTestApp({ unknownEvents: "monitor" });
  const about = async (headers: HeadersInit) => await test.get("/api/v1/admin/about", headers);
  const { body } = await about(AS_ADMIN);
  deepStrictEqual([body.version, body.deno, body.rights], [VERSION, Deno.version.deno, "admin"]);
  deepStrictEqual(body.settings.UNKNOWN_EVENTS, "monitor");
  ok(!JSON.stringify(body).includes(READ_TOKEN));
  strictEqual((await about(AS_READER)).body.rights, "read");
  deepStrictEqual([(await about(AS_SENDER)).status, (await about({})).status], [403, 401]);
});
