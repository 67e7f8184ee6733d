/** The observer that reports duplicates and rejected events to the live view. */
import type { Note } from "../../actors/live/note_windows.ts";
import type { Live } from "../../actors/live/live_feed.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { numberText } from "../../domain/event/exact_json.ts";
import { isObject, type JsonObject } from "../../domain/event/json.ts";
import { type Rejection, sentType } from "../../domain/event/rejection.ts";
import type { Observer, Source } from "../pipeline.ts";

/** The HTTP status of a reason for rejection, as in a batch's answer. */
export type StatusOf = (reason: Rejection["reason"]) => number;

/** Longest text that is shown, in UTF-16 units: ids are no longer, and rejected values may have any length. */
export const MAX_SHOWN = 512;

/** Creates the observer. While nobody listens in any process, it reads no event. */
export function liveObserver(live: Live, statusOf: StatusOf): Observer {
  return {
    committed(events, receipts, { sender: { writeKeyId }, receivedAt: atMs }) {
      if (!live.wanted(atMs)) return;
      const repeated = events.filter((_, index) => receipts[index]!.duplicate);
      live.tell(repeated.map((event): Note => {
        const { type, messageId, receivedAt } = event;
        return { status: "duplicate", messageId, type, ...namesIn(event, type), writeKeyId, receivedAt };
      }));
    },
    rejected(item, rejection, source) {
      if (!rejection.isDropped && live.wanted(source.receivedAt)) {
        live.tell([rejectedNote(item, rejection, { source, statusOf })]);
      }
    },
  };
}

function rejectedNote(
  item: unknown,
  rejection: Rejection,
  { source: { sender, receivedAt, type: impliedType }, statusOf }: { source: Source; statusOf: StatusOf },
): Note {
  const { reason, code, message, path } = rejection;
  // Nothing is shown of an erased person, not even a message id, which a sender may have derived from an id.
  const isHidden = code === "suppressed";
  const messageId = isHidden ? null : rejection.messageId ?? null;
  const sent = isObject(item) && !isHidden ? item : {};
  const type = shownText(sentType(sent, impliedType)) ?? null;
  return {
    status: "rejected",
    messageId,
    type,
    ...namesIn(sent, type),
    writeKeyId: sender.writeKeyId,
    receivedAt: new Date(receivedAt).toISOString(),
    error: {
      status: statusOf(reason),
      code,
      message: shownText(message)!,
      ...path !== "" && { path: shownText(path)! },
    },
  };
}

/** The name of a track event and the ids, as far as they are given and are text (numbers become it). */
export function namesIn(event: JsonObject | StoredEvent, type: string | null) {
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
