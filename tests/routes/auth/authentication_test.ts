import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import {
  createAuthentication,
  MAX_KNOWN_HEADER_LENGTH,
  MAX_KNOWN_HEADERS,
} from "../../../routes/auth/authentication.ts";
import { createAuthenticationLimit, MAX_ADDRESSES } from "../../../routes/auth/authentication_limit.ts";
import {
  ADMIN_TOKEN,
  AS_ADMIN,
  openTestApp,
  openTestSystem,
  READ_TOKEN,
  type TestApp,
  WRITE_KEY,
} from "../test_app.ts";

const SENDING = "/api/v1/events";
const TRACK = { type: "track", userId: "u1", event: "x" };
const basic = (text: string) => ({ authorization: `Basic ${btoa(text)}` });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const SENDERS: [what: string, headers: Record<string, string>, writeKey: unknown, status: number][] = [
  ["Basic with the key and an empty password", basic(`${WRITE_KEY}:`), undefined, 200],
  ["Basic in small letters", { authorization: `basic ${btoa(`${WRITE_KEY}:`)}` }, undefined, 200],
  ["Basic with a key without its colon", basic(WRITE_KEY), undefined, 200],
  ["Bearer with the key", bearer(WRITE_KEY), undefined, 200],
  ["Bearer with 50,000 blanks", { authorization: `Bearer${" ".repeat(50_000)}${WRITE_KEY}` }, undefined, 200],
  ["X-Write-Key", { "x-write-key": WRITE_KEY }, undefined, 200],
  ["writeKey in the body", {}, WRITE_KEY, 200],
  ["writeKey in the body beside an empty Basic", basic(":"), WRITE_KEY, 200],
  ["writeKey in the body beside an empty Authorization", { authorization: "" }, WRITE_KEY, 200],
  ["an admin token", bearer(ADMIN_TOKEN), undefined, 200],
  ["a right header before a wrong body", basic(`${WRITE_KEY}:`), "wrong", 200],
  ["a right header before a body's key of another type", basic(`${WRITE_KEY}:`), 7, 200],
  ["a wrong header before a right body", basic("wrong:"), WRITE_KEY, 401],
  ["a wrong X-Write-Key before a right body", { "x-write-key": "wrong" }, WRITE_KEY, 401],
  [
    "a wrong Authorization before a right X-Write-Key",
    { ...basic("wrong:"), "x-write-key": WRITE_KEY },
    undefined,
    401,
  ],
  ["a read token", bearer(READ_TOKEN), undefined, 403],
  ["nothing", {}, undefined, 401],
  ["an empty key in the body", {}, "", 401],
  ["null as the key in the body", {}, null, 401],
  ["a key in the body of another type", {}, { key: WRITE_KEY }, 401],
  ["an unknown key", basic("unknown:"), undefined, 401],
  ["a key with a password", basic(`${WRITE_KEY}:secret`), undefined, 401],
  ["a key as password", basic(`:${WRITE_KEY}`), undefined, 401],
  ["a key with a blank", basic(`${WRITE_KEY} :`), undefined, 401],
  ["Basic that is not base64", { authorization: "Basic ***" }, undefined, 401],
  ["Basic without anything", { authorization: "Basic" }, undefined, 401],
  ["Bearer without anything", { authorization: "Bearer" }, undefined, 401],
  ["another scheme", { authorization: `Digest ${WRITE_KEY}` }, undefined, 401],
  ["an admin token as Basic", basic(`${ADMIN_TOKEN}:`), undefined, 401],
  ["an admin token in the body", {}, ADMIN_TOKEN, 401],
  ["an admin token as X-Write-Key", { "x-write-key": ADMIN_TOKEN }, undefined, 401],
  ["a key of a megabyte in the body", {}, "x".repeat(1_000_000), 401],
];

