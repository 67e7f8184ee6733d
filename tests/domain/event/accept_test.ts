import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { z } from "zod";
import { accept, type AcceptOptions, MAX_STORED_EVENT_BYTES } from "../../../domain/event/accept.ts";
import { readStored } from "../../../domain/event/read_stored.ts";
import {
  EVENT_TYPES,
  eventSchema,
  type EventType,
  MAX_EVENT_BYTES,
  MAX_ID_LENGTH,
  MAX_MEMBERS,
  MAX_MESSAGE_ID_LENGTH,
  type StoredEvent,
} from "../../../domain/event/event.ts";
import { parseExact } from "../../../domain/event/exact_json.ts";
import { jsonBytes, MAX_DEPTH } from "../../../domain/event/json.ts";
import { MAX_ERRORS, type Rejection } from "../../../domain/event/rejection.ts";
import { longDigits, longJson } from "./long_json.ts";
import { EXAMPLE_BATCH, EXAMPLE_CONTEXT, EXAMPLE_EVENTS, EXAMPLE_TRACK_NAMES } from "../../spec_examples.ts";

const RECEIVED = "2025-03-15T15:00:00.000Z";
const options: AcceptOptions = { receivedAt: Date.parse(RECEIVED), newId: () => "made-here" };

type Json = Record<string, unknown>;

function accepted(item: unknown, more: Partial<AcceptOptions> = {}): StoredEvent {
  const { event, rejection } = accept(item, { ...options, ...more });
  strictEqual(rejection, undefined, rejection?.message ?? "");
  return event!;
}

function rejected(item: unknown, more: Partial<AcceptOptions> = {}): Rejection {
  const { rejection } = accept(item, { ...options, ...more });
  ok(rejection !== undefined, "the event was accepted");
  deepStrictEqual(rejection.errors[0], { path: rejection.path, message: rejection.message });
  return rejection;
}

const track = (more: Json = {}): Json => ({ type: "track", userId: "u1", event: "Signed Up", ...more });
const identify = (more: Json = {}): Json => ({ type: "identify", userId: "u1", ...more });
/** As many objects and arrays, one in the other. */
const nested = (levels: number): unknown =>
  levels === 1 ? {} : levels % 2 ? { a: nested(levels - 1) } : [nested(levels - 1)];
const members = (count: number): Json =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`m${i}`, i]));

/** An event of each type with no more than it needs. */
const LEAST: Record<EventType, Json> = {
  track: track(),
  identify: identify(),
  page: { type: "page", anonymousId: "a1" },
  screen: { type: "screen", userId: "u1" },
  group: { type: "group", userId: "u1", groupId: "g1" },
  alias: { type: "alias", userId: "u1", previousId: "a1" },
};

// What is accepted.

for (const { name, event } of EXAMPLE_EVENTS) {
  Deno.test(`the example of "${name}" is accepted, and kept as it is`, () => {
    const stored = accepted(event);
    const { timestamp = RECEIVED, ...rest } = event;
    deepStrictEqual(stored, {
      ...rest,
      timestamp: new Date(timestamp as string).toISOString(),
      ...(event.timestamp === undefined ? {} : { originalTimestamp: event.timestamp }),
      receivedAt: RECEIVED,
      messageId: "made-here",
    });
  });
}

for (const [index, event] of EXAMPLE_BATCH.batch.entries()) {
  Deno.test(`event ${index} of the example of a batch is accepted`, () => {
    strictEqual(accepted(event).userId, event.userId);
  });
}

for (const [event, names] of Object.entries(EXAMPLE_TRACK_NAMES)) {
  Deno.test(`the common track event "${event}" is accepted with its properties`, () => {
    const properties = Object.fromEntries(names.map((name) => [name, name === "products" ? [{}] : name]));
    deepStrictEqual(accepted(track({ event, properties })).properties, properties);
  });
}

Deno.test("every field of the table of the context object is kept", () => {
  deepStrictEqual(accepted(track({ context: EXAMPLE_CONTEXT })).context, EXAMPLE_CONTEXT);
});

for (const type of EVENT_TYPES) {
  Deno.test(`${type} is accepted with no more than it needs`, () => {
    deepStrictEqual(accepted(LEAST[type]), {
      ...LEAST[type],
      messageId: "made-here",
      timestamp: RECEIVED,
      receivedAt: RECEIVED,
    });
  });
}

const KEPT: Record<string, Json> = {
  "members that are not known": { custom: { a: [1, null, "x"] }, version: "2", channel: null },
  "an id of the greatest length": { userId: "x".repeat(MAX_ID_LENGTH) },
  "an id of as many characters that are two UTF-16 units each": { userId: "😀".repeat(MAX_ID_LENGTH) },
  "an id of anything that is well-formed": { userId: "ü/?#%00\u0000 .", anonymousId: "..." },
  "a message id of the greatest length": { messageId: "m".repeat(MAX_MESSAGE_ID_LENGTH) },
  "a message id of one character": { messageId: "0" },
  "both ids": { userId: "u1", anonymousId: "a1" },
  "an event name of ten thousand characters": { event: "e".repeat(10_000) },
  "an event name of one space": { event: " " },
  "as many properties as are allowed": { properties: members(MAX_MEMBERS) },
  "as many traits as are allowed": { traits: members(MAX_MEMBERS) },
  "more members than that where they are not traits or properties": {
    context: members(MAX_MEMBERS + 1),
    properties: { inside: members(MAX_MEMBERS + 1) },
  },
  "as many levels as are allowed": { properties: { deep: nested(MAX_DEPTH - 2) } },
  "empty maps": { traits: {}, properties: {}, context: {}, integrations: {} },
  "null inside of maps": { traits: { email: null }, properties: { a: null }, context: { ip: null } },
  "empty keys": { properties: { "": { "": 1 } } },
  "any value in integrations": {
    integrations: { All: true, Amplitude: false, A: { b: 1 }, C: null, D: "x" },
  },
  "the largest and smallest numbers": { properties: { a: 1.7976931348623157e308, b: 5e-324, c: -1e308 } },
  "context.traits, where the event is no identify": { context: { traits: { plan: "free" } } },
};

