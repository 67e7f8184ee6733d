/** Events by their place in the journal, with the entries used last kept in memory. */
import { endOf, indexOf, type Position, stampOf } from "../../domain/event/position.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { type Fact, factOf } from "../../domain/profile/fact.ts";
import { StorageFault } from "../store/errors.ts";
import { bodyKey } from "../store/keys.ts";
import { DAMAGED, type Store } from "../store/store.ts";
import { ERASED_LINE, type Frame, framesIn } from "./body.ts";
import { type Header, senderOf } from "./header.ts";
import { entriesAt } from "./read_journal.ts";

/** Bounds of a reader of events. */
export const EVENTS_LIMITS = {
  /** Bytes of inflated events that are kept. */
  cacheBytes: 16 * 1024 * 1024,
};
export type EventsLimits = typeof EVENTS_LIMITS;

/** Some events in a row: their number, their bytes as JSON, and their lines, once somebody asks. */
interface KeptFrame {
  n: number;
  bytes: number;
  lines(): string[];
}

/** An entry in memory: who sent its events, and its bodies, as far as they were read. */
interface Kept {
  header: Pick<Header, "senders" | "n" | "bodies">;
  bodies: (KeptFrame[] | undefined)[];
  bytes: number;
}

const decoder = new TextDecoder();

/** An event, how long it is as JSON, and the id of the write key that sent it. */
export interface SentEvent {
  event: StoredEvent;
  length: number;
  writeKeyId: string;
}

/** A commit of this process, whose events are likely to be read soon. */
interface Written extends Pick<Header, "senders" | "bodies"> {
  stamp: string;
  frames: readonly Frame[];
}

/** Reads events of the journal. */
export type Events = ReturnType<typeof createEvents>;

/** Makes a reader of events with a cache of its own. */
export function createEvents(store: Store, limits: EventsLimits) {
  let cache = new Map<string, Kept>();
  let bytes = 0;

  function keep(stamp: string, entry: Kept): void {
    const old = cache.get(stamp);
    if (old !== undefined) bytes -= old.bytes;
    cache.delete(stamp);
    cache.set(stamp, entry);
    bytes += entry.bytes;
    for (const [oldest, { bytes: size }] of cache) {
      if (bytes <= limits.cacheBytes) break;
      cache.delete(oldest);
      bytes -= size;
    }
  }

  /** The entries of positions, with the bodies in which these are. */
  async function entriesOf(positions: readonly Position[]): Promise<Map<string, Kept>> {
    const mine = cache;
    const found = new Map<string, Kept>();
    const missing = new Set<string>();
    for (const position of positions) {
      const stamp = stampOf(position);
      if (found.has(stamp) || missing.has(stamp)) continue;
      const kept = cache.get(stamp);
      if (kept === undefined) missing.add(stamp);
      else found.set(stamp, kept);
    }
    // Most entries have one body: it is read with the header.
    const stamps = [...missing];
    const [entries, firsts] = await Promise.all([
      entriesAt(store, stamps.map(endOf)),
      store.getMany<Uint8Array>(stamps.map((stamp) => bodyKey(0, stamp))),
    ]);
    const firstOf = new Map(firsts.map(({ key, value }) => [key[2] as string, value]));
    for (const { end, header: { senders, n, bodies } } of entries) {
      const stamp = stampOf(end);
      const kept: Kept = { header: { senders, n, bodies }, bodies: [], bytes: 100 };
      takeBody(kept, 0, firstOf.get(stamp)!);
      found.set(stamp, kept);
    }
    await readBodies(found, positions);
    for (const [stamp, kept] of found) {
      // What was read before it was to be forgotten may be what is to be forgotten.
      if (mine === cache) keep(stamp, { ...kept });
    }
    return found;
  }

  async function readBodies(found: Map<string, Kept>, positions: readonly Position[]): Promise<void> {
    const wanted = new Map<string, { kept: Kept; n: number; stamp: string }>();
    for (const position of positions) {
      const stamp = stampOf(position);
      const kept = found.get(stamp)!;
      const { n } = bodyAt(kept, indexOf(position));
      if (kept.bodies[n] === undefined) wanted.set(`${stamp} ${n}`, { kept, n, stamp });
    }
    if (wanted.size === 0) return;
    const all = [...wanted.values()];
    const values = await store.getMany<Uint8Array>(all.map(({ n, stamp }) => bodyKey(n, stamp)));
    for (const [index, { kept, n }] of all.entries()) takeBody(kept, n, values[index]!.value);
  }

  /** The events at places, in the order asked for, and who sent them; `undefined` for those that were erased. */
  async function at(places: readonly Position[]): Promise<(SentEvent | undefined)[]> {
    if (places.length === 0) return [];
    const entries = await entriesOf(places);
    return places.map((place) => {
      const kept = entries.get(stampOf(place))!;
      const index = indexOf(place);
      const line = lineAt(kept, index);
      if (line === undefined) throw new Error(`journal: no event at ${place}`);
      if (line === ERASED_LINE) return undefined;
      const event = parseExact(line) as StoredEvent;
      return { event, length: line.length, writeKeyId: senderOf(kept.header, index) };
    });
  }

  return {
    at,
    /** The facts at places, in their order, without those that were erased. */
    async factsAt(places: readonly Position[]): Promise<Fact[]> {
      const events = await at(places);
      return events.flatMap((sent, index) => sent === undefined ? [] : [factOf(sent.event, places[index]!)]);
    },
    /** Forgets what is kept: call it when somebody was erased. */
    forget(): void {
      cache = new Map();
      bytes = 0;
    },
    /** Keeps a commit that this process has just made, which is likely to be read soon. */
    keep({ stamp, senders, bodies, frames }: Written): void {
      const kept: Kept = { header: { senders, n: 0, bodies }, bodies: [], bytes: 100 };
      let next = 0;
      for (const count of bodies) {
        const body: KeptFrame[] = [];
        for (let n = 0; n < count;) {
          const { n: events, raw } = frames[next++]!;
          n += events;
          body.push({ n: events, bytes: raw.length, lines: once(() => decoder.decode(raw).split("\n")) });
          kept.bytes += raw.length;
        }
        kept.header.n += count;
        kept.bodies.push(body);
      }
      keep(stamp, kept);
    },
  };
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => made ??= make();
}

function takeBody(kept: Kept, n: number, value: Uint8Array | null): void {
  if (value === null) throw new StorageFault(DAMAGED);
  kept.bodies[n] = framesIn(value).map((frame) => ({
    n: frame.n,
    bytes: frame.rawBytes,
    lines: once(frame.lines),
  }));
  let events = 0;
  for (const frame of kept.bodies[n]!) {
    kept.bytes += frame.bytes;
    events += frame.n;
  }
  if (events !== kept.header.bodies[n]) throw new StorageFault(DAMAGED);
}

/** The body in which an event of an entry is, and the event's index in it. */
function bodyAt({ header: { bodies } }: Kept, index: number): { n: number; index: number } {
  let left = index;
  for (const [n, count] of bodies.entries()) {
    if (left < count) return { n, index: left };
    left -= count;
  }
  throw new Error(`journal: an entry has no event ${index}`);
}

function lineAt(kept: Kept, index: number): string | undefined {
  const { n, index: inBody } = bodyAt(kept, index);
  let left = inBody;
  for (const frame of kept.bodies[n]!) {
    if (left < frame.n) return frame.lines()[left];
    left -= frame.n;
  }
  return undefined;
}
