/** The routes of the specification that take events. */
import { z } from "zod";
import { eventSchema, mapSchema } from "../../domain/event/event.ts";
import { MAX_BATCH_EVENTS } from "../ingest/events.ts";
import { BATCH_PATH, EVENT_PATH } from "../http/paths.ts";
import { BATCH, EVENTS } from "../operation/examples.ts";
import type { Answer, Group } from "../operation/operation.ts";
import { EVENT_ERROR_CODES, RATE_LIMIT_HEADERS } from "../operation/refusals.ts";

/** The schema of a batch with a number of events. */
export const batchSchema = (maxEvents: number) =>
  z.looseObject({
    batch: z.array(eventSchema).min(1).max(maxEvents),
    context: mapSchema.nullish().meta({
      description: "Filled into each event that does not say it itself.",
    }),
    integrations: mapSchema.nullish().meta({
      description: "Filled into each event that does not say it itself.",
    }),
    sentAt: z.unknown().optional().meta({
      description:
        "When the batch was sent, by the sender's clock: skewed times are corrected by it. Ignored if it is invalid " +
        "or more than a year from the receipt.",
      examples: ["2025-03-15T14:30:00Z"],
    }),
  });

const eventErrorSchema = z.object({
  index: z.int().min(0).meta({ description: "Index of the event in the batch." }),
  status: z.literal([400, 403, 413, 422]),
  code: z.enum(EVENT_ERROR_CODES),
  message: z.string(),
  path: z.string().optional().meta({
    description: "Dotted path from the event's root; absent: the whole event.",
  }),
  messageId: z.string().optional().meta({ description: "The event's own id, if valid." }),
}).meta({ id: "EventError", description: "Why an event of a batch is rejected." });

/** The members of a batch's answer. */
export const batchAnswer = {
  received: z.int().min(1),
  accepted: z.int().min(0).meta({ description: "Number of accepted events, including duplicates." }),
  rejected: z.int().min(0),
  errors: z.array(eventErrorSchema).meta({ description: "One per rejected event." }),
};

const receiptSchema = z.object({
  success: z.literal(true),
  messageId: z.string().meta({ description: "The event's own id, or one created by the server." }),
  duplicate: z.boolean().meta({ description: "Whether an event of this `messageId` was accepted before." }),
}).meta({ id: "Receipt" });

const receipt: Answer = {
  description: "The event is accepted and durable; every later read includes it.",
  headers: RATE_LIMIT_HEADERS,
  schema: receiptSchema,
  example: { success: true, messageId: "example-track", duplicate: false },
};

const summary: Answer = {
  description:
    "All valid events of the batch are accepted and durable, together; `errors` names the others, even if there are no " +
    "valid ones.",
  headers: RATE_LIMIT_HEADERS,
  schema: z.object(batchAnswer).meta({ id: "BatchSummary" }),
  example: { received: 2, accepted: 2, rejected: 0, errors: [] },
};

/** For every route that accepts events: the body is read whatever its `Content-Type`. */
export const HOW_BODIES_COME =
  "The body is read as JSON regardless of its `Content-Type`. It may have `Content-Encoding: gzip`; a gzip body is " +
  "decompressed even if a proxy dropped the header. " +
  "Integers keep exactly the digits that were sent, in ids and in values. " +
  "The write key may also be in the body as `writeKey`; a credential in a header overrides it, and it is never stored. " +
  "A body without a credential in a header has at most 512 KB and is not compressed.";

/** `POST /api/v1/events` and `/api/v1/events/batch`. */
export const sending: Group = {
  name: "Sending events",
  description: "Send events. An event is validated, stamped and never changed. Needs a write key.",
  operations: {
    [`POST ${EVENT_PATH}` as const]: {
      summary: "Send one event",
      description: HOW_BODIES_COME,
      right: "send",
      body: {
        schema: eventSchema,
        examples: {
          "A user did something": EVENTS.track,
          "A visitor looked at a page": EVENTS.page,
          "The visitor is a user with these traits": EVENTS.identify,
          "A user saw a screen of an app": EVENTS.screen,
          "A user belongs to a group": EVENTS.group,
          "Another id of the same user": EVENTS.alias,
        },
      },
      answers: { 200: receipt },
      refusals: ["BadEvent", "EventTooLarge", "Contract", "TooManyEvents"],
    },
    [`POST ${BATCH_PATH}` as const]: {
      summary: `Send up to ${MAX_BATCH_EVENTS} events`,
      description: HOW_BODIES_COME,
      right: "send",
      body: {
        schema: batchSchema(MAX_BATCH_EVENTS).meta({ id: "Batch" }),
        examples: { "Two events": BATCH },
      },
      answers: { 200: summary },
      refusals: ["BadBatch", "BatchTooLarge", "TooManyEvents"],
    },
  },
};