for (const [what, more] of Object.entries(KEPT)) {
  Deno.test(`an event keeps ${what}`, () => {
    const stored = accepted(track(more));
    for (const [member, value] of Object.entries(more)) deepStrictEqual(stored[member], value);
  });
}

const ABSENT: [type: EventType, member: string, values: unknown[]][] = [
  ["track", "anonymousId", [null, ""]],
  ["track", "groupId", [null, ""]],
  ["track", "previousId", [null, ""]],
  ["track", "traits", [null]],
  ["track", "properties", [null]],
  ["track", "context", [null]],
  ["track", "integrations", [null]],
  ["identify", "event", [null, ""]],
  ["page", "name", [null]],
  ["screen", "category", [null]],
  ["identify", "writeKey", ["c0123456789", null, 1, { a: 1 }]],
  ["track", "sentAt", [null, "", "yesterday", 1742049000000, {}, "2025-02-30"]],
  ["track", "originalTimestamp", [null, "", "yesterday", 1742049000000, {}, "2025-02-30"]],
  ["track", "timestamp", [null, ""]],
];

for (const [type, member, values] of ABSENT) {
  for (const value of values) {
    Deno.test(`${type} with ${member} ${JSON.stringify(value)} is stored without it`, () => {
      deepStrictEqual(accepted({ ...LEAST[type], [member]: value }), accepted(LEAST[type]));
    });
  }
}

for (const member of ["traits", "properties", "context", "integrations"]) {
  Deno.test(`an empty array in ${member} is stored as an empty object`, () => {
    for (const type of EVENT_TYPES) {
      const event = LEAST[type];
      deepStrictEqual(accepted({ ...event, [member]: [] }), accepted({ ...event, [member]: {} }));
    }
  });
}

Deno.test("an empty array as context or integrations, of a batch or of an event, counts as absent", () => {
  deepStrictEqual(accepted(track(), { defaults: { context: [], integrations: [] } }), accepted(track()));
  const defaults = { context: { locale: "en" }, integrations: { All: false } };
  deepStrictEqual(
    accepted(track({ context: [], integrations: [] }), { defaults }),
    accepted(track(), { defaults }),
  );
});

for (const id of [null, ""]) {
  Deno.test(`userId ${JSON.stringify(id)} is absent if there is an anonymousId`, () => {
    deepStrictEqual(
      accepted(track({ userId: id, anonymousId: "a1" })),
      accepted({
        type: "track",
        event: "Signed Up",
        anonymousId: "a1",
      }),
    );
  });
}

const NUMBERS: [number, string][] = [[42, "42"], [0, "0"], [-0, "0"], [-1, "-1"], [1.5, "1.5"], [
  1e21,
  "1e+21",
]];

for (const [number, text] of NUMBERS) {
  Deno.test(`an id that is the number ${Object.is(number, -0) ? "-0" : number} becomes the string "${text}"`, () => {
    const ids = {
      userId: number,
      anonymousId: number,
      groupId: number,
      previousId: number,
      messageId: number,
    };
    const stored = accepted(track(ids));
    for (const member of Object.keys(ids)) strictEqual(stored[member], text);
  });
}

const LONG_IDS = [
  "1234567890123456789",
  "1234567890123456790",
  "-1234567890123456789",
  "18446744073709551617",
  "9007199254740993",
  "1" + "0".repeat(254),
];

for (const digits of LONG_IDS) {
  Deno.test(`an id that is the integer ${digits.slice(0, 30)} has its digits`, () => {
    const members = ["userId", "anonymousId", "groupId", "previousId", "messageId"];
    const text = `{"type":"track","event":"E",${members.map((member) => `"${member}":${digits}`).join()}}`;
    const stored = accepted(parseExact(text));
    for (const member of members) strictEqual(stored[member], digits);
  });
}

Deno.test("an id that is an integer may have as many digits as an id may have characters", () => {
  const item = (member: string, length: number) =>
    parseExact(`{"type":"track","event":"E","userId":"u","${member}":${"7".repeat(length)}}`);
  for (const member of ["userId", "anonymousId", "groupId", "previousId"]) {
    accepted(item(member, MAX_ID_LENGTH));
    strictEqual(rejected(item(member, MAX_ID_LENGTH + 1)).path, member);
  }
  accepted(item("messageId", MAX_MESSAGE_ID_LENGTH));
  strictEqual(rejected(item("messageId", MAX_MESSAGE_ID_LENGTH + 1)).code, "invalid_message_id");
});

Deno.test("integers of any length keep their digits in traits, properties, context and integrations", () => {
  fc.assert(fc.property(longJson, longDigits, ({ text }, digits) => {
    const maps = ["traits", "properties", "context", "integrations"].map((member) => `"${member}":${text}`);
    const sent = `{"type":"identify","userId":"u","custom":${digits},${maps.join()}}`;
    const { type, userId, custom, traits, properties, context, integrations } = accepted(parseExact(sent));
    strictEqual(
      JSON.stringify({ type, userId, custom, traits, properties, context, integrations }),
      sent,
    );
  }));
});

Deno.test("a long integer is no object", () => {
  for (const member of ["traits", "properties", "context", "integrations"]) {
    const item = parseExact(`{"type":"track","userId":"u","event":"E","${member}":1234567890123456789}`);
    strictEqual(rejected(item).message, `${member} must be an object; got 1234567890123456789.`);
  }
  strictEqual(rejected(parseExact("1234567890123456789")).code, "not_an_object");
});

Deno.test("a message id is created only for an event without one", () => {
  strictEqual(accepted(track()).messageId, "made-here");
  strictEqual(accepted(track({ messageId: null })).messageId, "made-here");
  strictEqual(accepted(track({ messageId: "mine" }), { newId: () => ok(false) as never }).messageId, "mine");
});

Deno.test("the event that was given is not changed", () => {
  const item = track({
    userId: 7,
    traits: null,
    writeKey: "c",
    timestamp: "2025-03-15",
    sentAt: "x",
    context: {},
  });
  const before = structuredClone(item);
  accepted(item, { defaults: { context: { ip: "203.0.113.42" }, integrations: { All: true } } });
  deepStrictEqual(item, before);
});

// Where identify finds its traits.

