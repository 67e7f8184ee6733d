/** Event contracts: the gate that every event passes, and the routes of administrators. */
import { Hono } from "hono";
import { z } from "zod";
import { NO_CONTRACT } from "../../actors/governance/contracts.ts";
import { commonContracts } from "../../domain/contract/common_contracts.ts";
import { CONTRACT_MODES, type Draft } from "../../domain/contract/contract.ts";
import { EVENT_TYPES } from "../../domain/event/event.ts";
import { withPlainNumbers } from "../../domain/event/exact_json.ts";
import type { Schema, SchemaProblem } from "../../domain/contract/schema.ts";
import { bodyErrors, readBody } from "./admin_body.ts";
import {
  adminOnly,
  authorOf,
  type Outcome,
  type Parts,
  type RouteContext,
  type RouteEnv,
} from "../handler/handle.ts";
import { writeKeyIdsOf } from "./write_key_ids.ts";
import { createSemaphore } from "../body/semaphore.ts";
import { invalid, jsonResponse, type Problem } from "../http/problem.ts";
import type { NO_QUERY } from "../http/query.ts";
import { pathParam } from "../http/path_params.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";
import { TooManyContracts, UnsupportedSchema } from "../../actors/store/errors.ts";

/** UTF-16 units of a contract's name. */
const MAX_NAME_LENGTH = 100;

/** UTF-16 units of an event's name that a contract may name. */
const MAX_EVENT_NAME_LENGTH = 500;

/** Write keys that a contract may name: with a schema their ids fit one value of the store. */
const MAX_WRITE_KEY_IDS = 50;

/** UTF-16 units of an id or a name of a write key: a name has no more. */
const MAX_KEY_NAME_LENGTH = 200;

/** The number of events for checking a draft: the limit and the default. */
const MAX_LAST = 100_000;
const DEFAULT_LAST = 1_000;

/** Versions in one page. */
const MAX_VERSIONS = 50;

/** Drafts that are tried at once: each reads a stretch of the journal. Others wait. */
const CHECKS_AT_ONCE = 1;

const mode = z.enum(CONTRACT_MODES, `must be one of ${CONTRACT_MODES.join(", ")}`);
const wellFormed = (max: number) =>
  z.string("must be a string").min(1, "must not be empty").max(max, `must have at most ${max} characters`)
    .refine((text) => text.isWellFormed(), "must be well-formed Unicode");

/** Strict: an ignored misspelt `event` would make a contract for all events of the type. */
export const draftSchema = z.strictObject({
  type: z.enum(EVENT_TYPES, `must be one of ${EVENT_TYPES.join(", ")}`),
  event: wellFormed(MAX_EVENT_NAME_LENGTH).optional(),
  // Not by zod, whose records drop members that a schema may have.
  schema: z.unknown().refine((value) => value !== undefined, "must be a JSON Schema"),
  mode,
  writeKeyIds: z.array(wellFormed(MAX_KEY_NAME_LENGTH), "must be an array of ids or names of write keys")
    .min(1, "must contain at least one id; omit it for all write keys")
    .max(MAX_WRITE_KEY_IDS, `must contain at most ${MAX_WRITE_KEY_IDS} ids`).optional(),
}, { error: bodyErrors }).superRefine(({ type, event }, context) => {
  if (event === undefined || type === "track") return;
  context.addIssue({
    code: "custom",
    path: ["event"],
    message: "must be omitted: only track events have one",
  });
});

/** Of `PATCH …/contracts/{name}`. */
export const modeSchema = z.strictObject({ mode }, { error: bodyErrors });

/** Of `POST /api/v1/admin/common-contracts`. */
export const commonSchema = z.strictObject({ mode }, { error: bodyErrors });

/** Of `POST …/contracts/{name}/check`. */
export const checkQuery = z.object({
  last: z.string().regex(/^[1-9]\d{0,5}$/, `must be a whole number from 1 to ${MAX_LAST}`)
    .default(String(DEFAULT_LAST)).transform(Number)
    .pipe(z.number().max(MAX_LAST, `must be a whole number from 1 to ${MAX_LAST}`)),
});

