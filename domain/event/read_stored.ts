/** Events that were stored before: from an exported journal, and rejected ones to be sent again. */
import {
  type Acceptance,
  type AcceptOptions,
  check,
  MAX_STORED_EVENT_BYTES,
  settleMembers,
} from "./accept.ts";
import { fill } from "./batch_defaults.ts";
import { MAX_EVENT_BYTES } from "./event.ts";
import { readSentAt, readTime, settleSentAt, stampTimes } from "./event_times.ts";
import { beginLook, findExcess, findProblem, type JsonObject } from "./json.ts";
import { formatTimestamp } from "./timestamp.ts";

/**
 * Reads an event that was already stored once, from an exported journal: its `receivedAt`, `timestamp`, `messageId`,
 * `originalTimestamp` and `sentAt` stay, so that an import of an export gives equal events. Missing or invalid ones are
 * made as in {@link accept}. But a line without a `receivedAt` keeps its time, whatever its `sentAt`: it was received
 * long ago, at an unknown time. A stored `receivedAt` may be after `options.receivedAt`: clocks of two servers differ.
 *
 * The default limit of the size is {@link MAX_STORED_EVENT_BYTES}.
 */
export function readStored(item: unknown, options: AcceptOptions): Acceptance {
  const { maxBytes = MAX_STORED_EVENT_BYTES } = options;
  const checked = check(item, { ...options, maxBytes });
  if (checked.rejection !== undefined) return checked;
  const stored = settleMembers(checked, options.newId);
  const receivedAt = readTime(stored.receivedAt);
  const timestamp = readTime(stored.timestamp);
  const sentAt = readTime(stored.sentAt);
  if (receivedAt === undefined) {
    stampTimes(stored, { receivedAt: options.receivedAt });
  } else if (timestamp === undefined) {
    stampTimes(stored, { receivedAt, sentAt: readSentAt(stored.sentAt, receivedAt) });
  } else {
    stored.receivedAt = formatTimestamp(receivedAt);
    stored.timestamp = formatTimestamp(Math.min(timestamp, receivedAt));
    if (readTime(stored.originalTimestamp) === undefined) delete stored.originalTimestamp;
  }
  settleSentAt(stored, sentAt);
  return { event: stored };
}

/**
 * A rejected item with the defaults of its route and batch, so that it can be sent alone. `undefined` if it is larger
 * than an event may be, or has another problem that keeps it from being stored.
 */
export function withDefaults(
  item: JsonObject,
  { type, defaults, receivedAt }: Pick<AcceptOptions, "type" | "defaults" | "receivedAt">,
): JsonObject | undefined {
  const look = beginLook(MAX_EVENT_BYTES);
  if (findProblem(item, look) !== undefined) return undefined;
  const filled = defaults === undefined ? { item } : fill(item, { defaults, look });
  if (filled.problem !== undefined || findExcess(filled.item, look) !== undefined) return undefined;
  const sentAt = defaults?.sentAt;
  const isBatchs = readSentAt(item.sentAt, receivedAt) === undefined && typeof sentAt === "string";
  return { ...filled.item, ...type !== undefined && { type }, ...isBatchs && { sentAt } };
}