const TRAITS: [what: string, more: Json, traits: unknown][] = [
  ["its own", { traits: { a: 1 }, context: { traits: { b: 2 } } }, { a: 1 }],
  ["its own, although empty", { traits: {}, context: { traits: { b: 2 } } }, {}],
  ["those of its context where it has none", { context: { traits: { b: 2 } } }, { b: 2 }],
  ["those of its context where its own are null", { traits: null, context: { traits: { b: 2 } } }, { b: 2 }],
  ["none where those of its context are no object", { context: { traits: ["b"] } }, undefined],
  ["none where there are none", { context: {} }, undefined],
];

for (const [what, more, traits] of TRAITS) {
  Deno.test(`the traits of an identify are ${what}`, () => {
    const stored = accepted(identify(more));
    deepStrictEqual(stored.traits, traits);
    deepStrictEqual(stored.context, more.context);
  });
}

// Types.

Deno.test("the type of the route outranks the body's", () => {
  const body = { userId: "u1", groupId: "g1", previousId: "a1", event: "Signed Up" };
  for (const type of EVENT_TYPES) {
    for (
      const said of [{}, { type: "track" }, { type: "identify" }, { type: "unknown" }, { type: 5 }, {
        type: null,
      }]
    ) {
      strictEqual(accepted({ ...body, ...said }, { type }).type, type);
    }
  }
});

Deno.test("a type that is not allowed is forbidden, whether the route or the body names it", () => {
  const allowedTypes: EventType[] = ["page", "track"];
  strictEqual(accepted(track(), { allowedTypes }).type, "track");
  for (const more of [{ type: undefined }, { type: "identify" as const }]) {
    const { reason, code, path } = rejected(identify({ messageId: "m1" }), { ...more, allowedTypes });
    deepStrictEqual({ reason, code, path }, { reason: "forbidden", code: "forbidden_type", path: "type" });
  }
  strictEqual(rejected(track(), { allowedTypes: [] }).code, "forbidden_type");
});

// Times.

const TIMES: [what: string, given: Json, stored: Json][] = [
  ["the receipt where nothing is said", {}, { timestamp: RECEIVED }],
  ["what its timestamp says, in UTC with milliseconds", { timestamp: "2025-03-15T16:30:00+02:00" }, {
    timestamp: "2025-03-15T14:30:00.000Z",
    originalTimestamp: "2025-03-15T16:30:00+02:00",
  }],
  ["midnight of a date", { timestamp: "2025-03-15" }, {
    timestamp: "2025-03-15T00:00:00.000Z",
    originalTimestamp: "2025-03-15",
  }],
  ["what originalTimestamp says where there is no timestamp", {
    timestamp: null,
    originalTimestamp: "2025-03-15T14:30Z",
  }, { timestamp: "2025-03-15T14:30:00.000Z", originalTimestamp: "2025-03-15T14:30Z" }],
  ["what timestamp says where there are both", {
    timestamp: "2025-03-15T14:30Z",
    originalTimestamp: "2025-03-15T13:00Z",
  }, { timestamp: "2025-03-15T14:30:00.000Z", originalTimestamp: "2025-03-15T14:30Z" }],
  ["corrected by sentAt", { timestamp: "2025-03-15T14:30:00Z", sentAt: "2025-03-15T14:59:00Z" }, {
    timestamp: "2025-03-15T14:31:00.000Z",
    originalTimestamp: "2025-03-15T14:30:00Z",
    sentAt: "2025-03-15T14:59:00.000Z",
  }],
  ["originalTimestamp corrected by sentAt", {
    originalTimestamp: "2025-03-15T14:30:00Z",
    sentAt: "2025-03-15T14:59:00Z",
  }, {
    timestamp: "2025-03-15T14:31:00.000Z",
    originalTimestamp: "2025-03-15T14:30:00Z",
    sentAt: "2025-03-15T14:59:00.000Z",
  }],
  ["the receipt, whatever sentAt says, where the sender said no time", { sentAt: "2025-03-15T14:59:00Z" }, {
    timestamp: RECEIVED,
    sentAt: "2025-03-15T14:59:00.000Z",
  }],
  ["not corrected by a sentAt that cannot be read", { timestamp: "2025-03-15T14:30:00Z", sentAt: "soon" }, {
    timestamp: "2025-03-15T14:30:00.000Z",
    originalTimestamp: "2025-03-15T14:30:00Z",
  }],
  ["what originalTimestamp says where timestamp is empty", {
    timestamp: "",
    originalTimestamp: "2025-03-15T14:30Z",
  }, { timestamp: "2025-03-15T14:30:00.000Z", originalTimestamp: "2025-03-15T14:30Z" }],
  ["not corrected by a sentAt in the year 9999", {
    timestamp: "2025-03-15T14:30:00Z",
    sentAt: "9999-12-31T23:59:59Z",
  }, { timestamp: "2025-03-15T14:30:00.000Z", originalTimestamp: "2025-03-15T14:30:00Z" }],
  ["not corrected by a sentAt a year and a millisecond before the receipt", {
    timestamp: "2024-03-01T00:00:00Z",
    sentAt: "2024-03-15T14:59:59.999Z",
  }, { timestamp: "2024-03-01T00:00:00.000Z", originalTimestamp: "2024-03-01T00:00:00Z" }],
  ["corrected by a sentAt a year before the receipt", {
    timestamp: "2024-03-15T14:00:00Z",
    sentAt: "2024-03-15T15:00:00Z",
  }, {
    timestamp: "2025-03-15T14:00:00.000Z",
    originalTimestamp: "2024-03-15T14:00:00Z",
    sentAt: "2024-03-15T15:00:00.000Z",
  }],
  ["the receipt where it would be in the future", { timestamp: "2031-01-01" }, {
    timestamp: RECEIVED,
    originalTimestamp: "2031-01-01",
  }],
  [
    "stamped by the server, whatever receivedAt the sender claims",
    { receivedAt: "1999-01-01T00:00:00.000Z" },
    {
      timestamp: RECEIVED,
    },
  ],
];

for (const [what, given, stored] of TIMES) {
  Deno.test(`the time of an event is ${what}`, () => {
    const { userId: _, event: __, type: ___, messageId: ____, ...times } = accepted(track(given));
    deepStrictEqual(times, { ...stored, receivedAt: RECEIVED });
  });
}

