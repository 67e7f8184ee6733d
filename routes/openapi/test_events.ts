/** Test events, and what the server is. */
import { z } from "zod";
import { testEventSchema } from "../admin/test_events.ts";
import type { Group } from "../operation/operation.ts";
import { verdictSchema } from "./traces.ts";

const sentSchema = z.object({ success: z.literal(true), messageId: z.string(), duplicate: z.boolean() })
  .meta({ id: "TestReceipt" });

const triedSchema = z.object({
  wouldAccept: z.boolean(),
  errors: z.array(z.object({ status: z.int(), code: z.string(), path: z.string(), message: z.string() })),
  contracts: z.array(verdictSchema).meta({ description: "What each contract that applies says." }),
  location: z.unknown().meta({ description: "`context.location` as it would be stored, or `null`." }),
}).meta({ id: "TriedEvent" });

const aboutSchema = z.object({
  version: z.string(),
  deno: z.string(),
  rights: z.enum(["admin", "read"]).meta({ description: "What the caller may do." }),
  storage: z.enum(["file", "memory", "server", "platform"]),
  features: z.array(z.string()).meta({ description: "Parts of the product that this server has." }),
  settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).meta({
    description: "The settings that are no secrets, by their variables.",
  }),
}).meta({ id: "About" });

const event = { type: "track", userId: "test_user", event: "Test Event", messageId: "test-1" };

/** The group of test events. */
export const testEvents: Group = {
  name: "Testing",
  description: "Send an event as a write key, or ask what would become of it.",
  operations: {
    "POST /api/v1/admin/test-events": {
      summary: "Send a test event",
      description:
        "Goes through the whole pipeline as the write key, and is stored like any event. With `dryRun` nothing is " +
        "stored or counted.",
      right: "admin",
      body: {
        schema: testEventSchema,
        examples: {
          "Send it": { writeKeyId: "default", event },
          "Only check it": { writeKeyId: "default", event, dryRun: true },
        },
      },
      answers: {
        200: {
          description: "The receipt, or what would become of the event.",
          schema: z.union([sentSchema, triedSchema]),
          example: { success: true, messageId: "test-1", duplicate: false },
        },
      },
      refusals: ["BadTestEvent", "ForbiddenTestEvent", "Contract", "EventTooLarge", "TooManyEvents"],
    },
    "GET /api/v1/admin/about": {
      summary: "What this server is, and what the caller may do",
      description: "Also with the read token. It has no secrets.",
      right: "read",
      answers: { 200: { description: "The server.", schema: aboutSchema } },
    },
  },
};
