/** Refusals as senders and readers see them: problem details for HTTP (RFC 9457), from one table of reasons. */
import { CORS_HEADERS } from "./cors.ts";
import type { LogMembers } from "./logger.ts";
import { SECURITY_HEADERS } from "./security_headers.ts";

/** Every reason for refusing a request, with its status. No other place has one. */
export const STATUS_OF = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  too_large: 413,
  contract: 422,
  rate_limited: 429,
  internal: 500,
  unavailable: 503,
} as const;

/** Why a request, or one event of a batch, is refused. */
export type Reason = keyof typeof STATUS_OF;

/** The phrases of RFC 9110, which `about:blank` requires (RFC 9457, section 4.2.1). */
export const TITLE_OF: Record<Reason, string> = {
  invalid: "Bad Request",
  unauthorized: "Unauthorized",
  forbidden: "Forbidden",
  not_found: "Not Found",
  method_not_allowed: "Method Not Allowed",
  conflict: "Conflict",
  too_large: "Content Too Large",
  contract: "Unprocessable Content",
  rate_limited: "Too Many Requests",
  internal: "Internal Server Error",
  unavailable: "Service Unavailable",
};

/** One thing that is wrong; `path` is dotted from the root of the body, `""` the whole, or names a query value. */
export interface FieldError {
  path: string;
  message: string;
}

/** A refusal as a value. */
export interface Problem {
  reason: Reason;
  /** Stable, in snake_case, for programs and for the log. */
  code: string;
  /** One sentence for people. */
  detail: string;
  /** For `invalid` and `contract`; the detail is about the whole body without it. */
  errors?: readonly FieldError[];
  /** For `rate_limited` and `unavailable`: whole seconds, at least 1. */
  retryAfterS?: number;
  headers?: Record<string, string>;
  /** Further members of the answer (RFC 9457, section 3.2). */
  more?: Record<string, unknown>;
  /** Logged, never sent. */
  cause?: unknown;
  /** Members of the log line, never sent: of which write key an event was, what was wrong, where to look. */
  logged?: LogMembers;
}

/** A refusal about one member of the body or the query. */
export function invalid(code: string, path: string, message: string): Problem {
  return {
    reason: "invalid",
    code,
    detail: path === "" ? message : `${path} ${message}`,
    errors: [{ path, message }],
  };
}

/** How a refusal is sent. */
export interface RefusalForm {
  requestId: string;
  /** Whether pages of any origin may read it. */
  cors: boolean;
  /** Whether it also has a `message`, as Segment's own refusals do. */
  segmentMessage: boolean;
  /** Whether the request was to accept events: then a 503 tells their outcome. */
  takesEvents: boolean;
}

/** The sentence of every 503 of a request with events, from the contract. */
const RETRY_IS_SAFE = "Nothing was acknowledged; a retry with the same messageId is safe.";

/** Makes the response to a problem. */
export function problemResponse(
  problem: Problem,
  { requestId, cors, segmentMessage, takesEvents }: RefusalForm,
): Response {
  const { reason, code, retryAfterS } = problem;
  const detail = takesEvents && reason === "unavailable"
    ? `${problem.detail.replace(/\.?$/, ".")} ${RETRY_IS_SAFE}`
    : problem.detail;
  const status = STATUS_OF[reason];
  const listsErrors = reason === "invalid" || reason === "contract";
  const body = {
    type: "about:blank",
    title: TITLE_OF[reason],
    status,
    detail,
    success: false,
    code,
    // As in Segment's own refusals. Clients for Python read it from every refusal; without it they take the refusal for
    // a broken connection, retry in vain, and block all later events.
    ...segmentMessage && { message: detail },
    ...listsErrors && { errors: problem.errors ?? [{ path: "", message: detail }] },
    requestId,
    ...problem.more,
  };
  const waits = reason === "rate_limited" || reason === "unavailable";
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      "content-type": "application/problem+json",
      ...SECURITY_HEADERS,
      "x-request-id": requestId,
      ...cors && CORS_HEADERS,
      ...waits && { "retry-after": String(Math.max(1, Math.ceil(retryAfterS ?? 1))) },
      ...problem.headers,
    },
  });
}

/** An answer of JSON that is not an event's receipt. */
export function jsonResponse(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { "content-type": "application/json", ...SECURITY_HEADERS },
  });
}