/** Of `GET …/contracts/{name}/versions`. */
export const versionsQuery = z.object({
  limit: z.string().regex(/^([1-9]|[1-4]\d|50)$/, `must be a whole number from 1 to ${MAX_VERSIONS}`)
    .default(String(MAX_VERSIONS)).transform(Number),
  before: z.string().regex(/^[1-9]\d{0,8}$/, "must be the number of a version").transform(Number).optional(),
});

/** Everything under `/api/v1/admin/contracts`. */
export function contractRoutes(parts: Parts): Hono<RouteEnv> {
  const { system: { contracts }, now } = parts;
  const routes = new Hono<RouteEnv>();
  const checks = createSemaphore(CHECKS_AT_ONCE, now);
  const named = <Query extends z.ZodObject = typeof NO_QUERY>(
    handler: (c: RouteContext, name: string, query: z.output<Query>) => Promise<Outcome>,
    query?: Query,
  ) =>
    adminOnly(parts, (c, read) => {
      const name = readName(c);
      return name === undefined ? NO_SUCH_NAME : handler(c, name, read);
    }, query);

  routes.get(
    "/api/v1/admin/contracts",
    adminOnly(parts, async () => jsonResponse({ contracts: await contracts.list() })),
  );
  routes.post("/api/v1/admin/common-contracts", adminOnly(parts, (c) => putCommon(parts, c)));
  routes.get(
    "/api/v1/admin/contracts/:name",
    named(async (_, name) => {
      const contract = await contracts.get(name);
      return contract === undefined ? NO_SUCH_CONTRACT : jsonResponse(contract);
    }),
  );
  routes.put("/api/v1/admin/contracts/:name", named((c, name) => putOne(parts, c, name)));
  routes.patch("/api/v1/admin/contracts/:name", named((c, name) => changeMode(parts, c, name)));
  routes.delete(
    "/api/v1/admin/contracts/:name",
    named(async (c, name) => {
      const removed = await contracts.remove(name, authorOf(parts, c));
      return removed ? new Response(null, { status: 204, headers: SECURITY_HEADERS }) : NO_SUCH_CONTRACT;
    }),
  );
  routes.get(
    "/api/v1/admin/contracts/:name/versions",
    named(async (_, name, { limit, before }) => {
      const versions = await contracts.versions(name, { limit, ...before !== undefined && { before } });
      return versions === undefined ? NO_SUCH_CONTRACT : jsonResponse({ versions });
    }, versionsQuery),
  );
  routes.post(
    "/api/v1/admin/contracts/:name/versions/:version/restore",
    named((c, name) => restore(parts, c, name)),
  );
  async function inTurn(work: () => Promise<unknown>): Promise<Outcome> {
    const entered = checks.enter(1);
    if (entered !== true && !await entered) return TOO_MANY_CHECKS;
    try {
      return jsonResponse(await work());
    } finally {
      checks.leave(1);
    }
  }

  routes.post(
    "/api/v1/admin/contracts/:name/check",
    named(async (c, name, { last }) => {
      const draft = await readDraft(parts, c);
      if (draft.problem !== undefined) return draft.problem;
      return await inTurn(() => contracts.check({ name, ...draft.value }, last));
    }, checkQuery),
  );
  routes.get(
    "/api/v1/admin/contracts/:name/violations",
    named(async (_, name) => {
      const contract = await contracts.get(name);
      if (contract === undefined) return NO_SUCH_CONTRACT;
      return await inTurn(() => contracts.lastViolations(contract));
    }),
  );
  return routes;
}

async function putOne(parts: Parts, c: RouteContext, name: string): Promise<Outcome> {
  const draft = await readDraft(parts, c);
  if (draft.problem !== undefined) return draft.problem;
  return await unlessRefused(async () => {
    const [contract] = await parts.system.contracts.put([{ name, ...draft.value }], authorOf(parts, c));
    return jsonResponse(contract);
  });
}

