/**
 * The paths that accept events, and those that Segment's clients request before they send: the only ones for pages of
 * other origins.
 */
import type { RefusalForm } from "./problem.ts";
import { isSnippetFile } from "./snippet_paths.ts";
import { EVENT_TYPES, type EventType } from "../../domain/event/event.ts";

/** Accepts one event, which has its type. */
export const EVENT_PATH = "/api/v1/events";

/** Takes a batch of the specification's size. */
export const BATCH_PATH = "/api/v1/events/batch";

/** Jitsu's, before the type of one event, or `batch`. */
const JITSU_PREFIXES = ["/api/s", "/api/s/s2s"] as const;

/** Accept one event of the given type: Segment's, its short forms (for its browser client), and Jitsu's. */
export const TYPED_PATHS: readonly (readonly [path: string, type: EventType])[] = EVENT_TYPES.flatMap((
  type,
) =>
  [`/v1/${type}`, `/v1/${type.charAt(0)}`, ...JITSU_PREFIXES.map((prefix) => `${prefix}/${type}`)]
    .map((path) => [path, type] as const)
);

/** Take a batch of Segment's size: Segment's, Dittofeed's, Jitsu's. */
export const SEGMENT_BATCH_PATHS = [
  "/v1/batch",
  "/v1/import",
  "/v1/b",
  "/api/public/apps/batch",
  "/api/s/batch",
  "/api/s/s2s/batch",
] as const;

/** Takes a batch from a page that is being left (RudderStack); such a request can have no headers of its own. */
export const BEACON_PATH = "/beacon/v1/batch";

/** Requested by Segment's browser and mobile clients before they send; the key is in the middle. */
export const SETTINGS_PATH = "/v1/projects/:writeKey/settings";

/** Requested by RudderStack's clients before they send. */
export const SOURCE_CONFIG_PATH = "/sourceConfig";

const sendingPaths: ReadonlySet<string> = new Set([
  EVENT_PATH,
  BATCH_PATH,
  ...TYPED_PATHS.map(([path]) => path),
  ...SEGMENT_BATCH_PATHS,
  BEACON_PATH,
  SOURCE_CONFIG_PATH,
]);

const settingsPath = /^\/v1\/projects\/[^/]+\/settings$/;

/** Whether a page of any origin may read the answers of a path (without a slash at its end). */
export function isSendingPath(path: string): boolean {
  return sendingPaths.has(path) || settingsPath.test(path) || isSnippetFile(path);
}

/** The form of refusals at a path: clients of Segment-compatible paths expect those of Segment's own API. */
export function refusalFormOf(path: string): Omit<RefusalForm, "requestId"> {
  const cors = isSendingPath(path);
  return {
    cors,
    segmentMessage: cors && path !== EVENT_PATH && path !== BATCH_PATH,
    takesEvents: cors && path !== SOURCE_CONFIG_PATH && !settingsPath.test(path) && !isSnippetFile(path),
  };
}
