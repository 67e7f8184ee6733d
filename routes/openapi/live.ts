/** The live view. */
import { z } from "zod";
import { EVENT_TYPES } from "../../domain/event/event.ts";
import { liveQuery } from "../admin/live.ts";
import { described, type Group } from "../operation/operation.ts";
import { position } from "../operation/parameters.ts";
import { time } from "./reading.ts";

const names = {
  event: z.string().optional(),
  userId: z.string().optional(),
  anonymousId: z.string().optional(),
  groupId: z.string().optional(),
  writeKeyId: z.string(),
  receivedAt: time,
};

/** The text after `data:`. */
const lineSchema = z.discriminatedUnion("status", [
  z.object({
    status: z.literal("accepted"),
    messageId: z.string(),
    type: z.enum(EVENT_TYPES),
    ...names,
    timestamp: time,
    position: position.meta({ description: "Its position in the journal." }),
    past: z.literal(true).optional().meta({ description: "It came before the listener did (`last`)." }),
  }),
  z.object({ status: z.literal("duplicate"), messageId: z.string(), type: z.enum(EVENT_TYPES), ...names }),
  z.object({
    status: z.literal("rejected"),
    messageId: z.string().nullable(),
    type: z.string().nullable(),
    ...names,
    error: z.object({ status: z.int(), code: z.string(), message: z.string(), path: z.string().optional() }),
  }),
  z.object({
    status: z.literal("skipped"),
    skipped: z.int().min(1).meta({
      description: "Number of events skipped because the reader was too slow.",
    }),
  }),
]).meta({ id: "LiveLine", description: "The JSON of one `data:` line of the live view." });

const query = described(liveQuery, {
  status: "Only events with this outcome.",
  type: "Only events of this type.",
  event: "Only track events of this name.",
  userId: "Only events of this user.",
  writeKeyId: "Only events of this write key.",
  last: "Begin with the last accepted events, at most this many.",
});

/** The group of the live view. */
export const live: Group = {
  name: "Live view",
  description: "Events of all processes as they arrive. Needs the admin token.",
  operations: {
    "GET /api/v1/admin/live": {
      summary: "Stream events as they arrive",
      description:
        "An endless stream of server-sent events; each `data:` line is one `LiveLine`. `Last-Event-ID` resumes after an id of this " +
        "stream and misses no accepted event; duplicates and rejections are reported only while somebody listens.",
      right: "admin",
      query,
      answers: {
        200: {
          description: "The stream; its head is sent at once.",
          contentType: "text/event-stream",
          schema: z.string(),
        },
      },
      refusals: ["BadLive", "TooManyListeners"],
    },
  },
  schemas: { LiveLine: lineSchema },
};
