/** The routes of the website snippet. */
import { z } from "zod";
import { PART_PATH, SCRIPT_PATH } from "../http/snippet_paths.ts";
import type { Answer, Group } from "../operation/operation.ts";

const script: Answer = {
  description: "A script, compressed with Brotli or gzip if the browser accepts it.",
  schema: z.string(),
  contentType: "text/javascript",
};

const unchanged: Answer = { description: "The copy with this `If-None-Match` is current." };

const braced = (path: string) => path.replace(/:(\w+)/, "{$1}");

/** The group of the snippet. */
export const snippet: Group = {
  name: "Website snippet",
  description:
    "Segment's own snippet works with the host of this server. `SNIPPET_PATH` gives these routes, and those that the " +
    "script sends to, names that ad blockers do not know.",
  operations: {
    [`GET ${braced(SCRIPT_PATH) as "/script"}` as const]: {
      summary: "The script that Segment's snippet loads",
      description: "404 if the write key is unknown or disabled.",
      right: "open",
      answers: { 200: script, 304: unchanged },
      refusals: ["NotFound", "TooManyFailures"],
    },
    [`GET ${braced(PART_PATH) as "/part"}` as const]: {
      summary: "A part of the script",
      description: "The script loads it when a page uses it, `trackLink` for example.",
      right: "open",
      answers: { 200: script, 304: unchanged },
      refusals: ["NotFound"],
    },
  },
};
