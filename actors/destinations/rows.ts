/** Events as rows of a table: the columns that PostgreSQL and ClickHouse share. */
import type { Outgoing } from "./sender.ts";

/** The columns, in their order. */
export const COLUMNS = [
  "message_id",
  "type",
  "event",
  "user_id",
  "anonymous_id",
  "group_id",
  "properties",
  "traits",
  "context",
  "timestamp",
  "received_at",
  "write_key_id",
] as const;

/** An event as a row. */
export function rowOf({ event, writeKeyId }: Outgoing): Record<typeof COLUMNS[number], unknown> {
  return {
    message_id: event.messageId,
    type: event.type,
    event: event.event ?? null,
    user_id: event.userId ?? null,
    anonymous_id: event.anonymousId ?? null,
    group_id: event.groupId ?? null,
    properties: event.properties ?? null,
    traits: event.traits ?? null,
    context: event.context ?? null,
    timestamp: event.timestamp,
    received_at: event.receivedAt,
    write_key_id: writeKeyId,
  };
}
