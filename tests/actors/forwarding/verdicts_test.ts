/** What answers of a webhook lead to: signatures, retries, pauses, the breaker, dead letters, orders and replays. */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";
import type { Alert } from "../../../actors/delivery/work.ts";
import type { System } from "../../../actors/system.ts";
import {
  AUTHOR,
  defineWebhook,
  openForwarding,
  type Received,
  startReceiver,
  track,
  until,
} from "./receiver.ts";

async function statusOf(system: System, name = "Hook") {
  return (await system.forwarding.get(name))!.status;
}

/** Runs a test with a receiver and a system, both gone afterwards. */
async function withHook(
  answer: (received: Received, n: number) => Response | Promise<Response>,
  run: (
    parts: { system: System; receiver: ReturnType<typeof startReceiver>; alerts: Alert[] },
  ) => Promise<void>,
  limits: Parameters<typeof openForwarding>[0] = {},
): Promise<void> {
  await using receiver = startReceiver(answer);
  const alerts: Alert[] = [];
  const system = await openForwarding({ ...limits, alerts });
  try {
    await run({ system, receiver, alerts });
  } finally {
    await system.close();
  }
}

/** A second implementation of Standard Webhooks, by its specification. */
function isSigned({ headers, body }: Received, secret: string): boolean {
  const signed = `${headers.get("webhook-id")}.${headers.get("webhook-timestamp")}.${body}`;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = `v1,${createHmac("sha256", key).update(signed).digest("base64")}`;
  return headers.get("webhook-signature")!.split(" ").includes(expected);
}

Deno.test("webhook: each request is signed, and its id stays the same over retries", async () => {
  await withHook(
    (_, n) => new Response(null, { status: n < 3 ? 500 : 200 }),
    async ({ system, receiver }) => {
      const { madeSecret } = await defineWebhook(system, "Hook", receiver.url);
      await system.commit([track("u")], "key");
      await until("it is delivered", async () => (await statusOf(system)).delivered === 1);
      strictEqual(receiver.received.length, 3);
      for (const received of receiver.received) {
        new Webhook(madeSecret!).verify(received.body, Object.fromEntries(received.headers));
        ok(isSigned(received, madeSecret!));
      }
      strictEqual(new Set(receiver.received.map(({ headers }) => headers.get("webhook-id"))).size, 1);
    },
  );
});

Deno.test("webhook: after a rotation requests are signed with both secrets", async () => {
  await withHook(() => new Response(), async ({ system, receiver }) => {
    const { madeSecret } = await defineWebhook(system, "Hook", receiver.url);
    const rotated = await system.forwarding.rotate("Hook", AUTHOR);
    await system.commit([track("u")], "key");
    await until("it is there", () => receiver.received.length === 1);
    const [received] = receiver.received;
    ok(isSigned(received!, madeSecret!) && isSigned(received!, rotated!.secret));
    ok(madeSecret !== rotated!.secret);
  });
});

for (const status of [302, 400, 404, 405, 406, 409, 415, 418, 422]) {
  Deno.test(`verdict: ${status} is dead at once, with its answer`, async () => {
    const location = status === 302 ? { headers: { location: "http://169.254.169.254/" } } : {};
    await withHook(
      () => new Response("no", { status, ...location }),
      async ({ system, receiver, alerts }) => {
        await defineWebhook(system, "Hook", receiver.url);
        const event = track("u");
        await system.commit([event], "key");
        await until("it is dead", async () => (await statusOf(system)).dead === 1);
        const { deliveries } = (await system.forwarding.deliveries("Hook", { status: "dead", limit: 9 }))!;
        deepStrictEqual(
          deliveries.map(({ messageId, attempts, response }) => [messageId, attempts, response]),
          [[event.messageId, 1, { status, body: "no" }]],
        );
        strictEqual(receiver.received.length, 1);
        await until("it is told", () => alerts.length > 0);
        deepStrictEqual(alerts.map(({ type }) => type), ["delivery.dead"]);
      },
    );
  });
}

