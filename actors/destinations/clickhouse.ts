/** ClickHouse over HTTP: JSONEachRow, with a token per batch that makes a repeated insert count once. */
import { hash } from "node:crypto";
import { createHttpClient } from "./http_request.ts";
import { rowOf } from "./rows.ts";
import type { Outgoing, Prepared, Sender, SenderOptions } from "./sender.ts";

interface ClickHouseSettings {
  url: string;
  database: string;
  table: string;
  user?: string;
  password?: string;
}

const TYPES: Record<string, string> = {
  message_id: "String",
  type: "LowCardinality(String)",
  event: "Nullable(String)",
  user_id: "Nullable(String)",
  anonymous_id: "Nullable(String)",
  group_id: "Nullable(String)",
  properties: "String",
  traits: "String",
  context: "String",
  timestamp: "DateTime64(3, 'UTC')",
  received_at: "DateTime64(3, 'UTC')",
  write_key_id: "LowCardinality(String)",
};

/** Creates the sender of a table, which is created if it is missing. */
export function createClickHouse(options: SenderOptions): Sender {
  const { url, database, table, user, password } = options.definition
    .settings as unknown as ClickHouseSettings;
  const client = createHttpClient(options);
  const target = `\`${database}\`.\`${table}\``;
  let isThere = false;

  function query(sql: string, body: string, more: Record<string, string> = {}): Prepared {
    const to = new URL(url);
    for (const [name, value] of Object.entries({ query: sql, ...more })) to.searchParams.set(name, value);
    return client.prepare({
      method: "POST",
      url: to.href,
      headers: {
        "content-type": "application/x-ndjson",
        ...user !== undefined && { "x-clickhouse-user": user },
        ...password !== undefined && { "x-clickhouse-key": password },
      },
      body,
    });
  }

  return {
    prepare({ events, span }) {
      const rows = events.map((each) => `${JSON.stringify(row(each))}\n`).join("");
      const insert = query(`INSERT INTO ${target} FORMAT JSONEachRow`, rows, {
        insert_deduplicate: "1",
        insert_deduplication_token: hash("sha256", `${options.id} ${span.from} ${span.to}`, "hex").slice(
          0,
          32,
        ),
        date_time_input_format: "best_effort",
      });
      return Promise.resolve({
        ...insert,
        async send() {
          if (!isThere) {
            const created = await query(creation(target), "").send();
            if (created.verdict !== "delivered") return created;
            isThere = true;
          }
          const answer = await insert.send();
          // Somebody may have dropped the table.
          if (answer.verdict !== "delivered") isThere = false;
          return answer;
        },
      });
    },
    close: client.close,
  };
}

/** Maps are JSON as text, which every version of ClickHouse has. */
function row(outgoing: Outgoing): Record<string, unknown> {
  const row = rowOf(outgoing);
  const text = (value: unknown) => JSON.stringify(value ?? {});
  return { ...row, properties: text(row.properties), traits: text(row.traits), context: text(row.context) };
}

function creation(target: string): string {
  const columns = Object.entries(TYPES).map(([name, type]) => `${name} ${type}`).join(", ");
  return `CREATE TABLE IF NOT EXISTS ${target} (${columns}) ENGINE = ReplacingMergeTree ORDER BY message_id ` +
    "SETTINGS non_replicated_deduplication_window = 1000";
}
