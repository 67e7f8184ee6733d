/** PostHog: batches to `/batch/`, as https://posthog.com/docs/api/capture has them. */
import { PAGE_NAME, PERSON, PROPERTIES } from "./parts.ts";
import type { Recipe } from "./recipe.ts";
import type { Template } from "./template.ts";

const TRAITS: Template = { $first: [{ $path: "event.traits" }, {}] };

const firstOf = (...paths: string[]): Template => ({
  $first: paths.map((path) => ({ $path: path })),
});

/** What the events of types become: their names and own properties. Every other type is `track`. */
const BY_TYPE: [type: string, name: Template, properties: Template][] = [
  ["identify", "$identify", {
    $object: {
      $set: TRAITS,
      $anon_distinct_id: {
        $if: { "event.userId": { $exists: true } },
        then: { $path: "event.anonymousId" },
      },
    },
  }],
  ["group", "$groupidentify", {
    $object: {
      $group_type: { $path: "settings.groupType" },
      $group_key: { $path: "event.groupId" },
      $group_set: TRAITS,
    },
  }],
  ["alias", "$create_alias", {
    distinct_id: PERSON,
    alias: { $path: "event.previousId" },
  }],
  ["page", "$pageview", {
    $merge: [PROPERTIES, {
      $object: {
        $current_url: firstOf("event.properties.url", "event.context.page.url"),
        $referrer: firstOf(
          "event.properties.referrer",
          "event.context.page.referrer",
        ),
      },
    }],
  }],
  ["screen", "$screen", {
    $merge: [PROPERTIES, { $object: { $screen_name: PAGE_NAME } }],
  }],
];

const byType = (
  pick: (row: typeof BY_TYPE[number]) => Template,
  track: Template,
): Template =>
  BY_TYPE.reduceRight(
    (other, row) => ({
      $if: { "event.type": row[0] },
      then: pick(row),
      else: other,
    }),
    track,
  );

export const posthog: Recipe = {
  title: "PostHog",
  settings: {
    url: {
      description: "Where events are sent: https://eu.i.posthog.com in the EU, or a host of your own.",
      default: "https://us.i.posthog.com",
    },
    apiKey: { description: "The API key of the project (phc_…)." },
    groupType: {
      description: "The type of the groups of group events.",
      default: "company",
    },
  },
  url: { $join: [{ $path: "settings.url" }, "/batch/"] },
  event: {
    event: byType(([, name]) => name, { $path: "event.event" }),
    distinct_id: PERSON,
    properties: {
      $merge: [
        byType(([, , properties]) => properties, PROPERTIES),
        {
          $object: {
            $groups: {
              $if: { "event.context.groupId": { $exists: true } },
              then: {
                $pair: [{ $path: "settings.groupType" }, {
                  $path: "event.context.groupId",
                }],
              },
            },
            $lib: "signalfold",
            $ip: { $path: "event.context.ip" },
            $raw_user_agent: { $path: "event.context.userAgent" },
            // Without an address of the person PostHog would take the one of this server.
            $geoip_disable: {
              $if: { "event.context.ip": { $exists: false } },
              then: true,
            },
          },
        },
      ],
    },
    timestamp: { $path: "event.timestamp" },
    uuid: { $uuid: { $path: "event.messageId" } },
  },
  body: {
    api_key: { $path: "settings.apiKey" },
    batch: { $path: "events" },
    sent_at: { $path: "now" },
  },
  maxEvents: 1_000,
  answers: { split: [400] },
  refusal: {
    where: { "quota_limited.0": { $exists: true } },
    verdict: "retry",
  },
};
