/** Amplitude: the HTTP V2 API, as https://amplitude.com/docs/apis/analytics/http-v2 has it. */
import { EVENT_NAME, PROPERTIES } from "./parts.ts";
import type { Recipe } from "./recipe.ts";
import type { Template } from "./template.ts";

/** Members that every event has, if it has a value for them. */
const COMMON: Template = {
  user_id: { $path: "event.userId" },
  device_id: { $path: "event.anonymousId" },
  time: { $ms: { $path: "event.timestamp" } },
  insert_id: { $path: "event.messageId" },
  session_id: { $path: "options.session_id" },
  ip: { $path: "event.context.ip" },
  language: { $path: "event.context.locale" },
  os_name: { $path: "event.context.os.name" },
  os_version: { $path: "event.context.os.version" },
  device_manufacturer: { $path: "event.context.device.manufacturer" },
  device_model: { $path: "event.context.device.model" },
  carrier: { $path: "event.context.network.carrier" },
  app_version: { $path: "event.context.app.version" },
  library: "signalfold",
};

const TRAITS: Template = { $first: [{ $path: "event.traits" }, {}] };

const setting = (values: Template): Template => ({ $object: { $set: values } });

/** The person's membership of a group, by its type. */
const membership = (id: Template): Template => ({
  $pair: [{ $path: "settings.groupType" }, id],
});

const GROUP = membership({ $path: "event.groupId" });

/** A group is two events: the person becomes a member, and the group gets its traits. */
const GROUP_EVENTS: Template = [
  {
    $merge: [COMMON, {
      event_type: "$identify",
      user_properties: setting(GROUP),
      groups: GROUP,
    }],
  },
  {
    $merge: [COMMON, {
      event_type: "$groupidentify",
      insert_id: { $join: [{ $path: "event.messageId" }, "-group"] },
      group_properties: setting(TRAITS),
      groups: GROUP,
    }],
  },
];

export const amplitude: Recipe = {
  title: "Amplitude",
  settings: {
    url: {
      description: "Where events are sent: https://api.eu.amplitude.com/2/httpapi in the EU.",
      default: "https://api2.amplitude.com/2/httpapi",
    },
    apiKey: { description: "The API key of the project." },
    groupType: {
      description: "The type of the groups of group events.",
      default: "company",
    },
  },
  url: { $path: "settings.url" },
  where: { type: { $ne: "alias" } },
  event: {
    $if: { "event.type": "group" },
    then: GROUP_EVENTS,
    else: {
      $merge: [COMMON, {
        $if: { "event.type": "identify" },
        then: { event_type: "$identify", user_properties: setting(TRAITS) },
        else: {
          event_type: EVENT_NAME,
          event_properties: { $nonEmpty: PROPERTIES },
          groups: {
            $if: { "event.context.groupId": { $exists: true } },
            then: membership({ $path: "event.context.groupId" }),
          },
        },
      }],
    },
  },
  body: {
    api_key: { $path: "settings.apiKey" },
    events: { $flat: { $path: "events" } },
    // Without it ids of fewer than five characters are dropped.
    options: { min_id_length: 1 },
  },
  maxEvents: 1_000,
  answers: { split: [400] },
};
