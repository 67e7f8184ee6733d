/** PostgreSQL: a row per event, once, whatever is repeated. */
import { isIP } from "node:net";
import { hostOf } from "./connections.ts";
import { failure, keptOf } from "./http_request.ts";
import { COLUMNS, rowOf } from "./rows.ts";
import type { Answer, Outgoing, Sender, SenderOptions } from "./sender.ts";
import type { Verdict } from "../../domain/forwarding/verdict.ts";

/** The part of `pg` that is used. */
interface Client {
  connect(): Promise<void>;
  query(sql: string, values?: unknown[]): Promise<unknown>;
  end(): Promise<void>;
  on(event: "error", listener: (error: Error) => void): void;
}

interface PostgresSettings {
  url: string;
  schema: string;
  table: string;
  user?: string;
  password?: string;
}

const TYPES: Record<typeof COLUMNS[number], string> = {
  message_id: "text PRIMARY KEY",
  type: "text NOT NULL",
  event: "text",
  user_id: "text",
  anonymous_id: "text",
  group_id: "text",
  properties: "jsonb",
  traits: "jsonb",
  context: "jsonb",
  timestamp: "timestamptz NOT NULL",
  received_at: "timestamptz NOT NULL",
  write_key_id: "text NOT NULL",
};

const DEFAULT_PORT = 5432;

/** Characters that `jsonb` and `text` refuse, as JSON writes them: NUL, and halves of surrogate pairs. */
const ESCAPE = /\\(?:u0000|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)/g;
const REFUSED = /^\\u(?:0000|[dD])/;

/** JSON that PostgreSQL takes, and how many characters were replaced by U+FFFD. */
export function forPostgres(json: string): { json: string; replaced: number } {
  let replaced = 0;
  const written = json.replace(ESCAPE, (escape) => {
    if (!REFUSED.test(escape)) return escape;
    replaced++;
    return "\\ufffd";
  });
  return { json: written, replaced };
}

/** Creates the sender of a table, which is created if it is missing. `onReplaced` counts replaced characters. */
export function createPostgres(options: SenderOptions, onReplaced: (characters: number) => void): Sender {
  const settings = options.definition.settings as unknown as PostgresSettings;
  const { schema, table } = settings;
  const target = `"${schema}"."${table}"`;
  const types = COLUMNS.map((name) => `${name} ${TYPES[name].replace(/ (PRIMARY|NOT).*/, "")}`).join(", ");
  const insert = `INSERT INTO ${target} (${COLUMNS.join(", ")}) SELECT ${COLUMNS.join(", ")} ` +
    `FROM jsonb_to_recordset($1::jsonb) AS rows(${types}) ON CONFLICT (message_id) DO NOTHING`;
  let connected: Promise<Client> | undefined;
  let isThere = false;

  async function client(): Promise<Client> {
    connected ??= connect(options, settings, () => connected = undefined);
    try {
      return await connected;
    } catch (error) {
      connected = undefined;
      throw error;
    }
  }

  async function create(to: Client): Promise<void> {
    const columns = COLUMNS.map((name) => `${name} ${TYPES[name]}`).join(", ");
    if (schema !== "public") await to.query(`CREATE SCHEMA IF NOT EXISTS "${schema}"`);
    await to.query(`CREATE TABLE IF NOT EXISTS ${target} (${columns})`);
    isThere = true;
  }

  return {
    prepare({ events }) {
      const { json, replaced } = forPostgres(JSON.stringify(events.map(row)));
      return Promise.resolve({
        shown: { method: "INSERT", url: settings.url, headers: {}, body: json },
        bytes: json.length,
        async send() {
          try {
            const to = await client();
            if (!isThere) await create(to);
            await to.query(insert, [json]);
            onReplaced(replaced);
            return { verdict: "delivered" };
          } catch (error) {
            isThere = false;
            return outcomeOf(error, events.length);
          }
        },
      });
    },
    async close() {
      const open = await connected?.catch(() => undefined);
      await open?.end().catch(() => {});
    },
  };
}

/** Integers keep their digits: `jsonb` has numbers of any length. */
const row = (outgoing: Outgoing): unknown => rowOf(outgoing);

async function connect(
  { connections, timeoutMs }: SenderOptions,
  { url, user, password }: PostgresSettings,
  onEnd: () => void,
): Promise<Client> {
  const host = hostOf(url);
  const [address] = await connections.addressesOf(host);
  const parsed = new URL(url);
  const port = Number(parsed.port) || DEFAULT_PORT;
  const mode = parsed.searchParams.get("sslmode") ?? "prefer";
  const { default: pg } = await import("pg") as unknown as {
    default: { Client: new (config: object) => Client };
  };
  connections.announce(address!, port);
  const client = new pg.Client({
    host: address,
    port,
    user: user ?? "postgres",
    // A function: without a password the package would look for one in the environment.
    password: () => password ?? "",
    database: decodeURIComponent(parsed.pathname.slice(1)) || "postgres",
    application_name: "signalfold",
    ssl: isEncrypted(mode) && {
      rejectUnauthorized: mode.startsWith("verify"),
      ...isIP(host) === 0 && { servername: host },
    },
    connectionTimeoutMillis: Math.min(timeoutMs, 10_000),
    query_timeout: timeoutMs,
  });
  client.on("error", onEnd);
  await client.connect();
  return client;
}

/** `require` encrypts, `verify-full` and `verify-ca` check the certificate too. */
function isEncrypted(mode: string): boolean {
  return mode === "require" || mode.startsWith("verify");
}

/** What an error of PostgreSQL means, by the class of its code. */
function outcomeOf(error: unknown, events: number): Answer {
  const { code, message } = error as { code?: string; message?: string };
  if (typeof code !== "string" || !/^[0-9A-Z]{5}$/.test(code)) return failure(error);
  const verdict = verdictOfCode(code, events);
  return { verdict, reason: `${code}: ${keptOf(message ?? "")}` };
}

function verdictOfCode(code: string, events: number): Verdict {
  // Connection, resources, operator, transaction: another attempt may succeed. So may one on a table that was dropped.
  if (/^(08|53|55|57|58|40|XX)/.test(code) || code === "42P01") return "retry";
  // Data that the table does not take: the event that has it is found alone.
  if (/^(22|23)/.test(code)) return events > 1 ? "split" : "dead";
  // Credentials, privileges, or a table of another shape: a person must look.
  return "pause";
}
