/**
 * The leanest PostgreSQL rival: Node's own HTTP server, `pg` with prepared statements, and one statement for a request,
 * which stores the events and merges the profiles in the database. A profile is a number of events, counts by name, and
 * when the first and the last came; signalfold's holds much more. With `GROUPED=true` the requests that wait for a
 * connection are stored by one statement together.
 */
import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import process from "node:process";

/** The package is beside this file where it runs, not where it is checked. */
const pg = createRequire(import.meta.url)("pg");

/** Connections; grouped ones need few, as each carries all that waits. */
const CONNECTIONS = process.env.GROUPED === "true" ? 4 : 20;

/** Events of one statement where requests are grouped. */
const GROUP_EVENTS = 2_000;

/** A statement that PostgreSQL ends for a deadlock is tried so often. */
const TRIES = 10;
const DEADLOCK = "40P01";

const SCHEMA = `
  create table events (
    message_id text primary key, user_id text not null, seq bigint generated always as identity,
    name text not null, at timestamptz not null, payload json not null
  );
  create index on events (user_id, seq);
  create table profiles (
    user_id text primary key, event_count int not null, first_seen timestamptz not null,
    last_seen timestamptz not null, counts jsonb not null
  ) with (fillfactor = 70);
`;

const MERGE = `
  on conflict (user_id) do update set
    event_count = p.event_count + excluded.event_count,
    first_seen = least(p.first_seen, excluded.first_seen),
    last_seen = greatest(p.last_seen, excluded.last_seen),
    counts = p.counts || `;

/** One event: its id where it is new. */
const ONE = {
  name: "one",
  text: `
    with new as (
      insert into events (message_id, user_id, name, at, payload) values ($1, $2, $3, $4, $5)
      on conflict do nothing returning message_id
    ), merged as (
      insert into profiles as p select $2, 1, $4, $4, jsonb_build_object($3::text, 1) from new ${MERGE}
        jsonb_build_object($3::text, coalesce((p.counts->>$3)::int, 0) + 1)
    )
    select message_id from new`,
};

/** Any number of events, in the order of their users: the ids of those that are new. */
const MANY = {
  name: "many",
  text: `
    with new as (
      insert into events (message_id, user_id, name, at, payload)
      select m, u, n, t, p from json_to_recordset($1::json) as r(m text, u text, n text, t timestamptz, p json)
      on conflict do nothing returning message_id, user_id, name, at
    ), by_name as (
      select user_id, name, count(*) as n, min(at) as first, max(at) as last from new group by user_id, name
    ), by_user as (
      select user_id, sum(n)::int as n, min(first) as first, max(last) as last, jsonb_object_agg(name, n) as counts
      from by_name group by user_id
    ), merged as (
      insert into profiles as p select user_id, n, first, last, counts from by_user order by user_id ${MERGE} (
        select jsonb_object_agg(key, value::int + coalesce((p.counts->>key)::int, 0))
        from jsonb_each_text(excluded.counts)
      )
    )
    select message_id from new`,
};

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: CONNECTIONS });
await pool.query(SCHEMA);
let stored = 0;

/** Stores the events of a request; gives which of them are new, by their ids. */
const commit = process.env.GROUPED === "true" ? commitGrouped : commitAlone;

async function commitAlone(rows) {
  const values = rows.length === 1
    ? [rows[0].m, rows[0].u, rows[0].n, rows[0].t, JSON.stringify(rows[0].p)]
    : [JSON.stringify(rows.length < 2 ? rows : rows.toSorted(byUser))];
  const statement = rows.length === 1 ? ONE : MANY;
  for (let tries = 1;; tries++) {
    try {
      const result = await pool.query({ ...statement, values, rowMode: "array" });
      stored += result.rows.length;
      return new Set(result.rows.map(([id]) => id));
    } catch (error) {
      if (error.code !== DEADLOCK || tries === TRIES) throw error;
    }
  }
}

const waiting = [];
let busy = 0;

function commitGrouped(rows) {
  return new Promise((resolve, reject) => {
    waiting.push({ rows, resolve, reject });
    if (busy < CONNECTIONS) work();
  });
}

async function work() {
  busy++;
  while (waiting.length > 0) {
    const group = [];
    for (let events = 0; waiting.length > 0 && events < GROUP_EVENTS;) {
      events += waiting[0].rows.length;
      group.push(waiting.shift());
    }
    try {
      const fresh = await commitAlone(group.flatMap(({ rows }) => rows));
      // Of an id that two requests have, the first is new.
      for (const { rows, resolve } of group) {
        resolve(new Set(rows.map(({ m }) => m).filter((m) => fresh.delete(m))));
      }
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }
  busy--;
}

function byUser(a, b) {
  return a.u < b.u ? -1 : a.u > b.u ? 1 : 0;
}

/** A row of an event; throws where it is none. */
function rowOf(event) {
  const user = event.userId ?? event.anonymousId;
  const { messageId = randomUUID(), type, timestamp } = event;
  const isEvent = typeof user === "string" && typeof messageId === "string" && typeof type === "string";
  if (!isEvent || Number.isNaN(Date.parse(timestamp))) throw new TypeError("not an event");
  event.receivedAt = new Date().toISOString();
  return { m: messageId, u: user, n: type === "track" ? event.event : type, t: timestamp, p: event };
}

const SENDER = `Basic ${Buffer.from(`${process.env.WRITE_KEY}:`).toString("base64")}`;

async function answer(request, body) {
  const { method, url, headers } = request;
  if (method === "GET") return await read(url);
  if (headers.authorization !== SENDER) return [401, { code: "unauthorized" }];
  if (url === "/api/v1/events") {
    const row = rowOf(JSON.parse(body));
    const fresh = await commit([row]);
    return [200, { success: true, messageId: row.m, duplicate: !fresh.has(row.m) }];
  }
  if (url !== "/api/v1/events/batch") return [404, { code: "no_such_path" }];
  const rows = JSON.parse(body).batch.map(rowOf);
  await commit(rows);
  return [200, { received: rows.length, accepted: rows.length, rejected: 0, errors: [] }];
}

async function read(url) {
  if (url === "/healthz") return [200, {}];
  if (url === "/api/v1/admin/stats") return [200, { head: stored, settled: stored, unsettled: 0 }];
  const id = decodeURIComponent(url.slice("/api/v1/users/".length));
  const { rows: [row] } = await pool.query("select * from profiles where user_id = $1", [id]);
  if (row === undefined) return [404, { code: "not_found" }];
  const events = Object.fromEntries(Object.entries(row.counts).map(([name, count]) => [name, { count }]));
  return [200, {
    userId: id,
    eventCount: row.event_count,
    firstSeen: row.first_seen,
    lastSeen: row.last_seen,
    events,
  }];
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    answer(request, body).catch((
      error,
    ) => [error instanceof TypeError || error instanceof SyntaxError ? 400 : 503, {
      code: String(error),
    }]).then(([status, value]) => {
      const text = JSON.stringify(value);
      response.writeHead(status, {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(text),
      });
      response.end(text);
    });
  });
});
server.keepAliveTimeout = 60_000;
server.listen(Number(process.env.PORT), process.env.HOST);
process.on("SIGTERM", () => {
  server.close();
  server.closeAllConnections();
  pool.end().then(() => process.exit(0));
});
