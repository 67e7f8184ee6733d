import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import type { Key } from "../../../actors/store/keys.ts";
import { openStore } from "../../../actors/store/store.ts";
import { createPipeline } from "../../../ingest/pipeline.ts";
import { createMetrics } from "../../../routes/service/metrics.ts";
import { type Family, readOpenMetrics } from "./openmetrics.ts";
import {
  ADMIN_TOKEN,
  AS_ADMIN,
  AS_READER,
  AS_SENDER,
  openTestApp,
  openTestSystem,
  type TestApp,
} from "../test_app.ts";

const MEMORY = { rss: 4e7, heapUsed: 1e7, heapTotal: 2e7, external: 3e6 };

async function scrape({ get }: TestApp): Promise<Map<string, Family>> {
  const { status, headers, body } = await get("/metrics");
  strictEqual(status, 200);
  strictEqual(headers.get("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
  return readOpenMetrics(body);
}

/** The samples of a family, as `label=value,… number`. */
function lines(families: Map<string, Family>, name: string): string[] {
  return families.get(name)!.samples.map(({ labels, value }) =>
    `${Object.entries(labels).map(([label, text]) => `${label}=${text}`).join(",")} ${value}`
  ).toSorted();
}

Deno.test("/metrics counts requests by route and status, with the route as it is declared", async () => {
  await using test = await openTestApp();
  await test.get("/api/v1/users/secret_user_id");
  await test.get("/api/v1/users/another?at=2025-01-01");
  await test.send("/api/v1/events", { type: "page", userId: "u" });
  await test.send("/api/v1/events", { type: "page" });
  await test.send("/api/v1/events", {}, { headers: {} });
  await test.send("/v1/track", undefined, { method: "OPTIONS" });
  await test.get("/healthz", {});
  await test.send("/healthz", undefined, { method: "HEAD" });
  await test.get("/secret_path");
  await test.send("/secret_path_too", {}, { method: "DELETE" });
  await test.get("/api/v1/admin/stats", { ...AS_ADMIN, host: "x/healthz?" });
  const families = await scrape(test);
  deepStrictEqual(lines(families, "signalfold_requests"), [
    "method=GET,route=/api/v1/users/:id,status=404 2",
    "method=GET,route=/healthz,status=200 2",
    "method=OPTIONS,route=/v1/track,status=204 1",
    "method=POST,route=/api/v1/events,status=200 1",
    "method=POST,route=/api/v1/events,status=400 1",
    "method=POST,route=/api/v1/events,status=401 1",
    "method=any,route=none,status=400 1",
    "method=any,route=none,status=404 2",
  ]);
  const again = await scrape(test);
  ok(lines(again, "signalfold_requests").includes("method=GET,route=/metrics,status=200 1"));
});

Deno.test("every route of the router is counted", async () => {
  await using test = await openTestApp();
  for (const { method, path } of test.app.routes) {
    const { body } = await test.send(path, method === "POST" ? "{" : undefined, {
      method,
      headers: AS_ADMIN,
    });
    if (typeof body === "object") await body.cancel?.();
  }
  const counted = (await scrape(test)).get("signalfold_requests")!.samples
    .map(({ labels: { method, route } }) => `${method} ${route}`);
  // The scrape itself is counted once it is answered.
  for (const { method, path } of test.app.routes) {
    ok(counted.includes(`${method} ${path}`), `${method} ${path}`);
  }
});

Deno.test("/metrics counts events by outcome and type, and rejected ones by code, never by what a sender chose", async () => {
  await using test = await openTestApp();
  const track = (messageId: string) => ({
    type: "track",
    event: "secret_name",
    userId: "secret_user",
    messageId,
  });
  await test.send("/api/v1/events/batch", {
    batch: [track("m1"), track("m1"), track("m2"), { type: "page" }, { type: "secret_type", userId: "u" }],
  });
  const { body } = await test.get("/metrics");
  const families = readOpenMetrics(body);
  deepStrictEqual(lines(families, "signalfold_events"), [
    "outcome=accepted,type=track 2",
    "outcome=duplicate,type=track 1",
    "outcome=rejected,type=none 1",
    "outcome=rejected,type=page 1",
  ]);
  deepStrictEqual(
    lines(families, "signalfold_rejected_events"),
    [
      "status=400,code=invalid_type 1",
      "status=400,code=missing_id 1",
    ].toSorted(),
  );
  ok(!/secret|wk_test|test_token/.test(body));
  // What is shown twice is not added twice.
  deepStrictEqual(lines(await scrape(test), "signalfold_events"), lines(families, "signalfold_events"));
});

Deno.test("/metrics counts events of requests that are refused whole", async () => {
  const metrics = createMetrics({ startedAt: 0, memory: () => MEMORY });
  const problem = { reason: "rate_limited", code: "rate_limited", detail: "" } as const;
  const pipeline = { ...createPipeline([], []), reserve: () => problem };
  const source = {} as never;
  const later = metrics.watch({ ...pipeline, reserve: () => Promise.resolve(problem) });
  strictEqual(metrics.watch(pipeline).reserve(source, 500), problem);
  strictEqual(await later.reserve(source, 7), problem);
  strictEqual(metrics.watch({ ...pipeline, reserve: () => undefined }).reserve(source, 9), undefined);
  await using test = await openTestApp({ metrics });
  deepStrictEqual(lines(await scrape(test), "signalfold_refused_events"), [
    "status=429,code=rate_limited 507",
  ]);
});

Deno.test("/metrics shows figures of the actors, the state, memory and the start", async () => {
  const metrics = createMetrics({ startedAt: 1_700_000_000_500, memory: () => MEMORY });
  metrics.addGauge("quarantined_events", "Events in quarantine.", () => 12);
  await using test = await openTestApp({ metrics });
  await test.send("/api/v1/events/batch", {
    batch: [{ type: "page", userId: "u" }, { type: "page", userId: "v" }],
  });
  const { observer } = metrics;
  observer.committed!({ durationMs: 125, events: 2, bytes: 5_000 });
  observer.committed!({ durationMs: 500, events: 300, bytes: 90_000 });
  observer.retried!();
  observer.settled!({ durationMs: 1_500, events: 20_000 });
  observer.settlingFailed!();
  const families = await scrape(test);
  const value = (name: string) =>
    [...families.values()].flatMap(({ samples }) => samples).find((sample) => sample.name === name)!.value;
  deepStrictEqual(
    [
      "signalfold_commit_duration_seconds_count",
      "signalfold_commit_duration_seconds_sum",
      "signalfold_commit_events_sum",
      "signalfold_commit_bytes_sum",
      "signalfold_commit_retries_total",
      "signalfold_settle_duration_seconds_sum",
      "signalfold_settle_events_sum",
      "signalfold_settle_failures_total",
      "signalfold_storage_up",
      "signalfold_journal_events",
      "signalfold_quarantined_events",
      "process_resident_memory_bytes",
      "process_start_time_seconds",
      "signalfold_heap_used_bytes",
    ].map(value),
    [2, 0.625, 302, 95_000, 1, 1.5, 20_000, 1, 1, 2, 12, 4e7, 1_700_000_000.5, 1e7],
  );
  strictEqual(
    value("signalfold_unsettled_events"),
    value("signalfold_journal_events") - value("signalfold_settled_events"),
  );
  for (const [name, { help, type }] of families) ok(help.endsWith(".") && type !== "unknown", name);
});

Deno.test("/metrics accepts the read or the admin token, and needs none if so set", async () => {
  const statusOf = async (test: TestApp, headers: HeadersInit) =>
    (await test.get("/metrics", headers)).status;
  const CREDENTIALS = [{}, AS_SENDER, AS_READER, AS_ADMIN, { authorization: `Bearer ${ADMIN_TOKEN}x` }];
  await using closed = await openTestApp();
  deepStrictEqual(await Promise.all(CREDENTIALS.map((each) => statusOf(closed, each))), [
    401,
    403,
    200,
    200,
    401,
  ]);
  await using open = await openTestApp({ metricsOpen: true });
  deepStrictEqual(await Promise.all(CREDENTIALS.map((each) => statusOf(open, each))), [
    200,
    200,
    200,
    200,
    200,
  ]);
});

Deno.test("/metrics answers within some 2 s if storage does not, and shows that", async () => {
  const store = await openStore(":memory:");
  let hangs = false;
  const waiting = Promise.withResolvers<void>();
  const system = await openTestSystem({
    ...store,
    async getMany<T>(keys: Key[]) {
      if (hangs) await waiting.promise;
      return await store.getMany<T>(keys);
    },
  });
  await using test = await openTestApp({ system });
  await test.send("/api/v1/events", { type: "page", userId: "u" });
  hangs = true;
  // Storage goes on to hang until this is answered.
  const families = await scrape(test);
  deepStrictEqual(lines(families, "signalfold_storage_up"), [" 0"]);
  deepStrictEqual(lines(families, "signalfold_journal_events"), [" 1"], "as last known");
  hangs = false;
  waiting.resolve();
  deepStrictEqual(lines(await scrape(test), "signalfold_storage_up"), [" 1"]);
});

const BROKEN: [what: string, text: string][] = [
  ["no end", "# TYPE a gauge\na 1\n"],
  ["something after the end", "# EOF\n# TYPE a gauge\n"],
  ["an empty line", "# TYPE a gauge\n\na 1\n# EOF\n"],
  ["a counter without _total", "# TYPE a counter\na 1\n# EOF\n"],
  ["a sample twice", '# TYPE a gauge\na{b="c"} 1\na{b="c"} 2\n# EOF\n'],
  ["families that mix", "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\n# EOF\n"],
  ["a label without quotes", "# TYPE a gauge\na{b=c} 1\n# EOF\n"],
  ["a value that is none", "# TYPE a gauge\na one\n# EOF\n"],
  ["a histogram without +Inf", '# TYPE a histogram\na_bucket{le="1"} 1\na_count 1\na_sum 1\n# EOF\n'],
  [
    "buckets that fall",
    '# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_count 1\na_sum 1\n# EOF\n',
  ],
];

for (const [what, text] of BROKEN) {
  Deno.test(`the parser of these tests rejects ${what}`, () => {
    throws(() => readOpenMetrics(text), SyntaxError);
  });
}
