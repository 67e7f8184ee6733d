import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { clockAt } from "../../actors/clocks.ts";
import { openSystem } from "../../../actors/open.ts";
import { countsObserver } from "../../../ingest/observers/counts.ts";
import { ADMIN_TOKEN, AS_ADMIN, AS_READER, openTestApp, type TestApp } from "../test_app.ts";

const PATH = "/api/v1/admin/stats";
const START = Date.parse("2026-03-10T12:34:56Z");
const HOUR = 3_600_000;

/** Routes over a system of the same clock, which can be moved by days. */
async function openAt(startMs = START) {
  const clock = { nowMs: startMs };
  let ids = 0;
  const system = await openSystem({
    storage: ":memory:",
    clock: clockAt(() => clock.nowMs),
    newId: () => `id${++ids}`,
    randomBytes: (bytes) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>),
    dedupMs: 0,
    onFault: (error) => console.error(error),
  });
  const test = await openTestApp({ system });
  const at = (ms: number) => clock.nowMs = test.clock.nowMs = ms;
  at(startMs);
  return { test, at, [Symbol.asyncDispose]: () => test[Symbol.asyncDispose]() };
}

const stats = async ({ get }: TestApp, query = "") => {
  const { status, body } = await get(`${PATH}${query}`, AS_ADMIN);
  strictEqual(status, 200, JSON.stringify(body));
  return body.counts;
};

const track = (event: unknown, messageId?: string) => ({ type: "track", userId: "u", event, messageId });

Deno.test("stats show positions at the top, and the events of the last 24 hours by kind", async () => {
  await using opened = await openAt();
  const { test } = opened;
  const { key, writeKey } = await test.system.writeKeys.create({ name: "web", allowedTypes: ["page"] });
  const asWeb = { headers: { authorization: `Basic ${btoa(`${key}:`)}` } };
  await test.send("/api/v1/events/batch", {
    batch: [track("Bought", "m1"), track("Bought"), track("Seen"), { type: "track", event: "Lost" }, {
      type: "nonsense",
      userId: "u",
    }],
  });
  await test.send("/api/v1/events", track("Bought", "m1"));
  await test.send("/api/v1/events", { type: "page", anonymousId: "a" }, asWeb);
  strictEqual((await test.send("/api/v1/events", track("Bought"), asWeb)).status, 403);
  await test.send("/v1/identify", { userId: "u" });
  const { body } = await test.get(PATH, AS_ADMIN);
  strictEqual(typeof body.oldestUnsettledMs, "number");
  deepStrictEqual(body, {
    head: 5,
    settled: body.settled,
    unsettled: 5 - body.settled,
    oldestUnsettledMs: body.oldestUnsettledMs,
    subscriptions: { settling: { lagEvents: 5 - body.settled } },
    counts: {
      from: "2026-03-09T13:00:00.000Z",
      to: "2026-03-10T13:00:00.000Z",
      accepted: 5,
      duplicate: 1,
      rejected: 3,
      types: {
        track: { accepted: 3, duplicate: 1, rejected: 2 },
        identify: { accepted: 1, duplicate: 0, rejected: 0 },
        page: { accepted: 1, duplicate: 0, rejected: 0 },
        none: { accepted: 0, duplicate: 0, rejected: 1 },
      },
      writeKeys: [
        { writeKeyId: "default", accepted: 4, duplicate: 1, rejected: 2 },
        { writeKeyId: writeKey.id, accepted: 1, duplicate: 0, rejected: 1 },
      ],
      rejections: [
        { status: 400, code: "missing_id", count: 1 },
        { status: 400, code: "invalid_type", count: 1 },
        { status: 403, code: "forbidden_type", count: 1 },
      ],
      events: [{ event: "Bought", count: 2 }, { event: "Seen", count: 1 }],
      otherEvents: 0,
      violations: [],
    },
  });
});

