/** Two instances as Deno Deploy runs them: its version of Deno, all permissions, no flags, the platform's own database. */
import { deepStrictEqual, match, strictEqual } from "node:assert";
import { testWhere } from "../needs.ts";
import { openViewer } from "../routes/admin/live_client.ts";
import { DEPLOYED_DENO, openPlatform } from "./deployed.ts";
import { ADMIN_TOKEN, eventually, type Server } from "./server.ts";

/** An event of each type, with what makes a profile of it; by turns each goes through another instance. */
const EVENTS = [
  { type: "page", anonymousId: "device", name: "Start" },
  { type: "screen", anonymousId: "device", name: "Start" },
  { type: "identify", userId: "jane", anonymousId: "device", traits: { plan: "pro", id: 1 } },
  { type: "track", userId: "jane", event: "Bought", properties: { total: 9 } },
  { type: "group", userId: "jane", groupId: "acme", traits: { name: "Acme" } },
  { type: "alias", userId: "jane", previousId: "phone" },
  { type: "track", anonymousId: "phone", event: "Bought" },
].map((event, n) => ({ ...event, messageId: `m${n}` }));

/** Asks for a replay through one instance, and for its end through another. */
async function replayed(body: unknown, { by, seenBy }: { by: Server; seenBy: Server }) {
  const { status, body: { id } } = await by.ask("/api/v1/admin/replay", { method: "POST", body });
  strictEqual(status, 202);
  let replay: Record<string, unknown> | undefined;
  await eventually("the replay is over", async () => {
    const { body: { replays } } = await seenBy.ask("/api/v1/admin/replays");
    replay = replays.find((each: { id: string }) => each.id === id);
    return replay?.state === "done" || replay?.state === "failed";
  });
  const { state, events, differences } = replay!;
  return { state, events, ...differences !== undefined && { differences } };
}

testWhere(DEPLOYED_DENO.missing, {
  name: "two instances on Deno Deploy's version accept every type of event, and lose none when one stops",
  async fn(test) {
    await using platform = await openPlatform();
    await using one = await platform.start();
    await using two = await platform.start();
    const instances = [one, two];

    await using viewer = await openViewer(one.url, { token: ADMIN_TOKEN });
    await test.step("each takes events of every type, and knows what the other took", async () => {
      for (const [n, event] of EVENTS.entries()) {
        const { status, body } = await instances[n % 2]!.send(event);
        deepStrictEqual([status, body.duplicate], [200, false], event.type);
      }
      for (const instance of instances) {
        deepStrictEqual((await instance.send(EVENTS[0])).body.duplicate, true);
      }
      const batch = [{ type: "track", userId: "joe", event: "Bought", messageId: "b1" }, { type: "track" }];
      const { body } = await two.send(batch);
      deepStrictEqual([body.accepted, body.rejected], [1, 1]);
      for (const server of instances) {
        const { body: jane } = await server.ask("/api/v1/users/jane");
        deepStrictEqual(jane.anonymousIds.toSorted(), ["device", "phone"]);
        deepStrictEqual([jane.eventCount, jane.traits, jane.counts], [7, { plan: "pro", id: 1 }, {
          track: 2,
          identify: 1,
          page: 1,
          screen: 1,
          group: 1,
          alias: 1,
        }]);
        strictEqual((await server.ask("/api/v1/groups/acme")).body.memberCount, 1);
        strictEqual((await server.ask("/api/v1/users/joe")).status, 200);
      }
    });

    await test.step("the live view of one shows what either took", async () => {
      const accepted = () => viewer.lines.filter(({ status }) => status === "accepted");
      await viewer.until("all that was accepted", () => accepted().length === EVENTS.length + 1);
      deepStrictEqual(accepted().map(({ messageId }) => messageId), [
        ...EVENTS.map(({ messageId }) => messageId),
        "b1",
      ]);
    });

    await test.step("either verifies and replays, without a shell", async () => {
      const events = EVENTS.length + 1;
      deepStrictEqual(await replayed({ verify: true }, { by: one, seenBy: two }), {
        state: "done",
        events,
        differences: 0,
      });
      deepStrictEqual(await replayed({}, { by: two, seenBy: one }), { state: "done", events });
    });

    await test.step("one stops by SIGINT in order, its viewer goes on at the other, and a new one knows all", async () => {
      const lastEventId = viewer.lastId();
      strictEqual((await one.end("SIGINT")).code, 0, one.written());
      await viewer.ended;
      strictEqual((await two.send({ ...EVENTS[3], messageId: "later", properties: {} })).status, 200);
      await using other = await openViewer(two.url, { token: ADMIN_TOKEN, lastEventId });
      await other.until("what came since", () => other.lines.some(({ messageId }) => messageId === "later"));
      await using third = await platform.start();
      for (const server of [two, third]) {
        strictEqual((await server.ask("/api/v1/users/jane")).body.eventCount, 8);
        strictEqual((await server.ask("/readyz")).status, 200);
      }
      deepStrictEqual((await replayed({ verify: true }, { by: third, seenBy: two })).differences, 0);
    });
  },
});

testWhere(DEPLOYED_DENO.missing, {
  name: "on Deno Deploy it listens where the platform says, and otherwise on all interfaces",
  async fn() {
    await using platform = await openPlatform();
    await using plain = await platform.start();
    // Of the addresses of this machine, one that nothing but a server on all of them answers by.
    const { status } = await fetch(plain.url.replace("127.0.0.1", "127.0.0.2") + "/healthz", {
      method: "HEAD",
    });
    strictEqual(status, 200);
    {
      // The platform names the address to the runtime, which takes it in the place of the program's own.
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = listener.addr as Deno.NetAddr;
      listener.close();
      await using placed = await platform.start({ DENO_SERVE_ADDRESS: `tcp:127.0.0.1:${port}` });
      match(placed.url, RegExp(`:${port}$`));
      strictEqual((await placed.ask("/healthz")).status, 200);
    }
  },
});
