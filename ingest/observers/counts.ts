/** The observer that counts events. */
import type { EventCounts } from "../../actors/stats/counts.ts";
import type { Observer } from "../pipeline.ts";

/** Counts every event that is sent, whatever its outcome. */
export function countsObserver(counts: EventCounts): Observer {
  return {
    committed: (events, receipts, { sender: { writeKeyId }, receivedAt }) =>
      counts.taken(events, receipts, { writeKeyId, receivedAt }),
    rejected: (item, rejection, { sender: { writeKeyId }, receivedAt, type }) =>
      counts.rejected(item, rejection, { writeKeyId, receivedAt, type }),
  };
}
