/** The quarantine: who is told of rejected events keeps them, and administrators look at them and send them again. */
import { Hono } from "hono";
import { z } from "zod";
import { withDefaults } from "../../domain/event/accept.ts";
import { idText, MAX_ID_LENGTH as MAX_EVENT_ID_LENGTH, type StoredEvent } from "../../domain/event/event.ts";
import { isObject, isShortText, type JsonObject } from "../../domain/event/json.ts";
import { type Judged, nothingSeen, type Suppression } from "../../actors/erasure/suppression.ts";
import { type Rejection, sentType } from "../../domain/event/rejection.ts";
import { formatTimestamp, parseTimestamp } from "../../domain/event/timestamp.ts";
import {
  adminOnly,
  logAct,
  type Outcome,
  type Parts,
  type RouteContext,
  type RouteEnv,
} from "../handler/handle.ts";
import type { Gate, Source, Witness } from "../ingest/pipeline.ts";
import { invalid, jsonResponse, type Problem, STATUS_OF } from "../http/problem.ts";
import { cursor, limit } from "../http/paging.ts";
import { pathParam } from "../http/path_params.ts";
import { SECURITY_HEADERS } from "../http/security_headers.ts";
import { takeOne } from "../ingest/events.ts";
import { InvalidCursor } from "../../actors/store/errors.ts";

/** Ids are of our making and short: anything else names nothing. */
const MAX_ID_LENGTH = 100;

/** UTF-16 units of the name that is kept of an event that is too large to be kept. */
const MAX_NAME_LENGTH = 256;

/** The ids that are kept of it: whole, so that an erasure finds them; what is longer than an id may be is nobody's. */
const KEPT_IDS = ["messageId", "userId", "anonymousId", "groupId", "previousId"] as const;

/** Of the list. */
export const rejectedQuery = z.object({ limit, cursor });

/**
 * Keeps what is refused, if it is an object: of one that is too large only its ids and its name, of a person whose
 * events are suppressed nothing at all, and of what came from here nothing new. It is located first, as an event that is
 * taken is: an address that must not be kept is not kept here either.
 */
export function quarantineWitness(
  { quarantine, suppression }: Parts["system"],
  location?: Gate,
): Witness {
  function keep(item: JsonObject, rejection: Rejection, source: Source): void {
    const { reason, code, message, path } = rejection;
    const whole = reason === "too_large" ? undefined : withDefaults(item, source);
    if (whole !== undefined && (whole.context === undefined || isObject(whole.context))) {
      location?.judge?.(whole as StoredEvent, source);
    }
    quarantine.keep({
      receivedAt: formatTimestamp(source.receivedAt),
      writeKeyId: source.caller.writeKeyId,
      status: STATUS_OF[reason],
      code,
      message,
      ...path !== "" && { path },
      event: whole ?? cutOf(item, sentType(item, source.type)),
      ...whole === undefined && { cut: true },
    });
  }

  return {
    rejected(item, rejection, source) {
      if (!isObject(item) || source.isResent || rejection.code === "suppressed") return;
      // First of all: a flood must cost next to nothing.
      if (!quarantine.hasRoom(source.caller.writeKeyId)) return;
      if (suppression.isEmpty()) return keep(item, rejection, source);
      // It may have been refused for something else, before anybody asked whose it is.
      if (namesSuppressed(item, suppression)) return;
      const isTheirs = suppression.judge(judgedAs(item, source), nothingSeen());
      if (!(isTheirs instanceof Promise)) {
        if (!isTheirs) keep(item, rejection, source);
        return;
      }
      // Nobody was promised that it is kept.
      isTheirs.then((yes) => yes ? undefined : keep(item, rejection, source)).catch(() => {});
    },
  };
}

/** Whom what was sent is about, as the event would say it. */
function judgedAs(item: JsonObject, { receivedAt }: Source): Judged {
  const [userId, anonymousId] = [item.userId, item.anonymousId].map(idText);
  const atMs = typeof item.timestamp === "string" ? parseTimestamp(item.timestamp) : undefined;
  return {
    type: "track",
    timestamp: formatTimestamp(Math.min(atMs ?? receivedAt, receivedAt)),
    ...userId !== undefined && { userId },
    ...anonymousId !== undefined && { anonymousId },
  };
}

/** Values that are looked at in an event that was refused; each costs two digests. */
const LOOKED_AT = 100;

