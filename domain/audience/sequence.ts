/** Sequences: events in order, and events that do not come in time. */
import { END, type Position } from "../event/position.ts";
import { type Mark, precedes } from "../profile/fact.ts";
import type { Evidence } from "./evidence.ts";
import type { Selector, Step } from "./tree.ts";

/**
 * The moments at which a sequence is complete, in order. Any event of the first step may begin it. An event of a later step
 * comes after the step before, and within its time; a `not` step is complete when its time has passed without such an
 * event.
 */
export function sequenceEnds(
  steps: readonly Step[],
  matchesOf: (selector: Selector) => readonly Evidence[],
): number[] {
  let reached: Mark[] = matchesOf(steps[0]!.selector).map(({ at, place }) => [at, place]);
  for (const { selector, isNot, withinMs } of steps.slice(1)) {
    const matches = matchesOf(selector);
    reached = isNot ? withoutAny(reached, matches, withinMs) : following(reached, matches, withinMs);
  }
  return [...new Set(reached.map(([at]) => at))];
}

/** The events that come after a mark in time: of the marks before it the last one is the nearest. */
function following(reached: readonly Mark[], matches: readonly Evidence[], withinMs: number): Mark[] {
  const found: Mark[] = [];
  let next = 0;
  for (const { at, place } of matches) {
    while (next < reached.length && precedes(reached[next]!, [at, place])) next++;
    const before = reached[next - 1];
    if (before !== undefined && at <= before[0] + withinMs) found.push([at, place]);
  }
  return found;
}

/** The ends of the times, after each mark, in which no event comes. Nothing at an end comes after it. */
function withoutAny(reached: readonly Mark[], matches: readonly Evidence[], withinMs: number): Mark[] {
  const found: Mark[] = [];
  let next = 0;
  for (const mark of reached) {
    while (next < matches.length && !precedes(mark, markOf(matches[next]!))) next++;
    const after = matches[next];
    if (after === undefined || after.at > mark[0] + withinMs) {
      found.push([mark[0] + withinMs, END as Position]);
    }
  }
  return found;
}

const markOf = ({ at, place }: Evidence): Mark => [at, place];
