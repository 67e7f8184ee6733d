/**
 * Cross-origin requests (Fetch Standard, section 3.2): browsers may send events from any origin, and nothing else.
 * Write keys are public, and no cookie is ever used, so any origin may be let in.
 */
import type { Context } from "hono";
import { SECURITY_HEADERS } from "./security_headers.ts";

/** Where events are sent to: the only paths whose answers a page of another origin may see. */
export const SENDING_PATHS = ["/api/v1/events", "/api/v1/events/batch"] as const;

/** On every answer of a sending route, errors too: a browser can read `Retry-After` only if it is exposed. */
export const CORS_HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "Retry-After",
} as const;

/** How long a browser remembers a preflight: two hours is the most that Chromium keeps. */
const PREFLIGHT_MAX_AGE_S = 7200;

const sendingPaths: ReadonlySet<string> = new Set(SENDING_PATHS.flatMap((path) => [path, `${path}/`]));

/** Whether a path, with or without a slash at its end, takes events. */
export function isSendingPath(path: string): boolean {
  return sendingPaths.has(path);
}

/** Answers a preflight: yes to any origin, and to the headers that it asks for. */
export function preflight(c: Context): Response {
  const asked = c.req.header("access-control-request-headers");
  return new Response(null, {
    status: 204,
    headers: {
      ...SECURITY_HEADERS,
      ...CORS_HEADERS,
      "access-control-allow-methods": "POST",
      ...asked !== undefined && { "access-control-allow-headers": asked },
      "access-control-max-age": String(PREFLIGHT_MAX_AGE_S),
      "vary": "Access-Control-Request-Headers",
      "allow": "POST, OPTIONS",
    },
  });
}
