/**
 * The published clients of browsers, in a real headless Chromium, on a page of another origin than the server's. Nothing
 * comes from a content delivery network: the page's scripts are those of the packages. What they do when it goes wrong is
 * in `browser_retries_test.ts`.
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { eventually, freePort, type Server, sleep, startServer, tempDir } from "../process/server.ts";
import { type Browser, missingForBrowser, openBrowser, serveSite } from "./browser.ts";
import { BROWSER_CLIENTS, openPage } from "./browser_clients.ts";
import { testWhere } from "../needs.ts";
import { readLog, sharedStage, WRITE_KEY } from "./stage.ts";
import { RETRY_AFTER_S } from "./wire.ts";

const SEGMENT = "@segment/analytics-next/dist/umd/index.js";

const shared = sharedStage(missingForBrowser === undefined);

function test(name: string, fn: () => Promise<void>): void {
  testWhere(missingForBrowser, { name, fn });
}

/** Opens a page on which `analytics` is Segment's client, pointed at a server; `counted(from, to, paceMs)` sends. */
async function withSegment(
  { url, options = {} }: { url: string; options?: Record<string, unknown> },
  run: (browser: Browser, origin: string) => Promise<void>,
): Promise<void> {
  const html = `<script src="/client.js"></script><script>
    const analytics = AnalyticsNext.AnalyticsBrowser.load(
      ${JSON.stringify({ writeKey: WRITE_KEY, cdnURL: url })},
      ${JSON.stringify({ integrations: { "Segment.io": options } })},
    );
    async function counted(from, to, paceMs = 0, more = {}) {
      for (let n = from; n <= to; n++) {
        analytics.track("Counted", { n, ...more });
        await new Promise((resolve) => setTimeout(resolve, paceMs));
      }
    }</script>`;
  await using site = serveSite(shared.packages, { script: SEGMENT, html });
  await using browser = openBrowser(shared.packages);
  await browser.goto(site.url);
  await run(browser, site.origin);
  deepStrictEqual((await browser.seen()).errors, []);
}

const pathOf = (userId: string) => `users/${encodeURIComponent(userId)}`;
const numbersOf = (events: Record<string, unknown>[]) =>
  events.filter(({ event }) => event === "Counted").map(({ properties }) => (properties as { n: number }).n)
    .sort((a, b) => a - b);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** Waits until so many counted events of a user are there, and a little longer for any that are too many. */
async function settled(server: Server, userId: string, numbers: number[]): Promise<void> {
  const log = async () => numbersOf(await readLog(server, pathOf(userId)));
  await eventually(`${numbers.length} events`, async () => (await log()).length >= numbers.length);
  await sleep(300);
  deepStrictEqual(await log(), numbers);
}

test("analytics-next asks for its settings, sends one of every call, and asks no other host", async () => {
  const { wire, server } = shared.stage;
  const before = wire.exchanges.length;
  await withSegment({ url: wire.url }, async (browser, origin) => {
    await browser.evaluate(`(async () => {
      await analytics.page("Pricing");
      await analytics.track("Product Viewed", { sku: "A1" });
      await analytics.alias("web-1");
      await analytics.identify("web-1", { plan: "pro" });
      await analytics.track("Order Completed", { total: 9 });
      await analytics.group("web-1's group", { name: "Acme" });
      await analytics.screen("Settings");
    })()`);
    deepStrictEqual((await browser.seen()).origins.sort(), [origin, wire.url].sort());
  });
  const { body } = await server.ask("/api/v1/users/web-1");
  deepStrictEqual(body.counts, { track: 2, identify: 1, page: 1, screen: 1, group: 1, alias: 1 });
  deepStrictEqual(body.traits, { plan: "pro" });
  deepStrictEqual(body.groups[0].traits, { name: "Acme" });
  strictEqual(body.anonymousIds.length, 1);
  strictEqual(body.context.library.name, "analytics.js");

  const seen = wire.exchanges.slice(before);
  strictEqual(`${seen[0]!.method} ${seen[0]!.path}`, `GET /v1/projects/${WRITE_KEY}/settings`);
  const posts = seen.filter(({ method }) => method === "POST");
  deepStrictEqual(
    posts.map(({ path }) => path),
    ["p", "t", "a", "i", "t", "g", "s"].map((type) => `/v1/${type}`),
  );
  ok(posts.every(({ headers, outcome }) => headers["content-type"] === "text/plain" && outcome === 200));
  match(posts[0]!.body, /"userId":null/);
  ok(seen.some(({ method }) => method === "OPTIONS"), "its Authorization makes the browser ask first");
});

