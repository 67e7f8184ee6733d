/**
 * Events as senders give them and as the journal stores them.
 *
 * These names are the stored format: old journals stay readable for ever. Change them with care.
 */
import { z } from "zod";
import { numberText } from "./exact_json.ts";
import { isObject, isShortText } from "./json.ts";
import { MAX_TIMESTAMP_LENGTH, parseTimestamp } from "./timestamp.ts";

/** The types of an event, in the order in which counts are kept. */
export const EVENT_TYPES = ["track", "identify", "page", "screen", "group", "alias"] as const;

/** One of {@link EVENT_TYPES}. */
export type EventType = typeof EVENT_TYPES[number];

/** A stored event: checked, stamped, never changed. Unknown members are kept. */
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
  /** It names an id that a setting counted as a placeholder when it was accepted: it links nothing (`placeholder.ts`). */
  neverLinks?: true;
  /** signalfold derived it from other events: it is forwarded and shown, and counts nowhere. No sender can say so. */
  derived?: true;
  /** ISO 8601, UTC, milliseconds: when it happened, corrected for skew, never after `receivedAt`. */
  timestamp: string;
  /** The sender's own word on when it happened, as it was sent. */
  originalTimestamp?: string;
  /** ISO 8601, UTC, milliseconds: when it was sent, by the sender's clock. */
  sentAt?: string;
  /** ISO 8601, UTC, milliseconds: when the server took it. */
  receivedAt: string;
  [member: string]: unknown;
}

/**
 * An event that named an anonymous id, without the name: `anonymousId` goes, and an `alias`, which must have a
 * `previousId`, has one that never links. Mutates and returns `event`.
 */
export function withoutName(event: StoredEvent, anonymousId: string): StoredEvent {
  if (event.anonymousId === anonymousId) delete event.anonymousId;
  if (event.previousId === anonymousId) {
    if (event.type === "alias") event.previousId = "none";
    else delete event.previousId;
  }
  return event;
}

/** Bytes of one event as JSON in UTF-8, with a batch's `context` and `integrations` filled in: the contract's bound. */
export const MAX_EVENT_BYTES = 32 * 1024;

/** Characters (code points) of an id: the contract's bound. */
export const MAX_ID_LENGTH = 256;

/** Characters (code points) of a message id: the contract's bound. */
export const MAX_MESSAGE_ID_LENGTH = 255;

/** Traits or properties at the top level of one event: the contract's bound. */
export const MAX_MEMBERS = 500;

/** The members that hold a map. */
export const MAP_MEMBERS = ["traits", "properties", "context", "integrations"] as const;