const SENT: [what: string, own: unknown, batch: unknown, sentAt: string | undefined][] = [
  ["its own", "2025-03-15T14:59:00Z", "2025-03-15T14:58:00Z", "2025-03-15T14:59:00.000Z"],
  ["its batch's where it has none", undefined, "2025-03-15T14:58:00Z", "2025-03-15T14:58:00.000Z"],
  ["its batch's where its own cannot be read", "soon", "2025-03-15T14:58:00Z", "2025-03-15T14:58:00.000Z"],
  ["its batch's where its own is empty", "", "2025-03-15T14:58:00Z", "2025-03-15T14:58:00.000Z"],
  [
    "its batch's where its own is years off",
    "2031-01-01",
    "2025-03-15T14:58:00Z",
    "2025-03-15T14:58:00.000Z",
  ],
  ["none where neither can be read", "soon", 5, undefined],
  ["none where its batch's is years off", undefined, "1970-01-01", undefined],
];

for (const [what, own, batch, sentAt] of SENT) {
  Deno.test(`the sentAt of an event in a batch is ${what}`, () => {
    const item = track({ timestamp: "2025-03-15T14:00:00Z", ...(own === undefined ? {} : { sentAt: own }) });
    strictEqual(accepted(item, { defaults: { sentAt: batch } }).sentAt, sentAt);
  });
}

// The defaults of a batch.

const FILLED: [what: string, own: Json, batch: Json, stored: Json][] = [
  ["are the event's if it has none", {}, { context: { ip: "1.2.3.4" }, integrations: { All: false } }, {
    context: { ip: "1.2.3.4" },
    integrations: { All: false },
  }],
  ["are the event's if its own is null", { context: null }, { context: { ip: "1.2.3.4" } }, {
    context: { ip: "1.2.3.4" },
  }],
  ["fill in the keys that the event does not have", { context: { ip: "5.6.7.8" } }, {
    context: { ip: "1.2.3.4", locale: "en-US" },
  }, { context: { ip: "5.6.7.8", locale: "en-US" } }],
  ["leave a key that the event has, whole, even null", { context: { page: { path: "/" }, ip: null } }, {
    context: { page: { path: "/a", title: "A" }, ip: "1.2.3.4" },
  }, { context: { page: { path: "/" }, ip: null } }],
  ["are ignored if null or not objects", { context: { a: 1 } }, {
    context: [1],
    integrations: null,
  }, {
    context: { a: 1 },
  }],
];

for (const [what, own, batch, stored] of FILLED) {
  Deno.test(`a batch's context and integrations ${what}`, () => {
    const { context, integrations } = accepted(track(own), { defaults: batch });
    deepStrictEqual(JSON.parse(JSON.stringify({ context, integrations })), stored);
  });
}

Deno.test("identify without traits takes them from the context of its batch", () => {
  const defaults = { context: { traits: { plan: "free" } } };
  deepStrictEqual(accepted(identify(), { defaults }).traits, { plan: "free" });
});

Deno.test("a problem in a batch's context is a problem of each event that it is filled into", () => {
  const cases: [Json, Json, string | undefined, string][] = [
    [{}, { context: { a: { b: Infinity } } }, "invalid_number", "context.a.b"],
    [{ context: { a: 1 } }, { context: { a: { b: Infinity } } }, undefined, ""],
    [{}, { integrations: { "\ud800": 1 } }, "ill_formed_key", "integrations.\ufffd"],
    [{}, { context: { a: nested(MAX_DEPTH - 2) } }, undefined, ""],
    [{}, { context: { a: nested(MAX_DEPTH - 1) } }, "too_deep", ""],
  ];
  for (const [own, defaults, code, path] of cases) {
    const { rejection } = accept(track(own), { ...options, defaults });
    strictEqual(rejection?.code, code);
    if (path !== "") strictEqual(rejection?.path, path);
  }
});

// What is refused.

const long = "x".repeat(MAX_ID_LENGTH + 1);
const TYPES = "track, identify, page, screen, group, alias";

