/** The required members of an event, by its type. */
import { type EventType, isAbsent } from "./event.ts";
import type { JsonObject } from "./json.ts";
import type { Problem } from "./rejection.ts";

/** The missing members of an event, by its type: the rules about more than one member. */
export function findMissing(type: EventType, item: JsonObject): readonly Problem[] {
  if (type === "alias") {
    const noUser = isAbsent(item.userId);
    const noPrevious = isAbsent(item.previousId);
    if (noUser) return noPrevious ? [NO_USER_ID, NO_PREVIOUS_ID] : [NO_USER_ID];
    return noPrevious ? [NO_PREVIOUS_ID] : NOTHING;
  }
  const noSender = isAbsent(item.userId) && isAbsent(item.anonymousId);
  const noGroup = type === "group" && isAbsent(item.groupId);
  if (noSender) return noGroup ? [NO_SENDER, NO_GROUP_ID] : [NO_SENDER];
  return noGroup ? [NO_GROUP_ID] : NOTHING;
}

const NOTHING: readonly Problem[] = [];
const NO_SENDER: Problem = {
  code: "missing_id",
  path: "userId",
  message: "Event must have a userId or an anonymousId; it has neither.",
};
const NO_GROUP_ID = {
  code: "missing_group_id",
  path: "groupId",
  rule: "is required for group events",
  found: "none",
};
const NO_USER_ID = {
  code: "missing_user_id",
  path: "userId",
  rule: "is required for alias events",
  found: "none",
};
const NO_PREVIOUS_ID = {
  code: "missing_previous_id",
  path: "previousId",
  rule: "is required for alias events",
  found: "none",
};
