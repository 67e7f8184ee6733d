/** The routes that erase people, and the gate that keeps later events of suppressed ones out. */
import { Hono } from "hono";
import { z } from "zod";
import type { EraseOutcome } from "../../actors/erasure/requests_api.ts";
import type { Person } from "../../actors/erasure/requests.ts";
import { nothingSeen, type Seen, type Suppression } from "../../actors/erasure/suppression.ts";
import { TooManySuppressed } from "../../actors/store/errors.ts";
import { MAX_ID_LENGTH } from "../../domain/event/event.ts";
import { isShortText } from "../../domain/event/json.ts";
import type { Rejection } from "../../domain/event/rejection.ts";
import {
  adminOnly,
  logAct,
  type Outcome,
  type Parts,
  type RouteContext,
  type RouteEnv,
} from "../handler/handle.ts";
import { invalid, jsonResponse, type Problem } from "../http/problem.ts";
import { pathParam } from "../http/path_params.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";
import type { Gate, Source } from "../ingest/pipeline.ts";

const flag = z.enum(["true", "false"], "must be true or false").default("false")
  .transform((text) => text === "true");

/** `?suppress=true|all` and `?dryRun=true`. */
export const erasureQuery = z.object({
  suppress: z.enum(["true", "false", "all"], "must be true, all or false").default("false")
    .transform((text) => text === "true" ? "id" : text === "all" ? "all" : false),
  dryRun: flag,
});

const KINDS = [["users", "user"], ["anonymous", "anonymous"]] as const;

/** `DELETE /api/v1/users/{userId}` and `/api/v1/anonymous/{anonymousId}`, and what lifts a suppression. */
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

/** Reads who is named in the path. */
function withPerson(
  c: RouteContext,
  kind: Person["kind"],
  handle: (person: Person) => Promise<Outcome>,
): Outcome | Promise<Outcome> {
  const id = pathParam(c, "id");
  if (id !== undefined && isShortText(id, MAX_ID_LENGTH)) return handle({ kind, id });
  const rule = `the id in the path must be 1 to ${MAX_ID_LENGTH} characters, percent-encoded`;
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
    const { erased, suppressed, at, known } = await erasure.erase(person, query);
    const { kind } = person;
    logAct(parts, c, "person erased", { kind, person: erasure.digestOf(person), suppressed, ...erased });
    return jsonResponse({ erased, suppressed, at: new Date(at).toISOString(), ...saying(known) });
  } catch (error) {
    if (error instanceof TooManySuppressed) {
      return invalid("too_many_suppressed", "suppress", `can't be: ${error.message}, the most there may be`);
    }
    throw error;
  }
}

/** An id that nobody has may be misspelt. */
function saying(known: EraseOutcome["known"]): { known?: false } {
  return known ? {} : { known };
}

function isoOf(ms: number): string | null {
  return Number.isFinite(ms) ? new Date(ms).toISOString() : null;
}

async function lift(parts: Parts, c: RouteContext, person: Person): Promise<Outcome> {
  const { suppression, erasure } = parts.system;
  if (!await suppression.lift(person)) return NOT_SUPPRESSED;
  logAct(parts, c, "suppression lifted", { kind: person.kind, person: erasure.digestOf(person) });
  return new Response(null, { status: 204, headers: SECURITY_HEADERS });
}

const NOT_SUPPRESSED: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "nobody of this id is suppressed",
};

/**
 * Keeps events of people who are suppressed from being stored: last of all gates, so that what is wrong with an event is
 * told whoever's it is. Costs a comparison while nobody is suppressed, else a digest for each event.
 */
export function suppressionGate(suppression: Suppression, what: "drop" | "refuse"): Gate {
  const seen = new WeakMap<Source, Seen>();
  const verdict = what === "drop" ? DROPPED : REFUSED;
  return {
    admit: () => suppression.fresh()?.then(() => undefined),
    judge(event, source) {
      if (suppression.isEmpty()) return undefined;
      let known = seen.get(source);
      if (known === undefined) seen.set(source, known = nothingSeen());
      const isTheirs = suppression.judge(event, known);
      if (isTheirs instanceof Promise) return isTheirs.then((yes) => yes ? verdict : undefined);
      return isTheirs ? verdict : undefined;
    },
  };
}

const MESSAGE = "the person whose event this is was erased, and later events of theirs are refused";

/** Names nobody: not even the message id is told, which a sender may have made of an id. */
const REFUSED: Rejection = {
  reason: "forbidden",
  code: "suppressed",
  message: MESSAGE,
  path: "",
  errors: [{ path: "", message: MESSAGE }],
};

/** Its sender is told what is told of an event that is taken: so nobody learns who was erased. */
const DROPPED: Rejection = { ...REFUSED, isDropped: true };