Deno.test("stats by minute, hour and day tell the periods in which something came, and all of them together", async () => {
  await using opened = await openAt();
  const { test, at } = opened;
  const moments = [0, 61_000, HOUR, 25 * HOUR, 49 * HOUR];
  for (const ms of moments) {
    at(START + ms);
    await test.send("/api/v1/events", { type: "page", userId: "u" });
  }
  const periods = async (query: string) => {
    const { accepted, periods } = await stats(test, query);
    return [accepted, periods.map(({ at, accepted }: { at: string; accepted: number }) => [at, accepted])];
  };
  deepStrictEqual(await periods("?per=day"), [5, [
    ["2026-03-10T00:00:00.000Z", 3],
    ["2026-03-11T00:00:00.000Z", 1],
    ["2026-03-12T00:00:00.000Z", 1],
  ]]);
  deepStrictEqual(await periods("?per=hour&from=2026-03-10T12:30:00Z&to=2026-03-11"), [3, [
    ["2026-03-10T12:00:00.000Z", 2],
    ["2026-03-10T13:00:00.000Z", 1],
  ]]);
  deepStrictEqual(await periods("?per=minute&from=2026-03-10T12:34:00Z&to=2026-03-10T12:35:00Z"), [1, [
    ["2026-03-10T12:34:00.000Z", 1],
  ]]);
  deepStrictEqual(await periods("?per=minute"), [1, [["2026-03-12T13:34:00.000Z", 1]]]);
  strictEqual((await stats(test)).accepted, 1);
  strictEqual((await stats(test, "?from=2026-03-10")).accepted, 5);
  at(START + 33 * 24 * HOUR);
  deepStrictEqual((await periods("?per=day&from=2026-03-01"))[0], 0, "after 30 days they are dropped");
});

Deno.test("stats take filters by type, write key, status and event name", async () => {
  await using opened = await openAt();
  const { test } = opened;
  await test.send("/api/v1/events/batch", {
    batch: [track("A", "m"), track("A"), track("B"), track("A", "m"), { type: "page", userId: "u" }, {
      type: "page",
    }],
  });
  const sums = async (query: string) => {
    const { accepted, duplicate, rejected, events, violations } = await stats(test, query);
    return [accepted, duplicate, rejected, events === undefined && violations === undefined];
  };
  deepStrictEqual(await sums("?type=track"), [3, 1, 0, true]);
  deepStrictEqual(await sums("?type=page"), [1, 0, 1, true]);
  deepStrictEqual(await sums("?status=rejected"), [0, 0, 1, true]);
  deepStrictEqual(await sums("?writeKeyId=default"), [4, 1, 1, true]);
  deepStrictEqual(await sums("?writeKeyId=another"), [0, 0, 0, true]);
  const { from: _, to: __, ...ofA } = await stats(test, "?event=A&per=day");
  deepStrictEqual(ofA, {
    per: "day",
    accepted: 2,
    otherEvents: 0,
    periods: [{ at: "2026-03-10T00:00:00.000Z", accepted: 2, otherEvents: 0 }],
  });
  const { periods: [minute] } = await stats(test, "?per=minute&by=event,type&limit=1");
  deepStrictEqual(minute, {
    at: "2026-03-10T12:34:00.000Z",
    accepted: 4,
    duplicate: 1,
    rejected: 1,
    types: {
      track: { accepted: 3, duplicate: 1, rejected: 0 },
      page: { accepted: 1, duplicate: 0, rejected: 1 },
    },
    events: [{ event: "A", count: 2 }],
    otherEvents: 1,
  });
});

Deno.test("event names from outside are data, whatever they are", async () => {
  await using opened = await openAt();
  const { test } = opened;
  const names = ["__proto__", "constructor", "toString", "</script>", "a\nb", '"', "x".repeat(20_000)];
  for (const name of names) strictEqual((await test.send("/api/v1/events", track(name))).status, 200);
  const { events, otherEvents } = await stats(test, "?limit=1000");
  deepStrictEqual(
    events.map(({ event }: { event: string }) => event).toSorted(),
    names.map((name) => name.length > 128 ? `${name.slice(0, 127)}…` : name).toSorted(),
  );
  strictEqual(otherEvents, 0);
  strictEqual((await stats(test, "?event=__proto__")).accepted, 1);
  strictEqual((await stats(test, `?event=${"x".repeat(20_000)}`)).accepted, 1);
});