for (const [what, headers, writeKey, status] of SENDERS) {
  Deno.test(`sending with ${what} is ${status}, at first and again`, async () => {
    await using test = await openTestApp();
    const body = writeKey === undefined ? TRACK : { ...TRACK, writeKey };
    strictEqual((await test.send(SENDING, body, { headers })).status, status);
    strictEqual((await test.send(SENDING, body, { headers })).status, status);
    const batch = { batch: [TRACK], writeKey };
    strictEqual((await test.send(`${SENDING}/batch`, batch, { headers })).status, status);
  });
}

Deno.test("a missing, an unknown and a disabled credential get the same 401", async () => {
  await using test = await openTestApp();
  const made =
    (await test.send("/api/v1/admin/keys", { name: "x", enabled: false }, { headers: AS_ADMIN })).body;
  const answers = [];
  for (
    const headers of [{}, basic("unknown:"), basic(`${made.key}:`), basic("a:b"), { authorization: "x" }]
  ) {
    const { status, headers: answered, body: { requestId: _, ...body } } = await test.send(SENDING, TRACK, {
      headers,
    });
    answers.push({ status, challenge: answered.get("www-authenticate"), body });
  }
  strictEqual(answers[0]?.status, 401);
  match(answers[0]?.challenge ?? "", /^Basic realm=/);
  for (const answer of answers) deepStrictEqual(answer, answers[0]);
});

Deno.test("a body that is no JSON is 401 from a sender that is not known", async () => {
  await using test = await openTestApp();
  for (const headers of [{}, basic("unknown:")]) {
    strictEqual((await test.send(SENDING, "{", { headers })).status, 401);
  }
});

const READING = ["/api/v1/users/u1", "/api/v1/groups/g1/members"];
const ADMIN = ["/api/v1/admin/keys", "/api/v1/admin/stats"];
const READERS: [what: string, headers: Record<string, string>, reading: number, admin: number][] = [
  ["nothing", {}, 401, 401],
  ["an unknown token", bearer("unknown"), 401, 401],
  ["a write key as Basic", basic(`${WRITE_KEY}:`), 403, 403],
  ["a write key as Bearer", bearer(WRITE_KEY), 403, 403],
  ["a write key as X-Write-Key", { "x-write-key": WRITE_KEY }, 403, 403],
  ["the read token", bearer(READ_TOKEN), 404, 403],
  ["the read token as Basic", basic(`${READ_TOKEN}:`), 401, 401],
  ["the admin token", bearer(ADMIN_TOKEN), 404, 200],
];

for (const [what, headers, reading, admin] of READERS) {
  Deno.test(`reading with ${what} is ${reading}, administering ${admin}`, async () => {
    await using test = await openTestApp();
    for (const [paths, status] of [[READING, reading], [ADMIN, admin]] as const) {
      for (const path of paths) {
        if (path.endsWith("members") && status === 404) continue;
        const answer = await test.get(path, headers);
        strictEqual(answer.status, status, path);
        strictEqual(
          answer.headers.get("www-authenticate"),
          status === 401 ? 'Bearer realm="signalfold"' : null,
        );
      }
    }
  });
}

/** The authentication over stored keys, and one of these; and headers that say it, each with another number of blanks. */
async function openAuthentication() {
  const system = await openTestSystem();
  const { key } = await system.writeKeys.create({ name: "shop" });
  const secrets = { adminToken: ADMIN_TOKEN, writeKey: WRITE_KEY, authFailuresPerMinute: 0 };
  const authentication = createAuthentication(secrets, system.writeKeys, Date.now);
  const knows = async (credential: string, blanks = 1) => {
    const headers = new Headers({ authorization: `Bearer${" ".repeat(blanks)}${credential}` });
    return await authentication.byHeaders(headers) !== null;
  };
  return { key, knows, size: authentication.size, [Symbol.asyncDispose]: () => system.close() };
}

