/** Accepts a sender's item: the only place where it becomes an event, or a typed reason for rejection. */
import {
  EVENT_TYPES,
  eventShapes,
  type EventType,
  ID_MEMBERS,
  idText,
  isAbsent,
  isEmptyArray,
  MAP_MEMBERS,
  MAX_EVENT_BYTES,
  MAX_MEMBERS,
  type StoredEvent,
} from "./event.ts";
import { beginLook, findExcess, findProblem, isObject, type JsonObject, shown } from "./json.ts";
import { type BatchDefaults, fill } from "./batch_defaults.ts";
import { readSentAt, settleSentAt, stampTimes } from "./event_times.ts";
import { findMissing } from "./missing_members.ts";
import { fromIssue, fromJson, refuse, type Rejection } from "./rejection.ts";

/**
 * Bytes of JSON of a stored event when it is read again: twice the size that was sent, since traits may have been
 * copied from `context.traits` and `originalTimestamp` from `timestamp`, and 2 KiB for the timestamps and
 * `context.location`.
 */
export const MAX_STORED_EVENT_BYTES = 2 * MAX_EVENT_BYTES + 2048;

/** An event, or the reason for rejection. */
export type Acceptance = { event: StoredEvent; rejection?: undefined } | {
  rejection: Rejection;
  event?: undefined;
};

/** What {@link accept} is given in addition to the event. */
export interface AcceptOptions {
  /** When the request was received, in milliseconds since 1970. */
  receivedAt: number;
  /** Creates a message id for an event without one. */
  newId: () => string;
  /** The type that the route implies; it outranks the body's. */
  type?: EventType | undefined;
  /** What the batch says for all its events. */
  defaults?: BatchDefaults | undefined;
  /** The types that the sender may send; absent means all. */
  allowedTypes?: readonly EventType[] | undefined;
  /** Bytes of one event as JSON; default {@link MAX_EVENT_BYTES}. */
  maxBytes?: number | undefined;
}

/**
 * Checks a sender's event (any JSON value) and stamps it. Never throws on a JSON value. The event is not changed; the
 * result shares parts of it and of the batch's defaults.
 *
 * A batch's `context` and `integrations` are filled in by top-level key: a key of the event, even if `null`, keeps the
 * event's value.
 */
export function accept(item: unknown, options: AcceptOptions): Acceptance {
  const checked = check(item, options);
  if (checked.rejection !== undefined) return checked;
  const stored = settleMembers(checked, options.newId);
  // The server's own mark: a sender's member of that name is ignored.
  if ("neverLinks" in stored) delete stored.neverLinks;
  if ("derived" in stored) delete stored.derived;
  const { receivedAt, defaults } = options;
  const sentAt = readSentAt(stored.sentAt, receivedAt) ?? readSentAt(defaults?.sentAt, receivedAt);
  stampTimes(stored, { receivedAt, sentAt });
  settleSentAt(stored, sentAt);
  return { event: stored };
}

/** An item that can be stored, with the defaults of its batch. */
export interface Checked {
  type: EventType;
  filled: JsonObject;
  rejection?: undefined;
}

/**
 * All reasons for rejection, cheapest first. All of the JSON is checked before zod and before the batch's defaults are
 * filled in, because that check stops at the size limit: no later step sees more.
 */
export function check(item: unknown, options: AcceptOptions): Checked | { rejection: Rejection } {
  if (!isObject(item)) {
    return refuse(item, [{
      code: "not_an_object",
      rule: "must be a JSON object",
      path: "",
      found: shown(item),
    }]);
  }
  const type = options.type ?? readType(item.type);
  if (type === undefined) {
    const code = isAbsent(item.type) ? "missing_type" : "invalid_type";
    const rule = `must be one of ${EVENT_TYPES.join(", ")}`;
    return refuse(item, [{ code, rule, path: "type", found: shown(item.type) }]);
  }
  const { allowedTypes, defaults, maxBytes = MAX_EVENT_BYTES } = options;
  if (allowedTypes !== undefined && !allowedTypes.includes(type)) {
    const rule = `must be a type that this write key may send (${allowedTypes.join(", ") || "none"})`;
    return refuse(item, [{
      reason: "forbidden",
      code: "forbidden_type",
      rule,
      path: "type",
      found: shown(type),
    }]);
  }
  const look = beginLook(maxBytes);
  const problem = findProblem(item, look);
  if (problem !== undefined) return refuse(item, [fromJson(problem)]);

  const parsed = eventShapes[type].safeParse(item);
  const missing = findMissing(type, item);
  if (!parsed.success || missing.length > 0) {
    const issues = parsed.error?.issues ?? [];
    return refuse(item, [...issues.map((issue) => fromIssue(issue, item)), ...missing]);
  }
  const filled = defaults === undefined ? { item } : fill(item, { defaults, look });
  const excess = filled.problem ?? findExcess(filled.item, look);
  if (excess !== undefined) return refuse(item, [fromJson(excess)]);
  if (type === "identify" && isAbsent(item.traits)) return withContextTraits(item, filled.item);
  return { type, filled: filled.item };
}

function readType(value: unknown): EventType | undefined {
  return EVENT_TYPES.find((type) => type === value);
}

/** An identify without traits takes them from `context.traits`, where some of Segment's clients put them. */
function withContextTraits(item: JsonObject, filled: JsonObject): Checked | { rejection: Rejection } {
  const type = "identify";
  const traits = isObject(filled.context) ? filled.context.traits : undefined;
  if (!isObject(traits)) return { type, filled };
  const count = Object.keys(traits).length;
  if (count <= MAX_MEMBERS) return { type, filled: { ...filled, traits } };
  const rule = `must have at most ${MAX_MEMBERS} members`;
  return refuse(item, [{ code: "too_many_traits", rule, path: "context.traits", found: `${count}` }]);
}

/** Members for which `null` and `""` count as absent, in addition to the ids. For maps, `""` was rejected. */
const NULLABLE_MEMBERS = ["event", ...MAP_MEMBERS, "timestamp"] as const;

/**
 * A copy of a checked event with its type and message id, ids as strings, empty maps as objects, and without absent
 * members. It is made by spreading, the only copy that keeps a member named `__proto__`.
 */
export function settleMembers({ type, filled }: Checked, newId: () => string): StoredEvent {
  const stored: JsonObject = { ...filled, type };
  for (const member of ID_MEMBERS) {
    const value = stored[member];
    if (value === undefined) continue;
    const text = idText(value);
    if (text === undefined) delete stored[member];
    else stored[member] = text;
  }
  for (const member of NULLABLE_MEMBERS) {
    const value = stored[member];
    if (value === null || value === "") delete stored[member];
    else if (isEmptyArray(value)) stored[member] = {};
  }
  if (type === "page" || type === "screen") {
    if (stored.name === null) delete stored.name;
    if (stored.category === null) delete stored.category;
  }
  // Several clients put the write key into each event; it is a credential, and not part of the event.
  if ("writeKey" in stored) delete stored.writeKey;
  stored.messageId = idText(stored.messageId) ?? newId();
  return stored as StoredEvent;
}
