/** The routes of rejected events. */
import { z } from "zod";
import { rejectedQuery, resendSchema } from "../admin/quarantine.ts";
import { described, type Group } from "../operation/operation.ts";
import { cursorSchema, time } from "./reading.ts";
import { EVENT_ERROR_CODES } from "../operation/refusals.ts";

const rejectedSchema = z.object({
  id: z.string(),
  receivedAt: time,
  writeKeyId: z.string(),
  status: z.literal([400, 403, 413, 422]),
  // Events that 0.3 rejected are kept for a week.
  code: z.enum([...EVENT_ERROR_CODES, "contract_too_costly"]),
  message: z.string(),
  path: z.string().optional(),
  event: z.record(z.string(), z.unknown()).meta({ description: "The event as it was sent." }),
  cut: z.literal(true).optional().meta({
    description: "The event was too large: only its ids and its name are stored.",
  }),
}).meta({ id: "RejectedEvent" });

const sentSchema = z.object({ success: z.literal(true), messageId: z.string(), duplicate: z.boolean() })
  .meta({ id: "ResentReceipt" });

/** The group of the quarantine. */
export const quarantine: Group = {
  name: "Rejected events",
  description: "Rejected events are stored for a week and can be resent. Needs the admin token.",
  operations: {
    "GET /api/v1/admin/rejected": {
      summary: "List rejected events",
      description:
        "Newest first; events that are damaged in the database are omitted. A page may be short although there is a cursor.",
      right: "admin",
      query: described(rejectedQuery, {
        code: "Only events that were rejected with this code.",
        contract: "Only events that violated this contract first.",
        writeKeyId: "Only events of this write key.",
        type: "Only events of this type.",
        userId: "Only events of this user.",
        messageId: "Only events with this `messageId`.",
      }),
      answers: {
        200: {
          description: "A page of rejected events.",
          schema: z.object({ rejected: z.array(rejectedSchema), cursor: cursorSchema }),
        },
      },
      refusals: ["BadQuery"],
    },
    "GET /api/v1/admin/rejected/{rejectedId}": {
      summary: "Read a rejected event",
      right: "admin",
      answers: { 200: { description: "The rejected event.", schema: rejectedSchema } },
      refusals: ["NotFound"],
    },
    "POST /api/v1/admin/rejected/resend": {
      summary: "Resend rejected events",
      description:
        "Resends all chosen events, one after the other, each with its original write key and time. Stops at a rate " +
        "limit and after 20 s; `complete` reports whether all were tried. A retry is safe.",
      right: "admin",
      body: {
        schema: resendSchema,
        examples: { "All that violated a contract": { code: "contract_violation", contract: "order" } },
      },
      answers: {
        200: {
          description: "What became of them; accepted events are removed from the quarantine.",
          schema: z.object({
            sent: z.int(),
            accepted: z.int(),
            duplicate: z.int(),
            rejected: z.int(),
            complete: z.boolean(),
          }),
          example: { sent: 0, accepted: 0, duplicate: 0, rejected: 0, complete: true },
        },
      },
      refusals: ["BadBody", "BodyTooLarge"],
    },
    "POST /api/v1/admin/rejected/{rejectedId}/resend": {
      summary: "Resend a rejected event",
      description: "With its original write key and time. Use it after fixing a contract.",
      right: "admin",
      answers: {
        200: { description: "The event is accepted and removed from the quarantine.", schema: sentSchema },
      },
      refusals: ["BadResend", "ForbiddenResend", "NotFound", "Contract", "TooManyEvents"],
    },
    "DELETE /api/v1/admin/rejected/{rejectedId}": {
      summary: "Delete a rejected event",
      right: "admin",
      answers: { 204: { description: "The event is deleted." } },
      refusals: ["NotFound"],
    },
  },
};
