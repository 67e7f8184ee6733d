/** The routes that explain: the trace of an event, and the provenance of a trait. */
import { z } from "zod";
import { traceQuery } from "../profiles/explain.ts";
import { STORED_GROUP } from "../operation/examples.ts";
import { described, type Group } from "../operation/operation.ts";
import { position } from "../operation/parameters.ts";
import { storedEventSchema, time } from "./reading.ts";

const change = <T extends z.ZodType>(value: T) => z.object({ from: value.nullable(), to: value.nullable() });
const count = z.int().min(0);
const traits = z.record(z.string(), change(z.unknown()));

/** What a contract says of an event. */
export const verdictSchema = z.object({
  name: z.string(),
  version: z.int(),
  mode: z.enum(["enforce", "monitor"]),
  holds: z.boolean(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })),
}).meta({ id: "ContractVerdict" });

const traceSchema = z.object({
  event: storedEventSchema,
  writeKeyId: z.string(),
  position: position.meta({ description: "Its position in the journal." }),
  commit: z.string().meta({ description: "Id of the commit attempt." }),
  committedAt: time,
  settled: z.boolean().meta({ description: "Whether profiles and logs include it." }),
  logs: z.array(z.string()).meta({ description: "Logs that contain it, such as `user/u1`." }),
  contract: z.array(z.string()).nullable().meta({ description: "Contracts that apply to it." }),
  contracts: z.array(verdictSchema).meta({ description: "What each of them says of it, as they are now." }),
  changed: z.object({
    profile: z.string().meta({ description: "The profile, such as `user/u1`." }),
    traits,
    context: change(z.record(z.string(), z.unknown())).optional(),
    groups: z.record(z.string(), change(time)).optional(),
    anonymousIds: z.object({ added: z.array(z.string()) }).optional(),
    firstSeen: change(time).optional(),
    lastSeen: change(time).optional(),
    eventCount: change(count).optional(),
    counts: z.record(z.string(), change(count)).optional(),
    events: z.record(z.string(), change(count)).optional(),
    group: z.object({ traits }).optional().meta({ description: "The group's changes, on a group event." }),
  }).nullable().meta({
    description: "What it changed in the profile; `null` if the profile has too many events to compute this.",
  }),
  deliveries: z.array(z.object({
    destination: z.string(),
    status: z.enum(["pending", "filtered", "dropped", "held", "retrying", "dead", "delivered"]),
    reason: z.string().optional(),
    message: z.string().optional().meta({ description: "What a transformation failed with." }),
    attempts: count,
    at: time.nullable().meta({ description: "`null` if it is worked out from the checkpoint." }),
    transformations: z.array(z.object({
      name: z.string(),
      version: z.int().min(1),
      logs: z.array(z.string()).optional(),
    })).optional().meta({
      description: "The versions that made what was sent, dropped the event or failed; and what they logged.",
    }),
  })).meta({ description: "What became of it at each destination." }),
}).meta({ id: "EventTrace" });

const whySchema = z.object({
  name: z.string(),
  value: z.unknown().meta({ description: "`null` if the event removed it." }),
  timestamp: time,
  messageId: z.string(),
  writeKeyId: z.string(),
  receivedAt: time,
  replaced: z.array(z.object({ value: z.unknown(), timestamp: time, messageId: z.string() })).meta({
    description: "Earlier values, newest first.",
  }),
  moreBefore: time.nullable().meta({ description: "There may be more values from before this time." }),
}).meta({ id: "TraitProvenance" });

/** The group of traces. */
export const traces: Group = {
  name: "Traces",
  description: "Traces of one event, and the source of a trait.",
  operations: {
    "GET /api/v1/admin/events/{messageId}": {
      summary: "Trace one event",
      description:
        "Needs the admin token. A search that stops early is 503 `search_unfinished`; its detail says how to continue.",
      right: "admin",
      query: described(traceQuery, {
        before: "Start of the search, which runs backwards: a position or an ISO 8601 time.",
      }),
      answers: {
        200: {
          description: "Its position and what it changed.",
          schema: traceSchema,
          example: {
            event: STORED_GROUP,
            writeKeyId: "default",
            position: "000000000000000500000000",
            commit: "01M84NYA09JNNE65BQ3GBSTT6Y",
            committedAt: "2026-11-24T18:00:00.000Z",
            settled: true,
            logs: ["user/user_123", "group/comp_456"],
            contract: null,
            contracts: [],
            changed: {
              profile: "user/user_123",
              traits: {},
              groups: { comp_456: { from: null, to: "2025-03-15T14:34:00.000Z" } },
              lastSeen: { from: "2025-03-15T14:33:00.000Z", to: "2025-03-15T14:34:00.000Z" },
              eventCount: { from: 4, to: 5 },
              counts: { group: { from: 0, to: 1 } },
              group: {
                traits: { name: { from: null, to: "Acme Corp" }, employee_count: { from: null, to: 250 } },
              },
            },
            deliveries: [],
          },
        },
      },
      refusals: ["BadQuery", "NotFound", "SearchUnfinished"],
    },
    "GET /api/v1/users/{userId}/traits/{trait}/why": {
      summary: "Explain a user's trait",
      description: "Needs a read or admin token.",
      right: "read",
      answers: {
        200: {
          description: "The event that set it, and earlier ones.",
          schema: whySchema,
          example: {
            name: "plan",
            value: "enterprise",
            timestamp: "2025-03-15T14:31:00.000Z",
            messageId: "example-identify",
            writeKeyId: "default",
            receivedAt: "2026-11-24T18:00:00.000Z",
            replaced: [],
            moreBefore: null,
          },
        },
      },
      refusals: ["BadQuery", "NotFound"],
    },
    "GET /api/v1/groups/{groupId}/traits/{groupTrait}/why": {
      summary: "Explain a group's trait",
      description: "Needs a read or admin token.",
      right: "read",
      answers: { 200: { description: "The event that set it, and earlier ones.", schema: whySchema } },
      refusals: ["BadQuery", "NotFound"],
    },
  },
};
