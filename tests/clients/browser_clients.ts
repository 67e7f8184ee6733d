/** The clients for browsers: the page on which each runs, and what it does when it goes wrong. */
import { type Browser, openBrowser, type Script, serveSite } from "./browser.ts";
import type { Packages } from "./packages.ts";
import { WRITE_KEY } from "./stage.ts";

/** Whether a client sends again by itself what was not taken. */
export type Then = "tries again" | "gives up";

/** A client, set up in one of its ways. */
export interface BrowserClient {
  name: string;
  script: Script;
  /**
   * Makes `client`, with `identify(userId)`, `track(n)`, which counts, and `every(userId)`, which makes one of every call that the
   * client has, and two tracks, one before the user is known.
   */
  page: (where: Where) => string;
  /** Calls that it does not have. */
  lacks: readonly string[];
  /** After an answer that asks to wait: 429 or 503. */
  whenRefused: Then;
  /** After a connection that broke, or was refused. */
  whenBroken: Then;
}

/** What a page is told. */
export interface Where {
  url: string;
  key: string;
}

/** The calls that those have which grew from Segment's. */
const SEGMENT_CALLS = `{
  identify: (userId) => analytics.identify(userId),
  track: (n) => analytics.track("Counted", { n }),
  async every(userId) {
    await analytics.page("Pricing");
    await analytics.track("Product Viewed", { sku: "A1" });
    await analytics.alias(userId);
    await analytics.identify(userId, { plan: "pro" });
    await analytics.track("Order Completed", { total: 9 });
    await analytics.group(userId + "'s group", { name: "Acme" });
    await analytics.screen("Settings");
  },
}`;

const classic = (code: string) => `<script src="/client.js"></script><script>${code}</script>`;
const modern = (code: string) => `<script type="module">${code}</script>`;

/** Small batches that wait little, so that a test sees several. */
const BATCHING = { deliveryStrategy: { strategy: "batching", config: { size: 5, timeout: 300 } } };

const segment = (options: Record<string, unknown>) => ({ url, key }: Where) =>
  classic(`
    const analytics = AnalyticsNext.AnalyticsBrowser.load(
      ${JSON.stringify({ writeKey: key, cdnURL: url })},
      ${JSON.stringify({ integrations: { "Segment.io": options } })},
    );
    const client = ${SEGMENT_CALLS};`);

const customerio = (options: Record<string, unknown>) => ({ url, key }: Where) => {
  const destination = { apiKey: key, apiHost: `${new URL(url).host}/v1`, protocol: "http", ...options };
  const cdnSettings = { integrations: { "Customer.io Data Pipelines": destination } };
  return classic(`
    const analytics = AnalyticsNext.AnalyticsBrowser.load(${JSON.stringify({ writeKey: key, cdnSettings })});
    const client = ${SEGMENT_CALLS};`);
};

const hightouch = (options: Record<string, unknown>) => ({ url, key }: Where) =>
  classic(`
    const analytics = HtEvents.HtEventsBrowser.load(
      { writeKey: "${key}" },
      ${
    JSON.stringify({
      apiHost: new URL(url).host,
      protocol: "http",
      integrations: { "Hightouch.io": options },
    })
  },
    );
    const client = ${SEGMENT_CALLS};`);

const rudder = (client: string, options: Record<string, unknown> = {}) => ({ url, key }: Where) =>
  classic(`
    const analytics = ${client};
    analytics.load("${key}", "${url}", ${JSON.stringify({ configUrl: url, ...options })});
    const client = ${RUDDER_CALLS};`);

/** RudderStack's have no screen. */
const RUDDER_CALLS = `{
  identify: (userId) => void analytics.identify(userId),
  track: (n) => void analytics.track("Counted", { n }),
  every(userId) {
    analytics.page("Pricing");
    analytics.track("Product Viewed", { sku: "A1" });
    analytics.alias(userId);
    analytics.identify(userId, { plan: "pro" });
    analytics.track("Order Completed", { total: 9 });
    analytics.group(userId + "'s group", { name: "Acme" });
  },
}`;

const jitsu = ({ url, key }: Where) =>
  modern(`
    import { jitsuAnalytics } from "/client.js";
    const analytics = jitsuAnalytics({ writeKey: "${key}", host: "${url}" });
    globalThis.client = {
      identify: (userId) => void analytics.identify(userId),
      track: (n) => void analytics.track("Counted", { n }),
      async every(userId) {
        await analytics.page({ name: "Pricing" });
        await analytics.track("Product Viewed", { sku: "A1" });
        await analytics.identify(userId, { plan: "pro" });
        await analytics.track("Order Completed", { total: 9 });
        await analytics.group(userId + "'s group", { name: "Acme" });
      },
    };`);

/** It takes no notice of who was identified: each call says who. */
const dittofeed = ({ url, key }: Where) =>
  modern(`
    import { DittofeedSdk } from "/client.js";
    await DittofeedSdk.init({ writeKey: "Basic ${btoa(`${key}:`)}", host: "${url}" });
    let who = {};
    globalThis.client = {
      identify(userId) {
        who = { userId };
        DittofeedSdk.identify(who);
      },
      track: (n) => DittofeedSdk.track({ ...who, event: "Counted", properties: { n } }),
      every(userId) {
        const anonymousId = userId + "'s device";
        DittofeedSdk.page({ anonymousId, name: "Pricing" });
        DittofeedSdk.track({ anonymousId, event: "Product Viewed", properties: { sku: "A1" } });
        DittofeedSdk.identify({ userId, anonymousId, traits: { plan: "pro" } });
        DittofeedSdk.track({ userId, event: "Order Completed", properties: { total: 9 } });
        DittofeedSdk.screen({ userId, name: "Settings" });
      },
    };`);

