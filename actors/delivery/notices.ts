/** Notices of erasure: `onErase: "event"` tells the destination that a person is to be forgotten there, too. */
import type { StoredEvent } from "../../domain/event/event.ts";
import { BEGINNING } from "../../domain/event/position.ts";
import { pauseAfter } from "../../domain/forwarding/verdict.ts";
import type { Outgoing } from "../destinations/sender.ts";
import { forwardNoticePrefix } from "../store/keys.ts";
import { isRunning, senderOf } from "./dispatch.ts";
import { writeUnder } from "./saving.ts";
import type { EraseNotice } from "./state.ts";
import type { Work } from "./work.ts";

/** Sends the notices that are due. Their outcome stands in them; with it the ids go. */
export async function sendNotices(work: Work): Promise<void> {
  const { parts: { store, clock, limits }, destination } = work;
  for await (
    const { key, value } of store.list<EraseNotice>({ prefix: forwardNoticePrefix(destination.id) })
  ) {
    const notice = value!;
    if (notice.outcome !== undefined) continue;
    const now = clock.now();
    if (!isRunning(destination) || (notice.nextAt ?? 0) > now) continue;
    const answer = await (await senderOf(work).prepare({
      events: [noticeOf(notice, destination.id)],
      span: { from: BEGINNING, to: BEGINNING },
    })).send();
    const attempts = notice.attempts + 1;
    const pauseMs = pauseAfter(attempts, clock.random(), limits);
    const isOver = answer.verdict === "delivered" || answer.verdict !== "retry" || pauseMs === undefined;
    const outcome = answer.verdict === "delivered" ? "delivered" : "dead";
    const next: EraseNotice = isOver
      ? { no: notice.no, userId: null, anonymousIds: [], at: notice.at, attempts, outcome }
      : { ...notice, attempts, nextAt: now + pauseMs };
    await writeUnder(work, { sets: [[key, next]] });
    if (!isOver) clock.timer(pauseMs, work.orderAgain);
  }
}

/** The notice as an event of its own type. */
function noticeOf({ no, userId, anonymousIds, at }: EraseNotice, id: string): Outgoing {
  const notice = { type: "user.erased", userId, anonymousIds, at: new Date(at).toISOString() };
  const event = { ...notice, messageId: `erased-${id}-${no}` } as unknown as StoredEvent;
  return { event, position: BEGINNING, writeKeyId: "", json: JSON.stringify(notice) };
}
