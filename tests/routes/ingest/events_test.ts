import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { gzipSync } from "node:zlib";
import type { System } from "../../../actors/system.ts";
import { EXAMPLE_EVENTS } from "../../spec_examples.ts";
import {
  ADMIN_TOKEN,
  AS_ADMIN,
  AS_READER,
  AS_SENDER,
  openTestApp,
  openTestSystem,
  WRITE_KEY,
} from "../test_app.ts";
import { BatchTooLarge, StorageUnavailable } from "../../../actors/store/errors.ts";

const ONE = "/api/v1/events";
const BATCH = "/api/v1/events/batch";
const TRACK = { type: "track", userId: "u1", event: "Order Completed" };
const encode = (text: string) => new TextEncoder().encode(text);

for (const { name, event } of EXAMPLE_EVENTS) {
  Deno.test(`sending the specification's example "${name}" is accepted and shown in the log`, async () => {
    await using test = await openTestApp();
    const { status, headers, body } = await test.send(ONE, event);
    strictEqual(status, 200);
    strictEqual(headers.get("content-type"), "application/json");
    deepStrictEqual(Object.keys(body), ["success", "messageId", "duplicate"]);
    strictEqual(body.success, true);
    strictEqual(body.duplicate, false);
    match(body.messageId, /^[0-9A-HJKMNP-TV-Z]{26}$/);
    const log = await test.get(`/api/v1/users/${event.userId}/events`);
    strictEqual(log.body.events[0].messageId, body.messageId);
  });
}

Deno.test("sending an event twice with one messageId is answered as a duplicate, and stored once", async () => {
  await using test = await openTestApp();
  const event = { ...TRACK, messageId: "m1" };
  deepStrictEqual((await test.send(ONE, event)).body, { success: true, messageId: "m1", duplicate: false });
  deepStrictEqual((await test.send(ONE, event)).body, { success: true, messageId: "m1", duplicate: true });
  deepStrictEqual((await test.send(BATCH, { batch: [event, event] })).body, {
    received: 2,
    accepted: 2,
    rejected: 0,
    errors: [],
  });
  strictEqual((await test.get("/api/v1/users/u1/events")).body.events.length, 1);
});

Deno.test("sending alias is accepted too", async () => {
  await using test = await openTestApp();
  strictEqual((await test.send(ONE, { type: "alias", userId: "u1", previousId: "a1" })).status, 200);
});

const FORMS: [what: string, body: string | Uint8Array, headers: Record<string, string>][] = [
  ["application/json", JSON.stringify(TRACK), { "content-type": "application/json" }],
  ["text/plain, as browsers do", JSON.stringify(TRACK), { "content-type": "text/plain;charset=UTF-8" }],
  ["a form type, as one client does", JSON.stringify(TRACK), {
    "content-type": "application/x-www-form-urlencoded",
  }],
  ["no content type", encode(JSON.stringify(TRACK)), {}],
  ["a byte order mark", encode(`\ufeff${JSON.stringify(TRACK)}`), {}],
  ["gzip", gzipSync(JSON.stringify(TRACK)), { "content-encoding": "gzip" }],
  ["gzip in upper case", gzipSync(JSON.stringify(TRACK)), { "content-encoding": "GZIP" }],
  ["identity", JSON.stringify(TRACK), { "content-encoding": "identity" }],
  ["identity in another case", JSON.stringify(TRACK), { "content-encoding": "Identity" }],
  ["identity, then gzip", gzipSync(JSON.stringify(TRACK)), { "content-encoding": "identity, X-GZip" }],
  ["gzip whose header a proxy dropped", gzipSync(JSON.stringify(TRACK)), {}],
  ["gzip that a proxy calls identity", gzipSync(JSON.stringify(TRACK)), { "content-encoding": "Identity" }],
  ["a real replacement character", encode(JSON.stringify({ ...TRACK, event: "\ufffd" })), {}],
];

for (const [what, body, headers] of FORMS) {
  for (const path of [ONE, `${ONE}/`]) {
    Deno.test(`sending with ${what} to ${path} is accepted`, async () => {
      await using test = await openTestApp();
      strictEqual((await test.send(path, body, { headers: { ...AS_SENDER, ...headers } })).status, 200);
    });
  }
}