for (const status of [401, 403]) {
  Deno.test(`verdict: ${status} pauses the destination, and nothing is counted`, async () => {
    let isRefused = true;
    await withHook(
      () => new Response(null, { status: isRefused ? status : 200 }),
      async ({ system, receiver, alerts }) => {
        await defineWebhook(system, "Hook", receiver.url);
        await system.commit([track("u"), track("u")], "key");
        await until("it is paused", async () => (await statusOf(system)).state === "paused");
        const paused = await statusOf(system);
        deepStrictEqual([paused.dead, paused.retrying, paused.reason], [0, 0, `status ${status}`]);
        await until("it is told", () => alerts.length > 0);
        deepStrictEqual(alerts.map(({ type }) => type), ["destination.paused"]);
        const requests = receiver.received.length;
        await new Promise((resolve) => setTimeout(resolve, 150));
        strictEqual(receiver.received.length, requests);
        isRefused = false;
        await system.forwarding.resume("Hook", "checkpoint", AUTHOR);
        await until("all is delivered", async () => (await statusOf(system)).delivered === 2);
      },
    );
  });
}

Deno.test("verdict: 410 turns the destination off, and resume ends that", async () => {
  let isGone = true;
  await withHook(
    () => new Response(null, { status: isGone ? 410 : 200 }),
    async ({ system, receiver, alerts }) => {
      await defineWebhook(system, "Hook", receiver.url);
      await system.commit([track("u")], "key");
      await until("it is off", async () => (await statusOf(system)).state === "off");
      await until("it is told", () => alerts.length > 0);
      deepStrictEqual(alerts.map(({ type }) => type), ["destination.off"]);
      isGone = false;
      await system.forwarding.resume("Hook", "checkpoint", AUTHOR);
      await until("it is delivered", async () => (await statusOf(system)).delivered === 1);
    },
  );
});

Deno.test("verdict: after 413 a batch is split, and a single event that is too large is dead", async () => {
  const isLarge = ({ body }: Received) => JSON.parse(body).batch.length > 2 || body.includes("large");
  await withHook(
    (received) => new Response(null, { status: isLarge(received) ? 413 : 200 }),
    async ({ system, receiver }) => {
      await defineWebhook(system, "Hook", receiver.url, { batch: { maxEvents: 10 } });
      const events = Array.from({ length: 10 }, (_, n) => track(`u${n}`, n === 4 ? { event: "large" } : {}));
      await system.commit(events, "key");
      await until("all are settled", async () => {
        const { delivered, dead } = await statusOf(system);
        return delivered === 9 && dead === 1;
      });
      ok(receiver.received.length > 5);
    },
  );
});

Deno.test("verdict: no attempt is made before Retry-After has passed, and of 429 that holds for all", async () => {
  await withHook(
    (_, n) => n === 1 ? new Response(null, { status: 429, headers: { "retry-after": "1" } }) : new Response(),
    async ({ system, receiver }) => {
      await defineWebhook(system, "Hook", receiver.url);
      await system.commit([track("u1")], "key");
      await until("it was attempted", () => receiver.received.length === 1);
      await system.commit([track("u2")], "key");
      await until("both are there", async () => (await statusOf(system)).delivered === 2);
      const [first, second] = receiver.received;
      ok(second!.at - first!.at >= 950, `${second!.at - first!.at} ms`);
    },
  );
});

Deno.test("verdict: after the last attempt an event is dead, and later ones of the person go on", async () => {
  const bad = track("u");
  const good = track("u");
  await withHook(
    ({ body }) => new Response("no", { status: body.includes(bad.messageId) ? 500 : 200 }),
    async ({ system, receiver }) => {
      await defineWebhook(system, "Hook", receiver.url);
      await system.commit([bad, good], "key");
      await until("it is dead", async () => (await statusOf(system)).dead === 1);
      await until("the other is delivered", async () => (await statusOf(system)).delivered === 1);
      strictEqual(receiver.messageIds().filter((id) => id === bad.messageId).length, 3);
    },
    { limits: { retryDelaysMs: [20, 20], breakerFailures: 50 } },
  );
});