/** Changes the mode alone: nobody must send the schema again to enforce a contract. */
async function changeMode(parts: Parts, c: RouteContext, name: string): Promise<Outcome> {
  const body = await readBody(parts, c, modeSchema);
  if (body.problem !== undefined) return body.problem;
  const stored = await parts.system.contracts.get(name);
  if (stored === undefined) return NO_SUCH_CONTRACT;
  const { version: _, updatedAt: __, notice, ...contract } = stored;
  if (notice !== undefined) return invalid("invalid_schema", "schema", notice);
  return await unlessRefused(async () => {
    const [changed] = await parts.system.contracts.put(
      [{ ...contract, mode: body.value.mode }],
      authorOf(parts, c),
    );
    return jsonResponse(changed);
  });
}

async function putCommon(parts: Parts, c: RouteContext): Promise<Outcome> {
  const body = await readBody(parts, c, commonSchema);
  if (body.problem !== undefined) return body.problem;
  return await unlessRefused(async () => {
    const contracts = await parts.system.contracts.put(commonContracts(body.value.mode), authorOf(parts, c));
    return jsonResponse({ contracts });
  });
}

async function restore(parts: Parts, c: RouteContext, name: string): Promise<Outcome> {
  const version = pathParam(c, "version") ?? "";
  if (!/^[1-9]\d{0,8}$/.test(version)) return NO_SUCH_VERSION;
  return await unlessRefused(async () => {
    const contract = await parts.system.contracts.restore(name, Number(version), authorOf(parts, c));
    return contract === undefined ? NO_SUCH_VERSION : jsonResponse(contract);
  });
}

/** A draft whose schema is supported: the paths of problems begin with `schema`. */
async function readDraft(
  parts: Parts,
  c: RouteContext,
): Promise<{ value: Draft; problem?: undefined } | { problem: Problem }> {
  const body = await readBody(parts, c, draftSchema);
  if (body.problem !== undefined) return body;
  const { type, event, mode, writeKeyIds } = body.value;
  const schema = withPlainNumbers(body.value.schema);
  const { readSchema } = await import("../../domain/contract/read_schema.ts");
  const { problem } = readSchema(schema);
  if (problem !== undefined) return { problem: invalidSchema(problem) };
  const keys = await writeKeyIdsOf(parts, writeKeyIds ?? []);
  if ("problem" in keys) return keys;
  return {
    value: {
      type,
      ...event !== undefined && { event },
      schema: schema as Schema,
      mode,
      ...writeKeyIds && { writeKeyIds: keys.ids },
    },
  };
}

function invalidSchema({ path, message }: SchemaProblem): Problem {
  return invalid("invalid_schema", path === "" ? "schema" : `schema.${path}`, message);
}

async function unlessRefused(put: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await put();
  } catch (error) {
    if (error instanceof TooManyContracts) {
      return invalid("too_many_contracts", "", `${error.message}: delete some`);
    }
    if (error instanceof UnsupportedSchema) return invalidSchema(error.problem);
    throw error;
  }
}

function readName(c: RouteContext): string | undefined {
  const name = pathParam(c, "name");
  const isName = name !== undefined && name.length <= MAX_NAME_LENGTH && name.isWellFormed() &&
    name !== "." && name !== ".." && name !== NO_CONTRACT;
  return isName ? name : undefined;
}

const NO_SUCH_NAME = invalid(
  "invalid_name",
  "",
  `The name in the path must have 1 to ${MAX_NAME_LENGTH} well-formed, percent-encoded characters and must not be ${NO_CONTRACT}.`,
);
const NO_SUCH_CONTRACT: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "No contract has this name.",
};
const NO_SUCH_VERSION: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "No contract with this name has this version, or this version is a deletion.",
};
const TOO_MANY_CHECKS: Problem = {
  reason: "unavailable",
  code: "overloaded",
  detail: "Other drafts are being checked; retry later.",
  retryAfterS: 1,
};