const BATCHING = { deliveryStrategy: { strategy: "batching", config: { size: 5, timeout: 300 } } };
const MODES: [what: string, options: Record<string, unknown>][] = [["one by one", {}], [
  "in batches",
  BATCHING,
]];

for (const [mode, options] of MODES) {
  test(`analytics-next, ${mode}, gives a bad event up, and not the others`, async () => {
    const { wire, server } = shared.stage;
    const userId = `${mode}, a bad one`;
    const before = wire.exchanges.length;
    const tooMany = Object.fromEntries(Array.from({ length: 501 }, (_, n) => [`p${n}`, n]));
    await withSegment({ url: wire.url, options }, async (browser) => {
      await browser.evaluate(`analytics.identify(${JSON.stringify(userId)})`);
      await browser.evaluate(
        `(async () => { await counted(1, 1); await counted(2, 2, 0, ${
          JSON.stringify(tooMany)
        }); await counted(3, 3); })()`,
      );
      await settled(server, userId, [1, 3]);
      await sleep(1500);
    });
    const bad = wire.exchanges.slice(before).filter(({ body }) => body.includes('"p500"'));
    deepStrictEqual(bad.map(({ outcome }) => outcome), [mode === "one by one" ? 400 : 200], "sent once");
  });
}

test("analytics-next waits as long as the Retry-After of a 429 says, which it may read from another origin", async () => {
  const { wire, server } = shared.stage;
  const before = wire.exchanges.length;
  await withSegment({ url: wire.url }, async (browser) => {
    wire.mishaps.push(429);
    await browser.evaluate(`analytics.identify("patient")`);
    await eventually(
      "it has arrived",
      async () => (await readLog(server, "users/patient")).length === 1,
    );
  });
  const [refused, taken] = wire.exchanges.slice(before).filter(({ method }) => method === "POST");
  deepStrictEqual([refused?.outcome, taken?.outcome], [429, 200]);
  const waitedMs = taken!.atMs - refused!.atMs;
  ok(waitedMs >= RETRY_AFTER_S * 1000 - 20, `${waitedMs} ms`);
});

test("analytics-next sends what it holds when its page is left, by a request that outlives it", async () => {
  const { wire, server } = shared.stage;
  const config = { size: 50, timeout: 60_000 };
  const options = { deliveryStrategy: { strategy: "batching", config } };
  await withSegment({ url: wire.url, options }, async (browser, origin) => {
    await browser.evaluate(`analytics.identify("leaver")`);
    await browser.evaluate("counted(1, 4)");
    await sleep(300);
    deepStrictEqual(await readLog(server, "users/leaver"), []);
    await browser.goto(`${origin}/left`);
    await settled(server, "leaver", upTo(4));
  });
});

test("analytics-next sends all, once, over a kill of the server in mid-flight", async () => {
  await using dir = await tempDir();
  const kvPath = `${dir.path}/kv.db`;
  const env = { WRITE_KEY, PORT: String(freePort()) };
  let server = await startServer(kvPath, env);
  try {
    const { url } = server;
    await withSegment({ url }, async (browser) => {
      await browser.evaluate(`analytics.identify("survivor")`);
      const sending = browser.evaluate("counted(1, 40, 40)");
      await eventually(
        "some have arrived",
        async () => (await readLog(server, "users/survivor")).length > 5,
      );
      await server.end("SIGKILL");
      await sleep(300);
      server = await startServer(kvPath, env);
      await sending;
      await settled(server, "survivor", upTo(40));
    });
  } finally {
    await server[Symbol.asyncDispose]();
  }
});

