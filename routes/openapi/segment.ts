/** The routes of Segment's clients and of their descendants. */
import { z } from "zod";
import { eventShapes, type EventType } from "../../domain/event/event.ts";
import { keyQuery, MAX_SEGMENT_BATCH_EVENTS } from "../ingest/events.ts";
import {
  BEACON_PATH,
  SEGMENT_BATCH_PATHS,
  SETTINGS_PATH,
  SOURCE_CONFIG_PATH,
  TYPED_PATHS,
} from "../http/paths.ts";
import { BATCH, EVENTS } from "../operation/examples.ts";
import type { Answer, Group, Operation, Route } from "../operation/operation.ts";
import { RATE_LIMIT_HEADERS } from "../operation/refusals.ts";
import { KEY_IN_QUERY, KEY_IN_QUERY_OR_BASIC } from "../operation/security.ts";
import { batchAnswer, batchSchema, HOW_BODIES_COME } from "./sending.ts";

const taken: Answer = {
  description: "The event is accepted and durable, or it was already.",
  headers: RATE_LIMIT_HEADERS,
  schema: z.object({ success: z.literal(true) }).meta({ id: "SegmentReceipt" }),
  example: { success: true },
};

const summary: Answer = {
  description: "As on `/api/v1/events/batch`.",
  headers: RATE_LIMIT_HEADERS,
  schema: z.object({ success: z.literal(true), ...batchAnswer }).meta({ id: "SegmentBatchSummary" }),
  example: { success: true, received: 2, accepted: 2, rejected: 0, errors: [] },
};

const segmentBatch = batchSchema(MAX_SEGMENT_BATCH_EVENTS).meta({ id: "SegmentBatch" });

function typed(path: string, type: EventType): [Route, Operation] {
  const { type: _, ...example } = EVENTS[type];
  return [`POST ${path as `/${string}`}`, {
    summary: `Send one ${type} event`,
    description: `The path sets the type and overrides the body's. ${HOW_BODIES_COME}`,
    right: "send",
    body: { schema: eventShapes[type], examples: { [`An event of type ${type}`]: example } },
    answers: { 200: taken },
    refusals: ["BadEvent", "EventTooLarge", "Contract", "TooManyEvents"],
  }];
}

/** The owner of a path that is not Segment's. */
const WHOSE: Readonly<Record<string, string>> = { "/api/public/apps/batch": ", as Dittofeed's clients do" };

function batch(path: string): [Route, Operation] {
  return [`POST ${path as `/${string}`}`, {
    summary: `Send up to ${MAX_SEGMENT_BATCH_EVENTS} events${WHOSE[path] ?? ""}`,
    description: HOW_BODIES_COME,
    right: "send",
    body: { schema: segmentBatch, examples: { "Two events": BATCH } },
    answers: { 200: summary },
    refusals: ["BadBatch", "BatchTooLarge", "TooManyEvents"],
  }];
}

const beacon: Operation = {
  ...batch(BEACON_PATH)[1],
  summary: "Send a batch while a page unloads",
  description: `The only POST that accepts the key in the query (RudderStack). ${HOW_BODIES_COME}`,
  security: KEY_IN_QUERY,
  query: keyQuery,
  refusals: ["BadBeacon", "BatchTooLarge", "TooManyEvents"],
};

const settings: Operation = {
  summary: "Settings for Segment's clients",
  description:
    "Browser and mobile clients request this before they send. 404 if the key is unknown or disabled.",
  right: "open",
  answers: {
    200: {
      description: "Send to this server only.",
      schema: z.object({
        integrations: z.object({
          "Segment.io": z.object({
            apiKey: z.string(),
            apiHost: z.string(),
            protocol: z.enum(["http", "https"]),
          }),
        }),
        metrics: z.object({ sampleRate: z.literal(0) }),
      }).meta({ id: "SegmentSettings" }),
      example: {
        integrations: {
          "Segment.io": { apiKey: "YOUR_WRITE_KEY", apiHost: "events.example.com/v1", protocol: "https" },
        },
        metrics: { sampleRate: 0 },
      },
    },
  },
  refusals: ["NotFound", "TooManyFailures"],
};

const sourceConfig: Operation = {
  summary: "Settings for RudderStack's clients",
  description: "The write key must be in HTTP Basic or in the query; other credentials are ignored.",
  right: "open",
  security: KEY_IN_QUERY_OR_BASIC,
  query: keyQuery,
  answers: {
    200: {
      description: "A source without destinations.",
      schema: z.object({
        source: z.object({
          id: z.string(),
          name: z.string(),
          writeKey: z.string(),
          workspaceId: z.literal("signalfold"),
          enabled: z.literal(true),
          config: z.strictObject({}),
          destinations: z.array(z.unknown()).max(0),
        }),
      }).meta({ id: "SourceConfig" }),
      example: {
        source: {
          id: "default",
          name: "default",
          writeKey: "YOUR_WRITE_KEY",
          workspaceId: "signalfold",
          enabled: true,
          config: {},
          destinations: [],
        },
      },
    },
  },
  refusals: ["BadQuery", "UnknownSender", "TooManyFailures"],
};

/** Jitsu's paths are a group of their own, as there are many. */
const isJitsu = (path: string) => path.startsWith("/api/s/");

/** The group of Segment's clients. */
export const segment: Group = {
  name: "Segment's clients",
  description:
    "The paths of Segment's HTTP API, their short forms (which its browser client uses), and those of clients " +
    "derived from it. These clients work once their host is changed.",
  operations: {
    ...Object.fromEntries(TYPED_PATHS.filter(([path]) => !isJitsu(path)).map((each) => typed(...each))),
    ...Object.fromEntries(SEGMENT_BATCH_PATHS.filter((path) => !isJitsu(path)).map(batch)),
    [`POST ${BEACON_PATH}` as const]: beacon,
    [`GET ${SETTINGS_PATH.replace(":writeKey", "{writeKey}") as "/"}` as const]: settings,
    [`GET ${SOURCE_CONFIG_PATH}` as const]: sourceConfig,
  },
};

/** The group of Jitsu's. */
export const jitsu: Group = {
  name: "Jitsu's clients",
  description: "One event of the type in the path, or a batch.",
  operations: Object.fromEntries([
    ...TYPED_PATHS.filter(([path]) => isJitsu(path)).map((each) => typed(...each)),
    ...SEGMENT_BATCH_PATHS.filter(isJitsu).map(batch),
  ]),
};
