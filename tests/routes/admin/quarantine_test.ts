/** The quarantine over HTTP: what is kept of what was refused, and how it is sent again. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { commonContracts } from "../../../domain/contract/common_contracts.ts";
import { accept } from "../../../domain/event/accept.ts";
import type { Rejection } from "../../../domain/event/rejection.ts";
import { quarantineObserver } from "../../../ingest/observers/quarantine.ts";
import { AS_ADMIN, AS_SENDER, openTestApp, openTestSystem, type TestApp, WRITE_KEY } from "../test_app.ts";

const EVENTS = "/api/v1/events";
const AUTHOR = { by: "admin", address: "" };
const DAY_MS = 86_400_000;

const enforce = (test: TestApp) => test.system.contracts.put(commonContracts("enforce"), AUTHOR);
const mend = (test: TestApp) => test.system.contracts.put(commonContracts("monitor"), AUTHOR);
const order = (more: object = {}) => ({
  type: "track",
  event: "Order Completed",
  userId: "u",
  properties: {},
  ...more,
});

async function kept(test: TestApp, query = "") {
  const { status, body } = await test.get(`/api/v1/admin/rejected${query}`, AS_ADMIN);
  strictEqual(status, 200, JSON.stringify(body));
  return body;
}

const act = (test: TestApp, method: string, rest: string) =>
  test.send(`/api/v1/admin/rejected/${rest}`, undefined, { method, headers: AS_ADMIN });

Deno.test("a rejected event is kept as it was sent, with the reason", async () => {
  await using test = await openTestApp();
  await enforce(test);
  const sent = order({ messageId: "m", timestamp: "2025-03-15", extra: { __proto: 1 } });
  const { body } = await test.send(EVENTS, sent);
  const { rejected: [first], cursor } = await kept(test);
  const { id, ...rest } = first;
  ok(id);
  deepStrictEqual([rest, cursor], [{
    receivedAt: new Date(test.clock.nowMs).toISOString(),
    writeKeyId: "default",
    status: 422,
    code: "contract_violation",
    message: body.detail,
    path: "properties.order_id",
    event: sent,
  }, null]);
});

Deno.test("rejected objects are kept, without their write keys", async () => {
  await using test = await openTestApp();
  const { key } = await test.system.writeKeys.create({ name: "pages", allowedTypes: ["page"] });
  await test.send(EVENTS, { type: "track", userId: "u" });
  await test.send(EVENTS, order(), { headers: { authorization: `Bearer ${key}` } });
  await test.send(`${EVENTS}/batch`, { batch: [5, null, "x", [], { type: "page" }] });
  await test.send(EVENTS, "[1]");
  await test.send(EVENTS, "{");
  await test.send(EVENTS, { type: "page", userId: "u" }, { headers: {} });
  await test.send(EVENTS, { type: "order", userId: "u", writeKey: WRITE_KEY }, { headers: {} });
  const { rejected } = await kept(test);
  deepStrictEqual(rejected.map(({ status, code }: Record<string, unknown>) => [status, code]), [
    [400, "invalid_type"],
    [400, "missing_id"],
    [403, "forbidden_type"],
    [400, "missing_event"],
  ]);
  ok(!JSON.stringify(rejected).includes(WRITE_KEY));
});

Deno.test("of an event that is too large only its ids and its name are kept, and it can't be sent again", async () => {
  await using test = await openTestApp();
  const large = order({ messageId: "m", userId: 5, properties: { text: "x".repeat(33_000) } });
  strictEqual((await test.send(EVENTS, large)).status, 413);
  const { key } = await test.system.writeKeys.create({ name: "pages", allowedTypes: ["page"] });
  // Refused before its size was looked at, and still not kept whole.
  await test.send(EVENTS, large, { headers: { authorization: `Bearer ${key}` } });
  const { rejected } = await kept(test);
  for (const { event, cut, id } of rejected) {
    deepStrictEqual([event, cut], [
      { type: "track", messageId: "m", userId: 5, event: "Order Completed" },
      true,
    ]);
    const { status, body } = await act(test, "POST", `${id}/resend`);
    deepStrictEqual([status, body.code], [400, "event_cut"]);
  }
  deepStrictEqual(rejected.map(({ status }: { status: number }) => status), [403, 413]);
});

Deno.test("cutting a long name leaves no half of a character", async () => {
  await using test = await openTestApp();
  const event = `${"x".repeat(255)}😀${"y".repeat(33_000)}`;
  strictEqual((await test.send(EVENTS, order({ event }))).status, 413);
  const { rejected: [{ event: { event: name } }] } = await kept(test);
  strictEqual(name, `${"x".repeat(255)}\ufffd`);
});

Deno.test("nothing is kept of a person whose events are suppressed", async () => {
  await using test = await openTestApp();
  const { keep } = { keep: quarantineObserver(test.system, { statusOf: () => 403 }).rejected! };
  const source = {
    sender: { writeKeyId: "k" },
    receivedAt: 0,
  };
  const { rejection } = accept({ type: "page" }, { receivedAt: 0, newId: () => "m" });
  keep(
    { type: "page", userId: "u" },
    { ...rejection!, reason: "forbidden", code: "suppressed" } as Rejection,
    source,
  );
  deepStrictEqual((await kept(test)).rejected, []);
  keep({ type: "page", userId: "u" }, rejection!, source);
  strictEqual((await kept(test)).rejected.length, 1);
});

Deno.test("an address that must not be kept is not kept here, but its location is", async () => {
  await using test = await openTestApp({
    ipAddresses: "drop",
    lookUp: (address) => address === "203.0.113.42" ? { country_code: "DE" } : undefined,
  });
  await enforce(test);
  await test.send(EVENTS, order({ context: { ip: "203.0.113.42" } }));
  await test.send(EVENTS, { type: "page", context: "203.0.113.42" });
  const { rejected: [wrong, { id, event }] } = await kept(test);
  deepStrictEqual([event.context, wrong.event.context], [{ location: { country: "DE" } }, "203.0.113.42"]);
  await mend(test);
  await act(test, "POST", `${id}/resend`);
  deepStrictEqual((await test.get("/api/v1/users/u")).body.context, { location: { country: "DE" } });
});

Deno.test("the defaults of the batch and the route are kept with an event, so that it can be resent alone", async () => {
  await using test = await openTestApp();
  await enforce(test);
  await test.send("/v1/batch", {
    batch: [order({ context: { locale: "de" } })],
    context: { locale: "en", ip: "203.0.113.42" },
    integrations: { All: true },
    sentAt: "2025-03-15T00:00:00Z",
  });
  await test.send("/v1/track", { event: "Cart Viewed", userId: "u", type: "page" });
  const { rejected: [track, batched] } = await kept(test);
  deepStrictEqual(batched.event, {
    ...order(),
    context: { locale: "de", ip: "203.0.113.42" },
    integrations: { All: true },
    sentAt: "2025-03-15T00:00:00Z",
  });
  strictEqual(track.event.type, "track");
});

Deno.test("an event can be sent again after its contract was mended, and counts once", async () => {
  await using test = await openTestApp();
  await enforce(test);
  const receivedMs = test.clock.nowMs;
  // The sender's clock is an hour behind.
  const timestamp = new Date(receivedMs - 3_600_000 - 5_000).toISOString();
  const sentAt = new Date(receivedMs - 3_600_000).toISOString();
  await test.send(EVENTS, order({ messageId: "m", timestamp, sentAt }));
  await test.send(EVENTS, order());
  const { rejected: [second, first] } = await kept(test);

  const refused = await act(test, "POST", `${first.id}/resend`);
  deepStrictEqual([refused.status, refused.body.code], [422, "contract_violation"], "it is still enforced");
  strictEqual((await kept(test)).rejected.length, 2, "it stays, and is not kept twice");

  await mend(test);
  test.clock.nowMs += 2 * DAY_MS;
  const sent = await act(test, "POST", `${first.id}/resend`);
  deepStrictEqual([sent.status, sent.body], [200, { success: true, messageId: "m", duplicate: false }]);
  const withoutId = await act(test, "POST", `${second.id}/resend`);
  deepStrictEqual(
    withoutId.body,
    { success: true, messageId: second.id, duplicate: false },
    "no other id than its own",
  );
  deepStrictEqual((await kept(test)).rejected, []);
  for (const id of [first.id, second.id]) strictEqual((await act(test, "POST", `${id}/resend`)).status, 404);

  const { events } = (await test.get("/api/v1/users/u/events?order=asc")).body;
  deepStrictEqual(
    events.map(({ messageId, timestamp, receivedAt }: Record<string, string>) => [
      messageId,
      Date.parse(timestamp!) - receivedMs,
      Date.parse(receivedAt!) - receivedMs,
    ]),
    [["m", -5_000, 2 * DAY_MS], [second.id, 0, 2 * DAY_MS]],
    "each happened when it happened, and is known since it was sent again",
  );
});

Deno.test("it is sent under the write key that sent it, as far as that still may", async () => {
  await using test = await openTestApp();
  await enforce(test);
  const { key, writeKey } = await test.system.writeKeys.create({ name: "web" });
  const send = () => test.send(EVENTS, order(), { headers: { authorization: `Bearer ${key}` } });
  for (let n = 0; n < 3; n++) await send();
  await mend(test);
  const { rejected: [a, b, c] } = await kept(test);
  strictEqual(a.writeKeyId, writeKey.id);
  strictEqual((await act(test, "POST", `${a.id}/resend`)).status, 200);
  await test.system.writeKeys.change(writeKey.id, { allowedTypes: ["page"] });
  const forbidden = await act(test, "POST", `${b.id}/resend`);
  deepStrictEqual([forbidden.status, forbidden.body.code], [403, "forbidden_type"]);
  await test.system.writeKeys.change(writeKey.id, { allowedTypes: null, enabled: false });
  strictEqual((await act(test, "POST", `${c.id}/resend`)).body.code, "write_key_gone");
  await test.system.writeKeys.remove(writeKey.id);
  const gone = await act(test, "POST", `${c.id}/resend`);
  deepStrictEqual([gone.status, gone.body.code], [403, "write_key_gone"]);
  strictEqual((await kept(test)).rejected.length, 2);
});

Deno.test("an event that came in meanwhile is a duplicate, and leaves the quarantine", async () => {
  await using test = await openTestApp();
  await enforce(test);
  await test.send(EVENTS, order({ messageId: "m" }));
  await mend(test);
  await test.send(EVENTS, order({ messageId: "m" }));
  const { rejected: [first] } = await kept(test);
  const { body } = await act(test, "POST", `${first.id}/resend`);
  deepStrictEqual(body, { success: true, messageId: "m", duplicate: true });
  deepStrictEqual((await kept(test)).rejected, []);
});

Deno.test("an erased person is erased here too, and later suppressed events are not kept", async () => {
  await using test = await openTestApp();
  await test.send(EVENTS, { type: "page", userId: "u", name: "kept" });
  await enforce(test);
  for (const userId of ["u", "u", "other"]) await test.send(EVENTS, order({ userId }));
  const { status, body } = await test.send("/api/v1/users/u?suppress=true", undefined, {
    method: "DELETE",
    headers: AS_ADMIN,
  });
  deepStrictEqual([status, body.erased.rejected], [200, 2]);
  // What is wrong with an event is told whoever's it is.
  strictEqual((await test.send(EVENTS, order())).body.code, "contract_violation");
  const { rejected } = await kept(test);
  deepStrictEqual(rejected.map(({ event }: { event: { userId: string } }) => event.userId), ["other"]);
});

Deno.test("the log has who reads, deletes or resends them, without their content", async () => {
  await using test = await openTestApp();
  await enforce(test);
  for (const userId of ["jane.doe", "jane.doe"]) await test.send(EVENTS, order({ userId }));
  const { rejected: [first, second] } = await kept(test);
  await mend(test);
  await act(test, "POST", `${first.id}/resend`);
  await act(test, "DELETE", second.id);
  await act(test, "DELETE", second.id);
  await test.get("/api/v1/admin/rejected", AS_SENDER);
  const who = { level: "info", by: "admin", address: "192.0.2.1" };
  deepStrictEqual(test.logged.filter(({ by }) => by !== undefined).map(({ time: _, ...rest }) => rest), [
    { ...who, message: "rejected events read", events: 2 },
    { ...who, message: "rejected event sent again", rejectedId: first.id },
    { ...who, message: "rejected event deleted", rejectedId: second.id },
  ]);
  ok(!JSON.stringify(test.logged).includes("jane"));
});

Deno.test("one can be deleted, once", async () => {
  await using test = await openTestApp();
  await test.send(EVENTS, { type: "page" });
  const { rejected: [{ id }] } = await kept(test);
  deepStrictEqual([(await act(test, "DELETE", id)).status, (await act(test, "DELETE", id)).status], [
    204,
    404,
  ]);
  deepStrictEqual((await kept(test)).rejected, []);
  for (const bad of ["%ff", "x".repeat(200), "%00"]) {
    strictEqual((await act(test, "DELETE", bad)).status, 404, bad);
  }
});

Deno.test("the list is by pages, newest first", async () => {
  await using test = await openTestApp();
  for (let n = 0; n < 5; n++) await test.send(EVENTS, { type: "page", name: `p${n}` });
  const names: string[] = [];
  let cursor: string | null = "";
  for (let pages = 0; cursor !== null && pages < 9; pages++) {
    const page = await kept(test, `?limit=2${cursor && `&cursor=${cursor}`}`);
    names.push(...page.rejected.map(({ event }: { event: { name: string } }) => event.name));
    cursor = page.cursor;
  }
  deepStrictEqual(names, ["p4", "p3", "p2", "p1", "p0"]);
  for (const query of ["?limit=0", "?limit=501", "?cursor=", "?cursor=x", "?cursor=WzFd"]) {
    strictEqual((await test.get(`/api/v1/admin/rejected${query}`, AS_ADMIN)).status, 400, query);
  }
});

Deno.test("an id longer than any is of nothing that is kept", async () => {
  await using test = await openTestApp();
  const path = `/api/v1/admin/rejected/${"x".repeat(5_000)}`;
  for (const [method, rest] of [["DELETE", ""], ["POST", "/resend"]] as const) {
    const { status } = await test.send(`${path}${rest}`, undefined, { method, headers: AS_ADMIN });
    strictEqual(status, 404);
  }
});

Deno.test("a batch that is refused whole keeps nothing: it will be sent again", async () => {
  await using test = await openTestApp();
  const text = "x".repeat(30_000);
  const batch = [{ type: "page" }, ...Array.from({ length: 150 }, () => ({ type: "page", userId: "u" }))];
  const { status } = await test.send(`${EVENTS}/batch`, { batch, context: { text } });
  strictEqual(status, 413);
  deepStrictEqual((await kept(test)).rejected, []);
});

Deno.test("kept events are there after a restart, also those that were not yet written at the stop", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const open = async () => {
      const { openStore } = await import("../../../actors/store/store.ts");
      return await openTestApp({ system: await openTestSystem(await openStore(`${dir}/kv.db`)) });
    };
    {
      await using test = await open();
      await enforce(test);
      await test.send(EVENTS, order({ messageId: "m" }));
    }
    await using test = await open();
    strictEqual((await kept(test)).rejected[0].event.messageId, "m");
    strictEqual((await test.send(EVENTS, order())).status, 422, "contracts too");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

for (const sentAt of ["", "soon", "9999-12-31"]) {
  Deno.test(`a resent event is corrected by its batch's sentAt if its own is ${JSON.stringify(sentAt)}`, async () => {
    await using test = await openTestApp();
    const at = (ms: number) => new Date(test.clock.nowMs + ms).toISOString();
    const { key, writeKey: { id } } = await test.system.writeKeys.create({
      name: "pages",
      allowedTypes: ["page"],
    });
    await test.send(`${EVENTS}/batch`, {
      batch: [{ type: "track", event: "E", userId: "u", messageId: "m", timestamp: at(-5_000), sentAt }],
      sentAt: at(-3_000),
    }, { headers: { authorization: `Bearer ${key}` } });
    await test.system.writeKeys.change(id, { allowedTypes: ["track"] });
    const { rejected: [{ id: rejected }] } = await kept(test);
    strictEqual((await act(test, "POST", `${rejected}/resend`)).status, 200);
    const { body } = await test.get("/api/v1/users/u/events");
    strictEqual(body.events[0].timestamp, at(-2_000));
  });
}

/** Six rejected events: three of a contract, two without a name, one of another key. */
async function rejectSix(test: TestApp): Promise<string> {
  const { key, writeKey } = await test.system.writeKeys.create({ name: "shop" });
  await test.system.contracts.put([{
    name: "order",
    type: "track",
    event: "Order Completed",
    schema: { properties: { properties: { required: ["total"] } } },
    mode: "enforce",
  }], AUTHOR);
  for (const id of ["o1", "o2", "o3"]) await test.send(EVENTS, order({ messageId: id, userId: `u-${id}` }));
  await test.send(EVENTS, { type: "track", userId: "u", messageId: "n1" });
  await test.send(EVENTS, { type: "track", userId: "u", messageId: "n2" });
  await test.send(EVENTS, { type: "screen", messageId: "s1" }, {
    headers: { authorization: `Basic ${btoa(`${key}:`)}` },
  });
  return writeKey.id;
}