/** An array without items, which counts as an empty map: PHP writes `{}` so. */
export function isEmptyArray(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** The members that name a user, an anonymous sender or a group. */
export const ID_MEMBERS = ["userId", "anonymousId", "groupId", "previousId"] as const;

/** Ids that are `null` or `""` count as absent; so does a type. */
export function isAbsent(value: unknown): value is undefined | null | "" {
  return value === undefined || value === null || value === "";
}

/**
 * An id as text: a number becomes text, an integer with the digits that were sent; `undefined` if it is absent or not
 * an id.
 */
export function idText(value: unknown): string | undefined {
  if (typeof value === "string") return value === "" ? undefined : value;
  return numberText(value);
}

/** Whether a text can be an id: its length, well-formed, and not `.` or `..`, which no URL can name. */
function isId(text: string | undefined): boolean {
  return text !== undefined && isShortText(text, MAX_ID_LENGTH) && text !== "." && text !== "..";
}

/** Whether a text can be a message id. */
export function isMessageId(text: string | undefined): text is string {
  return text !== undefined && isShortText(text, MAX_MESSAGE_ID_LENGTH);
}

const ID_RULE =
  `must be a string of 1 to ${MAX_ID_LENGTH} characters, well-formed and not "." or "..", or a finite number`;
const MESSAGE_ID_RULE =
  `must be a string of 1 to ${MAX_MESSAGE_ID_LENGTH} characters, well-formed, or a finite number`;
const TIMESTAMP_RULE = "must be an ISO 8601 date or date-time string";
// The name of a track call becomes a key of the user's profile, so the rule for keys holds. It has no length of its
// own: the specification sets none, and the size of the event bounds it.
const EVENT_RULE = "must be a non-empty, well-formed string";
const TEXT_RULE = "must be a string";

/** The form that `parseTimestamp` reads, as a regular expression of ECMA-262. */
export const TIMESTAMP_PATTERN =
  "^\\d{4}-\\d\\d-\\d\\d([Tt]\\d\\d:\\d\\d(:\\d\\d([.,]\\d+)?)?([Zz]|[+-]\\d\\d(:?\\d\\d)?)?)?$";

// The rules of the refinements are in `meta` too, as JSON Schema, for the OpenAPI document. It cannot express that text
// is well-formed, or that a day is in the calendar; a test compares the two.

// One refinement, not a union of a string and a number: it takes half as long, and `z.number()` knows no long integers.
const id = z.unknown().refine((value) => isAbsent(value) || isId(idText(value)), ID_RULE).meta({
  anyOf: [
    { type: "string", maxLength: MAX_ID_LENGTH, not: { enum: [".", ".."] } },
    { type: "number" },
    { type: "null" },
  ],
}).optional();

const messageId = z.unknown().refine(
  (value) => value === undefined || value === null || isMessageId(idText(value)),
  MESSAGE_ID_RULE,
).meta({
  anyOf: [
    { type: "string", minLength: 1, maxLength: MAX_MESSAGE_ID_LENGTH },
    { type: "number" },
    { type: "null" },
  ],
}).optional();

const timestamp = z.string(TIMESTAMP_RULE)
  .refine((text) => text === "" || parseTimestamp(text) !== undefined, TIMESTAMP_RULE)
  .meta({
    pattern: `^$|${TIMESTAMP_PATTERN}`,
    maxLength: MAX_TIMESTAMP_LENGTH,
    examples: ["2025-03-15T14:30:00Z", "2025-03-15"],
  })
  .nullish();

const eventName = z.string(EVENT_RULE)
  .refine((name) => name !== "" && name.isWellFormed(), EVENT_RULE)
  .meta({ minLength: 1, description: "The name of the action." });

const text = z.string(TEXT_RULE).nullish();

/** The mark of an issue that is about the number of members, not their shape. */
export const TOO_MANY = "too_many";

// Not z.record or z.looseObject: they would copy each map, and drop a member named `__proto__` from the copy.
const openMap = z.unknown().refine((value) => isObject(value) || isEmptyArray(value), {
  error: "must be an object",
  abort: true,
});
const MAP_META = { type: ["object", "array"], additionalProperties: true, maxItems: 0 };
/** A map of any members; an empty array counts as an empty one. */
export const mapSchema = openMap.meta(MAP_META);
const boundedMap = openMap.refine(
  (value) => Object.keys(value as object).length <= MAX_MEMBERS,
  { error: `must have at most ${MAX_MEMBERS} members`, params: { rule: TOO_MANY } },
).meta({ ...MAP_META, maxProperties: MAX_MEMBERS });

const common = {
  userId: id.describe("The known user. Required if anonymousId is not provided."),
  anonymousId: id.describe("An id created by the client. Required if userId is not provided."),
  groupId: id.describe("The company, organization or team. Required for group."),
  previousId: id.describe("The id that userId replaces. Required for alias."),
  event: z.string(TEXT_RULE).refine((name) => name.isWellFormed(), "must be well-formed").nullish(),
  traits: boundedMap.nullish().describe(
    "Traits of the user or group: merged by key; null removes a key.",
  ),
  properties: boundedMap.nullish().describe("Properties of the action."),
  context: mapSchema.nullish().describe(
    "Additional context: ip, userAgent, locale, timezone, page, device, os, app, campaign.",
  ),
  integrations: mapSchema.nullish().describe('Forwarding, per destination: { "Amplitude": false }.'),
  timestamp: timestamp.describe(
    "When the event occurred: ISO 8601, UTC if it has no offset. Default: time of receipt.",
  ),
  messageId: messageId.describe(
    "The client's unique id, for deduplication. Created by the server if omitted.",
  ),
};

const named = {
  name: text.describe("The name of the page or screen."),
  category: text.describe("Its category."),
};

/** As JSON Schema: a member is there, and does not count as absent. */
const given = (member: string) => ({
  required: [member],
  properties: { [member]: { not: { enum: [null, ""] } } },
});

/** The rules of `accept` about several members, as JSON Schema. */
const NEEDS_SENDER = { anyOf: [given("userId"), given("anonymousId")] };
const NEEDS = {
  track: NEEDS_SENDER,
  identify: NEEDS_SENDER,
  page: NEEDS_SENDER,
  screen: NEEDS_SENDER,
  group: { allOf: [given("groupId")], ...NEEDS_SENDER },
  alias: { allOf: [given("userId"), given("previousId")] },
} as const satisfies Record<EventType, object>;

/**
 * The shape of an event of each type, without `type` itself, which a route may imply. The required ids are not a rule
 * about one member, and are checked by `accept`. Unknown members are accepted.
 *
 * For validation only: zod's output lacks a member named `__proto__`, which is data here. Store the input.
 */
export const eventShapes = {
  track: z.looseObject({ ...common, event: eventName }).meta({ id: "Track", ...NEEDS.track }),
  identify: z.looseObject(common).meta({ id: "Identify", ...NEEDS.identify }),
  page: z.looseObject({ ...common, ...named }).meta({ id: "Page", ...NEEDS.page }),
  screen: z.looseObject({ ...common, ...named }).meta({ id: "Screen", ...NEEDS.screen }),
  group: z.looseObject(common).meta({ id: "Group", ...NEEDS.group }),
  alias: z.looseObject(common).meta({ id: "Alias", ...NEEDS.alias }),
} as const satisfies Record<EventType, z.ZodType>;

const { track, identify, page, screen, group, alias } = eventShapes;

/** An event as senders give it, of any type, for the OpenAPI document. */
export const eventSchema = z.discriminatedUnion("type", [
  z.looseObject({ type: z.literal("track"), ...track.shape }).meta({ id: "TrackEvent", ...NEEDS.track }),
  z.looseObject({ type: z.literal("identify"), ...identify.shape })
    .meta({ id: "IdentifyEvent", ...NEEDS.identify }),
  z.looseObject({ type: z.literal("page"), ...page.shape }).meta({ id: "PageEvent", ...NEEDS.page }),
  z.looseObject({ type: z.literal("screen"), ...screen.shape }).meta({ id: "ScreenEvent", ...NEEDS.screen }),
  z.looseObject({ type: z.literal("group"), ...group.shape }).meta({ id: "GroupEvent", ...NEEDS.group }),
  z.looseObject({ type: z.literal("alias"), ...alias.shape }).meta({ id: "AliasEvent", ...NEEDS.alias }),
]).meta({ id: "Event" });