const BAD_BODIES: [
  what: string,
  body: string | Uint8Array,
  headers: Record<string, string>,
  code: string,
][] = [
  ["nothing", "", {}, "empty_body"],
  ["half of a JSON text", '{"type":"track"', {}, "invalid_json"],
  ["two JSON texts", "{}{}", {}, "invalid_json"],
  ["bytes that are not UTF-8", new Uint8Array([0x22, 0xff, 0x22]), {}, "invalid_utf8"],
  ["what says gzip and is none", "{}", { "content-encoding": "gzip" }, "invalid_gzip"],
  [
    "half of a gzip file",
    gzipSync("{}".repeat(500)).slice(0, 15),
    { "content-encoding": "gzip" },
    "invalid_gzip",
  ],
  ["another encoding", "{}", { "content-encoding": "br" }, "unknown_encoding"],
  ["gzip twice", gzipSync("{}"), { "content-encoding": "gzip, gzip" }, "unknown_encoding"],
  ["two bytes that begin as gzip does", new Uint8Array([0x1f, 0x8b]), {}, "invalid_gzip"],
];

for (const path of [ONE, BATCH]) {
  for (const [what, body, headers, code] of BAD_BODIES) {
    Deno.test(`sending ${what} to ${path} is 400 ${code}`, async () => {
      await using test = await openTestApp();
      const answer = await test.send(path, body, { headers: { ...AS_SENDER, ...headers } });
      strictEqual(answer.status, 400);
      strictEqual(answer.headers.get("content-type"), "application/problem+json");
      strictEqual(answer.body.code, code);
      strictEqual(answer.body.success, false);
      strictEqual(answer.body.errors[0].path, "");
    });
  }
}

Deno.test("a body that is not JSON is reported with its position and without a quote", async () => {
  await using test = await openTestApp();
  const { body } = await test.send(ONE, '{"writeKey":"wk_secret",oops}');
  strictEqual(body.detail, "The body must be JSON: invalid at position 24 (line 1, column 25).");
  strictEqual(JSON.stringify(body).includes("wk_secret"), false);
  const other = await test.send(ONE, "oops");
  strictEqual(other.body.detail, "The body must be JSON: it contains an invalid token.");
});

const REJECTED: [what: string, event: unknown, status: number, path: string][] = [
  ["no object", [TRACK], 400, ""],
  ["no type", { userId: "u1" }, 400, "type"],
  ["another type", { ...TRACK, type: "click" }, 400, "type"],
  ["no event", { type: "track", userId: "u1" }, 400, "event"],
  ["no id", { type: "track", event: "x" }, 400, "userId"],
  ["a timestamp that is none", { ...TRACK, timestamp: "yesterday" }, 400, "timestamp"],
];

for (const [what, event, status, path] of REJECTED) {
  Deno.test(`sending an event with ${what} is ${status} and names "${path}"`, async () => {
    await using test = await openTestApp();
    const answer = await test.send(ONE, event);
    strictEqual(answer.status, status);
    const { type, title, detail, success, errors, status: inBody } = answer.body;
    deepStrictEqual({ type, title, success, inBody }, {
      type: "about:blank",
      title: "Bad Request",
      success: false,
      inBody: status,
    });
    strictEqual(errors[0].path, path);
    ok(detail.length > 0 && errors[0].message.length > 0);
    strictEqual(answer.body.requestId, answer.headers.get("x-request-id"));
  });
}

Deno.test("sending an event over 32 KiB is 413, alone or at its index in a batch", async () => {
  await using test = await openTestApp();
  const event = { ...TRACK, properties: { text: "x".repeat(33_000) } };
  strictEqual((await test.send(ONE, event)).status, 413);
  const { status, body } = await test.send(BATCH, { batch: [TRACK, event] });
  strictEqual(status, 200);
  deepStrictEqual([body.accepted, body.rejected, body.errors[0].index, body.errors[0].status], [
    1,
    1,
    1,
    413,
  ]);
});

