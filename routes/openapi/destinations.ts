/** The routes of destinations. */
import { z } from "zod";
import { FILTERS } from "../../domain/forwarding/filter.ts";
import { definitionShape, KINDS } from "../../domain/forwarding/definition.ts";
import { DELIVERY_STATUSES } from "../../actors/forwarding/deliveries.ts";
import { deliveriesQuery, resumeSchema, retrySchema, testSchema } from "../admin/destinations.ts";
import { replayToSchema } from "../admin/destination_replays.ts";
import { described, type Group } from "../operation/operation.ts";
import { position } from "../operation/parameters.ts";
import { time } from "./reading.ts";

const count = z.int().min(0);
const response = z.object({ status: z.int(), body: z.string() });

const statusSchema = z.object({
  state: z.enum(["running", "failing", "paused", "off"]).meta({
    description: "`failing`: the last attempt failed. `off`: given up, until somebody resumes it.",
  }),
  reason: z.string().optional(),
  position: position.meta({ description: "Everything up to here is settled, or waits by itself." }),
  lagEvents: count,
  lagSeconds: count,
  held: count.meta({ description: "Events that wait behind another one of their person." }),
  retrying: count.meta({ description: "Events that wait for another attempt." }),
  dead: count.meta({ description: "Events that are not sent again until somebody asks for it." }),
  delivered: count,
  filtered: z.object(
    Object.fromEntries(FILTERS.map((by) => [by, count])) as Record<typeof FILTERS[number], typeof count>,
  ),
  last24h: z.object({ delivered: count, failed: count, dead: count }),
  lastError: z.object({ at: time, reason: z.string(), response: response.optional() }).optional(),
  latency: z.object({ p50Ms: count, p99Ms: count }).meta({ description: "Durations of the last attempts." }),
}).meta({ id: "DestinationStatus" });

const destinationSchema = z.object({
  name: z.string(),
  kind: z.enum(KINDS),
  enabled: z.boolean(),
  where: z.record(z.string(), z.unknown()).optional().meta({
    description: "A condition; absent: all events.",
  }),
  writeKeyIds: z.array(z.string()).optional(),
  consent: z.array(z.string()).optional(),
  transformations: z.array(z.string()).optional(),
  from: z.string(),
  order: z.enum(["person", "none"]),
  batch: z.object({ maxEvents: z.int(), maxBytes: z.int(), maxWaitMs: z.int() }),
  rateLimit: z.object({ perSecond: z.number() }).optional().meta({ description: "In events." }),
  onErase: z.enum(["none", "event"]),
  settings: z.record(z.string(), z.unknown()).meta({ description: "Without secrets." }),
  status: statusSchema,
}).meta({ id: "Destination" });

const draft = {
  kind: "webhook",
  where: { type: "track", event: { $in: ["Order Completed"] }, "properties.total": { $gte: 50 } },
  settings: { url: "https://example.com/hook" },
};

const draftBody = definitionShape.safeExtend({
  where: z.unknown().optional().meta({ description: "A condition, in MongoDB's query form." }),
  settings: definitionShape.shape.settings.meta({
    type: "object",
    description: "By kind: see the documents. Secrets are write-only.",
  }),
});

const deliverySchema = z.object({
  messageId: z.string(),
  position,
  status: z.enum(DELIVERY_STATUSES),
  attempts: count,
  firstAt: time.nullable(),
  lastAt: time.nullable(),
  nextAt: time.optional(),
  reason: z.string().optional(),
  message: z.string().optional().meta({ description: "What a transformation failed with." }),
  response: response.optional(),
  transformations: z.array(z.object({ name: z.string(), version: z.int().min(1) })).optional().meta({
    description: "The versions that made what was sent, or that failed.",
  }),
}).meta({ id: "Delivery" });

const replaySchema = z.object({
  id: z.string(),
  state: z.enum(["running", "paused", "done", "cancelled"]),
  from: position,
  to: position,
  position,
  matched: count.meta({ description: "Events that passed all filters so far." }),
  sent: count,
  where: z.record(z.string(), z.unknown()).optional(),
  perSecond: z.number().optional(),
}).meta({ id: "DestinationReplay" });

const testOutcome = z.object({
  verdict: z.enum(["delivered", "retry", "dead", "filtered", "dropped", "refused"]),
  filteredBy: z.enum(FILTERS).optional(),
  reason: z.string().optional(),
  request: z.object({
    method: z.string(),
    url: z.string(),
    headers: z.record(z.string(), z.unknown()),
    body: z.string(),
  }).optional(),
  response: response.extend({ durationMs: count }).optional(),
}).meta({ id: "DestinationTest" });

const theDestination = { 200: { description: "The destination.", schema: destinationSchema } };
const refusals = ["BadName", "NotFound"] as const;
const withBody = ["BadDestination", "BodyTooLarge", "NotFound"] as const;

