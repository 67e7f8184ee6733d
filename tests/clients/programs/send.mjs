/**
 * `node send.mjs CLIENT every|bad|many|twice`: sends by a client, waits until it is done, and prints as JSON what the client
 * itself says of it. Where to is in URL and KEY, who in USER_ID; `many` sends COUNT events, one every PACE_MS.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CLIENTS } from "./clients.mjs";

const [, , name, scenario] = process.argv;
const { URL: url, KEY: key, USER_ID: userId, COUNT, PACE_MS } = process.env;
const { analytics, failures, flush } = await CLIENTS[name]({ url, key });

/** One of every call that the client has. */
async function every() {
  const anonymousId = `${userId}'s device`;
  const calls = {
    track: { anonymousId, event: "Product Viewed", properties: { sku: "A1" } },
    identify: { userId, traits: { plan: "pro", email: "jane@example.com" } },
    page: { userId, name: "Pricing", properties: { url: "https://shop.example.com/pricing" } },
    screen: { userId, name: "Settings" },
    group: { userId, groupId: `${userId}'s group`, traits: { name: "Acme" } },
    alias: { userId, previousId: anonymousId },
  };
  for (const [type, message] of Object.entries(calls)) {
    await analytics[type]?.(message);
    if (type === "identify") {
      await analytics.track({ userId, event: "Order Completed", properties: { total: 9 } });
    }
  }
}

/** Among good events one with more properties than the server takes; no client minds. */
async function bad() {
  const tooMany = Object.fromEntries(Array.from({ length: 501 }, (_, n) => [`p${n}`, n]));
  for (const n of [1, 2, 3]) {
    await analytics.track({ userId, event: "Counted", properties: { n, ...n === 2 && tooMany } });
  }
}

async function many() {
  for (let n = 1; n <= Number(COUNT); n++) {
    analytics.track({ userId, event: "Counted", properties: { n } });
    await sleep(Number(PACE_MS));
  }
}

/** Two that say different things of one trait, so far apart that each is in a batch of its own. */
async function twice() {
  analytics.identify({ userId, traits: { plan: "old", name: "Jane" } });
  await sleep(1500);
  analytics.identify({ userId, traits: { plan: "new" } });
}

await { every, bad, many, twice }[scenario]();
await flush();
console.log(JSON.stringify({ failures }));
