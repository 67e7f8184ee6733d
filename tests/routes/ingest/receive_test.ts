/** The key first: what becomes of a body by who sends it, and what refused bodies cost (docs/decisions/0020). */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { gzipSync } from "node:zlib";
import { clockAt } from "../../actors/clocks.ts";
import { writtenKeys } from "../../../routes/auth/written_key.ts";
import { readOpenMetrics } from "../service/openmetrics.ts";
import { AS_ADMIN, AS_SENDER, openTestApp, openTestSystem, type TestApp, WRITE_KEY } from "../test_app.ts";

const ONE = "/api/v1/events";
const BATCH = "/api/v1/events/batch";
const BEACON = "/beacon/v1/batch";
const TRACK = { type: "track", userId: "u1", event: "x" };
const KIB = 1024;
const text = JSON.stringify;
const bytesOf = (body: string) => new TextEncoder().encode(body);
const gzip = (body: string) => new Uint8Array(gzipSync(body));

/** A body of JSON of so many bytes in all. */
function padded(body: object, bytes: number): string {
  const short = text({ ...body, padding: "" });
  return text({ ...body, padding: "x".repeat(bytes - short.length) });
}

const ANYTHING: [what: string, body: string | Uint8Array, headers?: Record<string, string>][] = [
  ["nothing", ""],
  ["a valid event", text(TRACK)],
  ["half of a JSON text", '{"type":'],
  ["bytes that are not UTF-8", new Uint8Array([0xff, 0xfe])],
  ["nested arrays", "[".repeat(200_000)],
  ["a compressed event", gzip(text(TRACK)), { "content-encoding": "gzip" }],
  ["what says gzip and is none", "{}", { "content-encoding": "gzip" }],
  ["a coding that is not known", "{}", { "content-encoding": "br" }],
  ["a compressed event whose header was dropped", gzip(text(TRACK))],
  ["600 KB", padded(TRACK, 600 * KIB)],
  ["6 MB", "x".repeat(6_000_000)],
  ["a key that is no text", text({ ...TRACK, writeKey: 7 })],
  ["an unknown key", text({ ...TRACK, writeKey: "unknown" })],
  ["a key that is cut", `{"writeKey":"${WRITE_KEY}`],
  ["a valid key that is compressed", gzip(text({ ...TRACK, writeKey: WRITE_KEY })), {
    "content-encoding": "gzip",
  }],
  ["a valid key that is compressed, and no header", gzip(text({ ...TRACK, writeKey: WRITE_KEY }))],
];

for (const [what, body, headers = {}] of ANYTHING) {
  Deno.test(`without a credential ${what} is 401`, async () => {
    await using test = await openTestApp();
    for (const path of [ONE, BATCH, BEACON, "/v1/track"]) {
      const answer = await test.send(path, body, { headers });
      deepStrictEqual([answer.status, answer.body.code], [401, "unauthorized"], path);
      match(answer.headers.get("www-authenticate") ?? "", /^Basic /);
    }
  });
}

Deno.test("a compressed body is accepted with its key in a header, or in the query of a beacon", async () => {
  await using test = await openTestApp();
  const headers = { "content-encoding": "gzip" };
  const body = gzip(text({ batch: [TRACK] }));
  strictEqual((await test.send(BATCH, body, { headers: { ...AS_SENDER, ...headers } })).status, 200);
  strictEqual((await test.send(`${BEACON}?writeKey=${WRITE_KEY}`, body, { headers })).status, 200);
});

Deno.test("a body with its key inside is at most 512 KB, wherever the key is", async () => {
  await using test = await openTestApp();
  const send = async (body: string) => {
    const { status, body: { code } } = await test.send(BATCH, body, { headers: {} });
    return [status, code];
  };
  const batch = { batch: [TRACK] };
  deepStrictEqual(await send(padded({ writeKey: WRITE_KEY, ...batch }, 512 * KIB)), [200, undefined]);
  deepStrictEqual(await send(padded({ writeKey: WRITE_KEY, ...batch }, 512 * KIB + 1)), [
    413,
    "body_too_large",
  ]);
  const last = padded({ ...batch }, 500 * KIB).replace(/}$/, `,"writeKey":"${WRITE_KEY}"}`);
  deepStrictEqual(await send(last), [200, undefined]);
});