Deno.test("sending a type that the write key may not send is 403, alone or at its index in a batch", async () => {
  await using test = await openTestApp();
  const made = await test.send("/api/v1/admin/keys", { name: "pages", allowedTypes: ["page"] }, {
    headers: AS_ADMIN,
  });
  const headers = { authorization: `Basic ${btoa(`${made.body.key}:`)}` };
  const page = { type: "page", userId: "u1" };
  const refused = await test.send(ONE, TRACK, { headers });
  strictEqual(refused.status, 403);
  strictEqual("errors" in refused.body, false);
  strictEqual((await test.send(ONE, page, { headers })).status, 200);
  const { status, body } = await test.send(BATCH, { batch: [TRACK, page] }, { headers });
  strictEqual(status, 200);
  deepStrictEqual([body.accepted, body.errors[0].status, body.errors[0].path], [1, 403, "type"]);
});

Deno.test("a write key in the body is never stored", async () => {
  await using test = await openTestApp();
  const event = { ...TRACK, writeKey: WRITE_KEY };
  await test.send(ONE, event);
  await test.send(BATCH, { batch: [{ ...event, writeKey: "another_secret" }], writeKey: WRITE_KEY }, {
    headers: {},
  });
  const log = await test.get("/api/v1/users/u1/events");
  strictEqual(log.body.events.length, 2);
  for (const secret of [WRITE_KEY, "another_secret", "writeKey"]) {
    strictEqual(JSON.stringify(log.body).includes(secret), false);
  }
});

Deno.test("sending a batch is answered by a summary with an error for each event that is rejected", async () => {
  await using test = await openTestApp();
  const batch = [TRACK, { type: "track", messageId: "bad1", event: "x" }, null, { ...TRACK, userId: "u2" }];
  const { status, body } = await test.send(`${BATCH}/`, { batch, unknown: true });
  strictEqual(status, 200);
  deepStrictEqual(Object.keys(body), ["received", "accepted", "rejected", "errors"]);
  deepStrictEqual([body.received, body.accepted, body.rejected], [4, 2, 2]);
  const { message, ...error } = body.errors[0];
  deepStrictEqual(error, { index: 1, status: 400, code: "missing_id", path: "userId", messageId: "bad1" });
  ok(message.length > 0);
  deepStrictEqual([body.errors[1].index, "path" in body.errors[1], "messageId" in body.errors[1]], [
    2,
    false,
    false,
  ]);
  strictEqual((await test.get("/api/v1/users/u2")).status, 200);
});

Deno.test("a batch in which every event is rejected is 200, and leaves their messageIds free", async () => {
  await using test = await openTestApp();
  const { status, body } = await test.send(BATCH, { batch: [{ ...TRACK, userId: null, messageId: "m1" }] });
  strictEqual(status, 200);
  deepStrictEqual([body.received, body.accepted, body.rejected], [1, 0, 1]);
  strictEqual((await test.send(ONE, { ...TRACK, messageId: "m1" })).body.duplicate, false);
});

Deno.test("a batch's context, integrations and sentAt are defaults of its events", async () => {
  await using test = await openTestApp();
  const sentAt = new Date(test.clock.nowMs - 3_600_000).toISOString();
  const timestamp = new Date(test.clock.nowMs - 3_601_000).toISOString();
  await test.send(BATCH, {
    batch: [{ ...TRACK, timestamp, context: { locale: "de-DE" } }],
    context: { locale: "en-US", ip: "203.0.113.42" },
    integrations: { Amplitude: false },
    sentAt,
  });
  const [event] = (await test.get("/api/v1/users/u1/events")).body.events;
  deepStrictEqual(event.context, { locale: "de-DE", ip: "203.0.113.42" });
  deepStrictEqual(event.integrations, { Amplitude: false });
  strictEqual(event.timestamp, new Date(test.clock.nowMs - 1000).toISOString());
});

const many = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ ...TRACK, userId: `u${index}` }));

const REFUSED_BATCHES: [what: string, body: unknown, status: number, code: string, path: string][] = [
  ["an array", [TRACK], 400, "not_an_object", ""],
  ["null", "null", 400, "not_an_object", ""],
  ["no batch", { events: [] }, 400, "missing_batch", "batch"],
  ["a batch that is no array", { batch: { 0: TRACK } }, 400, "missing_batch", "batch"],
  ["an empty batch", { batch: [] }, 400, "empty_batch", "batch"],
  ["501 events", { batch: many(501) }, 400, "too_many_events", "batch"],
];

for (const [what, body, status, code, path] of REFUSED_BATCHES) {
  Deno.test(`sending ${what} as a batch is ${status} ${code}`, async () => {
    await using test = await openTestApp();
    const answer = await test.send(BATCH, body);
    deepStrictEqual([answer.status, answer.body.code, answer.body.errors[0].path], [status, code, path]);
  });
}

