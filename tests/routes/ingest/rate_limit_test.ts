/** Rate limits of write keys over HTTP, by a clock that is told. What two processes make of them is in `tests/process/`. */
import { deepStrictEqual, match, strictEqual } from "node:assert";
import { clockAt } from "../../actors/clocks.ts";
import type { RateLimit } from "../../../domain/limits/token_bucket.ts";
import { type Answer, AS_ADMIN, openTestApp, openTestSystem, type TestApp } from "../test_app.ts";
import { BatchTooLarge, NotServing, StorageUnavailable } from "../../../actors/store/errors.ts";

const KEYS = "/api/v1/admin/keys";
const TRACK = { type: "track", userId: "u1", event: "x" };
const basic = (key: string) => ({ authorization: `Basic ${btoa(`${key}:`)}` });
const batchOf = (n: number) => ({ batch: Array(n).fill(TRACK) });

/** A system that goes by the clock that is told. */
async function openTold() {
  const clock = { nowMs: Date.now() };
  return { clock, system: await openTestSystem(":memory:", { clock: clockAt(() => clock.nowMs) }) };
}

const open = async () => await openTestApp(await openTold());

/** A new key with a limit, and what sends by it. */
async function limited(test: TestApp, rateLimit?: RateLimit) {
  const { body } = await test.send(KEYS, { name: "limited", ...rateLimit && { rateLimit } }, {
    headers: AS_ADMIN,
  });
  const headers = basic(body.key);
  return {
    id: body.id as string,
    shown: body,
    one: (event: unknown = TRACK) => test.send("/api/v1/events", event, { headers }),
    batch: (n: number) => test.send("/api/v1/events/batch", batchOf(n), { headers }),
    at: (path: string, body: unknown) => test.send(path, body, { headers }),
  };
}

Deno.test("a key sends its burst at once, then gets 429 until its rate has filled the bucket", async () => {
  await using test = await open();
  const key = await limited(test, { perSecond: 2, burst: 3 });
  deepStrictEqual(key.shown.rateLimit, { perSecond: 2, burst: 3 });
  for (let n = 0; n < 3; n++) strictEqual((await key.one()).status, 200);
  const refused = await key.one();
  strictEqual(refused.status, 429);
  deepStrictEqual([refused.body.code, refused.body.success], ["rate_limited", false]);
  strictEqual(
    refused.body.detail,
    "Rate limit exceeded (2 events/s, burst 3). No events were accepted; retry after 1 s.",
  );
  strictEqual(refused.headers.get("retry-after"), "1");
  test.clock.nowMs += 499;
  strictEqual((await key.one()).status, 429);
  test.clock.nowMs += 1;
  strictEqual((await key.one()).status, 200);
  strictEqual((await key.one()).status, 429);
});

Deno.test("a batch costs its events, and one that wants more than there is is 429 whole and costs nothing", async () => {
  await using test = await open();
  const key = await limited(test, { perSecond: 100, burst: 600 });
  strictEqual((await key.batch(500)).status, 200);
  const before = (await test.system.stats()).head;
  const refused = await key.batch(101);
  deepStrictEqual([refused.status, refused.headers.get("retry-after")], [429, "1"]);
  strictEqual((await test.system.stats()).head, before);
  strictEqual((await key.batch(100)).status, 200, "the refusal cost nothing");
  const empty = await key.batch(500);
  // How many events it holds is not known, as nothing is read where nothing is left.
  deepStrictEqual([empty.status, empty.headers.get("retry-after")], [429, "1"]);
  test.clock.nowMs += 5_000;
  strictEqual((await key.batch(500)).status, 200);
});

Deno.test("a batch larger than the burst is 429, and says that it can never be accepted", async () => {
  await using test = await open();
  const key = await limited(test, { perSecond: 10, burst: 20 });
  const refused = await key.batch(21);
  deepStrictEqual([refused.status, refused.body.code], [429, "batch_over_burst"]);
  match(refused.body.detail, /burst limit of 20\. Send smaller batches\./);
  strictEqual((await key.batch(20)).status, 200);
});

