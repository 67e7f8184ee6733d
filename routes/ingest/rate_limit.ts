/**
 * Rate limits of write keys (429), counted in events, with `RateLimit` and `RateLimit-Policy` as
 * draft-ietf-httpapi-ratelimit-headers-10 has them: the policy's quota is the burst, its window the time in which it is
 * filled again. And who is told that a key was used.
 */
import type { System } from "../../actors/system.ts";
import type { RateLimit } from "../../domain/limits/token_bucket.ts";
import { ADMIN_KEY_ID } from "../auth/authentication.ts";
import { CORS_HEADERS } from "../http/cors.ts";
import type { Gate, Source, Witness } from "./pipeline.ts";
import type { Problem } from "../http/problem.ts";
import type { RateDecision } from "../../actors/governance/rate_limits.ts";

/** The name of the one policy that there is. */
const POLICY = '"events"';

/** A browser reads them only if they are exposed; keys without a limit have none. */
const EXPOSED = `${CORS_HEADERS["access-control-expose-headers"]}, RateLimit, RateLimit-Policy`;

/** Refuses what a write key may not send now. A key without a limit, and an administrator, cost nothing. */
export function createRateLimitGate(
  { rateLimits }: Pick<System, "rateLimits">,
  now: () => number,
): Gate {
  return {
    async open({ writeKeyId, rateLimit: limit }) {
      if (limit === undefined) return undefined;
      const { remaining } = await rateLimits.take(writeKeyId, limit, { events: 0, now: now() });
      if (remaining > 0) return undefined;
      // Nothing is taken where there is not one.
      const decision = await rateLimits.take(writeKeyId, limit, { events: 1, now: now() });
      return refusalOf(limit, { events: 1, decision });
    },
    charge({ writeKeyId, rateLimit: limit }, events) {
      if (limit !== undefined) rateLimits.charge(writeKeyId, limit, events);
    },
    admit(source, events) {
      const limit = source.caller.rateLimit;
      if (limit === undefined) return undefined;
      const now = source.receivedAt;
      const decision = rateLimits.take(source.caller.writeKeyId, limit, { events, now });
      const tell = (made: RateDecision) => answer(source, { limit, events, decision: made });
      return decision instanceof Promise ? decision.then(tell) : tell(decision);
    },
    giveBack(source, events) {
      const limit = source.caller.rateLimit;
      if (limit === undefined) return;
      const decision = rateLimits.giveBack(source.caller.writeKeyId, limit, events);
      source.answerHeaders = headersOf(limit, decision);
    },
  };
}

/** Notes when a write key was last used. */
export function createKeyUseWitness({ writeKeys }: Pick<System, "writeKeys">): Witness {
  return {
    committed(_events, _receipts, { caller: { writeKeyId }, receivedAt }) {
      if (writeKeyId !== ADMIN_KEY_ID) writeKeys.used(writeKeyId, receivedAt);
    },
  };
}

/** Puts the headers beside the answer, whatever it will be; a problem where the events may not come. */
function answer(
  source: Source,
  { limit, events, decision }: { limit: RateLimit; events: number; decision: RateDecision },
): Problem | undefined {
  source.answerHeaders = headersOf(limit, decision);
  return decision.admitted ? undefined : refusalOf(limit, { events, decision });
}

function refusalOf(
  limit: RateLimit,
  { events, decision }: { events: number; decision: RateDecision },
): Problem {
  const { burst, perSecond } = limit;
  const rule = `this write key may send ${perSecond} events a second and ${burst} at once`;
  const refusal = { reason: "rate_limited", headers: headersOf(limit, decision) } as const;
  if (events > burst) {
    return {
      ...refusal,
      code: "batch_over_burst",
      detail: `${rule}: a batch of ${events} is never taken; send at most ${burst} events at a time`,
      retryAfterS: decision.enoughInS,
    };
  }
  const found = events === 1 ? "none" : `${decision.remaining} of the ${events}`;
  return {
    ...refusal,
    code: "rate_limited",
    detail: `${rule}: ${found} may come now, and nothing was taken`,
    retryAfterS: decision.enoughInS,
  };
}

function headersOf(
  { burst, perSecond }: RateLimit,
  { remaining, fullInS }: RateDecision,
): Record<string, string> {
  return {
    "ratelimit-policy": `${POLICY};q=${burst};w=${Math.max(1, Math.ceil(burst / perSecond))}`,
    "ratelimit": `${POLICY};r=${remaining};t=${fullInS}`,
    "access-control-expose-headers": EXPOSED,
  };
}
