/** Keeps rejected events. */
import { type Judged, nothingNoted, type Suppression } from "../../actors/erasure/suppression.ts";
import type { System } from "../../actors/system.ts";
import { withDefaults } from "../../domain/event/read_stored.ts";
import { idText, MAX_ID_LENGTH, type StoredEvent } from "../../domain/event/event.ts";
import { isObject, isShortText, type JsonObject } from "../../domain/event/json.ts";
import { type Rejection, sentType } from "../../domain/event/rejection.ts";
import { formatTimestamp, parseTimestamp } from "../../domain/event/timestamp.ts";
import type { Observer, Source, Stage } from "../pipeline.ts";
import type { StatusOf } from "./live.ts";

/** UTF-16 units of the name that is kept of an event that is too large to be kept. */
const MAX_NAME_LENGTH = 256;

/** Its ids, whole, so that an erasure finds them; a text longer than an id may be is omitted. */
const KEPT_IDS = ["messageId", "userId", "anonymousId", "groupId", "previousId"] as const;

/**
 * Keeps a rejected event if it is an object: only the ids and the name of one that is too large, nothing of a
 * suppressed person, and nothing that came from the quarantine. It is located first, like an accepted event: an address
 * that must not be kept is not kept here either.
 */
export function quarantineObserver(
  { quarantine, suppression }: Pick<System, "quarantine" | "suppression">,
  { statusOf, location }: { statusOf: StatusOf; location?: Stage | undefined },
): Observer {
  function keep(item: JsonObject, rejection: Rejection, source: Source): void {
    const { reason, code, message, path } = rejection;
    const whole = reason === "too_large" ? undefined : withDefaults(item, source);
    if (whole !== undefined && (whole.context === undefined || isObject(whole.context))) {
      location?.check?.(whole as StoredEvent, source);
    }
    quarantine.keep({
      receivedAt: formatTimestamp(source.receivedAt),
      writeKeyId: source.sender.writeKeyId,
      status: statusOf(reason),
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
      if (!quarantine.hasRoom(source.sender.writeKeyId)) return;
      if (suppression.isEmpty()) return keep(item, rejection, source);
      // It may have been rejected for another reason, before suppression was checked.
      if (namesSuppressed(item, suppression)) return;
      const isTheirs = suppression.judge(judgedAs(item, source), nothingNoted());
      if (!(isTheirs instanceof Promise)) {
        if (!isTheirs) keep(item, rejection, source);
        return;
      }
      // Rejected events are kept on a best-effort basis.
      isTheirs.then((yes) => yes ? undefined : keep(item, rejection, source)).catch(() => {});
    },
  };
}

/** The ids in a sent item, as the event would have them. */
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

/** Values of a rejected event that are checked; each costs two digests. */
const LOOKED_AT = 100;

/** Whether any value of a sent item, except its own `anonymousId`, is the id of a suppressed person. */
function namesSuppressed({ anonymousId: _, ...item }: JsonObject, { isSuppressed }: Suppression): boolean {
  let left = LOOKED_AT;
  const isIn = (value: unknown): boolean => {
    const id = idText(value);
    if (id === undefined) {
      return left > 0 && typeof value === "object" && value !== null && Object.values(value).some(isIn);
    }
    return left-- > 0 && isShortText(id, MAX_ID_LENGTH) &&
      (isSuppressed({ userId: id }) || isSuppressed({ anonymousId: id }));
  };
  return isIn(item);
}

/** The ids and the name of an event, in well-formed Unicode: a cut may be within a character. */
function cutOf(item: JsonObject, type: unknown): JsonObject {
  const kept: JsonObject = {};
  for (const [member, value] of [["type", type], ...KEPT_IDS.map((id) => [id, item[id]] as const)] as const) {
    const id = idText(value);
    if (id !== undefined && isShortText(id, MAX_ID_LENGTH)) kept[member] = value;
  }
  if (typeof item.event === "string") kept.event = item.event.slice(0, MAX_NAME_LENGTH).toWellFormed();
  return kept;
}