Deno.test("a batch of 500 events is accepted", async () => {
  await using test = await openTestApp();
  strictEqual((await test.send(BATCH, { batch: many(500) })).body.accepted, 500);
});

const MIB = 1024 * 1024;
const LARGE: [what: string, body: string | Uint8Array, headers: Record<string, string>][] = [
  ["over 4 MiB as sent", "x".repeat(4 * MIB + 1), {}],
  ["over 4 MiB inflated", gzipSync("x".repeat(4 * MIB + 1)), { "content-encoding": "gzip" }],
  ["a bomb of 256 MiB", gzipSync(new Uint8Array(256 * MIB)), { "content-encoding": "gzip" }],
];

for (const [what, body, headers] of LARGE) {
  Deno.test(`a body of ${what} is 413 and says to send fewer`, async () => {
    await using test = await openTestApp();
    const answer = await test.send(BATCH, body, { headers: { ...AS_SENDER, ...headers } });
    deepStrictEqual([answer.status, answer.body.code], [413, "body_too_large"]);
    match(answer.body.detail, /[Ss]end (smaller|fewer)/);
  });
}

Deno.test("a batch over 4 MiB once its context is filled in is 413, one whose events have their own is not", async () => {
  await using test = await openTestApp();
  const context = { note: "x".repeat(20_000) };
  const refused = await test.send(BATCH, { batch: many(400), context });
  deepStrictEqual([refused.status, refused.body.code], [413, "batch_too_large"]);
  match(refused.body.detail, /[Ss]end (smaller|fewer)/);
  const own = many(400).map((event) => ({ ...event, context: { note: "mine" } }));
  strictEqual((await test.send(BATCH, { batch: own, context })).body.accepted, 400);
});

Deno.test("a batch's context that is nested too deep is refused with each event that would take it", async () => {
  await using test = await openTestApp();
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  const own = JSON.stringify({ ...TRACK, context: { a: 1 } });
  const body = `{"batch":[${own},${JSON.stringify(TRACK)}],"context":{"a":${deep}}}`;
  const answer = await test.send(BATCH, body);
  deepStrictEqual([answer.status, answer.body.accepted, answer.body.errors[0]?.index], [200, 1, 1]);
});

async function withCommit(commit: System["commit"]) {
  const system = await openTestSystem();
  return await openTestApp({ system: { ...system, commit } });
}

Deno.test("a batch that compresses to more than a commit can hold is 413 and says to send fewer", async () => {
  await using test = await withCommit(() =>
    Promise.reject(new BatchTooLarge("the batch compresses to 700 KB"))
  );
  const { status, body } = await test.send(BATCH, { batch: [TRACK] });
  strictEqual(status, 413);
  match(body.detail, /[Ss]end (smaller|fewer)/);
});

for (const [path, body] of [[ONE, TRACK], [BATCH, { batch: [TRACK] }]] as const) {
  Deno.test(`storage that does not answer makes ${path} 503 with Retry-After, for browsers too`, async () => {
    await using test = await withCommit(() => Promise.reject(new StorageUnavailable("busy", 2.5)));
    const answer = await test.send(path, body);
    strictEqual(answer.status, 503);
    strictEqual(answer.headers.get("retry-after"), "3");
    strictEqual(answer.headers.get("access-control-allow-origin"), "*");
    strictEqual(answer.body.success, false);
  });

  Deno.test(`a bug makes ${path} 500 without details, and is logged once with its stack`, async () => {
    await using test = await withCommit(() => Promise.reject(new TypeError("secret inside")));
    for (let times = 0; times < 3; times++) {
      const answer = await test.send(path, body);
      strictEqual(answer.status, 500);
      strictEqual(JSON.stringify(answer.body).includes("secret inside"), false);
    }
    strictEqual(test.logged.length, 1);
    match(String(test.logged[0]?.error), /^TypeError\n\s+at /);
  });
}

Deno.test("an admin token may send; the read token may not", async () => {
  await using test = await openTestApp();
  strictEqual(
    (await test.send(ONE, TRACK, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } })).status,
    200,
  );
  strictEqual((await test.send(ONE, TRACK, { headers: AS_READER })).status, 403);
});
