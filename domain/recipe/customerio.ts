/** Customer.io: the Track API, version 1, as https://docs.customer.io/integrations/api/track has it. */
import { PAGE_NAME } from "./parts.ts";
import type { Recipe } from "./recipe.ts";
import type { Template } from "./template.ts";

/** The path of the person. */
const CUSTOMER: Template = { $join: ["/customers/", { $uri: { $path: "event.userId" } }] };

/** Attributes of the person. `created_at` is the only one whose name and unit Customer.io prescribes. */
const ATTRIBUTES: Template = {
  $merge: [
    { $without: { $first: [{ $path: "event.traits" }, {}] }, names: ["createdAt"] },
    {
      created_at: {
        $first: [{ $seconds: { $path: "event.traits.createdAt" } }, { $path: "event.traits.createdAt" }],
      },
      anonymous_id: { $path: "event.anonymousId" },
    },
  ],
};

const MEMBERSHIP: Template = {
  cio_relationships: {
    action: "add_relationships",
    relationships: [{
      identifiers: {
        object_type_id: { $path: "settings.objectTypeId" },
        object_id: { $path: "event.groupId" },
      },
    }],
  },
};

const MERGE: Template = {
  primary: { id: { $path: "event.userId" } },
  secondary: { id: { $path: "event.previousId" } },
};

const EVENT: Template = {
  name: {
    $if: { "event.type": "track" },
    then: { $path: "event.event" },
    else: {
      $first: [PAGE_NAME, { $path: "event.properties.url" }, { $path: "event.context.page.url" }, "/"],
    },
  },
  type: { $if: { "event.type": { $in: ["page", "screen"] } }, then: { $path: "event.type" } },
  data: { $path: "event.properties" },
  timestamp: { $seconds: { $path: "event.timestamp" } },
  id: { $ulid: { $path: "event.messageId" }, at: { $path: "event.timestamp" } },
  anonymous_id: { $if: { "event.userId": { $exists: false } }, then: { $path: "event.anonymousId" } },
};

/** Of which types Customer.io has no form for an event without a user. */
const OF_USERS = ["identify", "group", "alias"];

export const customerio: Recipe = {
  title: "Customer.io",
  settings: {
    url: {
      description: "Where events are sent: https://track-eu.customer.io/api/v1 in the EU.",
      default: "https://track.customer.io/api/v1",
    },
    siteId: { description: "The site id of the workspace." },
    apiKey: { description: "The API key of the workspace for tracking." },
    objectTypeId: { description: "The id of the object type of groups.", default: "1" },
  },
  method: { $path: "events.0.method" },
  url: { $join: [{ $path: "settings.url" }, { $path: "events.0.path" }] },
  headers: {
    authorization: {
      $join: ["Basic ", {
        $base64: { $join: [{ $path: "settings.siteId" }, ":", { $path: "settings.apiKey" }] },
      }],
    },
  },
  // An id of dots would lead the path elsewhere.
  where: {
    userId: { $nin: [".", ".."] },
    $or: [{ type: { $nin: OF_USERS } }, { userId: { $exists: true } }],
  },
  event: {
    $if: { "event.type": "identify" },
    then: { method: "PUT", path: CUSTOMER, body: ATTRIBUTES },
    else: {
      $if: { "event.type": "group" },
      then: { method: "PUT", path: CUSTOMER, body: MEMBERSHIP },
      else: {
        $if: { "event.type": "alias" },
        then: { method: "POST", path: "/merge_customers", body: MERGE },
        else: {
          method: "POST",
          path: {
            $if: { "event.userId": { $exists: true } },
            then: { $join: [CUSTOMER, "/events"] },
            else: "/events",
          },
          body: EVENT,
        },
      },
    },
  },
  body: { $path: "events.0.body" },
};