const REFUSED: [what: string, item: unknown, code: string, path: string][] = [
  ["no type", { userId: "u1" }, "missing_type", "type"],
  ["a type that is null", track({ type: null }), "missing_type", "type"],
  ["a type that is not known", track({ type: "order" }), "invalid_type", "type"],
  ["a type in capitals", track({ type: "Track" }), "invalid_type", "type"],
  ["a type that is a member of every object", track({ type: "constructor" }), "invalid_type", "type"],
  ["a type that is no string", track({ type: ["track"] }), "invalid_type", "type"],
  ["no id", { type: "page" }, "missing_id", "userId"],
  ["ids that are null and empty", { type: "page", userId: null, anonymousId: "" }, "missing_id", "userId"],
  ["only the id of a group", { type: "group", groupId: "g1" }, "missing_id", "userId"],
  ["no groupId in a group call", { type: "group", userId: "u1" }, "missing_group_id", "groupId"],
  [
    "an empty groupId in a group call",
    { type: "group", userId: "u1", groupId: "" },
    "missing_group_id",
    "groupId",
  ],
  [
    "no userId in an alias",
    { type: "alias", previousId: "a1", anonymousId: "a1" },
    "missing_user_id",
    "userId",
  ],
  [
    "no previousId in an alias",
    { type: "alias", userId: "u1", previousId: null },
    "missing_previous_id",
    "previousId",
  ],
  ["no event in a track call", { type: "track", userId: "u1" }, "missing_event", "event"],
  ["an event that is null", track({ event: null }), "missing_event", "event"],
  ["an empty event", track({ event: "" }), "missing_event", "event"],
  ["an event that is a number", track({ event: 5 }), "invalid_event", "event"],
  ["an event that is not well-formed", track({ event: "a\ud800" }), "invalid_event", "event"],
  ["an event that is an object, in an identify", identify({ event: {} }), "invalid_event", "event"],
  ["a userId that is too long", track({ userId: long }), "invalid_user_id", "userId"],
  [
    "a userId of too many emoji",
    track({ userId: "😀".repeat(MAX_ID_LENGTH + 1) }),
    "invalid_user_id",
    "userId",
  ],
  ["a userId that is a dot", track({ userId: "." }), "invalid_user_id", "userId"],
  ["an anonymousId of two dots", track({ anonymousId: ".." }), "invalid_anonymous_id", "anonymousId"],
  ["a userId that is not well-formed", track({ userId: "u\udc00" }), "invalid_user_id", "userId"],
  ["a userId that is a boolean", track({ userId: true }), "invalid_user_id", "userId"],
  ["a userId that is an object", track({ userId: {} }), "invalid_user_id", "userId"],
  ["an anonymousId that is an array", track({ anonymousId: ["a"] }), "invalid_anonymous_id", "anonymousId"],
  ["a groupId that is a boolean, in a track call", track({ groupId: false }), "invalid_group_id", "groupId"],
  [
    "a previousId that is too long",
    { ...LEAST.alias, previousId: long },
    "invalid_previous_id",
    "previousId",
  ],
  ["an id that is not finite", JSON.parse(`{"type":"page","userId":1e999}`), "invalid_number", "userId"],
  ["an empty messageId", track({ messageId: "" }), "invalid_message_id", "messageId"],
  ["a messageId that is a boolean", track({ messageId: true }), "invalid_message_id", "messageId"],
  ["a messageId that is too long", track({ messageId: "m".repeat(256) }), "invalid_message_id", "messageId"],
  ["a messageId that is not well-formed", track({ messageId: "\ud800" }), "invalid_message_id", "messageId"],
  ["a timestamp that is no ISO 8601", track({ timestamp: "yesterday" }), "invalid_timestamp", "timestamp"],
  ["a timestamp of blanks", track({ timestamp: " " }), "invalid_timestamp", "timestamp"],
  ["a timestamp that is a number", track({ timestamp: 1742049000000 }), "invalid_timestamp", "timestamp"],
  [
    "a timestamp on February 30",
    track({ timestamp: "2025-02-30T00:00:00Z" }),
    "invalid_timestamp",
    "timestamp",
  ],
  ["traits that are an array", identify({ traits: [{}] }), "invalid_traits", "traits"],
  ["traits that are a string", identify({ traits: "x" }), "invalid_traits", "traits"],
  ["traits that are an array, in a track call", track({ traits: [null] }), "invalid_traits", "traits"],
  ["properties that are an array", track({ properties: [1] }), "invalid_properties", "properties"],
  ["a context that is a string", track({ context: "" }), "invalid_context", "context"],
  ["integrations that are a boolean", track({ integrations: true }), "invalid_integrations", "integrations"],
  ["a name that is a number", { ...LEAST.page, name: 5 }, "invalid_name", "name"],
  ["a category that is an object", { ...LEAST.screen, category: {} }, "invalid_category", "category"],
  ["too many traits", identify({ traits: members(501) }), "too_many_traits", "traits"],
  ["too many properties", track({ properties: members(501) }), "too_many_properties", "properties"],
  [
    "too many traits in its context",
    identify({ context: { traits: members(501) } }),
    "too_many_traits",
    "context.traits",
  ],
  [
    "a number in it that is not finite",
    JSON.parse(
      `{"type":"track","userId":"u","event":"e","properties":{"a":[0,{"b":-1e999}]}}`,
    ),
    "invalid_number",
    "properties.a.1.b",
  ],
  ["a key that is not well-formed", track({ "a\ud800": 1 }), "ill_formed_key", "a\ufffd"],
  [
    "such a key far inside",
    track({ context: { a: [{ "\udc00": 1 }] } }),
    "ill_formed_key",
    "context.a.0.\ufffd",
  ],
];

for (const [what, item, code, path] of REFUSED) {
  Deno.test(`an event is refused for ${what}: ${code} at "${path}"`, () => {
    const rejection = rejected(item);
    deepStrictEqual({ reason: rejection.reason, code: rejection.code, path: rejection.path }, {
      reason: "invalid",
      code,
      path,
    });
  });
}

for (const item of [null, 5, "track", true, [], [track()], undefined]) {
  Deno.test(`${JSON.stringify(item)} is no event`, () => {
    const { reason, code, path } = rejected(item);
    deepStrictEqual({ reason, code, path }, { reason: "invalid", code: "not_an_object", path: "" });
  });
}

Deno.test("an event that is nested one level too deep is refused, and one a million levels deep as well", () => {
  const { code, path } = rejected(track({ properties: { deep: nested(MAX_DEPTH - 1) } }));
  strictEqual(code, "too_deep");
  ok(path.startsWith("properties.deep."));
  strictEqual(
    rejected(JSON.parse(`{"type":"page","x":${"[".repeat(1e6)}${"]".repeat(1e6)}}`)).code,
    "too_deep",
  );
});

const MESSAGES: [item: unknown, message: string][] = [
  [track({ type: "order" }), `type must be one of ${TYPES}; got "order".`],
  [
    { type: "page" },
    "Event must have a userId or an anonymousId; it has neither.",
  ],
  [
    track({ timestamp: "soon" }),
    'timestamp must be an ISO 8601 date or date-time string; got "soon".',
  ],
  [track({ properties: [1] }), "properties must be an object; got an array of 1."],
  [track({ properties: members(501) }), "properties must have at most 500 members; got 501."],
  [
    track({ userId: "x".repeat(300) }),
    'userId must be a string of 1 to 256 characters, well-formed and not "." or "..", or a finite number; got ' +
    `"${"x".repeat(60)}"… (300 characters).`,
  ],
  [[1, 2], "Event must be a JSON object; got an array of 2."],
  [track({ properties: { a: Infinity } }), "properties.a must be a finite number; got Infinity."],
];

for (const [item, message] of MESSAGES) {
  Deno.test(`a message has the path, the rule and the value found: ${message.slice(0, 60)}`, () => {
    strictEqual(rejected(item).message, message);
  });
}

Deno.test("a rejection lists all that is wrong with the members", () => {
  const { errors } = rejected({ type: "group", userId: true, traits: [1], timestamp: "soon", messageId: {} });
  deepStrictEqual(errors.map(({ path }) => path), ["userId", "traits", "timestamp", "messageId", "groupId"]);
  ok(errors.length <= MAX_ERRORS);
});