Deno.test("answers of a key with a limit say what is left, and browsers may read it; others say nothing", async () => {
  await using test = await open();
  const key = await limited(test, { perSecond: 5, burst: 10 });
  const said = ({ headers }: { headers: Headers }) =>
    ["ratelimit-policy", "ratelimit", "access-control-expose-headers"].map((name) => headers.get(name));
  const policy = '"events";q=10;w=2';
  const exposed = "Retry-After, RateLimit, RateLimit-Policy";
  deepStrictEqual(said(await key.one()), [policy, '"events";r=9;t=1', exposed]);
  deepStrictEqual(said(await key.batch(9)), [policy, '"events";r=0;t=2', exposed]);
  deepStrictEqual(said(await key.one()), [policy, '"events";r=0;t=2', exposed], "a 429");
  test.clock.nowMs += 1_000;
  const bad = await key.one({ type: "track" });
  deepStrictEqual([bad.status, ...said(bad)], [400, policy, '"events";r=4;t=2', exposed], "a 400");
  for (const headers of [undefined, AS_ADMIN]) {
    const free = await test.send("/api/v1/events", TRACK, headers && { headers });
    deepStrictEqual([free.status, ...said(free)], [200, null, null, "Retry-After"]);
  }
  deepStrictEqual(said(await (await limited(test)).one()), [null, null, "Retry-After"]);
});

const COSTS: [what: string, event: unknown, status: number, left: number][] = [
  ["a duplicate", { ...TRACK, messageId: "known" }, 200, 8],
  ["an event that is refused", { type: "track" }, 400, 8],
  ["a body that is no JSON", "{", 400, 8],
  ["a body of 9 KB that is no JSON", `"${"x".repeat(9_000)}`, 400, 6],
  ["an event over 32 KiB", { ...TRACK, properties: { long: "x".repeat(33_000) } }, 413, 0],
];

for (const [what, event, status, left] of COSTS) {
  Deno.test(`${what} costs ${9 - left}`, async () => {
    await using test = await open();
    await test.send("/api/v1/events", { ...TRACK, messageId: "known" });
    const key = await limited(test, { perSecond: 1, burst: 10 });
    await key.one();
    strictEqual((await key.one(event)).status, status);
    match((await key.batch(500)).headers.get("ratelimit") ?? "", new RegExp(`;r=${left};`));
  });
}

/** What is admitted and then not taken as a whole: `fails` is what a commit does. */
const FAILURES: [what: string, fails: () => Error, status: number][] = [
  ["storage does not answer", () => new StorageUnavailable("gone"), 503],
  ["the clock was moved", () => new NotServing("the clock was moved", "clock_moved"), 503],
];

for (const [what, fails, status] of FAILURES) {
  Deno.test(`where ${what} an event and a batch cost nothing, so that trying again is not paid twice`, async () => {
    const { clock, system } = await openTold();
    let isFailing = false;
    const commit: typeof system.commit = (...given) =>
      isFailing ? Promise.reject(fails()) : system.commit(...given);
    await using test = await openTestApp({ clock, system: { ...system, commit } });
    const key = await limited(test, { perSecond: 0.01, burst: 10 });
    strictEqual((await key.one()).status, 200);
    isFailing = true;
    for (let n = 0; n < 20; n++) {
      strictEqual((await key.one()).status, status);
      strictEqual((await key.batch(9)).status, status);
    }
    isFailing = false;
    strictEqual((await key.batch(9)).status, 200);
    strictEqual((await key.one()).status, 429);
  });
}

Deno.test("an event costs nothing if storage does not tell whether its person is suppressed", async () => {
  const { clock, system } = await openTold();
  let isFailing = false;
  const suppression = {
    ...system.suppression,
    fresh: () => isFailing ? Promise.reject(new StorageUnavailable("gone")) : undefined,
  };
  await using test = await openTestApp({ clock, system: { ...system, suppression } });
  const key = await limited(test, { perSecond: 0.01, burst: 1 });
  isFailing = true;
  for (let n = 0; n < 3; n++) strictEqual((await key.one()).status, 503);
  isFailing = false;
  strictEqual((await key.one()).status, 200);
});

Deno.test("a request that is refused with 413 costs its size and not its events", async () => {
  const { clock, system } = await openTold();
  const commit: typeof system.commit = (events, writeKeyId) =>
    events.length === 7 ? Promise.reject(new BatchTooLarge("too large")) : system.commit(events, writeKeyId);
  await using test = await openTestApp({ clock, system: { ...system, commit } });
  const key = await limited(test, { perSecond: 0.01, burst: 500 });
  const said: [number, string | null][] = [];
  const note = ({ status, headers }: Answer) => said.push([status, headers.get("ratelimit")]);
  note(await key.one());
  note(await key.batch(7));
  note(
    await key.at("/api/v1/events/batch", {
      ...batchOf(499),
      context: { long: "x".repeat(10_000) },
    }),
  );
  note(await key.one({ ...TRACK, properties: { long: "x".repeat(100_000) } }));
  note(await key.one());
  // The headers of a refusal are those of the time when its events were given back: what it costs itself comes then.
  deepStrictEqual(said, [
    [200, '"events";r=499;t=100'],
    [413, '"events";r=499;t=100'],
    [429, '"events";r=498;t=200'],
    [413, '"events";r=498;t=200'],
    [200, '"events";r=472;t=2800'],
  ]);
});

