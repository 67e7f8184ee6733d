/**
 * Events as senders give them and as the journal keeps them.
 *
 * These names are the stored format: what an old journal holds stays readable for ever. Change them with care.
 */

/** The types of an event, in the order in which counts are kept. */
export const EVENT_TYPES = ["track", "identify", "page", "screen", "group", "alias"] as const;

/** One of {@link EVENT_TYPES}. */
export type EventType = typeof EVENT_TYPES[number];

/** An event as it is stored: checked, stamped, never changed. Members that are not known are kept. */
export interface StoredEvent {
  type: EventType;
  messageId: string;
  userId?: string;
  anonymousId?: string;
  groupId?: string;
  previousId?: string;
  event?: string;
  traits?: Record<string, unknown>;
  properties?: Record<string, unknown>;
  context?: Record<string, unknown>;
  integrations?: Record<string, unknown>;
  /** ISO 8601, UTC, milliseconds: when it happened, corrected for skew, never after `receivedAt`. */
  timestamp: string;
  /** The sender's own word on when it happened, as it was sent. */
  originalTimestamp?: string;
  sentAt?: string;
  /** ISO 8601, UTC, milliseconds: when the server took it. */
  receivedAt: string;
  [member: string]: unknown;
}
