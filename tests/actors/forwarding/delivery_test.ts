/** Deliveries to a webhook, by a system in memory and a receiver on this machine. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { defineWebhook, openForwarding, startReceiver, track, until } from "./receiver.ts";

Deno.test("forwarding: an event that is committed is delivered as it is stored", async () => {
  await using receiver = startReceiver();
  const system = await openForwarding();
  try {
    await defineWebhook(system, "Hook", receiver.url);
    const event = track("u1", { properties: { total: 5 } });
    await system.commit([event], "key");
    await until("it is delivered", () => receiver.received.length === 1);
    deepStrictEqual(JSON.parse(receiver.received[0]!.body), event);
    await until("it is counted", async () => (await system.forwarding.get("hook"))!.status.delivered === 1);
    const { status } = (await system.forwarding.get("HOOK"))!;
    deepStrictEqual([status.state, status.lagEvents, status.dead, status.held], ["running", 0, 0, 0]);
  } finally {
    await system.close();
  }
});

Deno.test("forwarding: a person's events wait for the one that failed, and others do not", async () => {
  const failing = new Set<string>();
  await using receiver = startReceiver(({ body }) =>
    new Response(null, { status: failing.has(JSON.parse(body).messageId) ? 500 : 200 })
  );
  const system = await openForwarding({ limits: { retryDelaysMs: Array(9).fill(300) } });
  try {
    await defineWebhook(system, "Hook", receiver.url);
    const [first, second, other] = [track("u1"), track("u1"), track("u2")];
    failing.add(first.messageId);
    await system.commit([first, second, other], "key");
    await until("the other is there", () => receiver.messageIds().includes(other.messageId));
    await until("it is seen to wait", async () => {
      const { status } = (await system.forwarding.get("Hook"))!;
      return status.retrying === 1 && status.held === 1;
    });
    ok(!receiver.messageIds().includes(second.messageId));
    const deliveries = (await system.forwarding.deliveries("Hook", { limit: 10 }))!.deliveries;
    deepStrictEqual(deliveries.map(({ messageId, status }) => [messageId, status]), [
      [other.messageId, "delivered"],
      [second.messageId, "held"],
      [first.messageId, "retrying"],
    ]);
    strictEqual(deliveries[2]!.response?.status, 500);
    failing.clear();
    await until("all are there", () => receiver.messageIds().includes(second.messageId));
    const arrived = receiver.messageIds();
    ok(arrived.lastIndexOf(first.messageId) < arrived.indexOf(second.messageId));
  } finally {
    await system.close();
  }
});
