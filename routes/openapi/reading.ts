/** The routes that show profiles, groups, logs and members. */
import { z } from "zod";
import { EVENT_TYPES } from "../../domain/event/event.ts";
import { logQuery, membersQuery, pastQuery } from "../profiles/profiles.ts";
import { findQuery } from "../profiles/find.ts";
import { journalQuery } from "../profiles/journal.ts";
import { STORED_GROUP } from "../operation/examples.ts";
import type { Answer, Group, Operation } from "../operation/operation.ts";

/** A moment as every answer has it. */
export const time = z.string().meta({
  pattern: "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$",
  description: "ISO 8601, UTC, milliseconds.",
  examples: ["2025-03-15T14:30:00.000Z"],
});

const count = z.int().min(0);
const map = (description: string) => z.record(z.string(), z.unknown()).meta({ description });

const dropped = count.optional().meta({
  description:
    "Number of traits, event names and groups beyond the profile's limits; the log has them. Absent: none.",
});

const person = {
  traits: map("By name, what the events say last."),
  groups: z.array(z.object({ groupId: z.string(), joinedAt: time, traits: map("The group's.") })),
  firstSeen: time,
  lastSeen: time,
  eventCount: count.meta({ description: "Number of events that make up the profile." }),
  counts: z.object(Object.fromEntries(EVENT_TYPES.map((type) => [type, count]))),
  events: z.record(z.string(), z.object({ count, firstAt: time, lastAt: time }))
    .meta({ description: "Track events by name." }),
  context: map("The newest context."),
  version: count.meta({ description: "Number of events in the actor's own log." }),
  dropped,
};

const userSchema = z.object({ userId: z.string(), anonymousIds: z.array(z.string()), ...person })
  .meta({ id: "UserProfile" });

const anonymousSchema = z.object({ anonymousId: z.string(), ...person }).meta({ id: "AnonymousProfile" });

const groupSchema = z.object({
  groupId: z.string(),
  traits: map("By name, what the events say last."),
  memberCount: count,
  eventCount: count,
  firstSeen: time,
  lastSeen: time,
  version: count,
  dropped,
}).meta({ id: "GroupProfile" });

const object = () => z.looseObject({}).optional();

/** A stored event. */
export const storedEventSchema = z.looseObject({
  type: z.enum(EVENT_TYPES),
  messageId: z.string(),
  userId: z.string().optional(),
  anonymousId: z.string().optional(),
  groupId: z.string().optional(),
  previousId: z.string().optional(),
  event: z.string().optional(),
  traits: object(),
  properties: object(),
  context: object(),
  integrations: object(),
  timestamp: time.meta({
    description: "When it happened, corrected for the sender's clock, never after `receivedAt`.",
  }),
  originalTimestamp: z.string().optional().meta({ description: "The sender's `timestamp` as it was sent." }),
  sentAt: time.optional().meta({ description: "When it was sent, by the sender's clock." }),
  receivedAt: time.meta({ description: "When the server received it." }),
}).meta({
  id: "StoredEvent",
  description: "An event as stored in the journal. Unknown members are stored unchanged.",
});

/** The end of a page. */
export const cursorSchema = z.string().nullable().meta({
  description: "Cursor for the next page; `null` on the last page.",
});

const logSchema = z.object({ events: z.array(storedEventSchema), cursor: cursorSchema }).meta({
  id: "LogPage",
});

const membersSchema = z.object({
  members: z.array(z.union([
    z.object({ userId: z.string(), joinedAt: time }),
    z.object({ anonymousId: z.string(), joinedAt: time }),
  ])),
  cursor: cursorSchema,
}).meta({ id: "MembersPage" });

const jane = {
  userId: "user_123",
  anonymousIds: ["anon_1", "anon_2"],
  traits: { email: "jane@example.com", plan: "enterprise" },
  groups: [{
    groupId: "comp_456",
    joinedAt: "2025-03-15T14:34:00.000Z",
    traits: { employee_count: 250, name: "Acme Corp" },
  }],
  firstSeen: "2025-03-15T14:00:00.000Z",
  lastSeen: "2025-03-15T14:35:00.000Z",
  eventCount: 7,
  counts: { track: 2, identify: 1, page: 1, screen: 1, group: 1, alias: 1 },
  events: {
    "Order Completed": {
      count: 1,
      firstAt: "2025-03-15T14:30:00.000Z",
      lastAt: "2025-03-15T14:30:00.000Z",
    },
    "Product Viewed": {
      count: 1,
      firstAt: "2025-03-15T14:20:00.000Z",
      lastAt: "2025-03-15T14:20:00.000Z",
    },
  },
  context: { locale: "en-US" },
  version: 6,
};

