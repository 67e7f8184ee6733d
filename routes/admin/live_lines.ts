/** What the live view says of an event, and who tells it of those that the journal does not. */
import type { Position } from "../../domain/event/position.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { numberText } from "../../domain/event/exact_json.ts";
import { isObject, type JsonObject } from "../../domain/event/json.ts";
import { type Rejection, sentType } from "../../domain/event/rejection.ts";
import type { Source, Witness } from "../ingest/pipeline.ts";
import { STATUS_OF } from "../http/problem.ts";
import type { Live, News } from "../../actors/live/live_feed.ts";
import type { Note } from "../../actors/live/broadcast.ts";

/** Longest text that is shown, in UTF-16 units: an id has at most as many, and what is refused may be of any length. */
export const MAX_SHOWN = 512;

/** A line for an event of the journal. */
export interface AcceptedLine extends Pick<StoredEvent, "type" | "messageId" | "receivedAt" | "timestamp"> {
  status: "accepted";
  event?: string;
  userId?: string;
  anonymousId?: string;
  groupId?: string;
  writeKeyId: string;
  position: Position;
}

/** A line of the live view. */
export type LiveLine = AcceptedLine | Note;

/** What is said of an event of the journal. Its traits and properties are at `/api/v1/admin/events/{messageId}`. */
export function lineOf({ event, writeKeyId, position }: News["events"][number]): AcceptedLine {
  const { type, messageId, receivedAt, timestamp } = event;
  return {
    status: "accepted",
    messageId,
    type,
    ...namesIn(event, type),
    writeKeyId,
    receivedAt,
    timestamp,
    position: position.place,
  };
}

/** Tells the live view of duplicates and rejections. Where nobody listens, anywhere, it looks at no event. */
export function liveWitness(live: Live): Witness {
  return {
    committed(events, receipts, { caller: { writeKeyId }, receivedAt: atMs }) {
      if (!live.wanted(atMs)) return;
      const repeated = events.filter((_, index) => receipts[index]!.duplicate);
      live.tell(repeated.map((event): Note => {
        const { type, messageId, receivedAt } = event;
        return { status: "duplicate", messageId, type, ...namesIn(event, type), writeKeyId, receivedAt };
      }));
    },
    rejected(item, rejection, source) {
      if (!rejection.isDropped && live.wanted(source.receivedAt)) {
        live.tell([rejectedNote(item, rejection, source)]);
      }
    },
  };
}

function rejectedNote(item: unknown, rejection: Rejection, { caller, receivedAt, ...source }: Source): Note {
  const { reason, code, message, path } = rejection;
  // Of somebody who was erased nothing is shown: not even a message id, which a sender may have made of an id.
  const isHidden = code === "suppressed";
  const messageId = isHidden ? null : rejection.messageId ?? null;
  const sent = isObject(item) && !isHidden ? item : {};
  const type = shownText(sentType(sent, source.type)) ?? null;
  return {
    status: "rejected",
    messageId,
    type,
    ...namesIn(sent, type),
    writeKeyId: caller.writeKeyId,
    receivedAt: new Date(receivedAt).toISOString(),
    error: {
      status: STATUS_OF[reason],
      code,
      message: shownText(message)!,
      ...path !== "" && { path: shownText(path)! },
    },
  };
}

/** The name of a track event and the ids, as far as they are given and are text (numbers become it). */
function namesIn(event: JsonObject | StoredEvent, type: string | null) {
  const names: Pick<Note, "event" | "userId" | "anonymousId" | "groupId"> = {};
  for (const member of ["event", "userId", "anonymousId", "groupId"] as const) {
    if (member === "event" && type !== "track") continue;
    const text = shownText(event[member]);
    if (text !== undefined) names[member] = text;
  }
  return names;
}

function shownText(value: unknown): string | undefined {
  const text = typeof value === "string" ? value : numberText(value);
  if (text === undefined || text === "") return undefined;
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN).toWellFormed()}…`;
}
