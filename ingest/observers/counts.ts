/** Counts what comes. */
import type { EventCounts } from "../../actors/stats/counts.ts";
import type { Observer } from "../pipeline.ts";

/** Counts every event that is sent, whatever becomes of it. */
export function countsObserver(counts: EventCounts): Observer {
  return {
    committed: (events, receipts, { sender: { writeKeyId }, receivedAt }) =>
      counts.taken(events, receipts, { writeKeyId, receivedAt }),
    rejected: (item, rejection, { sender: { writeKeyId }, receivedAt, type }) =>
      counts.rejected(item, rejection, { writeKeyId, receivedAt, type }),
  };
}
