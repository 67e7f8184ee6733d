/**
 * Cross-origin requests (Fetch Standard, section 3.2): browsers may send events from any origin, and nothing else.
 * Write keys are public, and no cookie is ever used, so any origin may be let in.
 */
import type { Context } from "hono";
import { SECURITY_HEADERS } from "./security_headers.ts";

/** On every answer of a sending route, errors too: a browser can read `Retry-After` only if it is exposed. */
export const CORS_HEADERS = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "Retry-After",
} as const;

/** How long a browser remembers a preflight: two hours is the most that Chromium keeps. */
const PREFLIGHT_MAX_AGE_S = 7200;

/** Makes the handler of a method's preflights: it accepts any origin, and the requested headers. */
export function preflightOf(method: "POST" | "GET"): (c: Context) => Response {
  return function preflight(c) {
    const asked = c.req.header("access-control-request-headers");
    return new Response(null, {
      status: 204,
      headers: {
        ...SECURITY_HEADERS,
        ...CORS_HEADERS,
        "access-control-allow-methods": method,
        ...asked !== undefined && { "access-control-allow-headers": asked },
        "access-control-max-age": String(PREFLIGHT_MAX_AGE_S),
        "vary": "Access-Control-Request-Headers",
        "allow": method === "GET" ? "GET, HEAD, OPTIONS" : "POST, OPTIONS",
      },
    });
  };
}
