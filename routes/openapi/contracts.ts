/** The routes of event contracts. */
import { z } from "zod";
import { CONTRACT_MODES } from "../../domain/contract/contract.ts";
import { EVENT_TYPES } from "../../domain/event/event.ts";
import { checkQuery, commonSchema, draftSchema, modeSchema, versionsQuery } from "../admin/contracts.ts";
import { described, type Group } from "../operation/operation.ts";
import { time } from "./reading.ts";

const SCHEMA =
  "JSON Schema 2020-12 of the whole event as it is stored, without recursion, `unevaluatedProperties`, " +
  "`unevaluatedItems` and `$dynamicRef`.";

const contract = {
  name: z.string(),
  type: z.enum(EVENT_TYPES),
  event: z.string().optional().meta({
    description: "Name of a track event; absent: all events of the type.",
  }),
  schema: z.union([z.boolean(), z.looseObject({})]).meta({
    description: SCHEMA,
  }),
  mode: z.enum(CONTRACT_MODES).meta({
    description: "`enforce` rejects violations (422), `monitor` counts them.",
  }),
  writeKeyIds: z.array(z.string()).optional().meta({
    description: "Ids; a change may name keys by their names too. Absent: all write keys.",
  }),
};

const version = z.int().min(1).meta({ description: "Counts the changes of a contract." });

const contractSchema = z.object({
  ...contract,
  version,
  updatedAt: time,
  notice: z.string().optional().meta({
    description:
      "Why the contract checks nothing: an older version stored it with a schema that is no longer supported. Its `mode` is " +
      "`monitor` until it is saved with a supported schema.",
  }),
}).meta({ id: "Contract" });

const versionSchema = z.object({
  version,
  at: time,
  by: z.string(),
  address: z.string(),
  contract: z.object(contract).nullable().meta({
    description: "The contract after this change; `null` if it was deleted.",
  }),
  restored: z.int().optional().meta({ description: "The version that was restored." }),
}).meta({ id: "ContractVersion" });

const checkSchema = z.object({
  checked: z.int().min(0).meta({ description: "Number of the last events to which the draft applies." }),
  failed: z.int().min(0),
  complete: z.boolean().meta({
    description: "Whether all requested events were checked; `false` if that would take longer than 10 s.",
  }),
  examples: z.array(z.object({ messageId: z.string(), path: z.string(), message: z.string() })),
}).meta({ id: "DraftCheck" });

const violationsSchema = z.object({
  violations: z.array(
    z.object({ messageId: z.string(), receivedAt: time, path: z.string(), message: z.string() }),
  ),
  checked: z.int().min(0).meta({
    description: "Number of the newest events of the contract that were checked.",
  }),
  complete: z.boolean().meta({
    description:
      "`false` if older events were left out: the search ends after the newest 100,000 events of the journal, or 10 s.",
  }),
}).meta({ id: "ContractViolations" });

/** As the routes read it; `invalid_schema` tells which schemas are supported. */
const draftBody = draftSchema.safeExtend({
  schema: draftSchema.shape.schema.meta({
    type: ["object", "boolean"],
    description: SCHEMA,
  }),
});

const draft = {
  type: "page",
  schema: { required: ["name"], properties: { name: { minLength: 1 } } },
  mode: "monitor",
};

const stored = { name: "page-views", ...draft, version: 1, updatedAt: "2026-11-24T18:00:00.000Z" };

/** The group of contracts. */
export const contracts: Group = {
  name: "Contracts",
  description:
    "Schemas for events. Changes take effect at once in this process, in others within 5 s. Needs the admin " +
    "token.",
  operations: {
    "PUT /api/v1/admin/contracts/{contract}": {
      summary: "Create or change a contract",
      description: "Each change is stored as a version; an identical contract adds none.",
      right: "admin",
      body: { schema: draftBody, examples: { "Pages have names": draft } },
      answers: {
        200: { description: "The saved contract.", schema: contractSchema, example: stored },
      },
      refusals: ["BadContract", "BodyTooLarge"],
    },
    "GET /api/v1/admin/contracts/{contract}": {
      summary: "Get a contract",
      right: "admin",
      answers: { 200: { description: "The contract.", schema: contractSchema, example: stored } },
      refusals: ["BadName", "NotFound"],
    },
    "PATCH /api/v1/admin/contracts/{contract}": {
      summary: "Change a contract's mode",
      description: "The rest stays as it is.",
      right: "admin",
      body: { schema: modeSchema, examples: { "The mode alone": { mode: "monitor" } } },
      answers: { 200: { description: "The changed contract.", schema: contractSchema } },
      refusals: ["BadContract", "NotFound", "BodyTooLarge"],
    },
    "DELETE /api/v1/admin/contracts/{contract}": {
      summary: "Delete a contract",
      description: "Its versions remain and can be restored.",
      right: "admin",
      answers: { 204: { description: "The contract is deleted." } },
      refusals: ["BadName", "NotFound"],
    },
    "GET /api/v1/admin/contracts": {
      summary: "List contracts",
      right: "admin",
      answers: {
        200: {
          description: "The contracts.",
          schema: z.object({ contracts: z.array(contractSchema) }),
          example: { contracts: [stored] },
        },
      },
    },
    "POST /api/v1/admin/contracts/{contract}/check": {
      summary: "Check a draft against the last events",
      description: "Changes nothing. Use it before enforcing a contract.",
      right: "admin",
      query: described(checkQuery, { last: "Number of the last events to check." }),
      body: { schema: draftBody, examples: { "Pages have names": draft } },
      answers: {
        200: {
          description: "How many events would violate it, and how.",
          schema: checkSchema,
          example: { checked: 1, failed: 0, complete: true, examples: [] },
        },
      },
      refusals: ["BadDraft", "BodyTooLarge"],
    },
    "GET /api/v1/admin/contracts/{contract}/violations": {
      summary: "List the last violations of a contract",
      description:
        "The last 100 accepted events that violate the contract as it is now, newest first. Rejected events are in the " +
        "quarantine.",
      right: "admin",
      answers: {
        200: {
          description: "The violations.",
          schema: violationsSchema,
          example: { violations: [], checked: 1, complete: true },
        },
      },
      refusals: ["BadName", "NotFound"],
    },
    "GET /api/v1/admin/contracts/{contract}/versions": {
      summary: "List the versions of a contract",
      description: "Newest first.",
      right: "admin",
      query: described(versionsQuery, {
        limit: "Maximum number of items in a page.",
        before: "Only versions before this one.",
      }),
      answers: {
        200: { description: "A page of versions.", schema: z.object({ versions: z.array(versionSchema) }) },
      },
      refusals: ["BadName", "NotFound"],
    },
    "POST /api/v1/admin/contracts/{contract}/versions/{version}/restore": {
      summary: "Restore a version",
      right: "admin",
      answers: {
        200: { description: "The restored contract.", schema: contractSchema, example: stored },
      },
      refusals: ["BadContract", "NotFound"],
    },
    "POST /api/v1/admin/common-contracts": {
      summary: "Enable contracts for the eight common track events",
      right: "admin",
      body: { schema: commonSchema, examples: { "Count violations": { mode: "monitor" } } },
      answers: {
        200: {
          description: "The eight contracts.",
          schema: z.object({ contracts: z.array(contractSchema) }),
        },
      },
      refusals: ["BadContract", "BodyTooLarge"],
    },
  },
};
