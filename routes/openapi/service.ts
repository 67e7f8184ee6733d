/** The routes about the service itself, for anybody. */
import { z } from "zod";
import { ASSET_PATHS, CONSOLE_PATHS, DOCS_PATH, OPENAPI_PATH } from "../http/docs_paths.ts";
import type { Answer, Group, Operation } from "../operation/operation.ts";

const open = (summary: string, answer: Answer): Operation => ({
  summary,
  right: "open",
  answers: { 200: answer },
});

/** The group of health and documents. */
export const service: Group = {
  name: "Service",
  description: "Health and documentation; no credential needed.",
  operations: {
    "GET /healthz": open("Liveness", {
      description: "It does.",
      schema: z.object({ status: z.literal("ok") }),
      example: { status: "ok" },
    }),
    "GET /readyz": open("Readiness", {
      description: "Storage answers, and events are accepted.",
      schema: z.object({ status: z.literal("ready") }),
      example: { status: "ready" },
    }),
    [`GET ${OPENAPI_PATH}` as const]: open("This document", {
      description: "OpenAPI 3.1.",
      schema: z.looseObject({ openapi: z.string() }),
    }),
    [`GET ${DOCS_PATH}` as const]: open("This document as a page", {
      description: "A page without external resources.",
      schema: z.string(),
      contentType: "text/html",
    }),
    ...Object.fromEntries(
      Object.entries(ASSET_PATHS).map(([path, { contentType, what }]) => [
        `GET ${path}`,
        open(what, { description: "A part of the page.", schema: z.string(), contentType }),
      ]),
    ),
    ...Object.fromEntries(
      Object.entries(CONSOLE_PATHS).map(([screen, path]) => [
        `GET ${path}`,
        open(`The console: ${screen}`, {
          description: "A page without external resources. It asks for a token and reads this API with it.",
          schema: z.string(),
          contentType: "text/html",
        }),
      ]),
    ),
    "GET /console/assets/{digest}/{room}/{file}": {
      ...open("A file of the console", {
        description: "A script, a style sheet or an icon; never changes.",
        schema: z.string(),
        contentType: "text/javascript",
        alsoTypes: ["text/css", "image/svg+xml"],
      }),
      refusals: ["NotFound"],
    },
  },
};
