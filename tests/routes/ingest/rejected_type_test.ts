/** The type of a rejected event is the same wherever an administrator looks. */
import { deepStrictEqual } from "node:assert/strict";
import { openViewer } from "../admin/live_client.ts";
import { readOpenMetrics } from "../service/openmetrics.ts";
import { AS_ADMIN, openTestApp } from "../test_app.ts";

const LARGE = "x".repeat(40_000);

/** What is sent where, the type that is shown, and the one that is counted: of those that exist, or `none`. */
const SENT: [what: string, path: string, event: Record<string, unknown>, shown: unknown, counted: string][] =
  [
    ["without a type", "/v1/track", { userId: "u" }, "track", "track"],
    ["without a type, to a path that ends in a slash", "/v1/track/", { userId: "u" }, "track", "track"],
    ["without a type, to a path that begins with two", "http://localhost//api/s/page", {}, "page", "page"],
    [
      "without a type, too large to be kept",
      "/v1/i",
      { userId: "u", traits: { LARGE } },
      "identify",
      "identify",
    ],
    ["with another type than its route's", "/v1/g", { type: "page", userId: "u" }, "group", "group"],
    ["with its own type", "/api/v1/events", { type: "alias" }, "alias", "alias"],
    ["with a type that does not exist", "/api/v1/events", { type: "odd", userId: "u" }, "odd", "none"],
    ["without any type", "/api/v1/events", { userId: "u" }, null, "none"],
  ];

for (const [what, path, event, shown, counted] of SENT) {
  Deno.test(`a rejected event ${what} has one type in live view, quarantine, stats and metrics`, async () => {
    await using test = await openTestApp();
    await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, test.app.fetch);
    await using viewer = await openViewer(`http://127.0.0.1:${server.addr.port}`);
    await test.send(path, event);
    await viewer.until("it", () => viewer.lines.length === 1);
    const { rejected: [kept] } = (await test.get("/api/v1/admin/rejected", AS_ADMIN)).body;
    const { counts } = (await test.get("/api/v1/admin/stats", AS_ADMIN)).body;
    const families = readOpenMetrics((await test.get("/metrics")).body);
    deepStrictEqual({
      live: viewer.lines[0]!.type,
      quarantine: kept.event.type ?? null,
      stats: Object.keys(counts.types),
      metrics: families.get("signalfold_events")!.samples.map(({ labels }) => labels.type),
    }, { live: shown, quarantine: shown, stats: [counted], metrics: [counted] });
  });
}