Deno.test("rejected events are found by code, contract, key, type, user and message id", async () => {
  await using test = await openTestApp();
  const shop = await rejectSix(test);
  const found = async (query: string) =>
    (await kept(test, query)).rejected.map(({ event }: { event: { messageId: string } }) => event.messageId)
      .toSorted().join();
  strictEqual(await found("?code=missing_event"), "n1,n2");
  strictEqual(await found("?contract=order"), "o1,o2,o3");
  strictEqual(await found("?contract=orde"), "");
  strictEqual(await found(`?writeKeyId=${shop}`), "s1");
  strictEqual(await found("?type=screen"), "s1");
  strictEqual(await found("?userId=u-o2"), "o2");
  strictEqual(await found("?messageId=n2&code=missing_event"), "n2");
  const first = await kept(test, "?contract=order&limit=2");
  const second = await kept(test, `?contract=order&limit=2&cursor=${first.cursor}`);
  deepStrictEqual([first.rejected.length, second.rejected.length, second.cursor], [2, 1, null]);
  const { status, body } = await test.get(`/api/v1/admin/rejected/${first.rejected[0].id}`, AS_ADMIN);
  deepStrictEqual([status, body], [200, first.rejected[0]]);
  strictEqual((await test.get("/api/v1/admin/rejected/nothing", AS_ADMIN)).status, 404);
});

