/** Mixpanel: events to `/import`, people to `/engage`, groups to `/groups`, as https://docs.mixpanel.com/reference has them. */
import { EVENT_NAME, PROPERTIES } from "./parts.ts";
import type { Recipe } from "./recipe.ts";
import type { Template } from "./template.ts";

/** The person: a device has a prefix, so that it is never taken for a user. */
const DISTINCT_ID: Template = {
  $first: [
    { $path: "event.userId" },
    {
      $if: { "event.anonymousId": { $exists: true } },
      then: { $join: ["$device:", { $path: "event.anonymousId" }] },
    },
  ],
};

/** Traits by the names that Mixpanel shows them under. */
const PROFILE: Template = {
  $rename: { $first: [{ $path: "event.traits" }, {}] },
  names: {
    email: "$email",
    name: "$name",
    firstName: "$first_name",
    lastName: "$last_name",
    phone: "$phone",
    avatar: "$avatar",
    createdAt: "$created",
  },
};

const EVENT: Template = {
  event: EVENT_NAME,
  properties: {
    $merge: [PROPERTIES, {
      $object: {
        time: { $ms: { $path: "event.timestamp" } },
        distinct_id: DISTINCT_ID,
        $insert_id: { $uuid: { $path: "event.messageId" } },
        $user_id: { $path: "event.userId" },
        $device_id: { $path: "event.anonymousId" },
        $current_url: {
          $if: { "event.type": "page" },
          then: { $first: [{ $path: "event.properties.url" }, { $path: "event.context.page.url" }] },
        },
        ip: { $path: "event.context.ip" },
        token: { $path: "settings.token" },
      },
    }, {
      $if: { "event.context.groupId": { $exists: true } },
      then: { $pair: [{ $path: "settings.groupKey" }, { $path: "event.context.groupId" }] },
    }],
  },
};

const ALIAS: Template = {
  event: "$create_alias",
  properties: {
    $object: {
      time: { $ms: { $path: "event.timestamp" } },
      distinct_id: { $path: "event.previousId" },
      alias: { $path: "event.userId" },
      $insert_id: { $uuid: { $path: "event.messageId" } },
      token: { $path: "settings.token" },
    },
  },
};

const PERSON: Template = {
  $object: {
    $token: { $path: "settings.token" },
    $distinct_id: DISTINCT_ID,
    $ip: { $path: "event.context.ip" },
    $set: PROFILE,
  },
};

const GROUP: Template = {
  $object: {
    $token: { $path: "settings.token" },
    $group_key: { $path: "settings.groupKey" },
    $group_id: { $path: "event.groupId" },
    $set: { $first: [{ $path: "event.traits" }, {}] },
  },
};

/** What an event becomes, and to which path it goes. */
const toPath = (path: string, value: Template): Template => ({ path, value });

export const mixpanel: Recipe = {
  title: "Mixpanel",
  settings: {
    url: {
      description: "Where events are sent: https://api-eu.mixpanel.com in the EU.",
      default: "https://api.mixpanel.com",
    },
    token: { description: "The token of the project." },
    groupKey: { description: "The group key of group events.", default: "company" },
  },
  url: { $join: [{ $path: "settings.url" }, { $path: "events.0.path" }] },
  headers: {
    authorization: { $join: ["Basic ", { $base64: { $join: [{ $path: "settings.token" }, ":"] } }] },
  },
  event: {
    $if: { "event.type": "identify" },
    then: toPath("/engage?ip=0&verbose=1", PERSON),
    else: {
      $if: { "event.type": "group" },
      then: toPath("/groups?ip=0&verbose=1", GROUP),
      else: {
        $if: { "event.type": "alias" },
        then: toPath("/import?strict=1", ALIAS),
        else: toPath("/import?strict=1", EVENT),
      },
    },
  },
  body: { $pluck: { $path: "events" }, name: "value" },
  // The service takes 2,000 events, and as many changes of profiles.
  maxEvents: 1_000,
  answers: { split: [400] },
  refusal: { where: { status: 0 }, verdict: "split" },
  failures: { path: "failed_records", index: "index" },
};