/** Whether any value of what was sent, but for its own `anonymousId`, is the id of somebody who is suppressed. */
function namesSuppressed({ anonymousId: _, ...item }: JsonObject, { isSuppressed }: Suppression): boolean {
  let left = LOOKED_AT;
  const isIn = (value: unknown): boolean => {
    const id = idText(value);
    if (id === undefined) {
      return left > 0 && typeof value === "object" && value !== null && Object.values(value).some(isIn);
    }
    return left-- > 0 && isShortText(id, MAX_EVENT_ID_LENGTH) &&
      (isSuppressed({ userId: id }) || isSuppressed({ anonymousId: id }));
  };
  return isIn(item);
}

/** What can be told of an event by its ids and its name, in well-formed Unicode: a cut may fall within a character. */
function cutOf(item: JsonObject, type: unknown): JsonObject {
  const kept: JsonObject = {};
  for (const [member, value] of [["type", type], ...KEPT_IDS.map((id) => [id, item[id]] as const)] as const) {
    const id = idText(value);
    if (id !== undefined && isShortText(id, MAX_EVENT_ID_LENGTH)) kept[member] = value;
  }
  if (typeof item.event === "string") kept.event = item.event.slice(0, MAX_NAME_LENGTH).toWellFormed();
  return kept;
}

/** Everything under `/api/v1/admin/rejected`. */
export function quarantineRoutes(parts: Parts): Hono<RouteEnv> {
  const { system: { quarantine } } = parts;
  const routes = new Hono<RouteEnv>();
  routes.get("/api/v1/admin/rejected", adminOnly(parts, (c, query) => list(parts, c, query), rejectedQuery));
  routes.post("/api/v1/admin/rejected/:id/resend", adminOnly(parts, (c) => resend(parts, c)));
  routes.delete(
    "/api/v1/admin/rejected/:id",
    adminOnly(parts, async (c) => {
      const id = readId(c);
      if (!await quarantine.remove(id)) return NOT_KEPT;
      logAct(parts, c, "rejected event deleted", { rejectedId: id });
      return new Response(null, { status: 204, headers: SECURITY_HEADERS });
    }),
  );
  return routes;
}

async function list(
  parts: Parts,
  c: RouteContext,
  { limit, cursor }: z.output<typeof rejectedQuery>,
): Promise<Outcome> {
  try {
    const page = await parts.system.quarantine.list({ limit, ...cursor !== undefined && { cursor } });
    logAct(parts, c, "rejected events read", { events: page.rejected.length });
    return jsonResponse(page);
  } catch (error) {
    if (error instanceof InvalidCursor) {
      return invalid("invalid_query", "cursor", "must be a cursor of the page before");
    }
    throw error;
  }
}

/**
 * Sends an event again, under the write key that sent it. Its own times are read as when it first came, so that it
 * happened when it happened; what it is known since is now. Without a `messageId` of its own the quarantine's id is it:
 * sending it twice counts once.
 */
async function resend(parts: Parts, c: RouteContext): Promise<Outcome> {
  const { system: { quarantine }, authentication, intake, now } = parts;
  const id = readId(c);
  const rejected = await quarantine.get(id);
  if (rejected === undefined) return NOT_KEPT;
  if (rejected.cut) return CUT;
  const caller = await authentication.byId(rejected.writeKeyId);
  if (!caller) return NO_SUCH_SENDER;
  const source: Source = {
    caller,
    receivedAt: now(),
    // What the administrator's own request says is nothing about whom the event is about.
    request: new Request("http://localhost/"),
    address: () => "",
    isResent: true,
  };
  const refusal = await intake.admit(source, 1);
  if (refusal !== undefined) return refusal;
  const firstSentAt = Date.parse(rejected.receivedAt);
  const taken = await takeOne(parts, rejected.event, { source, newId: () => rejected.id, firstSentAt });
  if (taken.problem !== undefined) return taken.problem;
  await quarantine.remove(id);
  logAct(parts, c, "rejected event sent again", { rejectedId: id });
  return jsonResponse({ success: true, ...taken.receipt });
}

function readId(c: RouteContext): string {
  const id = pathParam(c, "id");
  return id !== undefined && id.length <= MAX_ID_LENGTH && id.isWellFormed() ? id : "";
}

const NOT_KEPT: Problem = {
  reason: "not_found",
  code: "not_found",
  detail: "no rejected event has this id: it was sent again, deleted, or is older than a week",
};
const CUT = invalid(
  "event_cut",
  "",
  "the event was too large to be kept whole, so it can't be sent again from here",
);
const NO_SUCH_SENDER: Problem = {
  reason: "forbidden",
  code: "write_key_gone",
  detail: "the write key that sent this event is deleted or disabled",
};
