/** Google Analytics 4: the Measurement Protocol, as https://developers.google.com/analytics/devguides/collection/protocol/ga4 has it. */
import type { Recipe } from "./recipe.ts";
import type { Template } from "./template.ts";

/** Bounds of the protocol. Of 25 parameters some are left for our own. */
const PARAM_BOUNDS = { count: 20, name: 40, value: 100 };
const USER_BOUNDS = { count: 25, name: 24, value: 36 };

const first = (...paths: string[]): Template => ({ $first: paths.map((path) => ({ $path: path })) });

/** Parameters that every event has: without the second it is missing in reports of activity. */
const SESSION: Template = { session_id: { $path: "options.sessionId" }, engagement_time_msec: 1 };

const OWN: Template = { $params: { $path: "event.properties" }, ...PARAM_BOUNDS };

const text = (value: Template, length: number): Template => ({ $cut: value, length });

/** What the events of types become: the names that Google recommends, and their parameters. */
const BY_TYPE: [type: string, name: Template, params: Template][] = [
  ["page", "page_view", {
    page_title: text(first("event.properties.title", "event.name", "event.context.page.title"), 300),
    page_location: text(first("event.properties.url", "event.context.page.url"), 1_000),
    page_referrer: text(first("event.properties.referrer", "event.context.page.referrer"), 420),
  }],
  ["screen", "screen_view", { screen_name: text(first("event.name", "event.properties.name"), 100) }],
  ["identify", "identify", {}],
  ["group", "join_group", { group_id: text({ $path: "event.groupId" }, 100) }],
];

const byType = (pick: (row: typeof BY_TYPE[number]) => Template, track: Template): Template =>
  BY_TYPE.reduceRight(
    (other, row) => ({ $if: { "event.type": row[0] }, then: pick(row), else: other }),
    track,
  );

export const ga4: Recipe = {
  title: "Google Analytics 4",
  settings: {
    url: {
      description: "Where events are sent: https://region1.google-analytics.com in the EU.",
      default: "https://www.google-analytics.com",
    },
    measurementId: { description: "The measurement id of the stream (G-…)." },
    apiSecret: { description: "The API secret of the stream." },
  },
  url: {
    $join: [
      { $path: "settings.url" },
      "/mp/collect?measurement_id=",
      { $uri: { $path: "settings.measurementId" } },
      "&api_secret=",
      { $uri: { $path: "settings.apiSecret" } },
    ],
  },
  where: { type: { $ne: "alias" } },
  event: {
    client_id: first("options.clientId", "event.anonymousId", "event.userId"),
    user_id: { $path: "event.userId" },
    timestamp_micros: { $micros: { $path: "event.timestamp" } },
    user_properties: {
      $if: { "event.type": "identify" },
      then: { $nonEmpty: { $params: { $path: "event.traits" }, ...USER_BOUNDS, wrapped: true } },
    },
    events: [{
      name: byType(([, name]) => name, {
        $first: [{ $name: { $lower: { $path: "event.event" } } }, "event"],
      }),
      params: {
        $merge: [
          OWN,
          byType(([, , params]) => params, { event_name: text({ $path: "event.event" }, 100) }),
          SESSION,
        ],
      },
    }],
  },
  body: { $path: "events.0" },
};
