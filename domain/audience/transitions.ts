/** What a new evaluation changes in a membership, and which transitions follow: each stay is announced once. */
import { intervalAt, type Intervals, nextEdge } from "./intervals.ts";

/** A membership as it was stored by the evaluation before. */
export interface Standing {
  /** Since when the person is a member; `null` if they are not (ms). */
  since: number | null;
  /** The next moment at which that changes if nothing else happens; `Infinity` if never. */
  next: number;
}

/** An entry or exit of a person. */
export interface Transition {
  kind: "entered" | "exited";
  /** When the stay began, and when it ended (ms). */
  since: number;
  until?: number;
}

/** Nobody is a member before the first evaluation. */
export const NO_STANDING: Standing = { since: null, next: Infinity };

/** The standing at a moment, by the moments at which a condition holds. */
export function standingAt(holds: Intervals, now: number): Standing {
  return { since: intervalAt(holds, now)?.start ?? null, next: nextEdge(holds, now) };
}

/**
 * The transitions between the evaluation at `seen` and the one at `now`. What became known since then may have changed
 * the past: a stay that only moved gives no transition, and one that lies wholly in the past gives none either.
 */
export function transitionsBetween(
  before: Standing,
  holds: Intervals,
  { seen, now }: { seen: number; now: number },
): Transition[] {
  const stay = intervalAt(holds, now);
  if (before.since === null) return stay === undefined ? [] : [{ kind: "entered", since: stay.start }];
  const known = intervalAt(holds, seen);
  if (known === undefined) {
    if (stay !== undefined) return [];
    return [{ kind: "exited", since: before.since, until: lastEnd(holds, now) ?? now }];
  }
  if (known.end > now) return [];
  const exited: Transition = { kind: "exited", since: known.start, until: known.end };
  return stay === undefined ? [exited] : [exited, { kind: "entered", since: stay.start }];
}

/** The last end of an interval up to a moment. */
function lastEnd(holds: Intervals, now: number): number | undefined {
  return holds.findLast((edge, index) => index % 2 === 1 && edge <= now);
}