/** The group of destinations. */
export const destinations: Group = {
  name: "Destinations",
  description:
    "Where events are forwarded: webhooks, Segment, PostgreSQL, ClickHouse, S3 and HTTP services. Each person's events " +
    "arrive in order, and none is lost. Changes take effect at once in this process, in others within 5 s. Needs the admin token.",
  operations: {
    "GET /api/v1/admin/destinations": {
      summary: "List destinations",
      right: "admin",
      answers: {
        200: {
          description: "The destinations.",
          schema: z.object({ destinations: z.array(destinationSchema) }),
        },
      },
    },
    "PUT /api/v1/admin/destinations/{destination}": {
      summary: "Create or replace a destination",
      description:
        "A webhook's secret that this call makes is in `settings.secret`, this once. A secret that is absent or `***` keeps " +
        "the stored one, `null` removes it. Without `enabled` and `from` those stay as they are.",
      right: "admin",
      body: { schema: draftBody, examples: { "Large orders to a webhook": draft } },
      answers: {
        200: { description: "The replaced destination.", schema: destinationSchema },
        201: { description: "The new destination.", schema: destinationSchema },
      },
      refusals: ["BadDestination", "BodyTooLarge"],
    },
    "GET /api/v1/admin/destinations/{destination}": {
      summary: "Get a destination and its status",
      right: "admin",
      answers: { 200: { description: "The destination.", schema: destinationSchema } },
      refusals,
    },
    "POST /api/v1/admin/destinations/{destination}/test": {
      summary: "Send one event as a test",
      description:
        "Applies the real filter and consent, and sends one request. Secrets are masked, and nothing else changes.",
      right: "admin",
      body: {
        schema: testSchema,
        examples: {
          "An event that matches nothing": { event: { type: "track", userId: "user_123", event: "Test" } },
        },
      },
      answers: {
        200: {
          description: "What came of it.",
          schema: testOutcome,
          example: { verdict: "filtered", filteredBy: "where" },
        },
      },
      refusals: withBody,
    },
    "POST /api/v1/admin/destinations/{destination}/pause": {
      summary: "Pause a destination",
      right: "admin",
      answers: theDestination,
      refusals,
    },
    "POST /api/v1/admin/destinations/{destination}/resume": {
      summary: "Resume a destination",
      description: "From its checkpoint, or from now. It also ends `off`.",
      right: "admin",
      body: { schema: resumeSchema, optional: true, examples: { "From now": { from: "now" } } },
      answers: theDestination,
      refusals: withBody,
    },
    "POST /api/v1/admin/destinations/{destination}/rotate": {
      summary: "Make a new webhook secret",
      description: "It is in `settings.secret`, this once. For 24 h requests are signed with both secrets.",
      right: "admin",
      answers: theDestination,
      refusals: ["BadDestination", "NotFound"],
    },
    "GET /api/v1/admin/destinations/{destination}/deliveries": {
      summary: "List deliveries",
      description: "Newest first. Of delivered events the last 1,000 are kept.",
      right: "admin",
      query: described(deliveriesQuery, { status: "Only deliveries with this status." }),
      answers: {
        200: {
          description: "A page of deliveries.",
          schema: z.object({ deliveries: z.array(deliverySchema), cursor: z.string().nullable() }),
          example: { deliveries: [], cursor: null },
        },
      },
      refusals,
    },
    "POST /api/v1/admin/destinations/{destination}/retry": {
      summary: "Attempt deliveries at once",
      description:
        "Whatever schedule, `Retry-After` and breaker say; attempts at dead events are counted anew.",
      right: "admin",
      body: { schema: retrySchema, examples: { "All that is dead": { status: "dead" } } },
      answers: {
        200: {
          description: "The number of events that are attempted.",
          schema: z.object({ scheduled: count }),
          example: { scheduled: 0 },
        },
      },
      refusals: withBody,
    },
    "POST /api/v1/admin/destinations/{destination}/replay": {
      summary: "Send history again",
      description: "Beside live traffic. `from` and `to` are positions or times of receipt.",
      right: "admin",
      body: { schema: replayToSchema, examples: { "Everything, slowly": { perSecond: 100 } } },
      answers: {
        202: { description: "The replay runs.", schema: z.object({ id: z.string() }) },
      },
      refusals: withBody,
    },
    "GET /api/v1/admin/destinations/{destination}/replays": {
      summary: "List replays to a destination",
      right: "admin",
      answers: {
        200: { description: "Newest first.", schema: z.object({ replays: z.array(replaySchema) }) },
      },
      refusals,
    },
    "POST /api/v1/admin/destinations/{destination}/replays/{replayId}/pause": {
      summary: "Pause a replay",
      right: "admin",
      answers: { 200: { description: "The replay.", schema: replaySchema } },
      refusals,
    },
    "POST /api/v1/admin/destinations/{destination}/replays/{replayId}/resume": {
      summary: "Resume a replay",
      right: "admin",
      answers: { 200: { description: "The replay.", schema: replaySchema } },
      refusals,
    },
    "DELETE /api/v1/admin/destinations/{destination}/replays/{replayId}": {
      summary: "Cancel a replay",
      right: "admin",
      answers: { 204: { description: "It is cancelled." } },
      refusals,
    },
    "DELETE /api/v1/admin/destinations/{destination}": {
      summary: "Delete a destination",
      description: "And all that is stored of its deliveries.",
      right: "admin",
      answers: { 204: { description: "It is deleted." } },
      refusals,
    },
  },
};
