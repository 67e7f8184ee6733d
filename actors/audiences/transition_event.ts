/** Transitions as events: what a destination and the log are shown when somebody enters or leaves an audience. */
import { hash } from "node:crypto";
import type { StoredEvent } from "../../domain/event/event.ts";
import type { OutboxRow } from "./people.ts";

/** The names of the two events. */
export const ENTERED = "Audience Entered";
export const EXITED = "Audience Exited";

/** The sender of derived events, where a write key's id stands for others. */
export const AUDIENCES_SENDER = "audiences";

/**
 * The event of a transition, which is the `n`-th of its world. Its message id follows from audience, version, person and
 * transition, so that what is appended twice is a duplicate. A number is never used again, not even after an erasure.
 */
export function transitionEvent(
  row: OutboxRow,
  { world, n, now }: { world: number; n: number; now: number },
): StoredEvent {
  const { userId, audience, version, transition, reason } = row;
  const { kind, since, until } = transition;
  const id = hash("sha256", JSON.stringify([audience, version, userId, world, n, kind]), "hex").slice(0, 32);
  const iso = (ms: number) => new Date(ms).toISOString();
  const happened = iso(Math.min(until ?? since, now));
  return {
    type: "track",
    event: kind === "entered" ? ENTERED : EXITED,
    userId,
    properties: { audience, since: iso(since), ...until !== undefined && { until: iso(until) }, reason },
    messageId: `audience-${id}`,
    timestamp: happened,
    originalTimestamp: happened,
    receivedAt: iso(now),
    derived: true,
  };
}
