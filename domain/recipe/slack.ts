/** Slack: a message per event, by an incoming webhook. */
import type { Recipe } from "./recipe.ts";

const NAME = { $first: [{ $path: "event.event" }, { $path: "event.name" }, { $path: "event.type" }] };
const WHO = { $first: [{ $path: "event.userId" }, { $path: "event.anonymousId" }] };

export const slack: Recipe = {
  title: "Slack",
  settings: {
    tokenUrl: { description: "The URL of the incoming webhook. It is a secret." },
  },
  url: { $path: "settings.tokenUrl" },
  event: {
    text: {
      $first: [
        { $path: "options.text" },
        {
          $join: ["*", NAME, "* by ", WHO, {
            $if: { "event.properties": { $exists: true } },
            then: { $join: ["\n```", { $json: { $path: "event.properties" } }, "```"] },
          }],
        },
      ],
    },
  },
  body: { $path: "events.0" },
  answers: { dead: [400, 404], retry: [429] },
};