Deno.test("a bounded number of right headers is remembered, and one that was forgotten is as right as before", async () => {
  await using test = await openAuthentication();
  ok(MAX_KNOWN_HEADERS <= 10_000, "each may have 2 KiB");
  for (let blanks = 1; blanks <= MAX_KNOWN_HEADERS + 100; blanks++) {
    ok(await test.knows(blanks % 2 === 0 ? WRITE_KEY : test.key, blanks));
    strictEqual(test.size(), Math.min(blanks, MAX_KNOWN_HEADERS));
  }
  for (const blanks of [1, 2, MAX_KNOWN_HEADERS + 100]) {
    ok(await test.knows(blanks % 2 === 0 ? WRITE_KEY : test.key, blanks));
  }
  strictEqual(test.size(), MAX_KNOWN_HEADERS);
});

Deno.test("headers that are wrong, or longer than a credential makes them, are not remembered", async () => {
  await using test = await openAuthentication();
  ok(MAX_KNOWN_HEADER_LENGTH <= 8192, "of a thousand");
  const blanks = MAX_KNOWN_HEADER_LENGTH - "Bearer".length - WRITE_KEY.length;
  strictEqual(await test.knows("wrong"), false);
  ok(await test.knows(WRITE_KEY, blanks + 1));
  strictEqual(test.size(), 0);
  ok(await test.knows(WRITE_KEY, blanks));
  strictEqual(test.size(), 1);
});

async function fail(test: TestApp, times: number, from = "192.0.2.7") {
  let last = await test.send(SENDING, TRACK, { headers: basic("wrong:"), from });
  for (let i = 1; i < times; i++) last = await test.send(SENDING, TRACK, { headers: basic("wrong:"), from });
  return last;
}

Deno.test("the 101st wrong credential in a minute from one address is 429, and a valid one is never refused", async () => {
  await using test = await openTestApp();
  strictEqual((await fail(test, 100)).status, 401);
  test.clock.nowMs += 20_000;
  const refused = await fail(test, 1);
  strictEqual(refused.status, 429);
  strictEqual(refused.headers.get("retry-after"), "40");
  strictEqual(refused.headers.get("access-control-allow-origin"), "*");
  strictEqual((await test.send(SENDING, TRACK, { from: "192.0.2.7" })).status, 200);
  strictEqual((await fail(test, 1, "192.0.2.8")).status, 401, "another address");
  strictEqual(
    (await test.send(SENDING, TRACK, { headers: {}, from: "192.0.2.7" })).status,
    401,
    "no credential",
  );
  test.clock.nowMs += 40_000;
  strictEqual((await fail(test, 1)).status, 401, "a new minute");
});

Deno.test("the limit of failed authentications can be set, and 0 is none", async () => {
  await using strict = await openTestApp({ authFailuresPerMinute: 1 });
  strictEqual((await fail(strict, 2)).status, 429);
  await using none = await openTestApp({ authFailuresPerMinute: 0 });
  strictEqual((await fail(none, 300)).status, 401);
});

Deno.test("the limit remembers a bounded number of addresses, and forgets the oldest first", () => {
  const limit = createAuthenticationLimit(1, () => 0);
  for (let i = 0; i < MAX_ADDRESSES + 1000; i++) limit.fail(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
  ok(limit.size() <= MAX_ADDRESSES && limit.size() > 0.85 * MAX_ADDRESSES, `${limit.size()}`);
  strictEqual(limit.fail("10.0.0.0"), undefined, "forgotten");
  ok(limit.fail("10.0.199.0") !== undefined, "remembered");
});

const NETWORKS: [one: string, other: string, isSame: boolean][] = [
  ["2001:db8::1", "2001:db8:0:0:ffff::2", true],
  ["2001:db8::1", "2001:0db8::2", true],
  ["2001:db8:1::1", "2001:db8:2::1", false],
  ["::ffff:192.0.2.1", "192.0.2.1", true],
  ["192.0.2.1", "192.0.2.2", false],
  ["::1", "::2", true],
];

for (const [one, other, isSame] of NETWORKS) {
  Deno.test(`the limit treats ${one} and ${other} as ${isSame ? "one" : "two"}`, () => {
    const limit = createAuthenticationLimit(1, () => 0);
    limit.fail(one);
    strictEqual(limit.fail(other) !== undefined, isSame);
  });
}
