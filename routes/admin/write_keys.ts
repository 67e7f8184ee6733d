/** The routes of administrators: write keys. */
import { Hono } from "hono";
import { z } from "zod";
import { EVENT_TYPES } from "../../domain/event/event.ts";
import { bodyErrors, readBody, unknownMember } from "./admin_body.ts";
import {
  adminOnly,
  authorOf,
  logAct,
  type Outcome,
  type Parts,
  type RouteContext,
  type RouteEnv,
} from "../handler/handle.ts";
import { invalid, jsonResponse, type Problem } from "../http/problem.ts";
import { pathParam } from "../http/path_params.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";
import { DEFAULT_KEY_ID } from "../../actors/governance/key_use.ts";
import { TooManyWriteKeys } from "../../actors/store/errors.ts";
import type { WriteKey } from "../../actors/governance/stored_key.ts";

/** Longest name of a write key, in UTF-16 units. */
const MAX_NAME_LENGTH = 200;

/** Slowest rate that may be set, events a second: 36 an hour. */
const MIN_PER_SECOND = 0.01;

/** Fastest rate, and largest burst: some ten times the capacity of a process. */
const MAX_RATE = 1_000_000;

const name = z.string("must be a string").min(1, "must not be empty").max(
  MAX_NAME_LENGTH,
  `must have at most ${MAX_NAME_LENGTH} characters`,
).refine((text) => text.isWellFormed(), "must be well-formed Unicode");

const allowedTypes = z.array(
  z.enum(EVENT_TYPES, `must be one of ${EVENT_TYPES.join(", ")}`),
  "must be an array of event types",
).min(1, "must contain at least one type; omit it to allow all").max(
  EVENT_TYPES.length,
  "must name each type once",
)
  .refine((types) => new Set(types).size === types.length, "must name each type once");

const enabled = z.boolean("must be true or false");

const perSecond = z.number("must be a number").min(
  MIN_PER_SECOND,
  `must be at least ${MIN_PER_SECOND}`,
).max(MAX_RATE, `must be at most ${MAX_RATE}`);

const burst = z.int("must be a whole number").min(1, "must be at least 1").max(
  MAX_RATE,
  `must be at most ${MAX_RATE}`,
);

const rateLimit = z.strictObject({ perSecond, burst }, {
  error: (issue) => unknownMember(issue) ?? "must be an object with perSecond and burst",
});

/** Strict: an ignored misspelt `allowedType` would make a key that may send everything. */
export const newKeySchema = z.strictObject({
  name,
  allowedTypes: allowedTypes.nullable().optional(),
  enabled: enabled.optional(),
  rateLimit: rateLimit.nullable().optional(),
}, { error: bodyErrors });

/** `allowedTypes: null` allows all types again, `rateLimit: null` any number of events. */
export const keyPatchSchema = z.strictObject({
  name: name.optional(),
  allowedTypes: allowedTypes.nullable().optional(),
  enabled: enabled.optional(),
  rateLimit: rateLimit.nullable().optional(),
}, { error: bodyErrors });

/** The longest time for which two secrets of one key are accepted: a month. */
const MAX_GRACE_S = 30 * 86_400;

/** The default: a day, to give senders the new secret. */
const GRACE_S = 86_400;

/** How a key is rotated. */
export const rotationSchema = z.strictObject({
  graceSeconds: z.int("must be a whole number").min(0, "must be at least 0").max(
    MAX_GRACE_S,
    `must be at most ${MAX_GRACE_S}`,
  ).default(GRACE_S),
}, { error: bodyErrors });

/** Whether the environment gives a write key: it is shown, and can't be changed here. */
export interface AdminOptions {
  hasDefaultKey: boolean;
}

/** Everything under `/api/v1/admin/keys`. */
export function adminRoutes(parts: Parts, { hasDefaultKey }: AdminOptions): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  const admin = (handler: (c: RouteContext) => Promise<Outcome>) => adminOnly(parts, handler);
  /** A handler for one stored key, by its id or its name; the key of the environment cannot be changed. */
  const ofKey = (handler: (c: RouteContext, id: string) => Promise<Outcome>) =>
    admin(async (c) => {
      const given = readId(c);
      if (given === undefined) return NO_SUCH_KEY;
      const [id, ...others] = await parts.system.writeKeys.named(given);
      if (id === undefined) return hasDefaultKey && isDefault(given) ? KEY_OF_ENVIRONMENT : NO_SUCH_KEY;
      return others.length === 0 ? await handler(c, id) : ambiguous([id, ...others]);
    });

  routes.get("/api/v1/admin/keys", admin(() => listKeys(parts, hasDefaultKey)));
  routes.post("/api/v1/admin/keys", admin((c) => createKey(parts, c)));
  routes.patch("/api/v1/admin/keys/:id", ofKey((c, id) => changeKey(parts, c, id)));
  routes.post("/api/v1/admin/keys/:id/rotate", ofKey((c, id) => rotateKey(parts, c, id)));
  routes.delete("/api/v1/admin/keys/:id", ofKey((c, id) => deleteKey(parts, c, id)));
  return routes;
}

