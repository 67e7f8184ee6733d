/** Applies a destination's transformations to events, before they are sent. An event that one fails on is dead. */
import type { FilteredBy } from "../../domain/forwarding/filter.ts";
import type { Verdict } from "../../domain/forwarding/verdict.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import type { Position } from "../../domain/event/position.ts";
import type { VersionName } from "../transformation/chain.ts";
import type { Transformations } from "../transformation/transformations.ts";
import type { Outgoing } from "../destinations/sender.ts";
import type { Destination } from "./destinations.ts";
import type { ReadEvent } from "./follower.ts";

/** What became of one event. */
export interface EventOutcome {
  verdict: Verdict | "filtered" | "dropped" | "erased";
  filteredBy?: FilteredBy;
  reason?: string;
  /** Of a transformation that failed. */
  message?: string;
  /** The transformations that decided. */
  by?: readonly VersionName[];
}

/** The reason of a delivery that is dead because a transformation failed. */
export const TRANSFORMATION_FAILED = "transformation";

/** What forwarding uses of transformations. */
export type Transforming = Pick<Transformations, "apply" | "rerun" | "missing" | "forgetPeople">;

/** Events as they are sent, each with the index of the event that it was made of. */
export interface TransformedEvents {
  outgoing: { index: number; event: Outgoing }[];
  /** Outcomes of events that are not sent. */
  outcomes: Map<number, EventOutcome>;
  /** The versions that made what is sent, by index. */
  by: Map<number, VersionName[]>;
}

/** Transforms the events at some indices. */
export async function transformEvents(
  transformations: Transforming,
  { events, indices }: { events: readonly ReadEvent[]; indices: readonly number[] },
  { id, definition }: Destination,
): Promise<TransformedEvents> {
  const names = definition.transformations ?? [];
  const result: TransformedEvents = { outgoing: [], outcomes: new Map(), by: new Map() };
  if (names.length === 0 || indices.length === 0) {
    result.outgoing = indices.map((index) => ({ index, event: events[index]! }));
    return result;
  }
  const transformed = await transformations.apply(names, indices.map((index) => events[index]!), id);
  for (const [n, { results = [], failure, by }] of transformed.entries()) {
    const index = indices[n]!;
    result.by.set(index, by);
    if (failure !== undefined) {
      result.outcomes.set(index, {
        verdict: "dead",
        reason: TRANSFORMATION_FAILED,
        message: messageOf(failure),
        by: failure.version === undefined
          ? by
          : [...by.slice(0, -1), { name: failure.name, version: failure.version }],
      });
    } else if (results.length === 0) result.outcomes.set(index, { verdict: "dropped", by });
    else {
      const { position, writeKeyId } = events[index]!;
      for (const event of results) {
        result.outgoing.push({ index, event: { event, position, writeKeyId, json: JSON.stringify(event) } });
      }
    }
  }
  return result;
}

function messageOf({ name, version, message, line }: {
  name: string;
  version?: number;
  message: string;
  line?: number;
}): string {
  const which = version === undefined ? name : `${name}, version ${version}`;
  return `${which}${line === undefined ? "" : `, line ${line}`}: ${message}`;
}

/** What transformations made of an event, for its trace: the versions, and what their code logged. */
export interface TracedVersion extends VersionName {
  logs?: string[];
}

/** The versions that an event passed, with their logs: code gives the same for the same event, so none is stored. */
export async function traceVersions(
  transformations: Transforming,
  { event, position, by }: { event: StoredEvent; position: Position; by: readonly VersionName[] },
): Promise<TracedVersion[]> {
  const again = await transformations.rerun(by, { event, position });
  return by.map(({ name, version }) => {
    const lines = again?.logs.flatMap((each) =>
      each.name === name && each.version === version ? each.lines : []
    );
    return { name, version, ...lines !== undefined && lines.length > 0 && { logs: lines } };
  });
}
