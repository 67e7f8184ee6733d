/** The one place where what a sender gave becomes an event, or a typed reason why it does not. */
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
 * Bytes of JSON that a stored event may have when it is read again: twice what was sent, as traits may have been taken
 * from `context.traits` and `originalTimestamp` from `timestamp`, and 2 KiB for the stamps and `context.location`.
 */
export const MAX_STORED_EVENT_BYTES = 2 * MAX_EVENT_BYTES + 2048;

/**
 * A `sentAt` is passed over that is further than this from the receipt: the contract's year. Such a clock is broken, and
 * correcting by it would move the event as far.
 */
const MAX_SENT_AT_OFF_MS = 365 * DAY_MS;

/** An event, or why there is none. */
export type Acceptance = { event: StoredEvent; rejection?: undefined } | {
  rejection: Rejection;
  event?: undefined;
};

/** What a batch says for all its events; what is `null` or of another shape is passed over. */
export interface BatchDefaults {
  context?: unknown;
  integrations?: unknown;
  sentAt?: unknown;
}

/** What {@link accept} is told besides the event. */
export interface AcceptOptions {
  /** When the request was received, in milliseconds since 1970. */
  receivedAt: number;
  /** Makes a message id for an event that has none. */
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
 * Checks one event as a sender gave it (any JSON value) and stamps it, by the rules of "Sending" and "What an event
 * does" in the HTTP contract. Never throws on a JSON value. The event given is not changed; parts of it, and of a
 * batch's defaults, are shared with the event that is returned.
 *
 * A batch's `context` and `integrations` are filled in by top-level key: a key that the event has itself, even `null`,
 * keeps the event's value.
 */
export function accept(item: unknown, options: AcceptOptions): Acceptance {
  const checked = check(item, options);
  if (checked.rejection !== undefined) return checked;
  const stored = settleMembers(checked, options.newId);
  // The server's own mark: a sender's member of that name says nothing.
  if ("neverLinks" in stored) delete stored.neverLinks;
  const { receivedAt, defaults } = options;
  const sentAt = readSentAt(stored.sentAt, receivedAt) ?? readSentAt(defaults?.sentAt, receivedAt);
  stampTimes(stored, { receivedAt, sentAt });
  settleSentAt(stored, sentAt);
  return { event: stored };
}

/**
 * Reads an event that was already stored once, from an exported journal: its `receivedAt`, `timestamp`, `messageId`,
 * `originalTimestamp` and `sentAt` stay as they are, so that importing what was exported gives equal events. What is
 * missing or cannot be read among them is made as {@link accept} makes it. But a line without a `receivedAt` keeps its
 * time, whatever its `sentAt`: it was received long ago, and nobody knows when. A stored `receivedAt` may lie after
 * `options.receivedAt`: clocks of two servers differ.
 *
 * The size that is allowed by default is {@link MAX_STORED_EVENT_BYTES}.
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

/** An item that can be stored, with what its batch says for it. */
interface Checked {
  type: EventType;
  filled: JsonObject;
  rejection?: undefined;
}

/**
 * Everything that can be refused, cheapest first. The look at all of the JSON comes before zod and before the batch's
 * defaults are filled in, because it stops at the size that is allowed: no later step meets more than that.
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

/** What an event of the type must have and this one has not: the rules that are about more than one member. */
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
 * An item that was not taken with what its route and its batch say for it, so that it can be sent by itself. `undefined`
 * where that is larger than an event may be, or has another problem that keeps it from being stored as it is.
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

/** The item with what its batch says for it, which counts for its size; the item itself where that is nothing. */
function fill(item: JsonObject, { defaults, look }: Filling): { item: JsonObject; problem?: JsonProblem } {
  if (defaults === undefined) return { item };
  let filled = item;
  for (const member of ["context", "integrations"] as const) {
    const given = defaults[member];
    if (!isObject(given)) continue;
    const own = isObject(item[member]) ? item[member] : undefined;
    // Counted as an empty object first, and then what is put into it.
    const problem = findInMember(member, {}, look) ?? findInGaps(given, { own, look });
    if (problem !== undefined) return { item, problem: under(member, problem) };
    filled = { ...filled, [member]: own === undefined ? given : { ...given, ...own } };
  }
  return { item: filled };
}

/** Looks at those members of the batch's map that the event has not itself, one by one, as the map may be huge. */
function findInGaps(
  given: JsonObject,
  { own, look }: { own: JsonObject | undefined; look: Look },
): JsonProblem | undefined {
  // These maps stand below the event's root: on the second level.
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

/** Members where `null` and `""` count as absent, besides the ids. Of maps, `""` was refused. */
const NULLABLE_MEMBERS = ["event", ...MAP_MEMBERS, "timestamp"] as const;

/**
 * A copy of a checked event with its type and message id, ids as strings, empty maps as objects, and without what counts
 * as absent. It is made by spreading, the one way of copying that keeps a member named `__proto__` a member.
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
  // Several clients put the write key into each event; it is a credential, and no part of what happened.
  if ("writeKey" in stored) delete stored.writeKey;
  stored.messageId = idText(stored.messageId) ?? newId();
  return stored as StoredEvent;
}

/** Sets when an event happened and was received, corrected where `sentAt` says when it was sent. */
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

/** The moment that a `sentAt` says, `undefined` where it is to be passed over. */
function readSentAt(value: unknown, receivedAt: number): number | undefined {
  const sentAt = readTime(value);
  return sentAt !== undefined && Math.abs(sentAt - receivedAt) <= MAX_SENT_AT_OFF_MS ? sentAt : undefined;
}

/** The moment that a member says, `undefined` where it says none that can be read. */
function readTime(value: unknown): number | undefined {
  return typeof value === "string" ? parseTimestamp(value) : undefined;
}