Deno.test("a rejection has the event's message id if it is valid", () => {
  strictEqual(rejected({ type: "page", messageId: "m1" }).messageId, "m1");
  strictEqual(rejected({ type: "page", messageId: 5 }).messageId, "5");
  strictEqual(
    rejected(parseExact('{"type":"page","messageId":1234567890123456789}')).messageId,
    "1234567890123456789",
  );
  for (const messageId of [null, "", true, "m".repeat(256), "\ud800"]) {
    ok(!("messageId" in rejected({ type: "page", messageId })));
  }
});

Deno.test("a path and a message stay short, whatever the keys and values of the event", () => {
  const key = "k".repeat(10_000);
  const { path, message } = rejected(track({ [key]: { [key]: NaN } }));
  ok(path.length <= 256 && message.length <= 512);
});

// Size.

/** A track call of exactly so many bytes of JSON, filled up with a text of characters of so many bytes. */
function ofBytes(bytes: number, fill = "x"): Json {
  const rest = bytes - jsonBytes(track({ properties: { fill: "" } }));
  const each = jsonBytes(fill) - 2;
  return track({ properties: { fill: fill.repeat(Math.floor(rest / each)) + "x".repeat(rest % each) } });
}

for (const fill of ["x", "ü", "漢", "😀", "\n", "\u0001", "\ud800"]) {
  Deno.test(`an event filled with ${JSON.stringify(fill)} may be 32 KiB of JSON, and not one byte more`, () => {
    strictEqual(jsonBytes(ofBytes(MAX_EVENT_BYTES, fill)), 32 * 1024);
    accepted(ofBytes(MAX_EVENT_BYTES, fill));
    const { reason, code, path, message } = rejected(ofBytes(MAX_EVENT_BYTES + 1, fill));
    deepStrictEqual({ reason, code, path }, { reason: "too_large", code: "event_too_large", path: "" });
    strictEqual(message, "Event must be at most 32768 bytes of JSON; got 32769.");
  });
}

Deno.test("a batch's defaults count towards the size of an event, and the event's own members do not count twice", () => {
  const text = (bytes: number) => "x".repeat(bytes);
  const defaults = { context: { a: text(20_000) } };
  accepted(track(), { defaults });
  strictEqual(rejected(track({ properties: { b: text(20_000) } }), { defaults }).code, "event_too_large");
  accepted(track({ properties: { b: text(20_000) }, context: { a: "" } }), { defaults });
});

Deno.test("an event is too large exactly if its JSON with the batch's defaults is", () => {
  const map = fc.dictionary(
    fc.string({ maxLength: 2 }),
    fc.constantFrom<unknown>(1, -1.7976931348623157e308, null, "\u0001"),
  );
  const maybe = fc.option(map, { nil: undefined });
  fc.assert(
    fc.property(
      maybe,
      maybe,
      map,
      map,
      fc.integer({ min: -2, max: 2 }),
      (a, b, context, integrations, more) => {
        const item = track(JSON.parse(JSON.stringify({ context: a, integrations: b })));
        const filled = { ...item, context: { ...context, ...a }, integrations: { ...integrations, ...b } };
        const maxBytes = jsonBytes(filled) + more;
        const { rejection } = accept(item, { ...options, defaults: { context, integrations }, maxBytes });
        strictEqual(rejection?.code, more < 0 ? "event_too_large" : undefined);
      },
    ),
  );
});

Deno.test("a huge event, and a huge context of a batch, are rejected without a full check", () => {
  const huge = members(60_000);
  let looked = 0;
  const watched = new Proxy(huge, { get: (target, key) => (looked++, target[key as string]) });
  strictEqual(rejected(track({ properties: watched })).code, "event_too_large");
  strictEqual(rejected(track({ context: {} }), { defaults: { context: watched } }).code, "event_too_large");
  strictEqual(rejected(track({ context: watched })).code, "event_too_large");
  ok(looked < 3 * 4 * MAX_EVENT_BYTES, `looked at ${looked} members`);
});

Deno.test("the bound on the size is the caller's to change", () => {
  strictEqual(
    rejected(track({ properties: { a: "x".repeat(100) } }), { maxBytes: 100 }).code,
    "event_too_large",
  );
  accepted(ofBytes(100_000), { maxBytes: 100_000 });
});

// Names that mean something to JavaScript.

Deno.test("members named __proto__, constructor and prototype are data everywhere", () => {
  const odd = `{"__proto__":{"admin":true},"constructor":{"prototype":1},"prototype":null,"toString":"x"}`;
  const json =
    `{"type":"identify","userId":"u1","traits":${odd},"context":${odd},"integrations":${odd},"__proto__":${odd}}`;
  const defaults = {
    context: JSON.parse(`{"__proto__":{"batch":1},"locale":"en"}`),
    integrations: JSON.parse(odd),
  };
  const stored = accepted(JSON.parse(json), { defaults });
  strictEqual(JSON.stringify(stored.traits), odd);
  strictEqual(JSON.stringify(stored.integrations), odd);
  deepStrictEqual(Object.keys(stored.context!).sort(), [
    "__proto__",
    "constructor",
    "locale",
    "prototype",
    "toString",
  ]);
  deepStrictEqual(Object.getOwnPropertyDescriptor(stored.context, "__proto__")?.value, { admin: true });
  strictEqual(JSON.stringify(Object.getOwnPropertyDescriptor(stored, "__proto__")?.value), odd);
  strictEqual(Object.getPrototypeOf(stored), Object.prototype);
  strictEqual(({} as Json).admin, undefined);
});

Deno.test("ids and traits are not found on a member named __proto__", () => {
  strictEqual(rejected(JSON.parse(`{"type":"page","__proto__":{"userId":"u1"}}`)).code, "missing_id");
  const context = JSON.parse(`{"__proto__":{"traits":{"a":1}}}`);
  strictEqual(accepted(identify({ context })).traits, undefined);
});

Deno.test("__proto__ counts as a trait like any other", () => {
  const traits = JSON.parse(JSON.stringify(members(MAX_MEMBERS)).replace("{", '{"__proto__":1,'));
  strictEqual(rejected(identify({ traits })).code, "too_many_traits");
});

