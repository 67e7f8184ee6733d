/** One attempt: the events are read, filtered by the definition of now, made into a request, and sent. */
import { type FilteredBy, hasConsent } from "../../domain/forwarding/filter.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { justBefore, type Position } from "../../domain/event/position.ts";
import type { Events } from "../journal/event_reader.ts";
import { type Answer, isSealed, type Sender } from "../destinations/sender.ts";
import type { VersionName } from "../transformation/chain.ts";
import type { Destination } from "./destinations.ts";
import type { Follower, ReadEvent } from "./follower.ts";
import { prepareRequests, sendRequests } from "./requests.ts";
import { type EventOutcome, transformEvents, type Transforming } from "./transform.ts";

/** What an attempt is given. */
export interface AttemptParts {
  follower: Follower;
  /** Events of the journal, for what is no longer in the follower's memory. */
  events: Events;
  transformations: Transforming;
  /** The traits of an event's person as of now. */
  traitsOf(event: StoredEvent): Promise<Record<string, unknown>>;
}

/** Something that is attempted: one event, or a stretch with stored boundaries. */
export interface Attempted {
  position: Position;
  to: Position;
  events?: readonly ReadEvent[];
  generation: number;
}

/** An event that may be sent, and to which item of the attempt it belongs. */
export interface Sendable extends ReadEvent {
  item: number;
}

/** The events of items that are in the journal still, in order, and the items that have none. */
export async function readItems(
  { follower, events }: AttemptParts,
  items: readonly Attempted[],
  destination: Destination,
): Promise<Sendable[]> {
  const found: Sendable[] = [];
  const sealed = isSealed(destination.definition);
  // Decided once: whoever forgets what is kept makes the attempt be prepared again.
  const kept = items.map((item) => isKept(item, follower));
  const alone = items.flatMap((_, index) => kept[index] || sealed ? [] : [index]);
  const read = await events.at(alone.map((index) => items[index]!.position));
  const again = new Map(alone.map((index, n) => [index, read[n]] as const));
  for (const [index, item] of items.entries()) {
    if (kept[index]) {
      for (const event of item.events!) found.push({ ...event, item: index });
    } else if (sealed) {
      for await (const event of stretch(follower, item)) found.push({ ...event, item: index });
    } else {
      const sent = again.get(index);
      if (sent === undefined) continue;
      const { event, writeKeyId } = sent;
      found.push({ position: item.position, event, writeKeyId, json: JSON.stringify(event), item: index });
    }
  }
  return found;
}

function isKept({ events, generation }: Attempted, follower: Follower): boolean {
  return events !== undefined && generation === follower.generation();
}

async function* stretch(follower: Follower, { position, to }: Attempted): AsyncGenerator<ReadEvent> {
  let at = justBefore(position);
  while (at < to) {
    const entries = await follower.read(at, to);
    if (entries.length === 0) return;
    for (const entry of entries) {
      for (const event of entry.events) {
        if (event !== undefined && event.position > at && event.position <= to) yield event;
      }
      at = entry.end;
    }
  }
}

/** Why events are not sent, by the definition of now; `undefined` for those that are. */
export async function filterEvents(
  { traitsOf }: Pick<AttemptParts, "traitsOf">,
  events: readonly ReadEvent[],
  { filter }: Destination,
): Promise<(FilteredBy | undefined)[]> {
  const refused: (FilteredBy | undefined)[] = [];
  for (const { event, writeKeyId } of events) {
    let by = filter.refuses(event, writeKeyId);
    if (by === undefined && filter.consent.length > 0) {
      // The event's own answers may be enough.
      const has = hasConsent(event, filter.consent, {}) ||
        hasConsent(event, filter.consent, await traitsOf(event));
      if (!has) by = "consent";
    }
    refused.push(by);
  }
  return refused;
}

/** An attempt that is ready to be sent, or that need not be. */
export interface Ready {
  /** Outcomes of events that are not sent, by their index. */
  outcomes: Map<number, EventOutcome>;
  /** The indices of the events that are sent. */
  sent: number[];
  /** The transformations that made what is sent of them, by their index. */
  by: ReadonlyMap<number, readonly VersionName[]>;
  send?(): Promise<Answer>;
}

/** Makes a request of the events that the destination wants now. */
export async function prepareAttempt(
  parts: AttemptParts,
  events: readonly ReadEvent[],
  { destination, sender, span }: {
    destination: Destination;
    sender: Sender;
    span: { from: Position; to: Position };
  },
): Promise<Ready> {
  const outcomes = new Map<number, EventOutcome>();
  const refused = await filterEvents(parts, events, destination);
  for (const [index, filteredBy] of refused.entries()) {
    if (filteredBy !== undefined) outcomes.set(index, { verdict: "filtered", filteredBy });
  }
  const wanted = [...events.keys()].filter((index) => !outcomes.has(index));
  const transformed = await transformEvents(parts.transformations, { events, indices: wanted }, destination);
  for (const [index, outcome] of transformed.outcomes) outcomes.set(index, outcome);
  const { by } = transformed;
  const dropped = await sender.dropped?.(transformed.outgoing.map(({ event }) => event));
  const made = transformed.outgoing.filter((_, n) => !dropped?.has(n));
  const sent = new Set(made.map(({ index }) => index));
  for (const { index } of transformed.outgoing) {
    if (!sent.has(index)) outcomes.set(index, { verdict: "dropped", by: by.get(index) ?? [] });
  }
  if (made.length === 0) return { outcomes, sent: [], by };
  const { definition } = destination;
  const most = isSealed(definition)
    ? Infinity
    : Math.min(definition.batch.maxEvents, sender.maxEvents ?? Infinity);
  const requests = await prepareRequests(made, { sender, span, most });
  return { outcomes, sent: [...sent], by, send: () => sendRequests(requests, [...sent]) };
}
