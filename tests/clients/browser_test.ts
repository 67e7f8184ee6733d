/**
 * The published clients of browsers, in a real headless Chromium, on a page of another origin than the server's. Nothing
 * comes from a content delivery network: the page's scripts are those of the packages.
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { eventually, freePort, type Server, sleep, startServer, tempDir } from "../process/server.ts";
import { type Browser, missingForBrowser, openBrowser, serveSite } from "./browser.ts";
import { installPackages, type Packages, testWhere } from "./packages.ts";
import { openStage, readLog, type Stage, WRITE_KEY } from "./stage.ts";
import { type Mishap, RETRY_AFTER_S } from "./wire.ts";

const SEGMENT = "@segment/analytics-next/dist/umd/index.js";
const RUDDER = "@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js";

let packages: Packages | undefined;
let stage: Stage | undefined;

Deno.test.beforeAll(async () => {
  if (missingForBrowser !== undefined) return;
  packages = await installPackages();
  stage = await openStage();
});
Deno.test.afterAll(async () => {
  await stage?.[Symbol.asyncDispose]();
  await packages?.[Symbol.asyncDispose]();
});

function test(name: string, fn: () => Promise<void>): void {
  testWhere(missingForBrowser, { what: "clients of browsers", name, fn });
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
  await using site = serveSite(packages!, { script: SEGMENT, html });
  await using browser = openBrowser(packages!);
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
  const { wire, server } = stage!;
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
const MODES: [what: string, options: Record<string, unknown>, path: string][] = [
  ["one by one", {}, "/v1/t"],
  ["in batches", BATCHING, "/v1/b"],
];

for (const [mode, options, path] of MODES) {
  for (const mishap of [429, 503, "lost answer"] satisfies Mishap[]) {
    test(`analytics-next, ${mode}, tries again after ${mishap}, and nothing is lost or doubled`, async () => {
      const { wire, server } = stage!;
      const userId = `${mode}, ${mishap}`;
      const before = wire.exchanges.length;
      await withSegment({ url: wire.url, options }, async (browser) => {
        await browser.evaluate(`analytics.identify(${JSON.stringify(userId)})`);
        await eventually("identified", async () => (await readLog(server, pathOf(userId))).length === 1);
        wire.mishaps.push(mishap);
        await browser.evaluate("counted(1, 6, 20)");
        await settled(server, userId, upTo(6));
      });
      const seen = wire.exchanges.slice(before).filter((exchange) => exchange.path === path);
      strictEqual(seen.filter(({ outcome }) => outcome === mishap).length, 1);
    });
  }

  test(`analytics-next, ${mode}, gives a bad event up, and not the others`, async () => {
    const { wire, server } = stage!;
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
  const { wire, server } = stage!;
  const before = wire.exchanges.length;
  await withSegment({ url: wire.url }, async (browser) => {
    wire.mishaps.push(429);
    await browser.evaluate(`analytics.identify("patient")`);
    await eventually("it has arrived", async () => (await readLog(server, "users/patient")).length === 1);
  });
  const [refused, taken] = wire.exchanges.slice(before).filter(({ method }) => method === "POST");
  deepStrictEqual([refused?.outcome, taken?.outcome], [429, 200]);
  const waitedMs = taken!.atMs - refused!.atMs;
  ok(waitedMs >= RETRY_AFTER_S * 1000 - 20, `${waitedMs} ms`);
});

test("analytics-next sends what it holds when its page is left, by a request that outlives it", async () => {
  const { wire, server } = stage!;
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
      await eventually("some have arrived", async () => (await readLog(server, "users/survivor")).length > 5);
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

for (const useBeacon of [false, true]) {
  const how = useBeacon ? "by beacons" : "by requests";
  test(`RudderStack's browser client asks for its source, sends one of every call ${how}, and asks no other host`, async () => {
    const { wire, server } = stage!;
    const before = wire.exchanges.length;
    const userId = `rudder ${how}`;
    const options = { configUrl: wire.url, useBeacon, beaconQueueOptions: { flushQueueInterval: 200 } };
    const html = `<script src="/client.js"></script><script>
      const analytics = new rudderanalytics.RudderAnalytics();
      analytics.load("${WRITE_KEY}", "${wire.url}", ${JSON.stringify(options)});</script>`;
    await using site = serveSite(packages!, { script: RUDDER, html });
    await using browser = openBrowser(packages!);
    await browser.goto(site.url);
    await browser.evaluate(`(() => {
      analytics.page("Pricing");
      analytics.track("Product Viewed", { sku: "A1" });
      analytics.identify(${JSON.stringify(userId)}, { plan: "pro" });
      analytics.track("Order Completed", { total: 9 });
      analytics.group("rudder's group", { name: "Acme" });
      analytics.alias(${JSON.stringify(userId)});
    })()`);
    await eventually("all have arrived", async () => {
      const { body } = await server.ask(`/api/v1/${pathOf(userId)}`);
      return body.eventCount >= 6;
    });
    const { body } = await server.ask(`/api/v1/${pathOf(userId)}`);
    deepStrictEqual(body.counts, { track: 2, identify: 1, page: 1, screen: 0, group: 1, alias: 1 });
    deepStrictEqual(body.traits, { plan: "pro" });
    const { errors, origins } = await browser.seen();
    deepStrictEqual([errors, origins.sort()], [[], [site.origin, wire.url].sort()]);
    const seen = wire.exchanges.slice(before);
    ok(seen.some(({ path, outcome }) => path.startsWith("/sourceConfig/?") && outcome === 200));
    const posts = seen.filter(({ method }) => method === "POST").map(({ path }) => path.split("?")[0]);
    deepStrictEqual(
      [...new Set(posts)].sort(),
      useBeacon
        ? ["/beacon/v1/batch"]
        : ["alias", "group", "identify", "page", "track"].map((type) => `/v1/${type}`),
    );
  });
}

for (const mishap of [429, 503, "lost answer"] satisfies Mishap[]) {
  test(`RudderStack's browser client tries again after ${mishap}, and nothing is lost or doubled`, async () => {
    const { wire, server } = stage!;
    const userId = `rudder, ${mishap}`;
    const html = `<script src="/client.js"></script><script>
      const analytics = new rudderanalytics.RudderAnalytics();
      analytics.load("${WRITE_KEY}", "${wire.url}", { configUrl: "${wire.url}" });</script>`;
    await using site = serveSite(packages!, { script: RUDDER, html });
    await using browser = openBrowser(packages!);
    await browser.goto(site.url);
    await browser.evaluate(`analytics.identify(${JSON.stringify(userId)})`);
    await eventually("identified", async () => (await readLog(server, pathOf(userId))).length === 1);
    const before = wire.exchanges.length;
    wire.mishaps.push(mishap);
    await browser.evaluate(`(() => { for (let n = 1; n <= 4; n++) analytics.track("Counted", { n }); })()`);
    await settled(server, userId, upTo(4));
    const outcomes = wire.exchanges.slice(before).map(({ outcome }) => outcome);
    strictEqual(outcomes.filter((outcome) => outcome === mishap).length, 1);
  });
}
