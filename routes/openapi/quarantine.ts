/** The routes of events that were not taken. */
import { z } from "zod";
import { rejectedQuery } from "../admin/quarantine.ts";
import type { Group } from "./operation.ts";
import { cursorSchema, time } from "./reading.ts";
import { EVENT_ERROR_CODES } from "./refusals.ts";

const rejectedSchema = z.object({
  id: z.string(),
  receivedAt: time,
  writeKeyId: z.string(),
  status: z.literal([400, 403, 413, 422]),
  // Events that 0.3 rejected are kept for a week.
  code: z.enum([...EVENT_ERROR_CODES, "contract_too_costly"]),
  message: z.string(),
  path: z.string().optional(),
  event: z.record(z.string(), z.unknown()).meta({ description: "As it was sent." }),
  cut: z.literal(true).optional().meta({
    description: "It was too large: only its ids and its name are kept.",
  }),
}).meta({ id: "RejectedEvent" });

const sentSchema = z.object({ success: z.literal(true), messageId: z.string(), duplicate: z.boolean() })
  .meta({ id: "ResentReceipt" });

/** The group of the quarantine. */
export const quarantine: Group = {
  name: "Rejected events",
  description:
    "Events that were not taken are kept for a week, so that they can be sent again. Needs the admin token.",
  operations: {
    "GET /api/v1/admin/rejected": {
      summary: "Events that were not taken",
      description: "Newest first, without those whose bytes in the database are damaged.",
      right: "admin",
      query: rejectedQuery,
      answers: {
        200: {
          description: "A page of them.",
          schema: z.object({ rejected: z.array(rejectedSchema), cursor: cursorSchema }),
        },
      },
      refusals: ["BadQuery"],
    },
    "POST /api/v1/admin/rejected/{rejectedId}/resend": {
      summary: "Send one again",
      description: "Under the write key that sent it, at the time that it had: after a contract was mended.",
      right: "admin",
      answers: { 200: { description: "It is accepted, and no longer kept here.", schema: sentSchema } },
      refusals: ["BadResend", "ForbiddenResend", "NotFound", "Contract", "TooManyEvents"],
    },
    "DELETE /api/v1/admin/rejected/{rejectedId}": {
      summary: "Delete one",
      right: "admin",
      answers: { 204: { description: "It is no longer kept." } },
      refusals: ["NotFound"],
    },
  },
};
