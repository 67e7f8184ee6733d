/** The times of an event: when it happened, was sent and was received. */
import type { StoredEvent } from "./event.ts";
import { type Clocks, correctedTime, DAY_MS, formatTimestamp, parseTimestamp } from "./timestamp.ts";

/**
 * A `sentAt` further than this from the receipt is ignored: the contract's year. Such a clock is broken, and a
 * correction by it would move the event as far.
 */
const MAX_SENT_AT_OFF_MS = 365 * DAY_MS;

/** Sets the times when an event happened and was received, corrected if `sentAt` tells when it was sent. */
export function stampTimes(stored: StoredEvent, { receivedAt, sentAt }: Omit<Clocks, "timestamp">): void {
  const original = stored.timestamp ?? stored.originalTimestamp;
  const timestamp = readTime(original);
  stored.receivedAt = formatTimestamp(receivedAt);
  if (timestamp === undefined) {
    stored.timestamp = stored.receivedAt;
    delete stored.originalTimestamp;
  } else {
    stored.timestamp = formatTimestamp(correctedTime({ timestamp, sentAt, receivedAt }));
    stored.originalTimestamp = original;
  }
}

/** Sets `sentAt`, or removes an invalid one. */
export function settleSentAt(stored: StoredEvent, sentAt: number | undefined): void {
  if (sentAt !== undefined) stored.sentAt = formatTimestamp(sentAt);
  else if ("sentAt" in stored) delete stored.sentAt;
}

/** The time of a `sentAt`; `undefined` if it is ignored. */
export function readSentAt(value: unknown, receivedAt: number): number | undefined {
  const sentAt = readTime(value);
  return sentAt !== undefined && Math.abs(sentAt - receivedAt) <= MAX_SENT_AT_OFF_MS ? sentAt : undefined;
}

/** The time of a member; `undefined` if it has no valid one. */
export function readTime(value: unknown): number | undefined {
  return typeof value === "string" ? parseTimestamp(value) : undefined;
}