const acme = {
  groupId: "comp_456",
  traits: { employee_count: 250, name: "Acme Corp" },
  memberCount: 1,
  eventCount: 1,
  firstSeen: "2025-03-15T14:34:00.000Z",
  lastSeen: "2025-03-15T14:34:00.000Z",
  version: 1,
};

function profile(summary: string, answer: Answer): Operation {
  return {
    summary,
    description: "With `at`: what was true at that time. With `asOf`: what was known at that time.",
    right: "read",
    query: pastQuery,
    answers: { 200: answer },
    refusals: ["BadQuery", "NotFound"],
  };
}

function log(summary: string, example?: unknown): Operation {
  return {
    summary,
    right: "read",
    query: logQuery,
    answers: {
      200: {
        description: "A page of the log.",
        schema: logSchema,
        ...example !== undefined && { example: { events: example, cursor: null } },
      },
    },
    refusals: ["BadQuery", "NotFound"],
  };
}

function find(what: "users" | "groups", item: z.ZodType): Operation {
  return {
    summary: `Find ${what} by a trait or the beginning of their ids`,
    description:
      "The traits are those of the setting `LOOKUP_TRAITS`; this document shows its default. With several, all must be " +
      "equal. Without any, ids come in their order. A page can be short although there is a `cursor`. 503 `building` " +
      "while the index is built.",
    right: "read",
    query: findQuery(["email", "phone", "username"]),
    answers: {
      200: {
        description: "A page.",
        schema: z.object({ [what]: z.array(item), cursor: cursorSchema }),
      },
    },
    refusals: ["BadQuery"],
  };
}

/** The group of routes under `/api/v1/users`, `/api/v1/anonymous` and `/api/v1/groups`. */
export const reading: Group = {
  name: "Reading",
  description:
    "Profiles, logs and members. They include every acknowledged event. Needs a read or admin token.",
  operations: {
    "GET /api/v1/users/{userId}": profile("A user's profile", {
      description: "Computed from the user's events and those of their anonymous ids.",
      schema: userSchema,
      example: jane,
    }),
    "GET /api/v1/users/{userId}/events": log("The events of a user and their anonymous ids"),
    "GET /api/v1/anonymous/{anonymousId}": profile("The profile of an anonymous id", {
      description: "The user's profile, once an event has linked the two.",
      schema: z.union([userSchema, anonymousSchema]),
      example: jane,
    }),
    "GET /api/v1/anonymous/{anonymousId}/events": log("The events of an anonymous id"),
    "GET /api/v1/groups/{groupId}": profile("A group's profile", {
      description: "Computed from the group's events.",
      schema: groupSchema,
      example: acme,
    }),
    "GET /api/v1/groups/{groupId}/events": log("A group's events", [STORED_GROUP]),
    "GET /api/v1/users": find(
      "users",
      z.object({ userId: z.string(), traits: map("Those that can be looked up.") }),
    ),
    "GET /api/v1/groups": find(
      "groups",
      z.object({ groupId: z.string(), traits: map("Those that can be looked up.") }),
    ),
    "GET /api/v1/journal": {
      summary: "Accepted events in the order of the journal",
      description:
        "A line of JSON per event, with its `position` as the last member. Pass the position of the last line as `after` " +
        "to continue: none is missed, and none comes twice. `Link` (`rel=next`) has it too, and with a filter it is " +
        "further. `wait` holds the request until an event comes.",
      right: "read",
      query: journalQuery,
      answers: {
        200: {
          description: "NDJSON; empty if there is no event behind `after`.",
          contentType: "application/x-ndjson",
          schema: z.string(),
          headers: {
            Link: {
              required: true,
              schema: { type: "string" },
              description: '`<?after=POSITION>; rel="next"`',
            },
          },
        },
      },
      refusals: ["BadQuery"],
    },
    "GET /api/v1/groups/{groupId}/members": {
      summary: "A group's members",
      description: "All users and anonymous ids that ever joined, with the earliest time.",
      right: "read",
      query: membersQuery,
      answers: {
        200: {
          description: "A page of members.",
          schema: membersSchema,
          example: { members: [{ userId: "user_123", joinedAt: "2025-03-15T14:34:00.000Z" }], cursor: null },
        },
      },
      refusals: ["BadQuery", "NotFound"],
    },
  },
};
