/**
 * The published clients of servers, against a real server on a real port: they work by changing the host, and nothing is
 * lost or doubled when it goes wrong.
 *
 * How it works: `packages/deno.json` is installed into a new folder; each client is a program of its own there, which
 * is told what to send and where to. Before the server stands a wire that keeps what it saw, and refuses or loses what
 * it is told to. What arrived is read back from the server.
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { eventually, freePort, sleep, startServer, tempDir } from "../process/server.ts";
import { testWhere } from "../needs.ts";
import { installSenders, send, type Sender, SENDERS } from "./senders.ts";
import { readLog, sharedStage, WRITE_KEY } from "./stage.ts";
import { eventsOf, type Exchange, type Mishap, RETRY_AFTER_S } from "./wire.ts";

/** One stage and one folder of packages for all tests here: they name users of their own. */
const shared = sharedStage(SENDERS.some(({ missing }) => missing === undefined), installSenders);

/** A test of a client, whose user bears the test's name. */
function testOf({ name, missing }: Sender, what: string, run: (userId: string) => Promise<void>): void {
  testWhere(missing, {
    name: `${name} ${what}`,
    fn: () => run(`${what}, by ${name}`.replaceAll("/", " ")),
  });
}

const pathOf = (userId: string) => `users/${encodeURIComponent(userId)}`;

