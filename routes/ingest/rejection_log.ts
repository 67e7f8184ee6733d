/** What the log says of a rejected event: of which write key it was, which member was wrong, and where to look. */
import type { Source } from "../../ingest/pipeline.ts";
import type { Rejection } from "../../domain/event/rejection.ts";
import type { LogMembers } from "../http/logger.ts";

/** A member's name as programmers write it. Any other may be a sender's data, such as an address: it is not logged. */
const PLAIN_NAME = /^[\w$-]{1,40}$/;

/** Members of a path that are logged. */
const MAX_NAMES = 8;

/** Members of the log line of a rejection. They hold no sender's data; `look` is a path of the API. */
export function loggedOf({ code, path }: Rejection, { sender: { writeKeyId } }: Source): LogMembers {
  const query = new URLSearchParams({ code, writeKeyId });
  return {
    writeKeyId,
    ...path !== "" && { path: loggedPath(path) },
    look: `/api/v1/admin/rejected?${query}`,
  };
}

function loggedPath(path: string): string {
  const names = path.split(".").map((name) => PLAIN_NAME.test(name) ? name : "…");
  return names.length > MAX_NAMES ? [...names.slice(0, MAX_NAMES), "…"].join(".") : names.join(".");
}
