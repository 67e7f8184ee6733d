/** Deno's own OpenTelemetry, in a server as it is started in production, against a collector that this test is. */
import { deepStrictEqual, ok } from "node:assert/strict";
import { eventually, startServer, tempDir, WRITE_KEY } from "./server.ts";

type Attributes = { key: string; value: { stringValue?: string } }[];

/** What of OTLP in JSON is looked at. */
interface Sent {
  resourceSpans?: { resource: { attributes: Attributes }; scopeSpans: { spans: Span[] }[] }[];
  resourceMetrics?: { scopeMetrics: { metrics: { name: string }[] }[] }[];
  resourceLogs?: { scopeLogs: { logRecords: { body: { stringValue: string } }[] }[] }[];
}

interface Span {
  name: string;
  attributes: Attributes;
}

/** A collector on a free port, and what came. */
function collect() {
  const spans: Span[] = [];
  const services = new Set<string | undefined>();
  const metrics = new Set<string>();
  const logs: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    const sent: Sent = await request.json();
    for (const { resource, scopeSpans } of sent.resourceSpans ?? []) {
      services.add(valueOf(resource.attributes, "service.name"));
      spans.push(...scopeSpans.flatMap((scope) => scope.spans));
    }
    for (const { scopeMetrics } of sent.resourceMetrics ?? []) {
      for (const { name } of scopeMetrics.flatMap((scope) => scope.metrics)) metrics.add(name);
    }
    for (const { scopeLogs } of sent.resourceLogs ?? []) {
      logs.push(...scopeLogs.flatMap(({ logRecords }) => logRecords.map(({ body }) => body.stringValue)));
    }
    return Response.json({});
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    spans,
    services,
    metrics,
    logs,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function valueOf(attributes: Attributes, name: string): string | undefined {
  return attributes.find(({ key }) => key === name)?.value.stringValue;
}

Deno.test("with OTEL_DENO, spans named by their routes, metrics and the log reach a collector", async () => {
  await using dir = await tempDir();
  await using collector = collect();
  await using server = await startServer(`${dir.path}/kv.db`, {
    OTEL_DENO: "true",
    OTEL_SERVICE_NAME: "signalfold",
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_METRIC_EXPORT_INTERVAL: "500",
    OTEL_BSP_SCHEDULE_DELAY: "500",
    OTEL_BLRP_SCHEDULE_DELAY: "500",
  });
  await server.send({ type: "page", userId: "jane" });
  await server.send({ type: "page" });
  await server.ask("/api/v1/users/jane");
  await server.ask("/nothing/here");
  await eventually(
    "spans, metrics and logs",
    () => (collector.spans.length >= 4 && collector.metrics.has("http.server.request.duration") &&
      collector.metrics.has("v8js.memory.heap.size") && collector.logs.length > 0),
  );
  deepStrictEqual(
    collector.spans.map(({ name, attributes }) =>
      [name, valueOf(attributes, "http.route"), valueOf(attributes, "http.response.status_code")].join(" ")
    ).toSorted(),
    [
      "GET /api/v1/users/:id /api/v1/users/:id 200",
      "GET  404",
      "POST /api/v1/events /api/v1/events 200",
      "POST /api/v1/events /api/v1/events 400",
    ].toSorted(),
  );
  deepStrictEqual([...collector.services], ["signalfold"]);
  ok(collector.logs.some((line) => line.includes("signalfold listens on")));
  ok(!JSON.stringify([collector.spans, collector.logs]).includes(WRITE_KEY), "no key that came in a header");
});
