/** The routes of administrators. */
import { z } from "zod";
import { EVENT_TYPES } from "../../domain/event/event.ts";
import { keyPatchSchema, newKeySchema, rotationSchema } from "../admin/write_keys.ts";
import type { Group } from "./operation.ts";
import { time } from "./reading.ts";

const stored = {
  id: z.string(),
  name: z.string(),
  allowedTypes: z.array(z.enum(EVENT_TYPES)).optional().meta({ description: "Absent for all." }),
  rateLimit: z.object({ perSecond: z.number(), burst: z.int() }).optional().meta({
    description: "In events; absent for none.",
  }),
  enabled: z.boolean(),
  createdAt: time,
  lastUsedAt: time.optional().meta({ description: "To within some time; absent for never." }),
  previousValidUntil: time.optional().meta({
    description: "Until then the secret of before the last rotation is taken too.",
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
  }).meta({ description: "The key that the environment gives; it can't be changed here." }),
  storedKeySchema,
]);

const madeKeySchema = z.object({
  ...stored,
  key: z.string().meta({ description: "The write key itself: shown this once, kept as a digest." }),
}).meta({ id: "MadeWriteKey" });

const website = {
  id: "01M84NYA09JNNE65BQ3GBSTT6Y",
  name: "website",
  allowedTypes: ["page"],
  enabled: true,
  createdAt: "2026-11-23T17:06:00.841Z",
  source: "stored",
};

/** The group of write keys. */
export const admin: Group = {
  name: "Write keys",
  description: "Who may send. Needs the admin token.",
  operations: {
    "GET /api/v1/admin/keys": {
      summary: "All write keys",
      right: "admin",
      answers: {
        200: {
          description: "The keys, without their secrets.",
          schema: z.object({ keys: z.array(keySchema) }),
          example: { keys: [website] },
        },
      },
    },
    "POST /api/v1/admin/keys": {
      summary: "Make a write key",
      right: "admin",
      body: {
        schema: newKeySchema,
        examples: { "A key that sends page views only": { name: "website", allowedTypes: ["page"] } },
      },
      answers: {
        201: {
          description: "The key, shown this once.",
          schema: madeKeySchema,
          example: { ...website, key: "csd72tgq2g1hoqnovp0ddkesb" },
        },
      },
      refusals: ["BadKey", "BodyTooLarge"],
    },
    "PATCH /api/v1/admin/keys/{keyId}": {
      summary: "Change a write key",
      description: "Holds at once in the process that answers, elsewhere within 5 s.",
      right: "admin",
      body: { schema: keyPatchSchema, examples: { "Switch it off": { enabled: false } } },
      answers: {
        200: {
          description: "The key as it is now.",
          schema: storedKeySchema,
          example: { ...website, enabled: false },
        },
      },
      refusals: ["BadKey", "BodyTooLarge", "NotFound"],
    },
    "POST /api/v1/admin/keys/{keyId}/rotate": {
      summary: "Give a write key another secret",
      description: "The one before is taken for some time yet, so that senders can change.",
      right: "admin",
      body: {
        schema: rotationSchema,
        examples: { "In an hour the old one is over": { graceSeconds: 3600 } },
      },
      answers: {
        200: { description: "The key with its new secret, shown this once.", schema: madeKeySchema },
      },
      refusals: ["BadKey", "BodyTooLarge", "NotFound"],
    },
    "DELETE /api/v1/admin/keys/{keyId}": {
      summary: "Delete a write key",
      right: "admin",
      answers: { 204: { description: "The key is no more." } },
      refusals: ["KeyOfEnvironment", "NotFound"],
    },
  },
};