Deno.test("of two thousand names a thousand are shown, and the rest as one", async () => {
  await using opened = await openAt();
  const { test } = opened;
  for (let n = 0; n < 4; n++) {
    const batch = Array.from({ length: 500 }, (_, i) => track(`n${500 * n + i}`));
    await test.send("/api/v1/events/batch", { batch: [...batch.slice(1), track("often")] });
  }
  const { accepted, events, otherEvents } = await stats(test, "?limit=1000");
  strictEqual(accepted, 2_000);
  ok(events.length <= 1_000);
  strictEqual(events[0].event, "often");
  const named = events.reduce((sum: number, { count }: { count: number }) => sum + count, 0);
  strictEqual(named + otherEvents, 2_000);
});

const BAD: [query: string, path: string][] = [
  ["per=week", "per"],
  ["per=", "per"],
  ["per=hour&per=day", "per"],
  ["from=yesterday", "from"],
  ["to=2026-13-01", "to"],
  ["from=2026-03-10T12:00:00Z&to=2026-03-10T11:00:00Z", "from"],
  ["per=minute&from=2026-03-08", "from"],
  ["per=hour&from=2025-01-01", "from"],
  ["from=0001-01-01", "from"],
  ["type=click", "type"],
  ["status=lost", "status"],
  ["writeKeyId=", "writeKeyId"],
  [`writeKeyId=${"x".repeat(201)}`, "writeKeyId"],
  ["event=", "event"],
  ["event=%zz", "event"],
  ["event=A&type=page", "event"],
  ["event=A&status=rejected", "event"],
  ["event=A&writeKeyId=default", "event"],
  ["by=", "by"],
  ["by=type,name", "by"],
  ["by=__proto__", "by"],
  ["limit=0", "limit"],
  ["limit=1001", "limit"],
  ["limit=1e3", "limit"],
  ["per=hour&from=2026-02-10&by=event&limit=1000", "limit"],
];

for (const [query, path] of BAD) {
  Deno.test(`?${query.slice(0, 60)} is 400 and names ${path}`, async () => {
    await using opened = await openAt();
    const { status, body } = await opened.test.get(`${PATH}?${query}`, AS_ADMIN);
    strictEqual(status, 400);
    deepStrictEqual([body.code, body.errors[0].path], ["invalid_query", path]);
    match(body.detail, /must|counts/);
  });
}

Deno.test("stats are for administrators alone", async () => {
  await using test = await openTestApp();
  strictEqual((await test.get(PATH, AS_READER)).status, 403);
  strictEqual((await test.get(PATH, { authorization: `Bearer ${ADMIN_TOKEN}` })).status, 200);
});

Deno.test("contract violations are counted, and shown by contract and mode", async () => {
  await using opened = await openAt();
  const { test } = opened;
  test.system.counts.watch(() => [
    { contract: "order", mode: "monitor", count: 3 },
    { contract: "page view", mode: "enforce", count: 5 },
  ]);
  const sender = { writeKeyId: "default" };
  countsObserver(test.system.counts).rejected!(
    { type: "track" },
    { reason: "contract", code: "contract_violation", message: "", path: "", errors: [] },
    { sender, receivedAt: START },
  );
  const { rejections, violations } = await stats(test);
  deepStrictEqual(rejections, [{ status: 422, code: "contract_violation", count: 1 }]);
  deepStrictEqual(violations, [
    { contract: "page view", mode: "enforce", count: 5 },
    { contract: "order", mode: "monitor", count: 3 },
  ]);
});
