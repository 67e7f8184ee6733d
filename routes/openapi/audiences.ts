/** The routes of audiences. */
import { z } from "zod";
import { audienceSchema, previewQuery, previewSchema } from "../admin/audiences.ts";
import { described, type Group } from "../operation/operation.ts";
import { audienceMembersQuery, membershipQuery } from "../profiles/audiences.ts";
import { time } from "./reading.ts";

const where = z.looseObject({}).meta({
  description:
    "The condition: `all`, `any`, `not`, `traits`, `event`, `type`, `sum`, `last`, `sequence`, `group` or `audience`.",
});

const audience = z.object({
  name: z.string(),
  description: z.string().optional(),
  where,
  emit: z.boolean().meta({
    description: "Whether entering and leaving are events, `Audience Entered` and `Audience Exited`.",
  }),
  version: z.int().min(1).meta({ description: "Counts the changes of an audience." }),
  state: z.enum(["building", "live"]).meta({
    description: "While a change is `building`, the version before it serves.",
  }),
  members: z.int().min(0),
  builtAt: time.nullable(),
  notice: z.string().optional().meta({ description: "Says that building takes long." }),
}).meta({ id: "Audience" });

const member = z.object({
  userId: z.string(),
  since: time,
  until: time.optional().meta({ description: "When the membership ends if nothing else happens." }),
}).meta({ id: "AudienceMember" });

const membership = z.object({
  member: z.boolean(),
  since: time.optional(),
  until: time.optional(),
  explain: z.looseObject({ holds: z.boolean() }).meta({
    description:
      "The condition as a tree. Each node has `holds`; a condition on events has the `messageId` and `timestamp` of the " +
      "newest ones, and `missing` where it does not hold.",
  }),
}).meta({ id: "AudienceMembership" });

const preview = z.object({
  members: z.int().min(0),
  exact: z.boolean().meta({ description: "Whether `members` is a count, not an estimate." }),
  sample: z.array(z.string()),
  wouldEnter: z.int().min(0),
  wouldLeave: z.int().min(0),
  tookMs: z.int().min(0),
}).meta({ id: "AudiencePreview" });

const draft = { where: { event: "Order Completed", count: { $gte: 2 }, within: "30d" }, emit: true };

const body = audienceSchema.safeExtend({
  where: audienceSchema.shape.where.meta({ type: "object", description: where.meta()!.description! }),
});
const previewBody = previewSchema.safeExtend({
  where: previewSchema.shape.where.meta({ type: "object" }),
  audience: previewSchema.shape.audience.meta({
    description: "The audience that `wouldEnter` and `wouldLeave` are compared with; by default nobody.",
  }),
});

const saved = {
  name: "vip",
  ...draft,
  version: 1,
  state: "building",
  members: 0,
  builtAt: null,
};

/** The group of audiences. */
export const audienceGroup: Group = {
  name: "Audiences",
  description:
    "Sets of users who satisfy a condition on traits, groups and events: exact, live and explained.",
  operations: {
    "PUT /api/v1/admin/audiences/{audience}": {
      summary: "Create or change an audience",
      description:
        "A change is built beside the live version and then replaces it. Existing members enter silently.",
      right: "admin",
      body: { schema: body, examples: { "Two orders in 30 days": draft } },
      answers: {
        200: { description: "The saved audience.", schema: audience, example: saved },
      },
      refusals: ["BadAudience", "BodyTooLarge"],
    },
    "GET /api/v1/admin/audiences": {
      summary: "List audiences",
      right: "admin",
      answers: {
        200: {
          description: "The audiences.",
          schema: z.object({ audiences: z.array(audience) }),
          example: { audiences: [saved] },
        },
      },
    },
    "GET /api/v1/admin/audiences/{audience}": {
      summary: "Get an audience",
      right: "admin",
      answers: { 200: { description: "The audience.", schema: audience, example: saved } },
      refusals: ["BadName", "NotFound"],
    },
    "DELETE /api/v1/admin/audiences/{audience}": {
      summary: "Delete an audience",
      right: "admin",
      answers: { 204: { description: "The audience is deleted." } },
      refusals: ["BadName", "NotFound", "AudienceInUse"],
    },
    "POST /api/v1/admin/audiences/preview": {
      summary: "Count the people for whom a condition holds",
      description:
        "Changes nothing. With more than 100,000 events in the journal `members` is an estimate from a sample of people, " +
        "unless `exact=true`.",
      right: "admin",
      query: described(previewQuery, { exact: "Whether an exact count is wanted, however long it takes." }),
      body: { schema: previewBody, examples: { "Two orders in 30 days": { where: draft.where } } },
      answers: { 200: { description: "What was counted.", schema: preview } },
      refusals: ["BadAudience", "BodyTooLarge"],
    },
    "GET /api/v1/audiences/{audience}/members": {
      summary: "List the members of an audience",
      description:
        "In pages; with `Accept: application/x-ndjson` all of them, one in each line. Waits up to 10 s until the audience " +
        "knows all events.",
      right: "read",
      query: audienceMembersQuery,
      answers: {
        200: {
          description: "Members.",
          schema: z.object({ members: z.array(member), cursor: z.string().nullable() }),
        },
      },
      refusals: ["BadQuery", "NotFound"],
    },
    "GET /api/v1/audiences/{audience}/members/{userId}": {
      summary: "Explain a user's membership",
      description: "Now, or at a moment: then only events up to it are looked at.",
      right: "read",
      query: membershipQuery,
      answers: { 200: { description: "The membership.", schema: membership } },
      refusals: ["BadQuery", "NotFound"],
    },
    "GET /api/v1/users/{userId}/audiences": {
      summary: "List a user's audiences",
      right: "read",
      answers: {
        200: {
          description: "The audiences.",
          schema: z.object({
            audiences: z.array(z.object({ name: z.string(), since: time, until: time.optional() })),
          }),
        },
      },
      refusals: ["BadQuery", "NotFound"],
    },
  },
};