Deno.test("breaker: a destination that fails gets one probe at a time, and attempts are not counted", async () => {
  let isDown = true;
  await withHook(
    () => new Response(null, { status: isDown ? 500 : 200 }),
    async ({ system, receiver, alerts }) => {
      await defineWebhook(system, "Hook", receiver.url);
      await system.commit(Array.from({ length: 50 }, (_, n) => track(`u${n}`)), "key");
      await until("it fails", async () => (await statusOf(system)).state === "failing");
      await new Promise((resolve) => setTimeout(resolve, 600));
      // 8 at once before the first failed, then probes.
      ok(receiver.received.length < 30, `${receiver.received.length} requests`);
      strictEqual((await statusOf(system)).dead, 0);
      isDown = false;
      await until("all are delivered", async () => (await statusOf(system)).delivered === 50);
      ok(alerts.some(({ type }) => type === "destination.recovered"));
      strictEqual((await statusOf(system)).dead, 0);
    },
    { limits: { retryDelaysMs: [100, 100, 100] } },
  );
});

Deno.test("breaker: after days of nothing but failures the destination is off, with the reason", async () => {
  await withHook(() => new Response(null, { status: 500 }), async ({ system, receiver }) => {
    await defineWebhook(system, "Hook", receiver.url);
    await system.commit(Array.from({ length: 20 }, (_, n) => track(`u${n}`)), "key");
    await until("it is off", async () => (await statusOf(system)).state === "off");
    match((await statusOf(system)).reason!, /nothing but failures.*status 500/);
  }, { limits: { offMs: 300 } });
});

Deno.test("orders: all that is dead because of a reason is sent again, in order", async () => {
  let isBad = true;
  await withHook(
    ({ body }) => new Response(null, { status: !isBad ? 200 : body.includes('"odd":true') ? 422 : 400 }),
    async ({ system, receiver }) => {
      await defineWebhook(system, "Hook", receiver.url);
      const events = Array.from({ length: 20 }, (_, n) => track("u", { properties: { odd: n % 2 === 1 } }));
      await system.commit(events, "key");
      await until("all are dead", async () => (await statusOf(system)).dead === 20);
      isBad = false;
      const before = receiver.received.length;
      strictEqual(await system.forwarding.retry("Hook", { status: "dead", reason: "status 422" }), 10);
      await until("half are delivered", async () => (await statusOf(system)).delivered === 10);
      strictEqual((await statusOf(system)).dead, 10);
      const again = receiver.messageIds().slice(before);
      deepStrictEqual(
        new Set(again),
        new Set(events.filter((_, n) => n % 2 === 1).map(({ messageId }) => messageId)),
      );
      const one = events[0]!.messageId;
      strictEqual(await system.forwarding.retry("Hook", { status: "dead", messageIds: [one, "nobody"] }), 1);
      await until("that one is, too", async () => (await statusOf(system)).delivered === 11);
      strictEqual(receiver.messageIds().at(-1), one);
    },
  );
});

Deno.test("orders: what waits for another attempt is attempted at once", async () => {
  let isBad = true;
  await withHook(
    () => new Response(null, { status: isBad ? 500 : 200 }),
    async ({ system, receiver }) => {
      await defineWebhook(system, "Hook", receiver.url);
      await system.commit([track("u"), track("u")], "key");
      await until("it waits", async () => (await statusOf(system)).retrying === 1);
      isBad = false;
      strictEqual(await system.forwarding.retry("Hook", { status: "retrying" }), 1);
      await until("both are delivered", async () => (await statusOf(system)).delivered === 2);
    },
    { limits: { retryDelaysMs: Array(9).fill(60_000) } },
  );
});