const TEXTS: [what: string, body: string, status: number][] = [
  ["plainly", text({ ...TRACK, writeKey: WRITE_KEY }), 200],
  ["with blanks around it", `{"writeKey" \n\t: \r "${WRITE_KEY}","type":"page","userId":"u"}`, 200],
  ["with escapes in it", text({ ...TRACK, writeKey: WRITE_KEY }).replace("wk_", "w\\u006b_"), 200],
  ["behind a byte order mark", `\ufeff${text({ ...TRACK, writeKey: WRITE_KEY })}`, 200],
  [
    "behind other keys in its members",
    text({ ...TRACK, a: { writeKey: "x" }, b: { writeKey: "y" }, writeKey: WRITE_KEY }),
    200,
  ],
  ["behind itself in a member", text({ ...TRACK, a: { writeKey: WRITE_KEY }, writeKey: WRITE_KEY }), 200],
  ["in a member alone", text({ ...TRACK, a: { writeKey: WRITE_KEY } }), 401],
  ["in a text alone", text({ ...TRACK, a: `"writeKey":"${WRITE_KEY}"` }), 401],
  ["in a member before an unknown one", text({ ...TRACK, a: { writeKey: WRITE_KEY }, writeKey: "x" }), 401],
  [
    "twice, the last an unknown one",
    text({ ...TRACK, writeKey: WRITE_KEY }).replace(/}$/, ',"writeKey":"x"}'),
    401,
  ],
  [
    "under a name with escapes",
    text({ ...TRACK, writeKey: WRITE_KEY }).replace('"writeKey"', '"write\\u004Be\\u0079"'),
    200,
  ],
  [
    "under a name with escapes, unknown",
    text({ ...TRACK, writeKey: "x" }).replace('"writeKey"', '"write\\u004bey"'),
    401,
  ],
];

for (const [what, body, status] of TEXTS) {
  Deno.test(`a key in the body ${what} is ${status}`, async () => {
    await using test = await openTestApp();
    strictEqual((await test.send(ONE, body, { headers: {} })).status, status);
  });
}

Deno.test("an invalid body with a valid key inside is refused with its own problem", async () => {
  await using test = await openTestApp();
  const send = async (body: string) => (await test.send(ONE, body, { headers: {} })).body.code;
  strictEqual(await send(`{"writeKey":"${WRITE_KEY}",oops}`), "invalid_json");
  strictEqual(await send(text({ type: "track", writeKey: WRITE_KEY })), "missing_event");
});

Deno.test("the search for a key ends soon, whatever the text", () => {
  const different = Array.from({ length: 40_000 }, (_, n) => `"writeKey":"${n}"`).join();
  strictEqual(writtenKeys(bytesOf(different)).length, 8);
  const same = `"writeKey":"same",`.repeat(40_000) + '"writeKey":"last"';
  deepStrictEqual(writtenKeys(bytesOf(same)), ["same"]);
  deepStrictEqual(writtenKeys(bytesOf('"writeKey":"' + "x".repeat(10_000) + '"')), []);
  deepStrictEqual(writtenKeys(bytesOf('"writeKey":"writeKey":"writeKey"')), ["writeKey"]);
  deepStrictEqual(writtenKeys(bytesOf('"writeKey":"\\')), []);
  const escaped = Array.from({ length: 20_000 }, (_, n) => `"\\u0077riteKey":"${n}"`).join();
  strictEqual(writtenKeys(bytesOf(escaped)).length, 8);
  deepStrictEqual(writtenKeys(bytesOf('"\\u0077riteKey'.repeat(40_000))), []);
});

/** Little that refused requests of an address may cost: some ten of them. */
const LITTLE = { refusedMs: 1, refusedMsPerS: 0.1 };

/** Sends bodies without a credential until they are answered 429, and gives that answer. */
async function exhaust(test: TestApp, from: string) {
  for (let times = 0; times < 100; times++) {
    const answer = await test.send(ONE, TRACK, { headers: {}, from });
    if (answer.status === 429) return answer;
    strictEqual(answer.status, 401);
  }
  throw new Error("never 429");
}

Deno.test("an address whose refused requests cost too much gets 429 before its body is read, and its connection is closed", async () => {
  await using test = await openTestApp({ limits: LITTLE });
  const refused = await exhaust(test, "192.0.2.7");
  deepStrictEqual([refused.body.code, refused.headers.get("connection")], ["too_much_refused", "close"]);
  ok(Number(refused.headers.get("retry-after")) >= 1);
  strictEqual(refused.headers.get("access-control-allow-origin"), "*");
  let pulled = false;
  const body = new ReadableStream({ pull: () => void (pulled = true) }, { highWaterMark: 0 });
  const init = { method: "POST", body };
  const remoteAddr = { transport: "tcp", hostname: "192.0.2.7", port: 1 } as const;
  strictEqual((await test.app.request(ONE, init, { remoteAddr })).status, 429);
  strictEqual(pulled, false);

  const asKnown = { headers: AS_SENDER, from: "192.0.2.7" };
  strictEqual((await test.send(ONE, TRACK, asKnown)).status, 200, "a valid credential in a header is taken");
  const beacon = { headers: {}, from: "192.0.2.7" };
  strictEqual((await test.send(`${BEACON}?writeKey=${WRITE_KEY}`, { batch: [TRACK] }, beacon)).status, 200);
  const inBody = { ...TRACK, writeKey: WRITE_KEY };
  strictEqual(
    (await test.send(ONE, inBody, { headers: {}, from: "192.0.2.7" })).status,
    429,
    "one in the body is not",
  );
  strictEqual(
    (await test.send(ONE, inBody, { headers: {}, from: "192.0.2.8" })).status,
    200,
    "another address",
  );
  test.clock.nowMs += 30_000;
  strictEqual((await test.send(ONE, inBody, { headers: {}, from: "192.0.2.7" })).status, 200, "later");
});

