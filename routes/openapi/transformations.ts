/** The routes of transformations. */
import { z } from "zod";
import { KINDS } from "../../domain/transformation/definition.ts";
import {
  checkSchema,
  restoreSchema,
  saveQuery,
  transformationVersionsQuery,
  trySchema,
} from "../admin/transformations.ts";
import { draftSchema } from "../../domain/transformation/definition.ts";
import { described, type Group } from "../operation/operation.ts";
import { time } from "./reading.ts";

const version = z.int().min(1).meta({ description: "Counts the changes of a transformation." });
const anyObject = z.looseObject({});

const caseSchema = z.object({
  name: z.string(),
  event: anyObject,
  person: anyObject.optional(),
  expect: z.unknown(),
});

const transformationSchema = z.object({
  name: z.string(),
  kind: z.enum(KINDS),
  rules: z.array(anyObject).optional(),
  code: z.string().optional(),
  params: z.array(z.string()).optional().meta({
    description: "The names of the params. Their values are never shown.",
  }),
  tests: z.array(caseSchema).optional(),
  version,
  updatedAt: time,
}).meta({ id: "Transformation" });

const versionSchema = z.object({
  version,
  kind: z.enum([...KINDS, "deleted"]),
  at: time,
  by: z.string(),
  address: z.string(),
  current: z.boolean(),
  restored: z.int().optional().meta({ description: "The version that was restored." }),
}).meta({ id: "TransformationVersion" });

const trySuccess = z.object({
  results: z.array(anyObject).optional().meta({ description: "Empty: the event is dropped." }),
  error: z.object({ message: z.string(), line: z.int().optional() }).optional(),
  logs: z.array(z.string()),
  durationUs: z.int().min(0),
}).meta({ id: "TransformationTry" });

const checkResult = z.object({
  checked: z.int().min(0),
  same: z.int().min(0),
  changed: z.int().min(0),
  dropped: z.int().min(0),
  failed: z.int().min(0),
  complete: z.boolean().meta({ description: "`false` if the check would take longer than a minute." }),
  examples: z.array(z.object({
    messageId: z.string(),
    before: z.unknown(),
    after: z.unknown(),
    error: z.object({ message: z.string(), line: z.int().optional() }).optional(),
  })).max(20),
}).meta({ id: "TransformationCheck" });

const draft = {
  kind: "rules",
  rules: [{ hash: { paths: ["traits.email"] }, where: { type: "identify" } }],
  tests: [{
    name: "an e-mail address is hashed",
    event: { type: "identify", userId: "jane", traits: { email: "Jane@example.com" } },
    expect: {
      type: "identify",
      userId: "jane",
      traits: { email: "8c87b489ce35cf2e2f39f80e282cb2e804932a56a213983eeeb428407d43b52d" },
    },
  }],
};

const code = {
  kind: "javascript",
  code: "export default function transform(event, { params }) {\n" +
    '  if (event.event === "Test") return null;\n' +
    "  event.properties.source = params.source;\n  return event;\n}\n",
  params: { source: "shop" },
};

const saved = { name: "hide-email", ...draft, version: 1, updatedAt: "2026-11-24T18:00:00.000Z" };

/** The group of transformations. */
export const transformations: Group = {
  name: "Transformations",
  description:
    "Change events on their way to destinations; the journal keeps the originals. Changes take effect at once in this " +
    "process, in others within 5 s. Needs the admin token.",
  operations: {
    "PUT /api/v1/admin/transformations/{transformation}": {
      summary: "Save a transformation",
      description:
        "Saves a new version, after its tests have passed. A param that is absent or `***` keeps its value, `null` removes it.",
      right: "admin",
      query: described(saveQuery, { dryRun: "`true` checks and tests the draft, and saves nothing." }),
      body: { schema: draftSchema, examples: { "Hash addresses": draft, "Drop tests": code } },
      answers: {
        200: { description: "The transformation.", schema: transformationSchema, example: saved },
      },
      refusals: ["BadTransformation", "FailedTests", "BodyTooLarge"],
    },
    "GET /api/v1/admin/transformations/{transformation}": {
      summary: "Get a transformation",
      right: "admin",
      answers: { 200: { description: "The transformation.", schema: transformationSchema } },
      refusals: ["BadName", "NotFound"],
    },
    "DELETE /api/v1/admin/transformations/{transformation}": {
      summary: "Delete a transformation",
      description: "Its versions remain and can be restored.",
      right: "admin",
      answers: { 204: { description: "The transformation is deleted." } },
      refusals: ["BadName", "NotFound", "InUse"],
    },
    "GET /api/v1/admin/transformations": {
      summary: "List transformations",
      right: "admin",
      answers: {
        200: {
          description: "The transformations.",
          schema: z.object({ transformations: z.array(transformationSchema) }),
        },
      },
    },
    "POST /api/v1/admin/transformations/{transformation}/try": {
      summary: "Try a transformation on one event",
      description: "Runs the draft, or the current version. Changes nothing and sends nothing.",
      right: "admin",
      body: {
        schema: trySchema,
        examples: { "A draft": { event: { type: "track", userId: "jane", event: "Test" }, draft: code } },
      },
      answers: {
        200: { description: "What it made of the event, or why it failed.", schema: trySuccess },
      },
      refusals: ["BadTransformation", "NotFound", "BodyTooLarge"],
    },
    "POST /api/v1/admin/transformations/{transformation}/check": {
      summary: "Check a transformation against the last events",
      description:
        "Runs the draft beside the current version, or the current version beside the originals, and compares. Touches no " +
        "destination. A client that accepts `text/event-stream` gets events named `progress`, with the numbers `checked` and " +
        "`of`, and a last one named `result`.",
      right: "admin",
      body: {
        schema: checkSchema.safeExtend({ where: checkSchema.shape.where.meta({ type: "object" }) }),
        examples: { "A draft": { draft, last: 100 } },
      },
      answers: {
        200: {
          description: "How many events differ, and up to 20 differences.",
          schema: checkResult,
          alsoTypes: ["text/event-stream"],
        },
      },
      refusals: ["BadTransformation", "NotFound", "BodyTooLarge"],
    },
    "GET /api/v1/admin/transformations/{transformation}/versions": {
      summary: "List the versions of a transformation",
      description: "Newest first.",
      right: "admin",
      query: described(transformationVersionsQuery, {
        limit: "Maximum number of items in a page.",
        before: "Only versions before this one.",
      }),
      answers: {
        200: { description: "A page of versions.", schema: z.object({ versions: z.array(versionSchema) }) },
      },
      refusals: ["BadName", "NotFound"],
    },
    "GET /api/v1/admin/transformations/{transformation}/versions/{version}": {
      summary: "Get one version of a transformation",
      description: "The transformation as it was saved then. A version that is a deletion is 404.",
      right: "admin",
      answers: { 200: { description: "The transformation.", schema: transformationSchema } },
      refusals: ["BadName", "NotFound"],
    },
    "POST /api/v1/admin/transformations/{transformation}/restore": {
      summary: "Restore a version",
      description: "Saves it as a new version.",
      right: "admin",
      body: { schema: restoreSchema, examples: { "The first one": { version: 1 } } },
      answers: {
        200: { description: "The restored transformation.", schema: transformationSchema },
      },
      refusals: ["BadTransformation", "NotFound", "BodyTooLarge"],
    },
  },
};
