/**
 * Placeholders: ids that clients send if they have none. They never link, or strangers would become one person.
 *
 * The list is part of the fold: a change of it raises `FOLD_VERSION`. Additional ones of a setting are marked on the
 * event when it is accepted (`neverLinks`), so that every fold and every replay decides alike.
 */
import type { StoredEvent } from "../event/event.ts";

/** Compared in lower case, without the blanks around. */
const WORDS = new Set([
  ...["undefined", "null", "nil", "none", "nan", "n/a", "na", "unknown", "anonymous", "guest", "not_set"],
  ...["not set", "-1", "true", "false", "[object object]", "{}", "[]", "(null)", "<null>", "optional(nil)"],
  // The Android id that a whole series of devices has.
  "9774d56d682e549c",
]);

/** A template that was not filled in: `{{user.id}}`, `${userId}`, `%USER_ID%`. */
const TEMPLATE = /^(?:\{\{.*\}\}|\$\{.*\}|%.*%)$/s;

/** Nothing but zeros, or but `f`, as in the nil and the max UUID; nothing at all, too. */
const ZEROS = /^[0.-]*$/;
const ONES = /^[f-]*$/;

/** Whether an id is a placeholder. */
export function isPlaceholder(id: string): boolean {
  const text = normalized(id);
  return WORDS.has(text) || ZEROS.test(text) || ONES.test(text) || TEMPLATE.test(text);
}

function normalized(id: string): string {
  return id.trim().toLowerCase();
}

/** More placeholders than the list has, as a setting gives them. */
export type MorePlaceholders = ReadonlySet<string>;

/** The placeholders of a setting: ids with commas between. */
export function placeholdersIn(setting: string): MorePlaceholders {
  return new Set(setting.split(",").map(normalized).filter((text) => text !== ""));
}

/** Marks an event that names a placeholder of the settings, so that it never links. Mutates and returns `event`. */
export function withPlaceholders(event: StoredEvent, more: MorePlaceholders): StoredEvent {
  if (more.size === 0 || (event.type !== "identify" && event.type !== "alias")) return event;
  const ids = [event.userId, event.type === "alias" ? event.previousId : event.anonymousId];
  if (ids.some((id) => id !== undefined && more.has(normalized(id)))) event.neverLinks = true;
  return event;
}
