/**
 * The tail: the events of the journal that are not settled yet, as a process holds them in memory, by actor.
 *
 * It is a row of segments, which are dropped whole when all of them is settled, so nothing is ever searched for or removed
 * one by one; and who pinned a view keeps its segments alive.
 */
import { type ActorName, actorsOf, type Fact, linkedBy } from "../domain/fact.ts";

/** The events of some chunks in a row. */
export interface Segment {
  /** The chunks `from` (not itself) to `to`. */
  readonly from: number;
  to: number;
  /** How many events, and about how many bytes of memory they take. */
  events: number;
  bytes: number;
  /** The places of each actor's events: the events themselves are in the journal. */
  readonly places: Map<ActorName, number[]>;
  /** The anonymous ids that each user was linked to. */
  readonly links: Map<string, Set<string>>;
  /** Digests of message ids, in hex. */
  readonly ids: Set<string>;
}

/** A segment of so many events is closed, so that what is settled can be dropped soon. */
const SEGMENT_EVENTS = 32_768;

/** Memory that an event takes besides the names of its actors: its digest, its places, maps and sets. */
const EVENT_BYTES = 300;

/** What is appended: one chunk. */
export interface TailChunk {
  seq: number;
  facts: Fact[];
  ids: string[];
}

/** A row of segments at a moment, contiguous: facts that are appended later may show in the last. */
export type Pin = readonly Segment[];

/** The tail of a process. */
export type Tail = ReturnType<typeof createTail>;

/** A tail that begins after chunk `start`. */
export function createTail(start: number) {
  let segments: Segment[] = [newSegment(start)];
  let events = 0;
  let bytes = 0;

  function last(): Segment {
    return segments[segments.length - 1]!;
  }

  return {
    /** The chunk after which it begins, and the last that it holds. */
    start: () => segments[0]!.from,
    end: () => last().to,
    /** How many events it holds, and about how many bytes of memory they take. */
    events: () => events,
    bytes: () => bytes,
    /** Adds the next chunk; one that is there already is passed over, a gap is a broken invariant and throws. */
    append(chunk: TailChunk): boolean {
      if (chunk.seq <= last().to) return false;
      if (chunk.seq !== last().to + 1) {
        throw new Error(`journal has a gap: chunk ${chunk.seq} was read after ${last().to}`);
      }
      if (last().events >= SEGMENT_EVENTS) segments.push(newSegment(last().to));
      const grown = add(last(), chunk);
      events += chunk.facts.length;
      bytes += grown;
      return true;
    },
    /** Whether a message id with this digest is in the tail. */
    has(digest: string): boolean {
      for (const segment of segments) if (segment.ids.has(digest)) return true;
      return false;
    },
    /** The segments that now are there. */
    pin: (): Pin => segments,
    /** Forgets the segments all of whose chunks are settled. */
    trim(settled: number): void {
      if (segments[0]!.to > settled || segments[0]!.events === 0) return;
      const rest = segments.filter((segment) => segment.to > settled || segment.events === 0);
      for (const segment of segments) {
        if (rest.includes(segment)) continue;
        events -= segment.events;
        bytes -= segment.bytes;
      }
      segments = rest.length > 0 ? rest : [newSegment(last().to)];
    },
  };
}

function newSegment(from: number): Segment {
  return {
    from,
    to: from,
    events: 0,
    bytes: 0,
    places: new Map(),
    links: new Map(),
    ids: new Set(),
  };
}

function add(segment: Segment, { seq, facts, ids }: TailChunk): number {
  let grown = facts.length * EVENT_BYTES;
  for (const fact of facts) {
    for (const name of actorsOf(fact)) {
      grown += 2 * name.length;
      const mine = segment.places.get(name);
      if (mine === undefined) segment.places.set(name, [fact.place]);
      else mine.push(fact.place);
    }
    const linked = linkedBy(fact);
    if (linked === undefined) continue;
    const mine = segment.links.get(fact.userId!);
    if (mine === undefined) segment.links.set(fact.userId!, new Set([linked]));
    else mine.add(linked);
  }
  for (const id of ids) segment.ids.add(id);
  segment.to = seq;
  segment.events += facts.length;
  segment.bytes += grown;
  return grown;
}

/** Whether segments follow each other without a gap. */
export function isContiguous(pin: Pin): boolean {
  return pin.every((segment, index) => index === 0 || segment.from === pin[index - 1]!.to);
}

/** The places of an actor's events in pinned segments, in order, after `after` and up to `upTo`. */
export function placesIn(
  pin: Pin,
  name: ActorName,
  { after, upTo }: { after: number; upTo: number },
): number[] {
  const places: number[] = [];
  for (const segment of pin) {
    for (const place of segment.places.get(name) ?? []) {
      if (place > after && place <= upTo) places.push(place);
    }
  }
  return places;
}

/** The anonymous ids that a user was linked to in pinned segments. */
export function linksIn(pin: Pin, userId: string): Set<string> {
  const linked = new Set<string>();
  for (const segment of pin) for (const id of segment.links.get(userId) ?? []) linked.add(id);
  return linked;
}
