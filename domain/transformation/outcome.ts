/** What a transformation makes of one event: its results, or why it failed. */
import {
  EVENT_TYPES,
  ID_MEMBERS,
  isAbsent,
  MAP_MEMBERS,
  MAX_EVENT_BYTES,
  type StoredEvent,
} from "../event/event.ts";
import {
  beginLook,
  dotted,
  findExcess,
  findProblem,
  isObject,
  type JsonObject,
  shown,
} from "../event/json.ts";
import { parseTimestamp } from "../event/timestamp.ts";

/** Results of one event: the contract's bound. */
export const MAX_RESULTS = 10;

/** Why a transformation failed, and at which line of its code, if that is known. */
export interface Failure {
  message: string;
  line?: number;
}

/** The results, none if the event is dropped; or the failure. */
export type Outcome = ({ results: StoredEvent[] } | { error: Failure }) & { logs?: string[] };

/** The types of the members that every event may have: objects, text and times. */
const TYPE_OF: ReadonlyMap<string, "map" | "text" | "time"> = new Map([
  ...MAP_MEMBERS.map((name) => [name, "map"] as const),
  ...["event", "name", "category", ...ID_MEMBERS].map((name) => [name, "text"] as const),
  ...["timestamp", "receivedAt", "sentAt", "originalTimestamp"].map((name) => [name, "time"] as const),
]);

/** Whether a value can be a member at the top of an event: readers rely on the types of those that every event may have. */
export function fitsMember(name: string, value: unknown): boolean {
  const type = TYPE_OF.get(name);
  if (type === undefined) return true;
  if (type === "map") return isObject(value);
  return typeof value === "string" && (type === "text" || parseTimestamp(value) !== undefined);
}

/**
 * The outcome of code that gave a value for an event: `null`, an event or an array of events. One result keeps the
 * `messageId`, several get `messageId#0`, `#1`, …. Times that are missing stay as they were. Mutates the value.
 */
export function outcomeOf(event: StoredEvent, value: unknown): Outcome {
  if (value === null) return { results: [] };
  const results = Array.isArray(value) ? value : [value];
  if (results.length > MAX_RESULTS) {
    return failure(`The function must return at most ${MAX_RESULTS} events; got ${results.length}.`);
  }
  for (const [index, result] of results.entries()) {
    const problem = isObject(result)
      ? problemOf(completed(result, event))
      : `must be an event; got ${shown(result)}`;
    if (problem !== undefined) return failure(`Result ${index}: ${problem}.`);
    result.messageId = results.length === 1 ? event.messageId : `${event.messageId}#${index}`;
  }
  return { results };
}

function failure(message: string): Outcome {
  return { error: { message } };
}

/** A result with the times of its event where it has none, and without members that count as absent. */
function completed(result: JsonObject, { timestamp, receivedAt }: StoredEvent): JsonObject {
  for (const name of Object.keys(result)) {
    if (TYPE_OF.has(name) && isAbsent(result[name])) delete result[name];
  }
  result.timestamp ??= timestamp;
  result.receivedAt ??= receivedAt;
  return result;
}

function problemOf(result: JsonObject): string | undefined {
  if (!(EVENT_TYPES as readonly unknown[]).includes(result.type)) {
    return `type must be one of ${EVENT_TYPES.join(", ")}; got ${shown(result.type)}`;
  }
  const wrong = Object.keys(result).find((name) => !fitsMember(name, result[name]));
  if (wrong !== undefined) return `${wrong} has the wrong type: ${shown(result[wrong])}`;
  const look = beginLook(MAX_EVENT_BYTES);
  const found = findProblem(result, look) ?? findExcess(result, look);
  if (found === undefined) return undefined;
  const path = found.path.length === 0 ? "" : `${dotted(found.path)} `;
  return `${path}${found.rule}; got ${found.found}`;
}