Deno.test("a value that is not well-formed Unicode survives storage as UTF-8", () => {
  const stored = accepted(track({ properties: { a: "x\ud800y", b: ["\udc00"] }, name: "\ud83d" }));
  const bytes = new TextEncoder().encode(JSON.stringify(stored));
  deepStrictEqual(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)), stored);
});

// Reading what was stored.

Deno.test("readStored() keeps the stamps of an event that was stored before", () => {
  const line = {
    ...track(),
    messageId: "m1",
    timestamp: "2024-01-01T00:00:00.000Z",
    originalTimestamp: "2024-01-01T01:00:00Z",
    sentAt: "2024-01-01T01:00:01.000Z",
    receivedAt: "2024-01-01T00:00:01.000Z",
  };
  deepStrictEqual(readStored(line, options), { event: line });
});

const STAMPS: [what: string, more: Json, stamps: Json][] = [
  ["no receivedAt is an event as senders give it", { timestamp: "2031-01-01" }, {
    timestamp: RECEIVED,
    receivedAt: RECEIVED,
    originalTimestamp: "2031-01-01",
  }],
  ["a receivedAt that cannot be read likewise", { timestamp: "2025-01-01", receivedAt: 5 }, {
    timestamp: "2025-01-01T00:00:00.000Z",
    receivedAt: RECEIVED,
    originalTimestamp: "2025-01-01",
  }],
  ["no receivedAt keeps its timestamp, whatever its sentAt", {
    timestamp: "2019-05-01T12:00:00.000Z",
    sentAt: "2019-05-01T12:00:05.000Z",
  }, {
    timestamp: "2019-05-01T12:00:00.000Z",
    receivedAt: RECEIVED,
    originalTimestamp: "2019-05-01T12:00:00.000Z",
    sentAt: "2019-05-01T12:00:05.000Z",
  }],
  ["a receivedAt that cannot be read keeps its originalTimestamp where it has no timestamp", {
    originalTimestamp: "2019-05-01",
    sentAt: "2025-03-15T14:00:00.000Z",
    receivedAt: "",
  }, {
    timestamp: "2019-05-01T00:00:00.000Z",
    receivedAt: RECEIVED,
    originalTimestamp: "2019-05-01",
    sentAt: "2025-03-15T14:00:00.000Z",
  }],
  ["a receivedAt and no timestamp is corrected by its sentAt", {
    originalTimestamp: "2019-05-01T12:00:00Z",
    sentAt: "2019-05-01T12:00:05Z",
    receivedAt: "2019-05-01T13:00:05Z",
  }, {
    timestamp: "2019-05-01T13:00:00.000Z",
    receivedAt: "2019-05-01T13:00:05.000Z",
    originalTimestamp: "2019-05-01T12:00:00Z",
    sentAt: "2019-05-01T12:00:05.000Z",
  }],
  ["no timestamp has that of its own receipt", { receivedAt: "2024-01-01T00:00:00.000Z" }, {
    timestamp: "2024-01-01T00:00:00.000Z",
    receivedAt: "2024-01-01T00:00:00.000Z",
  }],
  ["a timestamp after its receipt has that of its receipt", {
    timestamp: "2024-01-02T00:00:00.000Z",
    receivedAt: "2024-01-01T00:00:00.000Z",
  }, { timestamp: "2024-01-01T00:00:00.000Z", receivedAt: "2024-01-01T00:00:00.000Z" }],
  ["a timestamp that is corrected already is not corrected again", {
    timestamp: "2024-01-01T00:00:00.000Z",
    sentAt: "2024-01-01T09:00:00.000Z",
    receivedAt: "2024-01-01T00:00:01.000Z",
  }, {
    timestamp: "2024-01-01T00:00:00.000Z",
    sentAt: "2024-01-01T09:00:00.000Z",
    receivedAt: "2024-01-01T00:00:01.000Z",
  }],
  ["a receivedAt after this server's clock keeps it", {
    timestamp: "2025-03-15T15:00:01.000Z",
    receivedAt: "2025-03-15T15:00:01.000Z",
  }, { timestamp: "2025-03-15T15:00:01.000Z", receivedAt: "2025-03-15T15:00:01.000Z" }],
  ["other stamps that cannot be read loses them", {
    timestamp: "2024-01-01",
    receivedAt: "2024-01-01T01:00:00+01:00",
    sentAt: "soon",
    originalTimestamp: 5,
  }, { timestamp: "2024-01-01T00:00:00.000Z", receivedAt: "2024-01-01T00:00:00.000Z" }],
];

for (const [what, more, stamps] of STAMPS) {
  Deno.test(`readStored(): an event with ${what}`, () => {
    deepStrictEqual(readStored(track(more), options), {
      event: { ...track(), messageId: "made-here", ...stamps },
    });
  });
}

Deno.test("readStored() rejects what accept() rejects", () => {
  const stamps = {
    receivedAt: "2024-01-01T00:00:00.000Z",
    timestamp: "2024-01-01T00:00:00.000Z",
    messageId: "m1",
  };
  for (const [what, item, code, path] of REFUSED) {
    const line = { ...stamps, ...(item as Json) };
    if (path === "timestamp" && typeof line.timestamp === "string") continue;
    const { rejection } = readStored(line, options);
    deepStrictEqual([what, rejection?.code, rejection?.path], [what, code, path]);
  }
  strictEqual(
    readStored({ ...stamps, ...track({ timestamp: "soon" }) }, options).rejection?.code,
    "invalid_timestamp",
  );
  strictEqual(readStored(null, options).rejection?.code, "not_an_object");
});

Deno.test("readStored() reads an event of the greatest size, although its traits are stored twice", () => {
  const bytes = MAX_EVENT_BYTES - jsonBytes(identify({ context: { traits: { a: "" } } }));
  const stored = accepted(identify({ context: { traits: { a: "x".repeat(bytes) } } }));
  ok(jsonBytes(stored) > MAX_EVENT_BYTES && jsonBytes(stored) <= MAX_STORED_EVENT_BYTES);
  deepStrictEqual(readStored(JSON.parse(JSON.stringify(stored)), options).event, stored);
});