Deno.test("refused requests of a /64 count together, and so do those of a /48, which may cost more", async () => {
  await using test = await openTestApp({ limits: LITTLE });
  await exhaust(test, "2001:db8:1:1::1");
  const status = async (from: string) => (await test.send(ONE, TRACK, { headers: {}, from })).status;
  strictEqual(await status("2001:db8:1:1:ffff::2"), 429);
  strictEqual(await status("2001:db8:1:2::1"), 401);
  for (let n = 2; n < 11; n++) await exhaust(test, `2001:db8:1:${n}::1`);
  strictEqual(await status("2001:db8:1:ffff::1"), 429);
  strictEqual(await status("2001:db8:2:1::1"), 401);
});

Deno.test("bodies that are read and parsed in vain cost an address more", async () => {
  const count = async (body: string) => {
    await using test = await openTestApp({ limits: LITTLE });
    for (let times = 1;; times++) {
      if ((await test.send(ONE, body, { headers: {} })).status === 429) return times;
    }
  };
  const [small, large] = [await count("{}"), await count(padded({}, 500 * KIB))];
  ok(large * 3 < small, `${large} and ${small}`);
});

/** A new key with a limit. */
async function limitedKey(test: TestApp, rateLimit: { perSecond: number; burst: number }) {
  const { body } = await test.send("/api/v1/admin/keys", { name: "public", rateLimit }, {
    headers: AS_ADMIN,
  });
  return { authorization: `Basic ${btoa(`${body.key}:`)}` };
}

const REFUSED: [what: string, body: string | Uint8Array, headers?: Record<string, string>][] = [
  ["no JSON", "{"],
  ["no batch", "{}"],
  ["too many events", text({ batch: Array(501).fill(TRACK) })],
  ["too much structure", `{"batch":[],"x":[${"{},".repeat(300_000)}{}]}`],
  ["what says gzip and is none", "{", { "content-encoding": "gzip" }],
];

for (const [what, body, more = {}] of REFUSED) {
  Deno.test(`a key with a limit that sends ${what} again and again gets 429 before its body is parsed`, async () => {
    const clock = { nowMs: Date.now() };
    const system = await openTestSystem(":memory:", { clock: clockAt(() => clock.nowMs) });
    await using test = await openTestApp({ clock, system });
    const key = await limitedKey(test, { perSecond: 0.01, burst: 5 });
    const headers = { ...key, ...more };
    const statuses: number[] = [];
    do statuses.push((await test.send(BATCH, body, { headers })).status); while (statuses.at(-1) !== 429);
    ok(statuses.length <= 6, statuses.join());
    const parsed = await test.send(BATCH, "{", { headers });
    deepStrictEqual([parsed.status, parsed.headers.get("connection")], [429, null]);
    clock.nowMs += 100_000 * 15;
    strictEqual((await test.send(ONE, TRACK, { headers: key })).status, 200);
  });
}

Deno.test("a key with a limit whose batches are parsed in vain, as too many of its events are left, gets 429 before", async () => {
  const clock = { nowMs: Date.now() };
  const system = await openTestSystem(":memory:", { clock: clockAt(() => clock.nowMs) });
  await using test = await openTestApp({ clock, system, limits: LITTLE });
  const headers = await limitedKey(test, { perSecond: 0.01, burst: 5 });
  const codes = new Set<string>();
  for (let times = 0; times < 30; times++) {
    codes.add((await test.send(BATCH, { batch: Array(6).fill(TRACK) }, { headers })).body.code);
  }
  deepStrictEqual([...codes], ["batch_over_burst", "too_much_refused"]);
});

Deno.test("a key without a limit is never refused because of earlier refusals", async () => {
  await using test = await openTestApp({ limits: LITTLE });
  for (let times = 0; times < 50; times++) strictEqual((await test.send(ONE, "{")).status, 400);
  strictEqual((await test.send(ONE, TRACK)).status, 200);
});

Deno.test("a refusal because of the server's own state costs nobody anything", async () => {
  await using test = await openTestApp({ limits: { ...LITTLE, maxUnknownSmallBytes: 10 } });
  for (let times = 0; times < 50; times++) {
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(bytesOf(text({ ...TRACK, writeKey: WRITE_KEY })));
        controller.close();
      },
    });
    strictEqual((await test.send(ONE, stream, { headers: {} })).status, 503);
  }
});

