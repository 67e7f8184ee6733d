/** The lines of the live view. */
import type { Position } from "../../domain/event/position.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { namesIn } from "../../ingest/observers/live.ts";
import type { News } from "../../actors/live/listener.ts";
import type { Note } from "../../actors/live/note_windows.ts";

/** A line for an event of the journal. */
export interface AcceptedLine extends Pick<StoredEvent, "type" | "messageId" | "receivedAt" | "timestamp"> {
  status: "accepted";
  event?: string;
  userId?: string;
  anonymousId?: string;
  groupId?: string;
  writeKeyId: string;
  position: Position;
  /** It came before the listener did. */
  past?: true;
}

/** A line of the live view. */
export type LiveLine = AcceptedLine | Note;

/** The line of an event of the journal. Its traits and properties are at `/api/v1/admin/events/{messageId}`. */
export function lineOf(
  { event, writeKeyId, position }: Pick<News["events"][number], "event" | "writeKeyId"> & {
    position: Position;
  },
): AcceptedLine {
  const { type, messageId, receivedAt, timestamp } = event;
  return {
    status: "accepted",
    messageId,
    type,
    ...namesIn(event, type),
    writeKeyId,
    receivedAt,
    timestamp,
    position,
  };
}