const SEGMENT: [path: string, body: unknown][] = [
  ["/v1/track", TRACK],
  ["/v1/batch", batchOf(1)],
  ["/beacon/v1/batch", batchOf(1)],
  ["/api/s/s2s/track", TRACK],
];

for (const [path, body] of SEGMENT) {
  Deno.test(`${path} is limited as the others are`, async () => {
    await using test = await open();
    const key = await limited(test, { perSecond: 0.1, burst: 1 });
    strictEqual((await key.at(path, body)).status, 200);
    const refused = await key.at(path, body);
    deepStrictEqual([refused.status, refused.headers.get("retry-after")], [429, "10"]);
    strictEqual(refused.headers.get("access-control-allow-origin"), "*");
  });
}

Deno.test("a changed, removed or new limit applies to the next request, and keys do not share one", async () => {
  await using test = await open();
  const key = await limited(test, { perSecond: 1, burst: 1 });
  const other = await limited(test, { perSecond: 1, burst: 1 });
  const change = (rateLimit: RateLimit | null) =>
    test.send(`${KEYS}/${key.id}`, { rateLimit }, { method: "PATCH", headers: AS_ADMIN });
  deepStrictEqual([(await key.one()).status, (await key.one()).status], [200, 429]);
  strictEqual((await other.one()).status, 200);
  strictEqual("rateLimit" in (await change(null)).body, false);
  strictEqual((await key.batch(500)).status, 200);
  deepStrictEqual((await change({ perSecond: 10, burst: 5 })).body.rateLimit, { perSecond: 10, burst: 5 });
  test.clock.nowMs += 500;
  deepStrictEqual([(await key.batch(5)).status, (await key.one()).status], [200, 429]);
});

Deno.test("a key that is rotated has two secrets for a while, of one key, and then one", async () => {
  await using test = await open();
  const { body: made } = await test.send(KEYS, { name: "x", rateLimit: { perSecond: 0.01, burst: 3 } }, {
    headers: AS_ADMIN,
  });
  const rotate = (id: string, body: unknown) =>
    test.send(`${KEYS}/${id}/rotate`, body, { headers: AS_ADMIN });
  const sendBy = async (key: string) =>
    (await test.send("/api/v1/events", TRACK, { headers: basic(key) })).status;
  const { status, body: rotated } = await rotate(made.id, { graceSeconds: 60 });
  strictEqual(status, 200);
  match(rotated.key, /^c[a-z0-9]{24}$/);
  strictEqual(Date.parse(rotated.previousValidUntil) - test.clock.nowMs, 60_000);
  const { key: _, previousValidUntil: __, ...rest } = rotated;
  const { key: ___, ...before } = made;
  deepStrictEqual(rest, before);
  deepStrictEqual([await sendBy(made.key), await sendBy(rotated.key)], [200, 200]);
  deepStrictEqual([await sendBy(made.key), await sendBy(rotated.key)], [200, 429], "they share the limit");

  const again = (await rotate(made.id, { graceSeconds: 0 })).body;
  strictEqual("previousValidUntil" in again, false);
  deepStrictEqual([await sendBy(made.key), await sendBy(rotated.key)], [401, 401]);
  strictEqual(await sendBy(again.key), 429);
  const listed = JSON.stringify((await test.get(KEYS, AS_ADMIN)).body);
  for (const { key } of [made, rotated, again]) strictEqual(listed.includes(key), false);
  strictEqual(/digest|previous/.test(listed), false);
});

const BAD_ROTATIONS: [what: string, id: string | undefined, body: unknown, status: number][] = [
  ["a grace below nothing", undefined, { graceSeconds: -1 }, 400],
  ["a grace of more than 30 days", undefined, { graceSeconds: 30 * 86_400 + 1 }, 400],
  ["a grace in words", undefined, { graceSeconds: "60" }, 400],
  ["a member that is not known", undefined, { grace: 60 }, 400],
  ["the key of the environment", "default", {}, 400],
  ["a key that is none", "nobody", {}, 404],
];

for (const [what, id, body, status] of BAD_ROTATIONS) {
  Deno.test(`rotating with ${what} is ${status}, and changes nothing`, async () => {
    await using test = await open();
    const key = await limited(test);
    const path = `${KEYS}/${id ?? key.id}/rotate`;
    strictEqual((await test.send(path, body, { headers: AS_ADMIN })).status, status);
    strictEqual((await key.one()).status, 200);
  });
}
