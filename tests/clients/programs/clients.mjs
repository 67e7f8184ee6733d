/**
 * The clients for Node, each behind the same few functions, so that one program can put all of them through the same.
 * Batches are small and wait little, so that a test sees several; nothing else differs from how they are used.
 */
import { setTimeout as sleep } from "node:timers/promises";

/** Waits until as many events as were sent are known to be taken or given up. */
function counting() {
  let open = 0;
  const failures = [];
  return {
    failures,
    done() {
      open++;
      return (error) => {
        open--;
        if (error) failures.push(String(error));
      };
    },
    async allDone() {
      while (open > 0) await sleep(10);
    },
  };
}

/** Segment's, and Customer.io's, which grew from it: both deliver in the background and tell of failures by an event. */
async function openNext(name, { url, key }) {
  const { Analytics } = await import(name);
  const analytics = new Analytics({
    host: url,
    writeKey: key,
    flushAt: 5,
    flushInterval: 50,
    maxRetries: 10,
  });
  const failures = [];
  analytics.on("error", (error) => failures.push(String(error.reason ?? error)));
  return { analytics, failures, flush: () => analytics.closeAndFlush({ timeout: 60_000 }) };
}

/** The one before it, still in wide use. It has no call that waits for what is being retried: callbacks do. */
async function openAnalyticsNode({ url, key }) {
  const { default: Analytics } = await import("analytics-node");
  const count = counting();
  const options = { host: url, flushAt: 5, flushInterval: 50, retryCount: 10, errorHandler() {} };
  return withCallbacks(new Analytics(key, options), count);
}

async function openRudder({ url, key }) {
  const { default: Analytics } = await import("@rudderstack/rudder-sdk-node");
  const count = counting();
  const options = { dataPlaneUrl: url, flushAt: 5, flushInterval: 50, retryCount: 10, errorHandler() {} };
  return withCallbacks(new Analytics(key, { ...options, logLevel: "off" }), count);
}

function withCallbacks(client, { done, allDone, failures }) {
  const call = (type) => (message) => client[type](message, done());
  const types = ["identify", "track", "page", "screen", "group", "alias"];
  return {
    analytics: Object.fromEntries(types.map((type) => [type, call(type)])),
    failures,
    async flush() {
      client.flush();
      await allDone();
    },
  };
}

/** Its key is a whole `Authorization`; it has neither group nor alias, and does not try again. */
async function openDittofeed({ url, key }) {
  const { DittofeedSdk } = await import("@dittofeed/sdk-node");
  const writeKey = `Basic ${Buffer.from(`${key}:`).toString("base64")}`;
  await DittofeedSdk.init({ host: url, writeKey });
  return { analytics: DittofeedSdk, failures: [], flush: () => DittofeedSdk.flush() };
}

/** Each call is a request; it has neither screen nor alias, and does not try again. */
async function openJitsu({ url, key }) {
  const { jitsuAnalytics } = await import("@jitsu/js");
  const jitsu = jitsuAnalytics({ host: url, writeKey: key });
  const requests = [];
  return {
    analytics: {
      identify: ({ userId, traits }) => requests.push(jitsu.identify(userId, traits)),
      track: ({ event, properties }) => requests.push(jitsu.track(event, properties)),
      page: ({ name, properties }) => requests.push(jitsu.page({ name, ...properties })),
      group: ({ groupId, traits }) => requests.push(jitsu.group(groupId, traits)),
    },
    failures: [],
    flush: () => Promise.all(requests),
  };
}

export const CLIENTS = {
  "@segment/analytics-node": (where) => openNext("@segment/analytics-node", where),
  "@customerio/cdp-analytics-node": (where) => openNext("@customerio/cdp-analytics-node", where),
  "analytics-node": openAnalyticsNode,
  "@rudderstack/rudder-sdk-node": openRudder,
  "@dittofeed/sdk-node": openDittofeed,
  "@jitsu/js": openJitsu,
};