const SEGMENT = {
  script: "@segment/analytics-next/dist/umd/index.js",
  lacks: [],
  whenRefused: "tries again",
  whenBroken: "tries again",
} as const;

const RUDDER = {
  script: "@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js",
  lacks: ["screen"],
  whenRefused: "tries again",
  whenBroken: "tries again",
} as const;

const RUDDER_NOW = "new rudderanalytics.RudderAnalytics()";
const RUDDER_BEFORE = { ...RUDDER, script: "rudder-sdk-js/dist/npm/index.js" };

/** Both take an answer for success, whatever its status is. What fails in a batch of theirs is nobody's any more. */
const ANY_ANSWER_IS_GOOD = { lacks: [], whenRefused: "gives up", whenBroken: "tries again" } as const;
const CUSTOMERIO = { script: "@customerio/cdp-analytics-browser/dist/umd/index.js", ...ANY_ANSWER_IS_GOOD };
const HIGHTOUCH = { script: "@ht-sdks/events-sdk-js-browser/dist/umd/index.js", ...ANY_ANSWER_IS_GOOD };

const RUDDER_BATCHES = { queueOptions: { batch: { enabled: true, maxItems: 5, flushInterval: 300 } } };
const RUDDER_BEACONS = { useBeacon: true, beaconQueueOptions: { flushQueueInterval: 300 } };
const NEVER = { whenRefused: "gives up", whenBroken: "gives up" } as const;

/** Every client, in every way of sending that it has. */
export const BROWSER_CLIENTS: readonly BrowserClient[] = [
  { name: "@segment/analytics-next, one by one", ...SEGMENT, page: segment({}) },
  { name: "@segment/analytics-next, in batches", ...SEGMENT, page: segment(BATCHING) },
  { name: "@rudderstack/analytics-js, one by one", ...RUDDER, page: rudder(RUDDER_NOW) },
  { name: "@rudderstack/analytics-js, in batches", ...RUDDER, page: rudder(RUDDER_NOW, RUDDER_BATCHES) },
  {
    name: "@rudderstack/analytics-js, by beacons",
    ...RUDDER,
    page: rudder(RUDDER_NOW, RUDDER_BEACONS),
    ...NEVER,
  },
  { name: "rudder-sdk-js, one by one", ...RUDDER_BEFORE, page: rudder("rudderanalytics") },
  {
    name: "rudder-sdk-js, by beacons",
    ...RUDDER_BEFORE,
    page: rudder("rudderanalytics", RUDDER_BEACONS),
    ...NEVER,
  },
  { name: "@customerio/cdp-analytics-browser, one by one", ...CUSTOMERIO, page: customerio({}) },
  {
    name: "@customerio/cdp-analytics-browser, in batches",
    ...CUSTOMERIO,
    page: customerio(BATCHING),
    ...NEVER,
  },
  { name: "@ht-sdks/events-sdk-js-browser, one by one", ...HIGHTOUCH, page: hightouch({}) },
  { name: "@ht-sdks/events-sdk-js-browser, in batches", ...HIGHTOUCH, page: hightouch(BATCHING), ...NEVER },
  {
    name: "@jitsu/js, in a page",
    script: "@jitsu/js/dist/jitsu.es.js",
    page: jitsu,
    lacks: ["screen", "alias"],
    ...NEVER,
  },
  {
    name: "@dittofeed/sdk-web",
    script: { bundle: "@dittofeed/sdk-web" },
    page: dittofeed,
    lacks: ["group", "alias"],
    ...NEVER,
  },
];

/** A page with a client on it, as {@link BrowserClient.page} says. */
export interface OpenPage extends AsyncDisposable {
  browser: Browser;
  origin: string;
  identify(userId: string): Promise<void>;
  /** Counts: one event for each number. */
  track(...numbers: number[]): Promise<void>;
  every(userId: string): Promise<void>;
}

/** Opens a page on which a client sends to a server, or to the wire before it. */
export async function openPage(
  packages: Packages,
  { script, page }: BrowserClient,
  { url, key = WRITE_KEY }: { url: string; key?: string },
): Promise<OpenPage> {
  const stack = new AsyncDisposableStack();
  const site = stack.use(serveSite(packages, { script, html: page({ url, key }) }));
  const browser = stack.use(openBrowser(packages));
  const call = async (expression: string) => void await browser.evaluate(`(async () => { ${expression} })()`);
  await browser.goto(site.url);
  // A script that is a module may end after the page is there.
  await call(`while (typeof client === "undefined") await new Promise((resolve) => setTimeout(resolve, 20))`);
  return {
    browser,
    origin: site.origin,
    identify: (userId) => call(`client.identify(${JSON.stringify(userId)})`),
    track: (...numbers) => call(`for (const n of ${JSON.stringify(numbers)}) client.track(n)`),
    every: (userId) => call(`await client.every(${JSON.stringify(userId)})`),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
