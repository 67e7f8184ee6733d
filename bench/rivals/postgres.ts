/**
 * PostgreSQL: a table of events with a unique message id and a table of `jsonb` profiles, both written in one
 * transaction per request. It answers no logs, so that it is spared the index that they would need.
 */
// @ts-types="@types/pg"
import pg from "pg";
import type { StoredEvent } from "../../domain/event/event.ts";
import { evolve, ownerOf, type Profile, shown } from "./profile.ts";
import { serveRival, variable } from "./rival.ts";
import type { Receipt } from "../../actors/journal/appender.ts";
import { StorageUnavailable } from "../../actors/store/errors.ts";

/** Connections: four for each core of a small machine. Twice or half as many made no difference. */
const POOL = 8;

/** `json` keeps the text as it came, which is cheaper to write than `jsonb`; profiles leave room to be updated. */
const SCHEMA = `
  create table events (message_id text primary key, owner text not null, event json not null);
  create table profiles (owner text primary key, profile jsonb not null) with (fillfactor = 70);
`;

/** Joins what new events add to a profile (`evolve` in profile.ts, twice), as the end of an insert. */
const MERGE = `
  on conflict (owner) do update set profile = (
    select jsonb_build_object(
      'eventCount', (old->>'eventCount')::int + (new->>'eventCount')::int,
      'firstSeen', least(old->>'firstSeen', new->>'firstSeen'),
      'lastSeen', greatest(old->>'lastSeen', new->>'lastSeen'),
      'context', case when new->'context' = '{}' then old->'context' else new->'context' end,
      'traits', (old->'traits') || (new->'traits'),
      'counts', (old->'counts') || (
        select jsonb_object_agg(key, value::int + coalesce((old->'counts'->>key)::int, 0))
        from jsonb_each_text(new->'counts')
      ),
      'events', (old->'events') || (
        select coalesce(jsonb_object_agg(key, jsonb_build_object(
          'count', (value->>'count')::int + coalesce((old->'events'->key->>'count')::int, 0),
          'firstAt', least(value->>'firstAt', old->'events'->key->>'firstAt'),
          'lastAt', greatest(value->>'lastAt', old->'events'->key->>'lastAt')
        )), '{}')
        from jsonb_each(new->'events')
      )
    ) from (select p.profile as old, excluded.profile as new) as both_sides
  )`;

/** One event in one statement, which is a transaction by itself: a row for it where its id is new. */
const ONE = {
  name: "one",
  text: `
    with inserted as (
      insert into events (message_id, owner, event) values ($1, $2, $3::text::json)
      on conflict do nothing returning owner
    )
    insert into profiles as p (owner, profile) select owner, $4::text::jsonb from inserted ${MERGE}
    returning owner`,
};

const INSERT = {
  name: "insert",
  text: `
    insert into events (message_id, owner, event)
    select * from unnest($1::text[], $2::text[], $3::text[]::json[])
    on conflict do nothing returning message_id`,
};

const FOLD = {
  name: "fold",
  text: `
    insert into profiles as p (owner, profile) select * from unnest($1::text[], $2::text[]::jsonb[]) ${MERGE}`,
};

const pool = new pg.Pool({ connectionString: variable("DATABASE_URL"), max: POOL });
await pool.query(SCHEMA);
let stored = 0;

async function commitOne(event: StoredEvent): Promise<Receipt[]> {
  const owner = ownerOf(event);
  const added = JSON.stringify(evolve(null, event));
  const { rowCount } = await pool.query(ONE, [event.messageId, owner, JSON.stringify(event), added]);
  return [{ messageId: event.messageId, duplicate: rowCount === 0 }];
}

/** Rows are written in the order of their keys, so that no two requests can wait for each other. */
async function commitMany(events: StoredEvent[]): Promise<Receipt[]> {
  const first = new Map<string, StoredEvent>();
  for (const event of events) if (!first.has(event.messageId)) first.set(event.messageId, event);
  const rows = [...first.values()].sort((a, b) => a.messageId < b.messageId ? -1 : 1);
  const inserted = await inTransaction(async (client) => {
    const result = await client.query<{ message_id: string }>(INSERT, [
      rows.map((event) => event.messageId),
      rows.map(ownerOf),
      rows.map((event) => JSON.stringify(event)),
    ]);
    const fresh = new Set(result.rows.map((row) => row.message_id));
    const added = new Map<string, Profile>();
    for (const event of first.values()) {
      if (fresh.has(event.messageId)) {
        added.set(ownerOf(event), evolve(added.get(ownerOf(event)) ?? null, event));
      }
    }
    const owners = [...added.keys()].sort();
    await client.query(FOLD, [owners, owners.map((owner) => JSON.stringify(added.get(owner)))]);
    return fresh;
  });
  // Of a message id that comes twice in one request, only the first is new.
  return events.map(({ messageId }) => ({ messageId, duplicate: !inserted.delete(messageId) }));
}

async function inTransaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const result = await work(client);
    await client.query("commit");
    client.release();
    return result;
  } catch (error) {
    // A connection that is let go in the middle of a transaction rolls it back.
    client.release(true);
    throw error;
  }
}

async function commit(events: StoredEvent[]): Promise<Receipt[]> {
  try {
    const receipts = events.length === 1 ? await commitOne(events[0]!) : await commitMany(events);
    for (const { duplicate } of receipts) if (!duplicate) stored++;
    return receipts;
  } catch (cause) {
    throw new StorageUnavailable("PostgreSQL did not take the events", 1, { cause });
  }
}

serveRival({
  commit,
  user: async (userId) => {
    const { rows } = await pool.query<{ profile: Profile }>(
      "select profile from profiles where owner = $1",
      [`user/${userId}`],
    );
    return rows[0] === undefined ? null : shown(rows[0].profile);
  },
  stored: () => Promise.resolve(stored),
  close: () => pool.end(),
});
