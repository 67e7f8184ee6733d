/**
 * The tail: the events of the journal that are not settled yet, as a process holds them in memory, by actor.
 *
 * It is a row of segments, which are dropped whole when all of them is settled, so nothing is ever searched for or removed
 * one by one; and who pinned a view keeps its segments alive.
 */
import { type Position, positionOf, stampOf } from "../../domain/event/position.ts";
import { type ActorName, actorsOf, linkedBy, type Names } from "../../domain/profile/fact.ts";
import { createDigestSet, type DigestSet } from "../dedup/digest_set.ts";

/** The events of some entries in a row. */
export interface Segment {
  /** The entries behind `from` up to `to`. */
  readonly from: Position;
  to: Position;
  /** How many events, of them how many count, and about how many bytes of memory they take. */
  events: number;
  counted: number;
  bytes: number;
  /** The places of each actor's events: the events themselves are in the journal. */
  readonly places: Map<ActorName, Position[]>;
  /** The anonymous ids that each user was linked to. */
  readonly links: Map<string, Set<string>>;
  /** Digests of message ids. */
  readonly ids: DigestSet;
  /** Of entries that have events that do not count: which (1). */
  readonly copies: Map<string, Uint8Array>;
  /** Entries whose events are not among the places and links yet: who only sends needs neither. */
  unread: Pick<TailEntry, "end" | "names">[];
}

/** Bounds of the tail. */
export const TAIL_LIMITS = {
  /** A segment of so many events is closed, so that what is settled can be dropped soon. */
  segmentEvents: 32_768,
};
export type TailLimits = typeof TAIL_LIMITS;

/** Memory that an event takes besides its ids: its digest, its places, maps and sets. */
const EVENT_BYTES = 250;

/** What is appended: one entry. */
export interface TailEntry {
  end: Position;
  n: number;
  /** The names of each event; `undefined` for one that was erased. Called at most once, when somebody reads. */
  names(): (Names | undefined)[];
  digests: Uint32Array;
  /** Which events do not count (1); `undefined` if all do. */
  copies: Uint8Array | undefined;
  /** About how many bytes its names take. */
  bytes: number;
}

/** A row of segments at a moment, contiguous: events that are appended later may show in the last. */
export type Pin = readonly Segment[];

/** The tail of a process. */
export type Tail = ReturnType<typeof createTail>;

/** A tail that begins behind a position, up to which the journal has so many events that count. */
export function createTail(start: Position, { before, ...limits }: TailLimits & { before: number }) {
  let segments: Segment[] = [newSegment(start, limits)];
  let events = 0;
  let counted = before;
  let bytes = 0;

  function last(): Segment {
    return segments[segments.length - 1]!;
  }

  return {
    /** A position behind the last entry that it holds. */
    end: () => last().to,
    /** A position behind what is before it. */
    after: (): Position => segments[0]!.from,
    /** How many events it holds, and about how many bytes of memory they take. */
    events: () => events,
    bytes: () => bytes,
    /** How many events of the journal count, up to its end. */
    counted: () => counted,
    /** Adds the next entry; one that is not behind the end is passed over. */
    append(entry: TailEntry): boolean {
      if (entry.end <= last().to) return false;
      if (last().events >= limits.segmentEvents) segments.push(newSegment(last().to, limits));
      const segment = last();
      const countedBefore = segment.counted;
      const grown = add(segment, entry);
      events += entry.n;
      counted += segment.counted - countedBefore;
      bytes += grown;
      return true;
    },
    /** Whether a message id with the digest number `at` of a row is in the tail. */
    has(digests: Uint32Array, at: number): boolean {
      for (const segment of segments) if (segment.ids.has(digests, at)) return true;
      return false;
    },
    /** Which events of an entry do not count (1), of those that the tail holds; `undefined` if all do. */
    copiesOf(end: Position): Uint8Array | undefined {
      const stamp = stampOf(end);
      for (const segment of segments) {
        if (segment.copies.size === 0) continue;
        const copies = segment.copies.get(stamp);
        if (copies !== undefined) return copies;
      }
      return undefined;
    },
    /** The segments that now are there, with all that was appended. */
    pin(): Pin {
      for (const segment of segments) readUp(segment);
      return segments;
    },
    /** Forgets the segments all of whose entries are settled. */
    trim(settled: Position): void {
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

function newSegment(from: Position, { segmentEvents }: TailLimits): Segment {
  return {
    from,
    to: from,
    events: 0,
    counted: 0,
    bytes: 0,
    places: new Map(),
    links: new Map(),
    ids: createDigestSet(segmentEvents),
    copies: new Map(),
    unread: [],
  };
}

function add(segment: Segment, { end, n, names, digests, copies, bytes }: TailEntry): number {
  for (let at = 0; at < n; at++) segment.ids.add(digests, at);
  if (copies === undefined) segment.counted += n;
  else {
    segment.copies.set(stampOf(end), copies);
    for (const is of copies) segment.counted += 1 - is;
  }
  const grown = n * EVENT_BYTES + bytes;
  segment.unread.push({ end, names });
  segment.to = end;
  segment.events += n;
  segment.bytes += grown;
  return grown;
}

/** Puts what is unread of a segment among its places and links. */
function readUp(segment: Segment): void {
  if (segment.unread.length === 0) return;
  for (const { end, names } of segment.unread) {
    const stamp = stampOf(end);
    const copies = segment.copies.get(stamp);
    for (const [index, each] of names().entries()) {
      if (each === undefined || copies?.[index] === 1) continue;
      const place = positionOf(stamp, index);
      for (const name of actorsOf(each)) {
        const mine = segment.places.get(name);
        if (mine === undefined) segment.places.set(name, [place]);
        else mine.push(place);
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
