/** The routes that erase people. */
import { Hono } from "hono";
import { z } from "zod";
import type { EraseOutcome } from "../../actors/erasure/requests_api.ts";
import type { Person } from "../../actors/erasure/requests.ts";
import { TooManySuppressed } from "../../actors/store/errors.ts";
import { MAX_ID_LENGTH } from "../../domain/event/event.ts";
import { isShortText } from "../../domain/event/json.ts";
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

const flag = z.enum(["true", "false"], "must be true or false").default("false")
  .transform((text) => text === "true");

/** `?suppress=true|all` and `?dryRun=true`. */
export const erasureQuery = z.object({
  suppress: z.enum(["true", "false", "all"], "must be true, all or false").default("false")
    .transform((text) => text === "true" ? "id" : text === "all" ? "all" : false),
  dryRun: flag,
});

const KINDS = [["users", "user"], ["anonymous", "anonymous"]] as const;

/** `DELETE /api/v1/users/{userId}` and `/api/v1/anonymous/{anonymousId}`, and the lifting of suppressions. */
export function erasureRoutes(parts: Parts): Hono<RouteEnv> {
  const routes = new Hono<RouteEnv>();
  for (const [part, kind] of KINDS) {
    routes.delete(
      `/api/v1/${part}/:id`,
      adminOnly(
        parts,
        (c, query) => withPerson(c, kind, (person) => erase(parts, c, { person, query })),
        erasureQuery,
      ),
    );
    routes.delete(
      `/api/v1/admin/suppressed/${part}/:id`,
      adminOnly(parts, (c) => withPerson(c, kind, (person) => lift(parts, c, person))),
    );
  }
  return routes;
}

/** Reads the person of the path. */
function withPerson(
  c: RouteContext,
  kind: Person["kind"],
  handle: (person: Person) => Promise<Outcome>,
): Outcome | Promise<Outcome> {
  const id = pathParam(c, "id");
  if (id !== undefined && isShortText(id, MAX_ID_LENGTH)) return handle({ kind, id });
  const rule = `The id in the path must have 1 to ${MAX_ID_LENGTH} characters, percent-encoded.`;
  return invalid("invalid_id", "", rule);
}

async function erase(
  parts: Parts,
  c: RouteContext,
  { person, query }: { person: Person; query: z.output<typeof erasureQuery> },
): Promise<Outcome> {
  const { erasure } = parts.system;
  if (query.dryRun) {
    const { known, intervals, ...wouldErase } = await erasure.preview(person);
    const shown = intervals.map(({ fromMs, untilMs, ...rest }) => ({
      ...rest,
      from: isoOf(fromMs),
      until: isoOf(untilMs),
    }));
    return jsonResponse({ wouldErase: { ...wouldErase, intervals: shown }, ...saying(known) });
  }
  try {
    await audit(parts, c, { action: "erasure.requested", person, suppress: query.suppress });
    const { erased, suppressed, at, known } = await erasure.erase(person, query);
    const { kind } = person;
    logAct(parts, c, "person erased", { kind, person: erasure.digestOf(person), suppressed, ...erased });
    const forwarding = await parts.system.forwarding.erasure(erasure.fullDigestOf(person));
    return jsonResponse({
      erased,
      suppressed,
      at: new Date(at).toISOString(),
      ...saying(known),
      ...forwarding && { forwarding },
    });
  } catch (error) {
    if (error instanceof TooManySuppressed) {
      return invalid("too_many_suppressed", "suppress", `cannot be set. ${error.message}`);
    }
    throw error;
  }
}

/** An unknown id may be misspelt. */
function saying(known: EraseOutcome["known"]): { known?: false } {
  return known ? {} : { known };
}

function isoOf(ms: number): string | null {
  return Number.isFinite(ms) ? new Date(ms).toISOString() : null;
}

/** Notes an act in the audit log; an erasure before it begins, so that none goes unnoted. */
async function audit(
  parts: Parts,
  c: RouteContext,
  { action, person, suppress }: { action: string; person: Person; suppress?: string | false },
): Promise<void> {
  await parts.system.audit.record({
    ...authorOf(parts, c),
    action,
    target: `${person.kind}/${parts.system.erasure.digestOf(person)}`,
    changes: suppress ? { suppress: { to: suppress } } : {},
  });
}

async function lift(parts: Parts, c: RouteContext, person: Person): Promise<Outcome> {
  const { suppression, erasure } = parts.system;
  if (!await suppression.lift(person)) return NOT_SUPPRESSED;
  await audit(parts, c, { action: "suppression.lifted", person });
  logAct(parts, c, "suppression lifted", { kind: person.kind, person: erasure.digestOf(person) });
  return new Response(null, { status: 204, headers: SECURITY_HEADERS });
}

const NOT_SUPPRESSED: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "This id is not suppressed.",
};
