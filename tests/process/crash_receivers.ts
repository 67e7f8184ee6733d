/**
 * The destinations of the crash test: a webhook, a second signalfold, PostgreSQL and S3. Each says what it holds, in the
 * order in which it arrived, and whether it holds each event once.
 */
import { strictEqual } from "node:assert";
import pg from "pg";
import { startCluster } from "../../bench/rivals/postgres_cluster.ts";
import type { Position } from "../../domain/event/position.ts";
import { type Received, startReceiver } from "../actors/forwarding/receiver.ts";
import { missing } from "../needs.ts";
import { openTestApp, WRITE_KEY } from "../routes/test_app.ts";
import { missingS3, S3_CREDENTIALS, startS3 } from "./s3_server.ts";

/** One destination and what it received. */
export interface CrashReceiver extends AsyncDisposable {
  name: string;
  definition: Record<string, unknown>;
  /** Message ids in order of arrival. One that is held twice is in it twice. */
  held(): Promise<string[]>;
  /** Requests so far, where they are counted. */
  requests(): number;
  /** What must be true besides. */
  check?(): void;
}

/** What PostgreSQL lacks here, if anything. */
export const missingPostgres = missing("initdb") === undefined || hasFolder("/usr/lib/postgresql")
  ? undefined
  : "PostgreSQL";

function hasFolder(path: string): boolean {
  try {
    return [...Deno.readDirSync(path)].length > 0;
  } catch {
    return false;
  }
}

/** Starts all that can be had here. `folder` is for the data of PostgreSQL. */
export async function startReceivers(folder: string): Promise<CrashReceiver[]> {
  const starts = [
    startHook,
    startSegment,
    ...missingPostgres === undefined ? [() => startPostgres(folder)] : [],
    ...missingS3 === undefined ? [startLake] : [],
  ];
  const receivers: CrashReceiver[] = [];
  try {
    for (const start of starts) receivers.push(await start());
    return receivers;
  } catch (error) {
    for (const receiver of receivers) await receiver[Symbol.asyncDispose]();
    throw error;
  }
}

const idsOf = ({ body }: Received): string[] => {
  const { batch, ...one } = JSON.parse(body);
  return (batch ?? [one]).map(({ messageId }: { messageId: string }) => messageId);
};

/** A webhook, some of whose requests fail once, so that people are held when a process dies. */
function startHook(): Promise<CrashReceiver> {
  const arrived = new Set<string>();
  const webhookIds = new Map<string, Set<string>>();
  const failed = new Set<string>();
  const receiver = startReceiver((received, n) => {
    const isBad = n % 29 === 0 && !failed.has(received.body);
    if (isBad) failed.add(received.body);
    for (const messageId of idsOf(received)) {
      const known = webhookIds.get(messageId) ?? new Set();
      webhookIds.set(messageId, known.add(received.headers.get("webhook-id")!));
      if (!isBad) arrived.add(messageId);
    }
    return new Response(null, { status: isBad ? 500 : 200 });
  });
  return Promise.resolve({
    name: "Hook",
    definition: { kind: "webhook", settings: { url: receiver.url } },
    // It gets some more than once: the first arrival counts.
    held: () => Promise.resolve([...arrived]),
    requests: () => receiver.received.length,
    check() {
      for (const [messageId, known] of webhookIds) strictEqual(known.size, 1, `webhook-ids of ${messageId}`);
    },
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  });
}

/** A second signalfold, in memory. */
async function startSegment(): Promise<CrashReceiver> {
  const clock = {
    get nowMs() {
      return Date.now();
    },
    set nowMs(_) {
      // The time is not for the test to set.
    },
  };
  const other = await openTestApp({ clock });
  let requests = 0;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request, info) => {
    requests++;
    return other.app.fetch(request, info);
  });
  return {
    name: "Segment",
    definition: {
      kind: "segment",
      settings: { url: `http://127.0.0.1:${server.addr.port}`, writeKey: WRITE_KEY },
    },
    async held() {
      const ids: string[] = [];
      let after: Position | undefined;
      for (;;) {
        const { lines, next } = await other.system.feed.read({ after, limit: 1_000, waitMs: 0 });
        if (lines.length === 0) return ids;
        ids.push(...lines.map((line) => JSON.parse(line).messageId as string));
        after = next;
      }
    },
    requests: () => requests,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await other[Symbol.asyncDispose]();
    },
  };
}

/** A table of PostgreSQL with a column more, which numbers the rows as they arrive. */
async function startPostgres(folder: string): Promise<CrashReceiver> {
  const cluster = (await startCluster(folder))!;
  const url = await cluster.createDatabase("events");
  const query = async (sql: string): Promise<Record<string, string>[]> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  };
  await query(
    `create table events (arrived bigserial, message_id text primary key, type text, event text, user_id text,
      anonymous_id text, group_id text, properties jsonb, traits jsonb, context jsonb, timestamp timestamptz,
      received_at timestamptz, write_key_id text)`,
  );
  return {
    name: "Warehouse",
    definition: { kind: "postgres", settings: { url, schema: "public", table: "events" } },
    held: async () =>
      (await query("select message_id from events order by arrived")).map(({ message_id }) => message_id!),
    requests: () => 0,
    [Symbol.asyncDispose]: () => cluster.stop(),
  };
}

/** A bucket. Its objects are named by positions, so their order is that of the journal. */
async function startLake(): Promise<CrashReceiver> {
  const server = await startS3();
  return {
    name: "Lake",
    definition: {
      kind: "s3",
      batch: { maxEvents: 100, maxWaitMs: 200 },
      settings: { endpoint: server.endpoint, bucket: server.bucket, prefix: "raw", ...S3_CREDENTIALS },
    },
    async held() {
      const ids: string[] = [];
      for (const key of await server.keys()) {
        ids.push(...(await server.lines(key)).map((line) => JSON.parse(line).messageId as string));
      }
      return ids;
    },
    requests: () => 0,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