/** Requests whose work exceeds 5 % of the 5 s by which the tests move the clock, at the cost of any request. */
const WORTH_A_WARNING = 2_600;

Deno.test("the log names a key that keeps exceeding its rate limit, although it is not in debt", async () => {
  await using test = await openTestApp();
  const rateLimit = { perSecond: 0.01, burst: 1 };
  const { writeKey: { id }, key } = await test.system.writeKeys.create({ name: "eager", rateLimit });
  const send = async () => (await test.send(ONE, text(TRACK), { headers: { "x-write-key": key } })).body.code;
  await send();
  for (let n = 0; n < WORTH_A_WARNING; n++) strictEqual(await send(), "rate_limited");
  test.clock.nowMs += 5_000;
  strictEqual(await send(), "rate_limited");
  const { writeKeyId } = test.logged.find(({ code }) => code === "refused_work") ?? {};
  strictEqual(writeKeyId, id);
});

Deno.test("the log names an address whose bodies find no room, although it is not in debt", async () => {
  await using test = await openTestApp({ limits: { maxUnknownSmallBytes: 10 } });
  const body = text({ ...TRACK, writeKey: WRITE_KEY });
  const send = async () => (await test.send(ONE, body, { headers: {}, from: "192.0.2.7" })).body.code;
  for (let n = 0; n < WORTH_A_WARNING; n++) strictEqual(await send(), "overloaded");
  test.clock.nowMs += 5_000;
  strictEqual(await send(), "overloaded");
  strictEqual(test.logged.find(({ code }) => code === "refused_work")?.network, "192.0.2.7");
});

Deno.test("the figures count the discarded bytes of a body without room", async () => {
  await using test = await openTestApp();
  const body = padded({ ...TRACK, writeKey: WRITE_KEY }, 400 * KIB);
  const headers = { "content-length": `${body.length}` };
  const { readable, writable } = new TransformStream<Uint8Array<ArrayBuffer>>();
  const held = test.send(ONE, readable, { headers });
  for (let n = 0; n < 10; n++) strictEqual((await test.send(ONE, body, { headers })).status, 503);
  await writable.close();
  await held;
  const { samples } = readOpenMetrics((await test.get("/metrics")).body).get(
    "signalfold_refused_work_seconds",
  )!;
  const { value } = samples.find(({ labels }) => labels.sender === "unknown")!;
  ok(value > 0.004, `${value}`);
});

Deno.test("the log and the figures show refused work, and who causes most of it", async () => {
  let ms = 0;
  await using test = await openTestApp({ elapsed: () => ms += 10 });
  const flood = async (from: string, times: number) => {
    for (let n = 0; n < times; n++) await test.send(ONE, padded({}, 100 * KIB), { headers: {}, from });
  };
  await test.send(ONE, "{", { from: "192.0.2.9" });
  for (let n = 0; n < 40; n++) await flood(`2001:db8:${n}::1`, 2);
  await flood("192.0.2.7", 50);
  const warning = () => test.logged.find(({ code }) => code === "refused_work");
  strictEqual(warning(), undefined, "little, as far as is known");
  test.clock.nowMs += 5_000;
  await flood("192.0.2.8", 1);
  const { level, network, senders, percent } = warning() ?? {};
  deepStrictEqual([level, network, senders], ["warn", "192.0.2.7", 43]);
  ok(Number(percent) >= 20, `${percent}`);
  const named = () => test.logged.filter(({ code }) => code === "refused_work").map(({ network }) => network);
  for (const from of ["192.0.2.7", "192.0.2.20"]) {
    await flood(from, 100);
    test.clock.nowMs += 5_000;
    await flood("192.0.2.8", 1);
  }
  deepStrictEqual(named(), ["192.0.2.7", "192.0.2.20"], "each once");
  for (let n = 30; n < 50; n++) {
    await flood(`192.0.2.${n}`, 100);
    test.clock.nowMs += 2_500;
    await flood("192.0.2.8", 1);
    test.clock.nowMs += 2_500;
  }
  ok(named().length <= 20, `${named().length}: few in a minute`);

  const families = readOpenMetrics((await test.get("/metrics")).body);
  const value = (name: string, sender?: string) =>
    families.get(`signalfold_${name}`)!.samples.find(({ labels }) => labels.sender === sender)!.value;
  ok(value("refused_work_seconds", "unknown") > 1);
  ok(value("refused_work_seconds", "known") > 0);
  ok(value("refused_unread") > 0);
  strictEqual(value("bodies_waiting"), 0);
  await flood("192.0.2.7", 50);
  const later = readOpenMetrics((await test.get("/metrics")).body);
  strictEqual(later.get("signalfold_senders_in_debt")!.samples[0]!.value > 0, true);
});
