/** Recipes against a service on this machine: what its answers mean for the events of a batch. */
import { deepStrictEqual, strictEqual } from "node:assert";
import { createConnections } from "../../../actors/destinations/connections.ts";
import { createRecipeSender } from "../../../actors/destinations/recipe_sender.ts";
import type { Outgoing } from "../../../actors/destinations/sender.ts";
import { systemClock } from "../../../actors/store/clock.ts";
import { readAllowList } from "../../../domain/forwarding/address.ts";
import type { Definition } from "../../../domain/forwarding/definition.ts";
import { startReceiver, track } from "./receiver.ts";

/** Sends events by a recipe, and gives the verdict of the answer and of single events. */
async function sent(settings: Record<string, string>, events: ReturnType<typeof track>[]) {
  const connections = createConnections({ allow: readAllowList("127.0.0.0/8,localhost")! });
  const definition = { kind: "http", settings } as unknown as Definition;
  const sender = createRecipeSender({
    name: "Service",
    id: "id",
    definition,
    secrets: [],
    connections,
    clock: systemClock,
    timeoutMs: 5_000,
  });
  try {
    const outgoing = events.map((event) => ({ event }) as unknown as Outgoing);
    const span = { from: "", to: "" } as unknown as Parameters<typeof sender.prepare>[0]["span"];
    const answer = await (await sender.prepare({ events: outgoing, span })).send();
    const each = [...answer.each ?? []].map(([index, { verdict }]) => [index, verdict]);
    return { verdict: answer.verdict, each };
  } finally {
    await sender.close();
  }
}

const identify = (userId: string) => track(userId, { type: "identify", traits: { plan: "pro" } });

Deno.test("forwarding: events that Mixpanel lists as failed are dead, the others delivered", async () => {
  const failed = JSON.stringify({ code: 400, failed_records: [{ index: 1, message: "invalid" }] });
  await using receiver = startReceiver(() => new Response(failed, { status: 400 }));
  const settings = { recipe: "mixpanel", url: receiver.url, token: "t" };
  deepStrictEqual(await sent(settings, [track("a"), track("b"), track("c")]), {
    verdict: "delivered",
    each: [[1, "dead"]],
  });
});

Deno.test("forwarding: a batch with events for two paths of Mixpanel is two requests, and fails in parts", async () => {
  let count = 0;
  await using receiver = startReceiver(() =>
    ++count === 1 ? new Response("{}") : new Response(null, { status: 503 })
  );
  const settings = { recipe: "mixpanel", url: receiver.url, token: "t" };
  const events = [track("a"), track("b"), identify("a"), track("c")];
  deepStrictEqual(await sent(settings, events), {
    verdict: "retry",
    each: [[0, "delivered"], [1, "delivered"]],
  });
  strictEqual(count, 2);
});

const REFUSED: [recipe: string, what: string, answer: string, status: number, verdict: string][] = [
  ["mixpanel", "a profile that is refused with 200", `{"status": 0, "error": "no"}`, 200, "split"],
  ["posthog", "a project over its quota", `{"status": 1, "quota_limited": ["events"]}`, 200, "retry"],
  ["posthog", "a project within its quota", `{"status": "Ok"}`, 200, "delivered"],
  ["posthog", "a batch that is refused", "no", 400, "split"],
  ["amplitude", "a batch that is refused", `{"code": 400}`, 400, "split"],
];

for (const [recipe, what, answer, status, verdict] of REFUSED) {
  Deno.test(`forwarding: ${what} is ${verdict}, by ${recipe}`, async () => {
    await using receiver = startReceiver(() => new Response(answer, { status }));
    const settings = { recipe, url: receiver.url, token: "t", apiKey: "k" };
    deepStrictEqual(await sent(settings, [identify("a"), identify("b")]), { verdict, each: [] });
  });
}
