/** Erasure at destinations: what is kept goes, and no attempt that bears the person begins after the receipt. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { forwardDeadPrefix, forwardHeldOf, forwardSentPrefix } from "../../../actors/store/keys.ts";
import { openStore } from "../../../actors/store/store.ts";
import { defineWebhook, openForwarding, startReceiver, track, until } from "./receiver.ts";

Deno.test("erasure: no attempt that bears the person begins after the receipt, and kept answers are gone", async () => {
  const store = await openStore(":memory:");
  let isDown = true;
  let receiptAt = Infinity;
  const late: string[] = [];
  await using receiver = startReceiver(({ body, at }) => {
    if (at > receiptAt && body.includes("jane")) late.push(body);
    const isBad = isDown && !body.includes("user.erased") && !body.includes("fine");
    return new Response(`you sent ${body}`, { status: body.includes("broken") ? 400 : isBad ? 500 : 200 });
  });
  const system = await openForwarding({
    store: { ...store, close() {} },
    limits: { retryDelaysMs: Array(50).fill(30), breakerFailures: 1_000, breakerAttempts: 1_000 },
  });
  try {
    const { destination: { id } } = await defineWebhook(system, "Hook", receiver.url, { onErase: "event" });
    const events = [
      ...Array.from({ length: 30 }, () => track("jane")),
      ...Array.from({ length: 5 }, () => track("bob")),
      track("jane 2", { anonymousId: "laptop", event: "fine" }),
      track("zoe", { event: "broken jane" }),
    ];
    await system.commit([track("jane", { event: "broken" }), ...events], "key");
    await until("they wait", async () => (await system.forwarding.get("Hook"))!.status.retrying >= 2);
    const { erased } = await system.erasure.erase({ kind: "user", id: "jane" }, { suppress: false });
    receiptAt = Date.now() + 1;
    strictEqual(erased.events, 31);
    const report = await system.forwarding.erasure(system.erasure.fullDigestOf({ kind: "user", id: "jane" }));
    deepStrictEqual(report!.notices, { Hook: "delivered" });
    isDown = false;
    await until("the others are delivered", async () => {
      const { status } = (await system.forwarding.get("Hook"))!;
      return status.held === 0 && status.retrying === 0 && status.lagEvents === 0;
    });
    deepStrictEqual(late.filter((body) => body.includes('"userId":"jane"')), []);
    const notice = receiver.received.find(({ body }) => body.includes("user.erased"))!;
    const { at, ...rest } = JSON.parse(notice.body);
    deepStrictEqual(rest, { type: "user.erased", userId: "jane", anonymousIds: [] });
    ok(new Date(at).getTime() > 0 && notice.headers.get("webhook-signature")!.startsWith("v1,"));
    // Of the erased nothing is kept, whatever the destination answered.
    await system.forwarding.get("Hook");
    for (const prefix of [forwardDeadPrefix(id), forwardSentPrefix(id), forwardHeldOf(id)]) {
      for await (const { value } of store.list({ prefix })) {
        ok(!JSON.stringify(value).includes('\\"userId\\":\\"jane\\"'), JSON.stringify(value));
      }
    }
  } finally {
    await system.close();
    store.close();
  }
});
