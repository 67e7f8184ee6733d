/** The only place where a sender's item becomes an event, or a typed reason for rejection. */
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
import {
  beginLook,
  findExcess,
  findInMember,
  findProblem,
  isObject,
  type JsonObject,
  type JsonProblem,
  type Look,
  shown,
  under,
} from "./json.ts";
import { fromIssue, fromJson, type Problem, refuse, type Rejection } from "./rejection.ts";
import { type Clocks, correctedTime, DAY_MS, formatTimestamp, parseTimestamp } from "./timestamp.ts";

/**
 * Bytes of JSON of a stored event when it is read again: twice the size that was sent, since traits may have been
 * copied from `context.traits` and `originalTimestamp` from `timestamp`, and 2 KiB for the timestamps and
 * `context.location`.
 */
export const MAX_STORED_EVENT_BYTES = 2 * MAX_EVENT_BYTES + 2048;

/**
 * A `sentAt` is passed over that is further than this from the receipt: the contract's year. Such a clock is broken, and
 * correcting by it would move the event as far.
 */
const MAX_SENT_AT_OFF_MS = 365 * DAY_MS;

/** An event, or the reason for rejection. */
export type Acceptance = { event: StoredEvent; rejection?: undefined } | {
  rejection: Rejection;
  event?: undefined;
};

/** A batch's defaults for all its events; `null` and other invalid values are ignored. */
export interface BatchDefaults {
  context?: unknown;
  integrations?: unknown;
  sentAt?: unknown;
}

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
 * Checks a sender's event (any JSON value) and stamps it, by the rules of "Sending" and "What an event does" in the
 * HTTP contract. Never throws on a JSON value. The given event is not changed; parts of it, and of a batch's defaults,
 * are shared with the returned event.
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
  const { receivedAt, defaults } = options;
  const sentAt = readSentAt(stored.sentAt, receivedAt) ?? readSentAt(defaults?.sentAt, receivedAt);
  stampTimes(stored, { receivedAt, sentAt });
  settleSentAt(stored, sentAt);
  return { event: stored };
}

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

/** An item that can be stored, with the defaults of its batch. */
interface Checked {
  type: EventType;
  filled: JsonObject;
  rejection?: undefined;
}

/**
 * All reasons for rejection, cheapest first. All of the JSON is checked before zod and before the batch's defaults are
 * filled in, because that check stops at the size limit: no later step sees more.
 */
function check(item: unknown, options: AcceptOptions): Checked | { rejection: Rejection } {
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
  const filled = fill(item, { defaults, look });
  const excess = filled.problem ?? findExcess(filled.item, look);
  if (excess !== undefined) return refuse(item, [fromJson(excess)]);
  if (type === "identify" && isAbsent(item.traits)) return withContextTraits(item, filled.item);
  return { type, filled: filled.item };
}

function readType(value: unknown): EventType | undefined {
  return EVENT_TYPES.find((type) => type === value);
}

/** The missing members of an event, by its type: the rules about more than one member. */
function findMissing(type: EventType, item: JsonObject): readonly Problem[] {
  if (type === "alias") {
    const noUser = isAbsent(item.userId);
    const noPrevious = isAbsent(item.previousId);
    if (noUser) return noPrevious ? [NO_USER_ID, NO_PREVIOUS_ID] : [NO_USER_ID];
    return noPrevious ? [NO_PREVIOUS_ID] : NOTHING;
  }
  const noSender = isAbsent(item.userId) && isAbsent(item.anonymousId);
  const noGroup = type === "group" && isAbsent(item.groupId);
  if (noSender) return noGroup ? [NO_SENDER, NO_GROUP_ID] : [NO_SENDER];
  return noGroup ? [NO_GROUP_ID] : NOTHING;
}

const NOTHING: readonly Problem[] = [];
const NO_SENDER: Problem = {
  code: "missing_id",
  path: "userId",
  message: "Event must have a userId or an anonymousId; it has neither.",
};
const NO_GROUP_ID = {
  code: "missing_group_id",
  path: "groupId",
  rule: "is required for group events",
  found: "none",
};
const NO_USER_ID = {
  code: "missing_user_id",
  path: "userId",
  rule: "is required for alias events",
  found: "none",
};
const NO_PREVIOUS_ID = {
  code: "missing_previous_id",
  path: "previousId",
  rule: "is required for alias events",
  found: "none",
};

interface Filling {
  defaults: BatchDefaults | undefined;
  look: Look;
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
  const filled = fill(item, { defaults, look });
  if (filled.problem !== undefined || findExcess(filled.item, look) !== undefined) return undefined;
  const sentAt = defaults?.sentAt;
  const isBatchs = readSentAt(item.sentAt, receivedAt) === undefined && typeof sentAt === "string";
  return { ...filled.item, ...type !== undefined && { type }, ...isBatchs && { sentAt } };
}

/** The item with its batch's defaults, which count towards its size; the item itself if there are none. */
function fill(item: JsonObject, { defaults, look }: Filling): { item: JsonObject; problem?: JsonProblem } {
  if (defaults === undefined) return { item };
  let filled = item;
  for (const member of ["context", "integrations"] as const) {
    const given = defaults[member];
    if (!isObject(given)) continue;
    const own = isObject(item[member]) ? item[member] : undefined;
    // Counted as an empty object first, then with its members.
    const problem = findInMember(member, {}, look) ?? findInGaps(given, { own, look });
    if (problem !== undefined) return { item, problem: under(member, problem) };
    filled = { ...filled, [member]: own === undefined ? given : { ...given, ...own } };
  }
  return { item: filled };
}

/** Checks the members of the batch's map that the event does not have, one by one, since the map may be huge. */
function findInGaps(
  given: JsonObject,
  { own, look }: { own: JsonObject | undefined; look: Look },
): JsonProblem | undefined {
  // These maps are below the event's root: on the second level.
  look.depth += 2;
  for (const key in given) {
    if (own !== undefined && Object.hasOwn(own, key)) continue;
    const problem = findInMember(key, given[key], look);
    if (problem !== undefined) return problem;
  }
  look.depth -= 2;
  return undefined;
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
function settleMembers({ type, filled }: Checked, newId: () => string): StoredEvent {
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

/** Sets the times when an event happened and was received, corrected if `sentAt` tells when it was sent. */
function stampTimes(stored: StoredEvent, { receivedAt, sentAt }: Omit<Clocks, "timestamp">): void {
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

function settleSentAt(stored: StoredEvent, sentAt: number | undefined): void {
  if (sentAt !== undefined) stored.sentAt = formatTimestamp(sentAt);
  else if ("sentAt" in stored) delete stored.sentAt;
}

/** The time of a `sentAt`; `undefined` if it is ignored. */
function readSentAt(value: unknown, receivedAt: number): number | undefined {
  const sentAt = readTime(value);
  return sentAt !== undefined && Math.abs(sentAt - receivedAt) <= MAX_SENT_AT_OFF_MS ? sentAt : undefined;
}

/** The time of a member; `undefined` if it has no valid one. */
function readTime(value: unknown): number | undefined {
  return typeof value === "string" ? parseTimestamp(value) : undefined;
}