Deno.test("one request resends all events of a contract, and says what became of them", async () => {
  await using test = await openTestApp();
  await rejectSix(test);
  const resend = (body: unknown) => test.send("/api/v1/admin/rejected/resend", body, { headers: AS_ADMIN });
  const all = { sent: 3, accepted: 0, duplicate: 0, rejected: 3, complete: true };
  deepStrictEqual((await resend({ contract: "order" })).body, all);
  strictEqual((await kept(test)).rejected.length, 6);
  await test.send(EVENTS, order({ messageId: "o2", properties: { total: 1 } }));
  await test.system.contracts.remove("order", AUTHOR);
  deepStrictEqual((await resend({ contract: "order" })).body, {
    ...all,
    accepted: 2,
    duplicate: 1,
    rejected: 0,
  });
  const { rejected } = await kept(test);
  strictEqual(rejected.length, 3);
  const ids = rejected.map(({ id }: { id: string }) => id);
  const some = await resend({ ids: [...ids, "nothing"], type: "track" });
  deepStrictEqual(some.body, { sent: 2, accepted: 0, duplicate: 0, rejected: 2, complete: true });
  deepStrictEqual([(await resend({})).status, (await resend({ kind: "x" })).status], [400, 400]);
  strictEqual((await test.send("/api/v1/admin/rejected/other", {}, { headers: AS_ADMIN })).status, 405);
});
