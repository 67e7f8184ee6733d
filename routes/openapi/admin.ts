/** The routes of administrators. */
import { z } from "zod";
import { EVENT_TYPES } from "../../domain/event/event.ts";
import { keyPatchSchema, newKeySchema, rotationSchema } from "../admin/write_keys.ts";
import type { Group } from "../operation/operation.ts";
import { time } from "./reading.ts";

const stored = {
  id: z.string(),
  name: z.string(),
  allowedTypes: z.array(z.enum(EVENT_TYPES)).optional().meta({ description: "Absent: all types." }),
  rateLimit: z.object({ perSecond: z.number(), burst: z.int() }).optional().meta({
    description: "In events; absent: no limit.",
  }),
  enabled: z.boolean(),
  createdAt: time,
  lastUsedAt: time.optional().meta({ description: "Approximate; absent: never used." }),
  previousValidUntil: time.optional().meta({
    description: "The previous secret is accepted until this time.",
  }),
  lastChange: z.object({ at: time, by: z.string(), address: z.string() }).optional().meta({
    description:
      "Who changed the key last, from which address; absent if version 0.3 or older made the change.",
  }),
  source: z.literal("stored"),
};

const storedKeySchema = z.object(stored).meta({ id: "StoredWriteKey" });

const keySchema = z.union([
  z.object({
    id: z.literal("default"),
    name: z.literal("WRITE_KEY"),
    enabled: z.literal(true),
    lastUsedAt: stored.lastUsedAt,
    source: z.literal("environment"),
  }).meta({ description: "The key from the server's environment; it cannot be changed here." }),
  storedKeySchema,
]);

const madeKeySchema = z.object({
  ...stored,
  key: z.string().meta({ description: "The write key itself: shown only once, stored as a digest." }),
}).meta({ id: "MadeWriteKey" });

const website = {
  id: "01M84NYA09JNNE65BQ3GBSTT6Y",
  name: "website",
  allowedTypes: ["page"],
  enabled: true,
  createdAt: "2026-11-23T17:06:00.841Z",
  lastChange: { at: "2026-11-23T17:06:00.841Z", by: "admin", address: "192.0.2.1" },
  source: "stored",
};

/** The group of write keys. */
export const admin: Group = {
  name: "Write keys",
  description: "Credentials for sending events. Needs the admin token.",
  operations: {
    "GET /api/v1/admin/keys": {
      summary: "List write keys",
      right: "admin",
      answers: {
        200: {
          description: "The keys without their secrets.",
          schema: z.object({ keys: z.array(keySchema) }),
          example: { keys: [website] },
        },
      },
    },
    "POST /api/v1/admin/keys": {
      summary: "Create a write key",
      right: "admin",
      body: {
        schema: newKeySchema,
        examples: { "A key that sends page views only": { name: "website", allowedTypes: ["page"] } },
      },
      answers: {
        201: {
          description: "The key, shown only once.",
          schema: madeKeySchema,
          example: { ...website, key: "csd72tgq2g1hoqnovp0ddkesb" },
        },
      },
      refusals: ["BadKey", "BodyTooLarge"],
    },
    "PATCH /api/v1/admin/keys/{keyId}": {
      summary: "Change a write key",
      description: "Takes effect at once in this process, in others within 5 s.",
      right: "admin",
      body: { schema: keyPatchSchema, examples: { "Disable it": { enabled: false } } },
      answers: {
        200: {
          description: "The changed key.",
          schema: storedKeySchema,
          example: { ...website, enabled: false },
        },
      },
      refusals: ["BadKey", "BodyTooLarge", "NotFound"],
    },
    "POST /api/v1/admin/keys/{keyId}/rotate": {
      summary: "Rotate a write key",
      description:
        "Replaces its secret. The previous secret stays valid for a grace period, so that senders can switch.",
      right: "admin",
      body: {
        schema: rotationSchema,
        examples: { "Expire the old secret in an hour": { graceSeconds: 3600 } },
      },
      answers: {
        200: { description: "The key with its new secret, shown only once.", schema: madeKeySchema },
      },
      refusals: ["BadKey", "BodyTooLarge", "NotFound"],
    },
    "DELETE /api/v1/admin/keys/{keyId}": {
      summary: "Delete a write key",
      right: "admin",
      answers: { 204: { description: "The key is deleted." } },
      refusals: ["KeyOfEnvironment", "NotFound"],
    },
  },
};