/** What each client asks for, and where it sends one of every call that it has, held so that a change is noticed. */
const PATHS: Record<string, { asks: string[]; sends: string[] }> = {
  "@segment/analytics-next, one by one": {
    asks: [`/v1/projects/${WRITE_KEY}/settings`],
    sends: ["/v1/a", "/v1/g", "/v1/i", "/v1/p", "/v1/s", "/v1/t"],
  },
  "@segment/analytics-next, in batches": {
    asks: [`/v1/projects/${WRITE_KEY}/settings`],
    sends: ["/v1/b"],
  },
  "@rudderstack/analytics-js, one by one": {
    asks: ["/sourceConfig/"],
    sends: ["/v1/alias", "/v1/group", "/v1/identify", "/v1/page", "/v1/track"],
  },
  "@rudderstack/analytics-js, in batches": { asks: ["/sourceConfig/"], sends: ["/v1/batch"] },
  "@rudderstack/analytics-js, by beacons": { asks: ["/sourceConfig/"], sends: ["/beacon/v1/batch"] },
  "rudder-sdk-js, one by one": {
    asks: ["/sourceConfig/"],
    sends: ["/v1/alias", "/v1/group", "/v1/identify", "/v1/page", "/v1/track"],
  },
  "rudder-sdk-js, by beacons": { asks: ["/sourceConfig/"], sends: ["/beacon/v1/batch"] },
  "@customerio/cdp-analytics-browser, one by one": {
    asks: [],
    sends: ["/v1/a", "/v1/g", "/v1/i", "/v1/p", "/v1/s", "/v1/t"],
  },
  "@customerio/cdp-analytics-browser, in batches": { asks: [], sends: ["/v1/b"] },
  "@ht-sdks/events-sdk-js-browser, one by one": {
    asks: [],
    sends: ["/v1/alias", "/v1/group", "/v1/identify", "/v1/page", "/v1/screen", "/v1/track"],
  },
  "@ht-sdks/events-sdk-js-browser, in batches": { asks: [], sends: ["/v1/batch"] },
  "@jitsu/js, in a page": {
    asks: [],
    sends: ["/api/s/group", "/api/s/identify", "/api/s/page", "/api/s/track"],
  },
  "@dittofeed/sdk-web": { asks: [], sends: ["/api/public/apps/batch"] },
};

for (const client of BROWSER_CLIENTS) {
  test(`${client.name}, sends one of every call that it has, and asks no other host`, async () => {
    const { wire, server } = shared.stage;
    const before = wire.exchanges.length;
    const userId = `${client.name}'s`.replaceAll("/", " ");
    await using page = await openPage(shared.packages, client, { url: wire.url });
    await page.every(userId);
    const has = (type: string) => client.lacks.includes(type) ? 0 : 1;
    const counts = {
      track: 2,
      identify: 1,
      page: 1,
      screen: has("screen"),
      group: has("group"),
      alias: has("alias"),
    };
    const sent = Object.values(counts).reduce((sum, count) => sum + count);
    const profile = async () => (await server.ask(`/api/v1/${pathOf(userId)}`)).body;
    await eventually("all have arrived", async () => (await profile()).eventCount >= sent);
    const body = await profile();
    deepStrictEqual(body.counts, counts);
    deepStrictEqual(body.traits, { plan: "pro" });
    strictEqual(body.anonymousIds.length, 1);
    deepStrictEqual(
      body.groups.map(({ groupId, traits }: Record<string, unknown>) => ({ groupId, traits })),
      has("group") === 1 ? [{ groupId: `${userId}'s group`, traits: { name: "Acme" } }] : [],
    );
    const { errors, origins } = await page.browser.seen();
    deepStrictEqual([errors, origins.sort()], [[], [page.origin, wire.url].sort()]);
    const seen = wire.exchanges.slice(before);
    const paths = (asked: string) =>
      [...new Set(seen.filter(({ method }) => method === asked).map(({ path }) => path.split("?")[0]))]
        .sort();
    deepStrictEqual({ asks: paths("GET"), sends: paths("POST") }, PATHS[client.name]);
  });
}