/** The numbers of the counted events that arrived. */
async function counted(userId: string): Promise<number[]> {
  const events = await shared.stage.log(pathOf(userId));
  return events.map(({ properties }) => (properties as { n: number }).n).sort((a, b) => a - b);
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

for (const sender of SENDERS) {
  testOf(sender, "sends one of every call that it has", async (userId) => {
    const { wire, server } = shared.stage;
    deepStrictEqual(await send(shared.packages, sender, "every", { url: `${wire.url}/`, userId }), []);
    const { status, body } = await server.ask(`/api/v1/${pathOf(userId)}`);
    strictEqual(status, 200);
    const has = (type: string) => sender.lacks.includes(type) ? 0 : 1;
    const own = sender.lacks.includes("alias") && sender.batches ? 1 : 2;
    deepStrictEqual(body.traits, { plan: "pro", email: "jane@example.com" });
    deepStrictEqual(body.counts, {
      track: own,
      identify: 1,
      page: 1,
      screen: has("screen"),
      group: has("group"),
      alias: has("alias"),
    });
    strictEqual(body.events["Order Completed"].count, 1);
    deepStrictEqual(
      body.groups.map(({ groupId, traits }: Record<string, unknown>) => ({ groupId, traits })),
      sender.lacks.includes("group") ? [] : [{ groupId: `${userId}'s group`, traits: { name: "Acme" } }],
    );
    if (!sender.lacks.includes("alias")) {
      deepStrictEqual(body.anonymousIds, [`${userId}'s device`]);
      strictEqual(body.events["Product Viewed"].count, 1);
    }
  });
}

/** What was seen on the wire, held so that it is noticed when a new version sends something else. */
const ON_THE_WIRE: Record<string, { path: string; headers: Record<string, string>; body: RegExp }> = {
  "@segment/analytics-node": {
    path: "/v1/batch",
    headers: { "content-type": "application/json" },
    body: /"writeKey":"c.*"sentAt":/,
  },
  "analytics-node": {
    path: "/v1/batch",
    headers: { "content-type": "application/json" },
    body: /^\{"batch":.*"timestamp":"[^"]*","sentAt":"[^"]*"\}$/,
  },
  "@rudderstack/rudder-sdk-node": {
    path: "/v1/batch",
    headers: { "content-type": "application/x-www-form-urlencoded", "content-encoding": "gzip" },
    body: /"originalTimestamp":/,
  },
  "@customerio/cdp-analytics-node": {
    path: "/v1/batch",
    headers: { "content-type": "application/json" },
    body: /"messageId":"node-next-/,
  },
  "@dittofeed/sdk-node": {
    path: "//api/public/apps/batch",
    headers: { "content-type": "application/json" },
    body: /^\{"batch":\[\{"messageId":/,
  },
  "@jitsu/js": {
    path: "//api/s/track",
    headers: { "content-type": "application/json", "x-write-key": WRITE_KEY },
    body: /"writeKey":"\*\*\*"/,
  },
  "segment-analytics-python": {
    path: "/v1/batch",
    headers: { "content-type": "application/json", "content-encoding": "gzip" },
    body: /"anonymousId": null/,
  },
  "rudder-sdk-python": {
    path: "/v1/batch",
    headers: { "content-type": "application/json", "content-encoding": "gzip" },
    body: /"anonymousId": null/,
  },
  "customerio-cdp-analytics": {
    path: "/v1/batch",
    headers: { "content-type": "application/json", "content-encoding": "gzip" },
    body: /"anonymousId": null/,
  },
  "events-sdk-python": {
    path: "/v1/batch",
    headers: { "content-type": "application/json" },
    body: /"anonymousId": null/,
  },
  "github.com/segmentio/analytics-go/v3": {
    path: "//v1/batch",
    headers: { "content-type": "application/json" },
    body: /^\{"messageId":"[^"]*","sentAt":"[^"]*","batch":\[\{"type":"track",/,
  },
  "com.segment.analytics.java:analytics": {
    path: "//v1/import/",
    headers: {},
    body: /"writeKey":"c/,
  },
};

for (const sender of SENDERS) {
  testOf(sender, "sends what it was seen to send, also to a host that ends in a slash", async (userId) => {
    const { wire } = shared.stage;
    const before = wire.exchanges.length;
    await send(shared.packages, sender, "many", { url: `${wire.url}/`, userId, count: 1 });
    const { path, headers, body, outcome } = wire.exchanges[before]!;
    const expected = ON_THE_WIRE[sender.name]!;
    const seen = Object.fromEntries(Object.keys(expected.headers).map((name) => [name, headers[name]]));
    deepStrictEqual({ path, headers: seen, outcome }, {
      path: expected.path,
      headers: expected.headers,
      outcome: 200,
    });
    match(body, expected.body);
  });
}

for (const sender of SENDERS.filter(({ batches }) => batches)) {
  testOf(sender, "does not drop the others for a bad event among them", async (userId) => {
    const { wire } = shared.stage;
    const before = wire.exchanges.length;
    deepStrictEqual(await send(shared.packages, sender, "bad", { url: wire.url, userId }), []);
    deepStrictEqual(await counted(userId), [1, 3]);
    const answers = wire.exchanges.slice(before).map(({ outcome, answer }) => ({
      outcome,
      ...JSON.parse(answer),
    }));
    ok(answers.every(({ outcome, success }) => outcome === 200 && success === true));
    deepStrictEqual(answers.flatMap(({ errors }) => errors).map(({ code }) => code), ["too_many_properties"]);
  });
}

const MISHAPS: [what: string, mishaps: Mishap[]][] = [
  ["after 429 with Retry-After", [429]],
  ["after 503 with Retry-After", [503]],
  ["after its answer was lost", ["lost answer"]],
  ["however it goes on", ["lost answer", 503, 429, "lost answer"]],
];
/** For clients that wait half a minute and more before they try again. */
const ONE_MISHAP = MISHAPS.filter(([, [mishap]]) => mishap === "lost answer").slice(0, 1);

for (const sender of SENDERS.filter(({ retries }) => retries !== false)) {
  for (const [what, mishaps] of sender.retries === "slowly" ? ONE_MISHAP : MISHAPS) {
    testOf(sender, `tries again ${what}, and nothing is lost or doubled`, async (userId) => {
      const { wire } = shared.stage;
      const before = wire.exchanges.length;
      wire.mishaps.push(...mishaps);
      deepStrictEqual(
        await send(shared.packages, sender, "many", { url: wire.url, userId, count: 12, paceMs: 5 }),
        [],
      );
      strictEqual(wire.mishaps.length, 0);
      const seen = wire.exchanges.slice(before);
      deepStrictEqual(
        seen.map(({ outcome }) => outcome).filter((outcome) => outcome !== 200).sort(),
        [...mishaps].sort(),
      );
      deepStrictEqual(await counted(userId), upTo(12));
    });
  }
}

/** What each says of when it sends, as it tries again; `sentAt` is what the correction for skewed clocks goes by. */
const SAYS_WHEN: Record<string, "anew" | "as at first" | "nothing"> = {
  "@segment/analytics-node": "anew",
  "segment-analytics-python": "anew",
  "rudder-sdk-python": "anew",
  "customerio-cdp-analytics": "anew",
  "events-sdk-python": "anew",
  "@customerio/cdp-analytics-node": "nothing",
  "analytics-node": "as at first",
  "github.com/segmentio/analytics-go/v3": "as at first",
  "com.segment.analytics.java:analytics": "as at first",
  "@rudderstack/rudder-sdk-node": "as at first",
};

const THEN_COUNTS_AS = {
  "anew": "counts as later by what its last try took, and no more",
  "nothing": "counts as when it happened",
  "as at first": "counts as later by as long as it waited",
};

for (const sender of SENDERS.filter(({ retries }) => retries !== false)) {
  const says = SAYS_WHEN[sender.name]!;
  const what = `says ${says} when it sends, and an event that is sent again ${THEN_COUNTS_AS[says]}`;
  testOf(sender, what, async (userId) => {
    const { wire, log } = shared.stage;
    const before = wire.exchanges.length;
    wire.mishaps.push(503);
    deepStrictEqual(await send(shared.packages, sender, "many", { url: wire.url, userId, count: 1 }), []);
    const [refused, taken] = wire.exchanges.slice(before) as [Exchange, Exchange];
    const [event] = await log(pathOf(userId)) as Record<string, string>[];
    const ms = (name: string) => Date.parse(event![name]!);
    const [first, second] = [refused, taken].map(({ body }) => /"sentAt": ?"([^"]*)"/.exec(body)?.[1]);
    const [{ timestamp, originalTimestamp = timestamp }] = eventsOf(taken.body) as unknown as [
      Record<string, string>,
    ];
    const happenedAt = Date.parse(originalTimestamp!);
    if (says === "nothing") {
      deepStrictEqual([first, second], [undefined, undefined]);
      strictEqual(ms("timestamp"), happenedAt);
      return;
    }
    // Segment's correction: client and server have one clock here, so that whatever it changes is wrong.
    strictEqual(ms("timestamp"), ms("receivedAt") - (Date.parse(second!) - happenedAt));
    strictEqual(first === second, says === "as at first");
    const waitedMs = taken.atMs - refused.atMs;
    if (says === "as at first") ok(ms("timestamp") - happenedAt >= waitedMs - 5, `${waitedMs} ms`);
  });

  if (sender.retries === "slowly") continue;
  testOf(sender, "sends again what was taken, and the first copy counts, with its times", async (userId) => {
    const { wire, log } = shared.stage;
    const before = wire.exchanges.length;
    wire.keepsBack = () => true;
    try {
      const sending = send(shared.packages, sender, "many", { url: wire.url, userId, count: 1 });
      await eventually("taken", async () => (await log(pathOf(userId))).length === 1, { ms: 60_000 });
      const first = await log(pathOf(userId));
      wire.keepsBack = () => false;
      wire.down();
      wire.up();
      deepStrictEqual(await sending, []);
      const outcomes = wire.exchanges.slice(before).map(({ outcome }) => outcome);
      // A client that gave up waiting has tried once more.
      deepStrictEqual([outcomes[0], outcomes.at(-1)], ["lost answer", 200]);
      deepStrictEqual(await log(pathOf(userId)), first);
    } finally {
      wire.keepsBack = () => false;
    }
  });
}

/**
 * Clients that send on while a batch of theirs waits to be tried again. Of the others, `analytics-node`, RudderStack's
 * for Node and Segment's for Go have what waited count as later, and those for Python but Segment's wait with all of it.
 */
const SENDS_ON = ["@segment/analytics-node", "@customerio/cdp-analytics-node", "segment-analytics-python"];

for (const sender of SENDERS.filter(({ name }) => SENDS_ON.includes(name))) {
  testOf(sender, "may have a batch overtaken by a later one, and the newer trait stays", async (userId) => {
    const { wire, server } = shared.stage;
    const before = wire.exchanges.length;
    const hasPassed = () =>
      wire.exchanges.slice(before).some(({ body, outcome }) => /"new"/.test(body) && outcome === 200);
    wire.refuses = (body) => /"old"/.test(body) && !/"new"/.test(body) && !hasPassed();
    try {
      deepStrictEqual(await send(shared.packages, sender, "twice", { url: wire.url, userId }), []);
    } finally {
      wire.refuses = () => false;
    }
    ok(wire.exchanges.slice(before).some(({ outcome }) => outcome === 503));
    const { body } = await server.ask(`/api/v1/${pathOf(userId)}`);
    deepStrictEqual([body.traits, body.eventCount], [{ plan: "new", name: "Jane" }, 2]);
  });
}

for (const sender of SENDERS.filter(({ retries }) => retries === false)) {
  testOf(sender, "leaves trying again to its caller", async (userId) => {
    const { wire } = shared.stage;
    const before = wire.exchanges.length;
    wire.mishaps.push(503);
    // One of them ends with the error, one only prints it.
    await send(shared.packages, sender, "many", { url: wire.url, userId, count: 1 }).catch(() => {});
    deepStrictEqual(wire.exchanges.slice(before).map(({ outcome }) => outcome), [503]);
  });
}

/** Sends one event; gives what the server answered, and what the client says has failed. */
async function sendOne(sender: Sender, sending: { userId: string; key?: string; gzip?: boolean }) {
  const { wire } = shared.stage;
  const before = wire.exchanges.length;
  const failures = await send(shared.packages, sender, "many", { url: wire.url, count: 1, ...sending });
  return { failures, outcomes: wire.exchanges.slice(before).map(({ outcome }) => outcome) };
}

/** These try a wrong key again, as often as they try anything. */
const STUBBORN = ["@customerio/cdp-analytics-node", "github.com/segmentio/analytics-go/v3"];

for (const sender of SENDERS.filter(({ name, retries }) => retries !== false && !STUBBORN.includes(name))) {
  testOf(sender, "stops at a 4xx, and says so", async (userId) => {
    const { failures, outcomes } = await sendOne(sender, { userId, key: "unknown" });
    deepStrictEqual(outcomes, [401]);
    strictEqual(failures.length, 1);
  });
}

for (const sender of SENDERS.filter(({ keyInBody }) => keyInBody)) {
  testOf(sender, "gets 401 for compressed bodies, because its key is inside them", async (userId) => {
    const { failures, outcomes } = await sendOne(sender, { userId, gzip: true });
    deepStrictEqual(outcomes, [401]);
    strictEqual(failures.length, 1);
    match(failures[0]!, /compressed/);
  });
}

/** Clients that wait for as long as the server asks; the others wait for what they think right. */
const OBEDIENT = ["@segment/analytics-node", "@rudderstack/rudder-sdk-node", "segment-analytics-python"];

for (const sender of SENDERS.filter(({ name }) => OBEDIENT.includes(name))) {
  testOf(sender, "waits as long as Retry-After says", async (userId) => {
    const { wire } = shared.stage;
    const before = wire.exchanges.length;
    wire.mishaps.push(429);
    await send(shared.packages, sender, "many", { url: wire.url, userId, count: 3 });
    const [refused, taken] = wire.exchanges.slice(before);
    strictEqual(refused?.outcome, 429);
    ok(taken!.atMs - refused!.atMs >= RETRY_AFTER_S * 1000 - 5, `${taken!.atMs - refused!.atMs} ms`);
  });
}

for (const sender of SENDERS.filter(({ name }) => name === "@segment/analytics-node")) {
  testOf(sender, "waits for its key's rate limit, and then sends all, once", async (userId) => {
    const { server, wire } = shared.stage;
    const body = { name: userId, rateLimit: { perSecond: 1, burst: 3 } };
    const { body: { key } } = await server.ask("/api/v1/admin/keys", { method: "POST", body });
    const before = wire.exchanges.length;
    let isDone = false;
    const sending = send(shared.packages, sender, "many", { url: wire.url, userId, count: 3, key })
      .finally(() => isDone = true);
    // Until the client has felt it, however long it takes to start, somebody else takes each event that there is room for.
    while (!isDone && wire.exchanges.length === before) {
      const { status } = await server.send({ type: "page", userId: "somebody else" }, key);
      ok(status === 200 || status === 429, `${status}`);
    }
    deepStrictEqual(await sending, []);
    const [refused, ...then] = wire.exchanges.slice(before);
    strictEqual(refused?.outcome, 429);
    strictEqual(then.at(-1)?.outcome, 200);
    deepStrictEqual(await counted(userId), upTo(3));
  });
}

for (const sender of SENDERS.filter(({ retries }) => retries === true)) {
  testOf(sender, "sends all, once, over a kill of the server in mid-flight", async (userId) => {
    await using dir = await tempDir();
    const count = 80;
    const kvPath = `${dir.path}/kv.db`;
    const env = { WRITE_KEY, PORT: String(freePort()) };
    let server = await startServer(kvPath, env);
    try {
      const { url } = server;
      const sending = send(shared.packages, sender, "many", { url, userId, count, paceMs: 15 });
      await eventually("some have arrived", async () => (await readLog(server, pathOf(userId))).length > 10);
      await server.end("SIGKILL");
      await sleep(300);
      server = await startServer(kvPath, env);
      deepStrictEqual(await sending, []);
      const events = await readLog(server, pathOf(userId));
      const numbers = events.map(({ properties }) => (properties as { n: number }).n).sort((a, b) => a - b);
      deepStrictEqual(numbers, upTo(count));
    } finally {
      await server[Symbol.asyncDispose]();
    }
  });
}
