/**
 * The tail: the events of the journal that are not settled yet, as a process holds them in memory, by actor.
 *
 * It is a row of segments, which are dropped whole when all of them is settled, so nothing is ever searched for or removed
 * one by one; and who pinned a view keeps its segments alive.
 */
import { endOf, type Position, positionOf } from "../../domain/event/position.ts";
import { type ActorName, actorsOf, linkedBy, type Names } from "../../domain/profile/fact.ts";
import { stampOfSeq } from "./chunk.ts";
import { createDigestSet, type DigestSet } from "./digest_set.ts";

/** The events of some chunks in a row. */
export interface Segment {
  /** The chunks `from` (not itself) to `to`. */
  readonly from: number;
  to: number;
  /** How many events, and about how many bytes of memory they take. */
  events: number;
  bytes: number;
  /** The places of each actor's events: the events themselves are in the journal. */
  readonly places: Map<ActorName, Position[]>;
  /** The anonymous ids that each user was linked to. */
  readonly links: Map<string, Set<string>>;
  /** Digests of message ids. */
  readonly ids: DigestSet;
  /** Chunks whose events are not among the places and links yet: who only sends needs neither. */
  unread: Pick<TailChunk, "seq" | "names">[];
}

/** Bounds of the tail. */
export const TAIL_LIMITS = {
  /** A segment of so many events is closed, so that what is settled can be dropped soon. */
  segmentEvents: 32_768,
};
export type TailLimits = typeof TAIL_LIMITS;

/** Memory that an event takes besides its ids: its digest, its places, maps and sets. */
const EVENT_BYTES = 250;

/** What is appended: one chunk. */
export interface TailChunk {
  seq: number;
  /** Of each event, in their order. */
  names: Names[];
  digests: Uint32Array;
}

/** A row of segments at a moment, contiguous: events that are appended later may show in the last. */
export type Pin = readonly Segment[];

/** The tail of a process. */
export type Tail = ReturnType<typeof createTail>;

/** A tail that begins after chunk `start`. */
export function createTail(start: number, limits: TailLimits) {
  let segments: Segment[] = [newSegment(start, limits)];
  let events = 0;
  let bytes = 0;

  function last(): Segment {
    return segments[segments.length - 1]!;
  }

  return {
    /** The last chunk that it holds. */
    end: () => last().to,
    /** A position behind what is before it. */
    after: (): Position => endOf(stampOfSeq(segments[0]!.from)),
    /** How many events it holds, and about how many bytes of memory they take. */
    events: () => events,
    bytes: () => bytes,
    /** Adds the next chunk; one that is there already is passed over, a gap is a broken invariant and throws. */
    append(chunk: TailChunk): boolean {
      if (chunk.seq <= last().to) return false;
      if (chunk.seq !== last().to + 1) {
        throw new Error(`journal has a gap: chunk ${chunk.seq} was read after ${last().to}`);
      }
      if (last().events >= limits.segmentEvents) segments.push(newSegment(last().to, limits));
      const grown = add(last(), chunk);
      events += chunk.names.length;
      bytes += grown;
      return true;
    },
    /** Whether a message id with the digest number `at` of a row is in the tail. */
    has(digests: Uint32Array, at: number): boolean {
      for (const segment of segments) if (segment.ids.has(digests, at)) return true;
      return false;
    },
    /** The segments that now are there, with all that was appended. */
    pin(): Pin {
      for (const segment of segments) readUp(segment);
      return segments;
    },
    /** Forgets the segments all of whose chunks are settled. */
    trim(settled: number): void {
      if (segments[0]!.to > settled || segments[0]!.events === 0) return;
      const rest = segments.filter((segment) => segment.to > settled || segment.events === 0);
      for (const segment of segments) {
        if (rest.includes(segment)) continue;
        events -= segment.events;
        bytes -= segment.bytes;
      }
      segments = rest.length > 0 ? rest : [newSegment(last().to, limits)];
    },
  };
}

function newSegment(from: number, { segmentEvents }: TailLimits): Segment {
  return {
    from,
    to: from,
    events: 0,
    bytes: 0,
    places: new Map(),
    links: new Map(),
    ids: createDigestSet(segmentEvents),
    unread: [],
  };
}

function add(segment: Segment, { seq, names, digests }: TailChunk): number {
  let grown = names.length * EVENT_BYTES;
  for (let at = 0; at < names.length; at++) {
    segment.ids.add(digests, at);
    grown += 4 * idUnitsOf(names[at]!);
  }
  segment.unread.push({ seq, names });
  segment.to = seq;
  segment.events += names.length;
  segment.bytes += grown;
  return grown;
}

function idUnitsOf({ userId, anonymousId, groupId, previousId }: Names): number {
  return (userId?.length ?? 0) + (anonymousId?.length ?? 0) + (groupId?.length ?? 0) +
    (previousId?.length ?? 0);
}

/** Puts what is unread of a segment among its places and links. */
function readUp(segment: Segment): void {
  for (const { seq, names } of segment.unread) {
    for (const [index, each] of names.entries()) {
      for (const name of actorsOf(each)) {
        const mine = segment.places.get(name);
        if (mine === undefined) segment.places.set(name, [positionOf(stampOfSeq(seq), index)]);
        else mine.push(positionOf(stampOfSeq(seq), index));
      }
      const linked = linkedBy(each);
      if (linked === undefined) continue;
      const mine = segment.links.get(each.userId!);
      if (mine === undefined) segment.links.set(each.userId!, new Set([linked]));
      else mine.add(linked);
    }
  }
  segment.unread = [];
}

/** Whether segments follow each other without a gap. */
export function isContiguous(pin: Pin): boolean {
  return pin.every((segment, index) => index === 0 || segment.from === pin[index - 1]!.to);
}

/** The places of an actor's events in pinned segments, in order, after `after` and up to `upTo`. */
export function placesIn(
  pin: Pin,
  name: ActorName,
  { after, upTo }: { after: Position; upTo: Position },
): Position[] {
  const places: Position[] = [];
  for (const segment of pin) {
    // It may have grown since it was pinned, and be gone from the tail by now.
    readUp(segment);
    for (const place of segment.places.get(name) ?? []) {
      if (place > after && place <= upTo) places.push(place);
    }
  }
  return places;
}

/** The anonymous ids that a user was linked to in pinned segments. */
export function linksIn(pin: Pin, userId: string): Set<string> {
  const linked = new Set<string>();
  for (const segment of pin) {
    readUp(segment);
    for (const id of segment.links.get(userId) ?? []) linked.add(id);
  }
  return linked;
}