Deno.test("orders: resume from now leaves out what came while it was paused", async () => {
  await withHook(() => new Response(), async ({ system, receiver }) => {
    await defineWebhook(system, "Hook", receiver.url);
    await system.forwarding.pause("Hook", AUTHOR);
    const left = track("u");
    await system.commit([left], "key");
    await system.forwarding.resume("Hook", "now", AUTHOR);
    const later = track("u");
    await system.commit([later], "key");
    await until("the later is there", () => receiver.received.length > 0);
    deepStrictEqual(receiver.messageIds(), [later.messageId]);
    strictEqual((await statusOf(system)).lagEvents, 0);
  });
});

Deno.test("replay: history is sent again beside live traffic; it can be limited, paused, resumed and cancelled", async () => {
  await withHook(() => new Response(), async ({ system, receiver }) => {
    const old = Array.from({ length: 40 }, (_, n) => track(`u${n % 5}`, { properties: { n } }));
    await system.commit(old, "key");
    await defineWebhook(system, "Hook", receiver.url);
    const where = { "properties.n": { $gte: 20 } };
    const id = (await system.forwarding.replay("Hook", { where, perSecond: 20 }))!;
    await until("some are there", () => receiver.received.length >= 2);
    ok(receiver.received.length < 20);
    strictEqual(await system.forwarding.changeReplay("Hook", id, "paused"), true);
    const live = track("live");
    await system.commit([live], "key");
    await until("live traffic goes on", () => receiver.messageIds().includes(live.messageId));
    const paused = receiver.received.length;
    strictEqual((await system.forwarding.replays("Hook"))![0]!.state, "paused");
    await new Promise((resolve) => setTimeout(resolve, 200));
    strictEqual(receiver.received.length, paused);
    strictEqual(await system.forwarding.changeReplay("Hook", id, "running"), true);
    await until("it is done", async () => (await system.forwarding.replays("Hook"))![0]!.state === "done");
    const [replay] = (await system.forwarding.replays("Hook"))!;
    deepStrictEqual([replay!.matched, replay!.sent], [20, 20]);
    const sent = receiver.messageIds().filter((each) => each !== live.messageId);
    deepStrictEqual(new Set(sent), new Set(old.slice(20).map(({ messageId }) => messageId)));
    strictEqual(sent.length, 20);
    strictEqual(await system.forwarding.changeReplay("Hook", id, "cancelled"), false);
    const another = (await system.forwarding.replay("Hook", { perSecond: 1 }))!;
    strictEqual(await system.forwarding.changeReplay("Hook", another, "cancelled"), true);
    strictEqual((await system.forwarding.replays("Hook"))![0]!.state, "cancelled");
  });
});

Deno.test("forwarding: integrations and consent decide what is sent", async () => {
  await withHook(() => new Response(), async ({ system, receiver }) => {
    await defineWebhook(system, "Hook", receiver.url, { consent: ["ads"] });
    const yes = { context: { consent: { categoryPreferences: { ads: true } } } };
    const sent = [
      track("a", yes),
      track("a", { ...yes, integrations: { All: false, hook: {} } }),
      track("yes"),
    ];
    const notSent = [
      track("b"),
      track("a", { context: { consent: { categoryPreferences: { ads: false } } } }),
      track("a", { ...yes, integrations: { hOOK: false } }),
      track("a", { ...yes, integrations: { All: false } }),
      track("yes", { context: { consent: { categoryPreferences: { ads: false } } } }),
    ];
    const identify = track("yes", { type: "identify", traits: { consent: { ads: true } } });
    await system.commit([identify, ...notSent, ...sent], "key");
    await until("all are settled", async () => (await statusOf(system)).delivered === 4);
    deepStrictEqual(
      new Set(receiver.messageIds()),
      new Set([identify, ...sent].map(({ messageId }) => messageId)),
    );
    const { filtered } = await statusOf(system);
    deepStrictEqual([filtered.consent, filtered.integrations], [3, 2]);
  });
});
