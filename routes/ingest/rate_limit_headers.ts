/**
 * `RateLimit` and `RateLimit-Policy` as draft-ietf-httpapi-ratelimit-headers-10 has them: the policy's quota is the burst,
 * its window the time in which it is filled again.
 */
import type { Quota, Refusal } from "../../ingest/pipeline.ts";
import { CORS_HEADERS } from "../http/cors.ts";
import type { Problem } from "../http/problem.ts";

/** The name of the one policy that there is. */
const POLICY = '"events"';

/** A browser reads them only if they are exposed; keys without a limit have none. */
const EXPOSED = `${CORS_HEADERS["access-control-expose-headers"]}, RateLimit, RateLimit-Policy`;

/** The headers that report the result of a rate limit. */
export function rateLimitHeaders(
  { limit: { burst, perSecond }, decision: { remaining, fullInS } }: Quota,
): Record<string, string> {
  return {
    "ratelimit-policy": `${POLICY};q=${burst};w=${Math.max(1, Math.ceil(burst / perSecond))}`,
    "ratelimit": `${POLICY};r=${remaining};t=${fullInS}`,
    "access-control-expose-headers": EXPOSED,
  };
}

/** A refusal of the pipeline as an answer. */
export function problemOfRefusal({ quota, ...refusal }: Refusal): Problem {
  return quota === undefined ? refusal : { ...refusal, headers: rateLimitHeaders(quota) };
}
