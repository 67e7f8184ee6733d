/** Rate limits of write keys, counted in events. A key without a limit, and an administrator, cost nothing. */
import type { RateDecision } from "../../actors/governance/rate_limits.ts";
import type { System } from "../../actors/system.ts";
import type { Quota, Refusal, Stage } from "../pipeline.ts";

/** The stage that enforces the rate limits of write keys. */
export function rateLimitStage({ rateLimits }: Pick<System, "rateLimits">, now: () => number): Stage {
  return {
    open({ writeKeyId, rateLimit: limit }) {
      if (limit === undefined) return undefined;
      const look = (events: number) => rateLimits.take(writeKeyId, limit, { events, now: now() });
      const tell = ({ remaining }: RateDecision) => {
        if (remaining > 0) return undefined;
        // Nothing is charged if one is not available; the answer tells how long that takes.
        const refuse = (decision: RateDecision) => refusalOf({ limit, decision }, 1);
        const decision = look(1);
        return decision instanceof Promise ? decision.then(refuse) : refuse(decision);
      };
      const decision = look(0);
      return decision instanceof Promise ? decision.then(tell) : tell(decision);
    },
    charge({ writeKeyId, rateLimit: limit }, events) {
      if (limit !== undefined) rateLimits.charge(writeKeyId, limit, events);
    },
    reserve(source, events) {
      const { writeKeyId, rateLimit: limit } = source.sender;
      if (limit === undefined) return undefined;
      const decision = rateLimits.take(writeKeyId, limit, { events, now: source.receivedAt });
      const note = (made: RateDecision) => {
        source.quota = { limit, decision: made };
        return made.admitted ? undefined : refusalOf(source.quota, events);
      };
      return decision instanceof Promise ? decision.then(note) : note(decision);
    },
    refund(source, events) {
      const { writeKeyId, rateLimit: limit } = source.sender;
      if (limit === undefined) return;
      source.quota = { limit, decision: rateLimits.giveBack(writeKeyId, limit, events) };
    },
  };
}

function refusalOf(quota: Quota, events: number): Refusal {
  const { limit: { burst, perSecond }, decision } = quota;
  const waitS = Math.max(1, Math.ceil(decision.enoughInS));
  const refusal = { reason: "rate_limited", retryAfterS: decision.enoughInS, quota } as const;
  if (events > burst) {
    return {
      ...refusal,
      code: "batch_over_burst",
      detail: `Batch of ${events} events exceeds this key's burst limit of ${burst}. Send smaller batches.`,
    };
  }
  return {
    ...refusal,
    code: "rate_limited",
    detail:
      `Rate limit exceeded (${perSecond} events/s, burst ${burst}). No events were accepted; retry after ${waitS} s.`,
  };
}