async function listKeys({ system }: Parts, hasDefaultKey: boolean): Promise<Outcome> {
  const stored = (await system.writeKeys.list()).map(shown);
  if (!hasDefaultKey) return jsonResponse({ keys: stored });
  const lastUsedAt = await system.writeKeys.lastUsedAt(DEFAULT_KEY_ID);
  return jsonResponse({ keys: [{ ...DEFAULT_KEY, ...lastUsedAt && { lastUsedAt } }, ...stored] });
}

async function createKey(parts: Parts, c: RouteContext): Promise<Outcome> {
  const body = await readBody(parts, c, newKeySchema);
  if (body.problem !== undefined) return body.problem;
  const { name, allowedTypes, rateLimit, enabled } = body.value;
  const input = {
    name,
    ...allowedTypes && { allowedTypes },
    ...rateLimit && { rateLimit },
    ...enabled !== undefined && { enabled },
  };
  try {
    const { key, writeKey } = await parts.system.writeKeys.create(input, authorOf(parts, c));
    const { id, ...rest } = shown(writeKey);
    logAct(parts, c, "write key created", { writeKeyId: id, name });
    return jsonResponse({ id, key, ...rest }, 201);
  } catch (error) {
    if (error instanceof TooManyWriteKeys) {
      return invalid("too_many_keys", "", `${error.message}: delete some`);
    }
    throw error;
  }
}

async function changeKey(parts: Parts, c: RouteContext, id: string): Promise<Outcome> {
  const body = await readBody(parts, c, keyPatchSchema);
  if (body.problem !== undefined) return body.problem;
  const { name, allowedTypes, rateLimit, enabled } = body.value;
  const patch = {
    ...name !== undefined && { name },
    ...allowedTypes !== undefined && { allowedTypes },
    ...rateLimit !== undefined && { rateLimit },
    ...enabled !== undefined && { enabled },
  };
  const changed = await parts.system.writeKeys.change(id, patch, authorOf(parts, c));
  if (changed === undefined) return NO_SUCH_KEY;
  logAct(parts, c, "write key changed", { writeKeyId: id, changed: Object.keys(body.value).join() });
  return jsonResponse(shown(changed));
}

async function rotateKey(parts: Parts, c: RouteContext, id: string): Promise<Outcome> {
  const body = await readBody(parts, c, rotationSchema);
  if (body.problem !== undefined) return body.problem;
  const graceMs = body.value.graceSeconds * 1000;
  const rotated = await parts.system.writeKeys.rotate(id, graceMs, authorOf(parts, c));
  if (rotated === undefined) return NO_SUCH_KEY;
  const { id: rotatedId, ...rest } = shown(rotated.writeKey);
  logAct(parts, c, "write key rotated", { writeKeyId: id });
  return jsonResponse({ id: rotatedId, key: rotated.key, ...rest });
}

async function deleteKey(parts: Parts, c: RouteContext, id: string): Promise<Outcome> {
  const wasThere = await parts.system.writeKeys.remove(id, authorOf(parts, c));
  if (!wasThere) return NO_SUCH_KEY;
  logAct(parts, c, "write key deleted", { writeKeyId: id });
  return new Response(null, { status: 204, headers: SECURITY_HEADERS });
}

const DEFAULT_KEY = { id: DEFAULT_KEY_ID, name: "WRITE_KEY", enabled: true, source: "environment" } as const;

const isDefault = (idOrName: string) => idOrName === DEFAULT_KEY.id || idOrName === DEFAULT_KEY.name;

const KEY_OF_ENVIRONMENT = invalid(
  "key_of_environment",
  "",
  "This write key comes from the server's environment (WRITE_KEY), or from .data/dev.json under deno task dev; " +
    "change it there and restart the server.",
);

const NO_SUCH_KEY: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "No write key has this id or name.",
};

/** A change must not hit the wrong one of two keys. */
function ambiguous(ids: readonly string[]): Problem {
  return invalid("ambiguous_name", "", `Several write keys have this name; use an id: ${ids.join(", ")}.`);
}

/** Member by member, so that nothing else of the stored key is shown. */
function shown(key: WriteKey): WriteKey & { source: "stored" } {
  const { id, name, allowedTypes, rateLimit, enabled, createdAt, lastUsedAt, previousValidUntil } = key;
  const { lastChange } = key;
  return {
    id,
    name,
    ...allowedTypes && { allowedTypes },
    ...rateLimit && { rateLimit },
    enabled,
    createdAt,
    ...lastUsedAt !== undefined && { lastUsedAt },
    ...previousValidUntil !== undefined && { previousValidUntil },
    ...lastChange !== undefined && { lastChange },
    source: "stored",
  };
}

/** Ids are of our making and short: anything else names no key. */
function readId(c: RouteContext): string | undefined {
  const id = pathParam(c, "id");
  return id !== undefined && id.length <= MAX_NAME_LENGTH && id.isWellFormed() ? id : undefined;
}
