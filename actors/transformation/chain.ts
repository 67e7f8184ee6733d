/** Applies transformations to events, one after another. An event never passes one that fails. */
import type { StoredEvent } from "../../domain/event/event.ts";
import type { JsonObject } from "../../domain/event/json.ts";
import type { Position } from "../../domain/event/position.ts";
import { type Failure, MAX_RESULTS, type Outcome } from "../../domain/transformation/outcome.ts";
import type { Input } from "./lines.ts";
import type { Runnable } from "./run_definition.ts";

/** An event, and where it stands in the journal. */
export interface Positioned {
  event: StoredEvent;
  position: Position;
}

/** A version of a transformation. */
export interface VersionName {
  name: string;
  version: number;
}

/** A version that can run. */
export interface Link extends VersionName {
  runnable: Runnable;
}

/** What the transformations of a destination made of one event. */
export interface Transformed {
  /** Events to send, in order; none if the event was dropped. */
  results?: StoredEvent[];
  /** Why it must not be sent, and which version failed; `name` alone if there is no such transformation. */
  failure?: Failure & { name: string; version?: number };
  /** The versions that it passed, in order; the last one dropped it if there are no results. */
  by: VersionName[];
  /** What the code logged, by version: at most 4 KB each time. */
  logs: (VersionName & { lines: string[] })[];
}

/** The profiles just before events, in their order. */
export type PersonsBefore = (events: readonly Positioned[]) => Promise<JsonObject[]>;

/** Told of each outcome, for figures. */
export type CountOutcome = (version: VersionName, outcome: Outcome) => void;

/** A result under way: the event that it comes from, and that event's person. */
interface UnderWay extends Input {
  index: number;
}

/** Applies versions in order. The person is the profile just before the event for all of them. */
export async function applyChain(
  links: readonly Link[],
  events: readonly Positioned[],
  { personsBefore, count }: { personsBefore: PersonsBefore; count: CountOutcome },
): Promise<Transformed[]> {
  const needs = await Promise.all(links.map(({ runnable }) => runnable.load()));
  const usesPerson = needs.map((loaded) => "usesPerson" in loaded && loaded.usesPerson);
  const persons = usesPerson.includes(true) ? await personsBefore(events) : [];
  const transformed: Transformed[] = events.map(() => ({ by: [], logs: [] }));
  let underWay: UnderWay[] = events.map(({ event }, index) => ({ index, event, person: persons[index] }));
  for (const [at, link] of links.entries()) {
    const inputs = usesPerson[at] ? underWay : underWay.map(({ event }) => ({ event }));
    const outcomes = await link.runnable.run(inputs);
    const next: UnderWay[] = [];
    for (const [n, outcome] of outcomes.entries()) {
      count(link, outcome);
      const { index, person } = underWay[n]!;
      const of = transformed[index]!;
      note(of, link, outcome);
      if ("error" in outcome) of.failure ??= { ...outcome.error, name: link.name, version: link.version };
      else for (const event of outcome.results) next.push({ index, event, person });
    }
    underWay = next.filter(({ index }) => transformed[index]!.failure === undefined);
  }
  for (const { index, event } of underWay) (transformed[index]!.results ??= []).push(event);
  for (const each of transformed) finish(each);
  return transformed;
}

/** Notes once which version an event passed, also where several results of it did. */
function note({ by, logs }: Transformed, { name, version }: Link, { logs: lines }: Outcome): void {
  if (by.at(-1)?.name !== name || by.at(-1)?.version !== version) by.push({ name, version });
  if (lines !== undefined) logs.push({ name, version, lines });
}

function finish(transformed: Transformed): void {
  if (transformed.failure !== undefined) delete transformed.results;
  else {
    transformed.results ??= [];
    if (transformed.results.length <= MAX_RESULTS) return;
    const last = transformed.by.at(-1)!;
    const message = `Together the transformations gave more than ${MAX_RESULTS} events.`;
    transformed.failure = { message, ...last };
    delete transformed.results;
  }
}
