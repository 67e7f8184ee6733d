/** Tells the live view of what does not go into the journal. */
import type { Note } from "../../actors/live/note_windows.ts";
import type { Live } from "../../actors/live/live_feed.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { numberText } from "../../domain/event/exact_json.ts";
import { isObject, type JsonObject } from "../../domain/event/json.ts";
import { type Rejection, sentType } from "../../domain/event/rejection.ts";
import type { Observer, Source } from "../pipeline.ts";

/** The HTTP status of a reason for which an event is rejected: what a batch's answer says of it. */
export type StatusOf = (reason: Rejection["reason"]) => number;

/** Longest text that is shown, in UTF-16 units: an id has at most as many, and what is refused may be of any length. */
export const MAX_SHOWN = 512;

/** Tells the live view of duplicates and rejections. Where nobody listens, anywhere, it looks at no event. */
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
  // Of somebody who was erased nothing is shown: not even a message id, which a sender may have made of an id.
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