Deno.test("readStored() reads a line as long as an event can be stored, and not one byte more", () => {
  const lineOf = (bytes: number) => {
    const line = { ...track(), messageId: "m1", timestamp: RECEIVED, receivedAt: RECEIVED };
    const empty = jsonBytes({ ...line, properties: { a: "" } });
    return { ...line, properties: { a: "x".repeat(bytes - empty) } };
  };
  const longest = lineOf(MAX_STORED_EVENT_BYTES);
  deepStrictEqual(readStored(longest, options).event, longest);
  strictEqual(readStored(lineOf(MAX_STORED_EVENT_BYTES + 1), options).rejection?.code, "event_too_large");
});

// Laws, over events that are nearly right and over anything at all.

const text = fc.oneof(fc.string({ unit: "binary", maxLength: 8 }), fc.string({ maxLength: 8 }));
const json = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  fc.json({ stringUnit: "binary" }).map((text) => JSON.parse(text)),
);
const id = fc.oneof({ weight: 6, arbitrary: text }, fc.integer(), fc.constant(null), json);
const time = fc.oneof(
  fc.date({ noInvalidDate: true, min: new Date("0001-01-01"), max: new Date("9998-12-31") }).map((date) =>
    date.toISOString()
  ),
  fc.constantFrom("2025-03-15", "2025-03-15T14:30", "2025-03-15T14:30:00.123456+02:00", "soon", null),
);
const open = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.dictionary(fc.oneof(text, fc.constantFrom("__proto__", "traits", "constructor")), json, {
      maxKeys: 6,
    }),
  },
  fc.constant(null),
  json,
);
const likely = fc.record({
  type: fc.constantFrom(...EVENT_TYPES),
  userId: id,
  anonymousId: id,
  groupId: id,
  previousId: id,
  event: fc.oneof({ weight: 6, arbitrary: text }, json),
  name: fc.oneof(text, json),
  traits: open,
  properties: open,
  context: open,
  integrations: open,
  timestamp: time,
  originalTimestamp: time,
  sentAt: time,
  receivedAt: time,
  messageId: fc.oneof({ weight: 6, arbitrary: text }, json),
  writeKey: text,
}, { requiredKeys: ["type"] });
const anything = fc.oneof(
  { weight: 3, arbitrary: likely.map((event) => JSON.parse(JSON.stringify(event))) },
  json,
);
const batch = fc.record({ context: open, integrations: open, sentAt: fc.oneof(time, json) }, {
  requiredKeys: [],
});

const RUNS = { numRuns: 2000 };

Deno.test("accept() and readStored() give an event or a rejection for any JSON, and never throw", () => {
  let taken = 0;
  fc.assert(
    fc.property(
      anything,
      batch,
      fc.option(fc.constantFrom(...EVENT_TYPES), { nil: undefined }),
      (item, defaults, type) => {
        for (const take of [accept, readStored]) {
          const { event, rejection } = take(item, { ...options, defaults, type });
          strictEqual((event === undefined) !== (rejection === undefined), true);
          if (event !== undefined) taken++;
        }
      },
    ),
    RUNS,
  );
  ok(taken > RUNS.numRuns / 20, `only ${taken} were accepted: the events are not likely enough`);
});

/** What holds of every event that is accepted, whoever sent it. */
function assertSound(event: StoredEvent): void {
  ok((EVENT_TYPES as readonly string[]).includes(event.type));
  ok(event.timestamp <= event.receivedAt);
  strictEqual(new Date(event.timestamp).toISOString(), event.timestamp);
  for (const member of ["userId", "anonymousId", "groupId", "previousId", "messageId"]) {
    if (!(member in event)) continue;
    const value = event[member];
    ok(typeof value === "string" && value !== "" && value.isWellFormed());
  }
  for (const member of ["traits", "properties", "context", "integrations"]) {
    if (member in event) ok(typeof event[member] === "object" && event[member] !== null);
  }
  ok(event.userId !== undefined || event.anonymousId !== undefined);
  ok(!("writeKey" in event));
}

Deno.test("every event that is accepted is sound, and as JSON in UTF-8 it comes back equal", () => {
  fc.assert(
    fc.property(anything, batch, (item, defaults) => {
      const { event } = accept(item, { ...options, defaults });
      if (event === undefined) return;
      assertSound(event);
      const text = JSON.stringify(event);
      strictEqual(JSON.stringify(JSON.parse(new TextDecoder().decode(new TextEncoder().encode(text)))), text);
    }),
    RUNS,
  );
});

Deno.test("an event that was accepted and stored is read again as the same event, at any later time", () => {
  fc.assert(
    fc.property(anything, batch, fc.nat(), (item, defaults, laterMs) => {
      const { event } = accept(item, { ...options, defaults });
      if (event === undefined) return;
      const line = JSON.parse(JSON.stringify(event));
      const again = readStored(line, {
        receivedAt: options.receivedAt + laterMs,
        newId: () => ok(false) as never,
      });
      deepStrictEqual(again, { event: line });
      strictEqual(JSON.stringify(again.event), JSON.stringify(event));
    }),
    RUNS,
  );
});

Deno.test("the document's schema accepts what accept() accepts, except for rules about several members", () => {
  fc.assert(
    fc.property(likely, (event) => {
      const item = JSON.parse(JSON.stringify(event));
      const { rejection } = accept(item, options);
      if (rejection === undefined) ok(eventSchema.safeParse(item).success);
      else if (!eventSchema.safeParse(item).success) strictEqual(rejection.reason, "invalid");
    }),
    RUNS,
  );
});

Deno.test("the schema can be shown as JSON Schema, with bounds and descriptions", () => {
  const schema = z.toJSONSchema(eventSchema, { io: "input" });
  const text = JSON.stringify(schema);
  const { Event } = schema.$defs as Record<string, { oneOf: unknown[] }>;
  strictEqual(Event!.oneOf.length, EVENT_TYPES.length);
  for (
    const part of ['"maxLength":256', '"maxLength":255', '"maxProperties":500', '"const":"alias"', "ISO 8601"]
  ) {
    ok(text.includes(part), `${part} is not in ${text}`);
  }
});
