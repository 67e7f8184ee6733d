/** Templates that several recipes share. */
import type { Template } from "./template.ts";

/** Who an event is about: the user, or the anonymous id where there is none. */
export const PERSON: Template = {
  $first: [{ $path: "event.userId" }, { $path: "event.anonymousId" }],
};

/** The name of a page or screen, which stands beside `properties` or in them. */
export const PAGE_NAME: Template = {
  $first: [{ $path: "event.name" }, { $path: "event.properties.name" }],
};

/** Pages and screens as events of services that only know names: one name each, so that it can be counted. */
export const EVENT_NAME: Template = {
  $if: { "event.type": "page" },
  then: "Page Viewed",
  else: {
    $if: { "event.type": "screen" },
    then: "Screen Viewed",
    else: { $path: "event.event" },
  },
};

/** The properties of an event; of a page or screen with its name and category. */
export const PROPERTIES: Template = {
  $merge: [
    { $path: "event.properties" },
    {
      $if: { "event.type": { $in: ["page", "screen"] } },
      then: {
        name: PAGE_NAME,
        category: {
          $first: [{ $path: "event.category" }, {
            $path: "event.properties.category",
          }],
        },
      },
    },
  ],
};
