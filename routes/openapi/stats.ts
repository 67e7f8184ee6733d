/** The figures of administrators. */
import { z } from "zod";
import { statsQuery } from "../admin/stats.ts";
import { described, type Group } from "../operation/operation.ts";
import { OPEN_OR_BEARER } from "../operation/security.ts";
import { time } from "./reading.ts";
import { PERIODS } from "../../domain/stats/counts.ts";

const count = z.int().min(0);
const suppressed = count.optional().meta({
  description: "Events of suppressed people, answered as accepted but not stored; absent: none.",
});
const sums = { accepted: count, duplicate: count, rejected: count, suppressed };

/** The counts of a stretch of time; a query selects some of them. */
const shown = {
  accepted: count,
  duplicate: count.optional(),
  rejected: count.optional(),
  suppressed,
  types: z.record(z.string(), z.object(sums)).optional().meta({
    description: "By type; `none`: rejected events without a type.",
  }),
  writeKeys: z.array(z.object({
    writeKeyId: z.string().nullable().meta({ description: "`null`: keys beyond the limit of counted keys." }),
    ...sums,
  })).optional(),
  rejections: z.array(z.object({ status: z.int(), code: z.string(), count })).optional(),
  events: z.array(z.object({ event: z.string(), count })).optional().meta({
    description: "The most frequent track events.",
  }),
  otherEvents: count.optional(),
  violations: z.array(z.object({ mode: z.string(), contract: z.string().nullable(), count })).optional().meta(
    {
      description: "Contract violations, in `monitor` mode too.",
    },
  ),
};

const countsSchema = z.object({
  from: time,
  to: time,
  per: z.enum(PERIODS).optional(),
  ...shown,
  periods: z.array(z.object({ at: time, ...shown })).optional(),
}).meta({ id: "Counts" });

const statsSchema = z.object({
  head: count.meta({ description: "Number of events in the journal." }),
  settled: count.meta({ description: "Events that profiles and logs include." }),
  unsettled: count,
  oldestUnsettledMs: count.meta({ description: "Age of the oldest of them; 0 if there are none." }),
  subscriptions: z.record(z.string(), z.object({ lagEvents: count })).meta({
    description: "The subscriptions to the journal, and the lag of each in events.",
  }),
  counts: countsSchema,
}).meta({ id: "Stats" });

const query = described(statsQuery, {
  per: "Adds `periods`, each with its counts; empty periods are omitted.",
  from: "ISO 8601, rounded outwards to whole periods. Default: the last 60 minutes, 24 hours or 30 days.",
  to: "ISO 8601, rounded outwards to whole periods. Default: now.",
  by:
    "Comma-separated list of `type,writeKey,rejection,event`: breakdowns of each period and of the total. Default for the total: all.",
  type: "Only events of this type; `none`: rejected events without a type.",
  writeKeyId: "Only events of this write key.",
  status: "Only events with this outcome.",
  event: "Counts accepted track events with this name.",
  limit: "Maximum number of names, most frequent first.",
});

/** The group of figures. */
export const stats: Group = {
  name: "Statistics",
  description: "Progress of the journal, and counts of events. Needs the admin token.",
  operations: {
    "GET /api/v1/admin/stats": {
      summary: "Journal progress and event counts",
      description: "Journal progress is exact. Counts are by time of receipt and kept for 30 days.",
      right: "admin",
      query,
      answers: {
        200: {
          description: "Numbers of events.",
          schema: statsSchema,
          example: {
            head: 6,
            settled: 6,
            unsettled: 0,
            oldestUnsettledMs: 0,
            subscriptions: { settling: { lagEvents: 0 } },
            counts: {
              from: "2026-11-22T18:00:00.000Z",
              to: "2026-11-23T18:00:00.000Z",
              accepted: 6,
              duplicate: 1,
              rejected: 1,
              types: { track: { accepted: 6, duplicate: 1, rejected: 1 } },
              writeKeys: [{ writeKeyId: "default", accepted: 6, duplicate: 1, rejected: 1 }],
              rejections: [{ status: 400, code: "missing_id", count: 1 }],
              events: [{ event: "Order Completed", count: 6 }],
              otherEvents: 0,
              violations: [],
            },
          },
        },
      },
      refusals: ["BadQuery"],
    },
    "GET /metrics": {
      summary: "Metrics of the process, for Prometheus",
      description: "OpenMetrics 1.0. Needs a read or admin token, unless the server has METRICS_OPEN=true.",
      right: "read",
      security: OPEN_OR_BEARER,
      answers: {
        200: {
          description: "All figures since the process started.",
          contentType: "application/openmetrics-text",
          schema: z.string().meta({ pattern: "# EOF\\n$" }),
        },
      },
    },
  },
};
