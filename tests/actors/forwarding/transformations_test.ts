/** Transformations on the way to a destination: what is sent, what never is, and what is known of it afterwards. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert";
import type { System } from "../../../actors/system.ts";
import { TransformationInUse } from "../../../actors/store/errors.ts";
import { draftSchema } from "../../../domain/transformation/definition.ts";
import { FAILURE_EVENTS } from "../../../domain/transformation/failure_rate.ts";
import { ATTEMPTS, transforming } from "../transformation/hostile.ts";
import { AUTHOR, defineWebhook, openForwarding, startReceiver, track, until } from "./receiver.ts";

async function put(system: System, name: string, draft: object): Promise<void> {
  const saved = await system.transformations.put(name, draftSchema.parse(draft), {
    author: AUTHOR,
    dryRun: false,
  });
  ok("transformation" in saved, JSON.stringify(saved));
}

const code = (body: string) => ({ kind: "javascript", code: transforming(body) });
const rules = (...steps: object[]) => ({ kind: "rules", rules: steps });

const deliveriesOf = async (system: System, name: string) =>
  (await system.forwarding.deliveries(name, { limit: 50 }))!.deliveries;

Deno.test("transformations run in order between filter and request, and the journal keeps the original", async () => {
  await using receiver = startReceiver();
  const system = await openForwarding();
  try {
    await put(system, "rename", rules({ rename: { from: "properties.total", to: "properties.value" } }));
    await put(system, "double", code("event.properties.value *= 2;"));
    await defineWebhook(system, "Hook", receiver.url, {
      transformations: ["rename", "double"],
      where: { "properties.total": { $gte: 5 } },
    });
    const [kept, filtered] = [
      track("u", { properties: { total: 5 } }),
      track("u", { properties: { total: 4 } }),
    ];
    await system.commit([filtered, kept], "key");
    await until("it is delivered", () => receiver.received.length === 1);
    deepStrictEqual(JSON.parse(receiver.received[0]!.body), { ...kept, properties: { value: 10 } });
    const [page] = (await system.reader.log("user", "u", { limit: 1, order: "desc" } as never))!.events;
    deepStrictEqual(page, kept);
    await until("it is noted", async () => (await deliveriesOf(system, "Hook"))[0]?.status === "delivered");
    const [delivery] = await deliveriesOf(system, "Hook");
    const versions = [{ name: "rename", version: 1 }, { name: "double", version: 1 }];
    deepStrictEqual(delivery!.transformations, versions);
    const trace = await system.traces.find(kept.messageId);
    ok(trace !== null && "position" in trace);
    const [traced] = await system.forwarding.trace({ ...trace, writeKeyId: "key" });
    deepStrictEqual([traced!.status, traced!.transformations], ["delivered", versions]);
    deepStrictEqual(
      system.transformations.figures().versions,
      versions.map((each) => ({ ...each, transformed: 1, dropped: 0, failed: 0 })),
    );
  } finally {
    await system.close();
  }
});

Deno.test("a transformation that throws never lets the event out; after a fix, retry delivers it", async () => {
  await using receiver = startReceiver();
  const system = await openForwarding();
  try {
    await put(
      system,
      "strict",
      code('if (event.properties.bad) throw new Error("bad one: " + event.userId);'),
    );
    await defineWebhook(system, "Hook", receiver.url, {
      transformations: ["strict"],
      batch: { maxEvents: 10 },
    });
    const [bad, good] = [track("jane", { properties: { bad: true } }), track("jane", { properties: {} })];
    await system.commit([bad, good], "key");
    await until("the good one is there", () => receiver.messageIds().includes(good.messageId));
    await until("the bad one is dead", async () => (await system.forwarding.get("Hook"))!.status.dead === 1);
    ok(!receiver.messageIds().includes(bad.messageId));
    const dead = (await deliveriesOf(system, "Hook")).find(({ status }) => status === "dead")!;
    deepStrictEqual(
      [dead.messageId, dead.reason, dead.message, dead.transformations],
      [bad.messageId, "transformation", "strict, version 1, line 2: bad one: jane", [{
        name: "strict",
        version: 1,
      }]],
    );
    const trace = await system.traces.find(bad.messageId);
    ok(trace !== null && "position" in trace);
    const [traced] = await system.forwarding.trace({ ...trace, writeKeyId: "key" });
    deepStrictEqual([traced!.status, traced!.reason], ["dead", "transformation"]);
    await put(system, "strict", code("event.properties.fixed = true;"));
    const retried = await system.forwarding.retry(
      "Hook",
      { status: "dead", reason: "transformation" } as never,
    );
    deepStrictEqual(retried, 1);
    await until("it is there", () => receiver.messageIds().includes(bad.messageId));
    const sent = receiver.received.map(({ body }) => JSON.parse(body)).flatMap((body) =>
      body.batch ?? [body]
    );
    strictEqual(sent.find(({ messageId }) => messageId === bad.messageId).properties.fixed, true);
    await until("none is dead", async () => (await system.forwarding.get("Hook"))!.status.dead === 0);
    await until("the fixed version is noted", async () => {
      const delivery = (await deliveriesOf(system, "Hook")).find(({ messageId }) =>
        messageId === bad.messageId
      );
      return delivery?.transformations?.[0]?.version === 2;
    });
  } finally {
    await system.close();
  }
});

Deno.test("a dropped event is not sent, and its trace says so, with what was logged", async () => {
  await using receiver = startReceiver();
  const system = await openForwarding();
  try {
    await put(
      system,
      "drop",
      code('if (event.event === "Test") { console.log("dropping", event.userId); return null; }'),
    );
    await defineWebhook(system, "Hook", receiver.url, { transformations: ["drop"] });
    const [test, other] = [track("u", { event: "Test" }), track("u")];
    await system.commit([test, other], "key");
    await until("the other is there", () => receiver.messageIds().includes(other.messageId));
    strictEqual(receiver.received.length, 1);
    const trace = await system.traces.find(test.messageId);
    ok(trace !== null && "position" in trace);
    await until(
      "it is settled",
      async () => (await system.forwarding.trace({ ...trace, writeKeyId: "key" }))[0]?.status === "dropped",
    );
    const [traced] = await system.forwarding.trace({ ...trace, writeKeyId: "key" });
    deepStrictEqual(traced!.transformations, [{ name: "drop", version: 1, logs: ["dropping u"] }]);
  } finally {
    await system.close();
  }
});

Deno.test("several results are several requests, with ids of their own; the event is delivered when all are", async () => {
  let failing = true;
  await using receiver = startReceiver(({ body }) =>
    new Response(null, { status: failing && JSON.parse(body).messageId.endsWith("#1") ? 500 : 200 })
  );
  const system = await openForwarding();
  try {
    await put(
      system,
      "split",
      code('return [event, { ...event, event: "Second" }, { ...event, event: "Third" }];'),
    );
    await defineWebhook(system, "Hook", receiver.url, { transformations: ["split"] });
    const event = track("u");
    await system.commit([event], "key");
    await until("the second failed", () => receiver.messageIds().includes(`${event.messageId}#1`));
    ok(!receiver.messageIds().includes(`${event.messageId}#2`));
    failing = false;
    await until("the third is there", () => receiver.messageIds().includes(`${event.messageId}#2`));
    await until(
      "it is one delivery",
      async () => (await system.forwarding.get("Hook"))!.status.delivered === 1,
    );
    deepStrictEqual(
      [...new Set(receiver.messageIds())].sort(),
      [0, 1, 2].map((n) => `${event.messageId}#${n}`),
    );
    const ids = new Map(
      receiver.received.map(({ headers, body }) =>
        [headers.get("webhook-id"), JSON.parse(body).messageId] as const
      ),
    );
    strictEqual(ids.size, 3);
  } finally {
    await system.close();
  }
});

Deno.test("the person is the profile just before the event, for each event of a batch", async () => {
  await using receiver = startReceiver();
  const system = await openForwarding();
  try {
    await put(
      system,
      "enrich",
      code("event.context = { before: person.traits.n ?? null, events: person.eventCount };"),
    );
    await defineWebhook(system, "Hook", receiver.url, {
      transformations: ["enrich"],
      batch: { maxEvents: 100 },
    });
    const events = Array.from(
      { length: 20 },
      (_, n) => track("u", { type: "identify", event: undefined as never, traits: { n } }),
    ).map(({ event: _, ...rest }) => rest);
    await system.commit(events as never, "key");
    await system.commit([track("u")], "key");
    await until("all are there", () => receiver.messageIds().length === 21);
    const sent = receiver.received.map(({ body }) => JSON.parse(body)).flatMap((body) =>
      body.batch ?? [body]
    );
    deepStrictEqual(
      sent.map(({ context }) => context),
      Array.from({ length: 21 }, (_, n) => ({ before: n === 0 ? null : n - 1, events: n })),
    );
  } finally {
    await system.close();
  }
});

Deno.test("a destination whose transformations fail on many events is paused, and nothing more is lost", async () => {
  await using receiver = startReceiver();
  const alerts: { type: string; reason?: string }[] = [];
  const system = await openForwarding({ alerts: alerts as never });
  try {
    await put(system, "fails", code("if (event.properties.n % 3 === 0) throw new Error('no');"));
    await defineWebhook(system, "Hook", receiver.url, {
      transformations: ["fails"],
      batch: { maxEvents: 50 },
    });
    for (let n = 0; n < 2 * FAILURE_EVENTS; n++) {
      await system.commit([track(`u${n}`, { properties: { n } })], "key");
    }
    await until("it is paused", async () => (await system.forwarding.get("Hook"))!.status.state === "paused");
    const { status } = (await system.forwarding.get("Hook"))!;
    match(status.reason ?? "", /^transformation: fails, version 1, fails on too many events/);
    ok(alerts.some(({ type }) => type === "destination.paused"));
    await put(system, "fails", rules({ set: { path: "properties.ok", value: true } }));
    await system.forwarding.resume("Hook", "checkpoint", AUTHOR);
    await until("all are there", async () => {
      // Again, since what was under way at the pause may end as dead after it.
      await system.forwarding.retry("Hook", { status: "dead" } as never);
      return new Set(receiver.messageIds()).size === 2 * FAILURE_EVENTS;
    });
  } finally {
    await system.close();
  }
});

Deno.test("a transformation in use cannot be deleted, and a destination names only those that there are", async () => {
  const system = await openForwarding();
  try {
    await put(system, "used", rules({ drop: {} }));
    await defineWebhook(system, "Hook", "http://127.0.0.1:9/", { transformations: ["used"] });
    await rejects(
      system.transformations.remove("used", AUTHOR),
      (error) => error instanceof TransformationInUse && error.destinations.join() === "Hook",
    );
    await system.forwarding.remove("Hook", AUTHOR);
    strictEqual(await system.transformations.remove("used", AUTHOR), true);
    deepStrictEqual(await system.transformations.missing(["used", "other"]), ["used", "other"]);
  } finally {
    await system.close();
  }
});

Deno.test("hostile code of one destination does not disturb the deliveries of another", async () => {
  await using receiver = startReceiver();
  const system = await openForwarding();
  try {
    await put(system, "fine", code("event.properties = { fine: true };"));
    const hostile = [
      "an endless loop",
      "objects without end",
      "deep JSON",
      "slow searches",
      "endless recursion",
    ];
    await defineWebhook(system, "Fine", receiver.url, { transformations: ["fine"] });
    for (const [n, name] of hostile.entries()) {
      await put(system, `hostile${n}`, { kind: "javascript", code: ATTEMPTS[name]!.code });
      await defineWebhook(system, `Hostile${n}`, `${receiver.url}/hostile`, {
        transformations: [`hostile${n}`],
      });
    }
    const events = Array.from({ length: 6 }, (_, n) => track(`u${n}`));
    for (const event of events) await system.commit([event], "key");
    const all = new Set(events.map(({ messageId }) => messageId));
    await until(
      "the others are there",
      () => receiver.received.filter(({ path }) => path === "/").length === events.length,
      60_000,
    );
    deepStrictEqual(new Set(receiver.messageIds()), all);
    ok(
      receiver.received.every(({ path, body }) => path === "/" && JSON.parse(body).properties.fine === true),
    );
    await until("all hostile ones failed or are paused", async () => {
      const shown = await Promise.all(hostile.map((_, n) => system.forwarding.get(`Hostile${n}`)));
      return shown.every((each) => each!.status.dead === events.length || each!.status.state === "paused");
    }, 120_000);
    strictEqual(receiver.received.filter(({ path }) => path === "/hostile").length, 0);
  } finally {
    await system.close();
  }
});
