/** Kinds of destinations against real servers: PostgreSQL, an S3 that is not ours, and a second signalfold. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { startCluster } from "../../bench/rivals/postgres_cluster.ts";
import { testWhere } from "../needs.ts";
import { AS_ADMIN, openTestApp, WRITE_KEY } from "../routes/test_app.ts";
import { define, openForwarding, track, until } from "../actors/forwarding/receiver.ts";
import { forPostgres } from "../../actors/destinations/postgres.ts";
import { missingPostgres } from "./crash_receivers.ts";
import { missingS3, S3_CREDENTIALS, startS3 } from "./s3_server.ts";
import type { StoredEvent } from "../../domain/event/event.ts";

/** Events with what databases stumble over. */
function events(count: number): StoredEvent[] {
  return Array.from({ length: count }, (_, n) =>
    track(`u${n % 7}`, {
      properties: {
        n,
        text: n % 3 === 0 ? "a\u0000b" : 'quote " and \\u0000',
        nothing: null,
        list: [1, { a: "ü" }],
      },
    }));
}

testWhere(missingPostgres, {
  name: "postgres: each event is one row, whatever is repeated, and what jsonb refuses is replaced",
  async fn() {
    const folder = await Deno.makeTempDir();
    const cluster = (await startCluster(folder))!;
    try {
      const url = await cluster.createDatabase("events");
      const system = await openForwarding();
      try {
        const sent = events(300);
        await system.commit(sent, "key");
        const definition = {
          kind: "postgres",
          from: "start",
          settings: { url, schema: "shop", table: "events" },
          batch: { maxEvents: 40 },
        };
        const { destination } = await define(system, "Warehouse", definition);
        // The user of the URL stands in a setting of its own.
        ok(!String(destination.definition.settings.url).includes("@"));
        await until(
          "all are there",
          async () => (await system.forwarding.get("Warehouse"))!.status.delivered === 300,
        );
        await system.forwarding.replay("Warehouse", {});
        await until(
          "all were sent twice",
          async () => (await system.forwarding.replays("Warehouse"))![0]!.state === "done",
        );
        const rows = await query(url, "select * from shop.events order by (properties->>'n')::int");
        strictEqual(rows.length, 300);
        const { timestamp, received_at: _, ...first } = rows[0]!;
        deepStrictEqual(first, {
          message_id: sent[0]!.messageId,
          type: "track",
          event: "Order Completed",
          user_id: "u0",
          anonymous_id: null,
          group_id: null,
          properties: { n: 0, text: "a\ufffdb", nothing: null, list: [1, { a: "ü" }] },
          traits: null,
          context: null,
          write_key_id: "key",
        });
        strictEqual((timestamp as Date).toISOString(), sent[0]!.timestamp);
        deepStrictEqual(rows[1]!.properties, sent[1]!.properties);
        const replaced = system.forwarding.figures.replacedCharacters();
        deepStrictEqual(replaced, [{ destination: "Warehouse", count: 200 }]);
      } finally {
        await system.close();
      }
    } finally {
      await cluster.stop();
      await Deno.remove(folder, { recursive: true });
    }
  },
});

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const { default: pg } = await import("pg");
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

Deno.test("postgres: characters that jsonb refuses are replaced in JSON, and nothing else is", () => {
  deepStrictEqual(forPostgres('{"a":"\\u0000x\\\\u0000\\ud800\\"\\u00e9"}'), {
    json: '{"a":"\\ufffdx\\\\u0000\\ufffd\\"\\u00e9"}',
    replaced: 2,
  });
});

testWhere(missingS3, {
  name: "s3: each event is in one object, named by the positions of its batch",
  async fn() {
    await using server = await startS3();
    const system = await openForwarding();
    try {
      const sent = events(250);
      await system.commit(sent, "key");
      await define(system, "Lake", {
        kind: "s3",
        from: "start",
        batch: { maxEvents: 100, maxWaitMs: 100 },
        settings: { endpoint: server.endpoint, bucket: server.bucket, prefix: "raw", ...S3_CREDENTIALS },
      });
      await until(
        "all are there",
        async () => (await system.forwarding.get("Lake"))!.status.delivered === 250,
      );
      const keys = await server.keys();
      strictEqual(keys.length, 3);
      const day = sent[0]!.receivedAt.slice(0, 10).replaceAll("-", "/");
      for (const key of keys) {
        ok(RegExp(`^raw/${day}/[0-9a-f]{24}-[0-9a-f]{24}\\.ndjson\\.gz$`).test(key), key);
      }
      const stored: unknown[] = [];
      for (const key of keys) stored.push(...(await server.lines(key)).map((line) => JSON.parse(line)));
      deepStrictEqual(stored, JSON.parse(JSON.stringify(sent)));
    } finally {
      await system.close();
    }
  },
});

Deno.test("segment: a second signalfold has each event once, with its times and ids", async () => {
  await using other = await openTestApp({
    clock: {
      get nowMs() {
        return Date.now();
      },
      set nowMs(_) {
        // The time is not for the test to set.
      },
    },
  });
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request, info) => other.app.fetch(request, info),
  );
  const system = await openForwarding();
  try {
    const sent = events(120);
    await system.commit(sent, "key");
    await define(system, "Other", {
      kind: "segment",
      from: "start",
      settings: { url: `http://127.0.0.1:${server.addr.port}`, writeKey: WRITE_KEY },
    });
    await until(
      "all are there",
      async () => (await system.forwarding.get("Other"))!.status.delivered === 120,
    );
    await system.forwarding.replay("Other", {});
    await until(
      "all were sent twice",
      async () => (await system.forwarding.replays("Other"))![0]!.state === "done",
    );
    const { body } = await other.get("/api/v1/users/u0/events?limit=500", AS_ADMIN);
    const mine = sent.filter(({ userId }) => userId === "u0");
    deepStrictEqual(
      body.events.map((
        { messageId, timestamp, properties }: StoredEvent,
      ) => [messageId, timestamp, properties]).sort(),
      mine.map(({ messageId, timestamp, properties }) => [messageId, timestamp, properties]).sort(),
    );
  } finally {
    await system.close();
    await server.shutdown();
  }
});
