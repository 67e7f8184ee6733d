/** Events by their place in the journal, with the chunks used last kept inflated. */
import { indexOf, type Position, stampOf } from "../../domain/event/position.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { type Fact, factOf } from "../../domain/profile/fact.ts";
import { type Chunk, ERASED_LINE, linesOf, senderOf, stampOfSeq } from "./chunk.ts";
import { entriesAt } from "./read_journal.ts";
import type { Store } from "../store/store.ts";

/** Bounds of a reader of events. */
export const EVENTS_LIMITS = {
  /** Bytes of inflated chunks that are kept. */
  cacheBytes: 16 * 1024 * 1024,
};
export type EventsLimits = typeof EVENTS_LIMITS;

/** A chunk inflated: as it was written, or, once somebody read it, as lines. */
interface Inflated {
  chunk: Pick<Chunk, "senders" | "n">;
  text: Uint8Array | string[];
  bytes: number;
}

function linesIn(inflated: Inflated): string[] {
  if (inflated.text instanceof Uint8Array) inflated.text = decoder.decode(inflated.text).split("\n");
  return inflated.text;
}

const decoder = new TextDecoder();

/** An event, how long it is as JSON, and the id of the write key that sent it. */
export interface SentEvent {
  event: StoredEvent;
  length: number;
  writeKeyId: string;
}

/** Reads events of the journal. */
export type Events = ReturnType<typeof createEvents>;

/** Makes a reader of events with a cache of its own. */
export function createEvents(store: Store, limits: EventsLimits) {
  let cache = new Map<string, Inflated>();
  let bytes = 0;

  function keep(stamp: string, entry: Inflated): void {
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

  async function inflated(positions: readonly Position[]): Promise<Map<string, Inflated>> {
    const mine = cache;
    const found = new Map<string, Inflated>();
    const missing: Position[] = [];
    for (const position of positions) {
      const stamp = stampOf(position);
      const cached = cache.get(stamp);
      if (cached === undefined) missing.push(position);
      else if (!found.has(stamp)) {
        found.set(stamp, cached);
        cache.delete(stamp);
        cache.set(stamp, cached);
      }
    }
    for (const { end, chunk } of await entriesAt(store, missing)) {
      const { senders, n } = chunk;
      const entry: Inflated = { chunk: { senders, n }, text: linesOf(chunk), bytes: chunk.rawBytes };
      found.set(stampOf(end), entry);
      // What was read before it was to be forgotten may be what is to be forgotten.
      if (mine === cache) keep(stampOf(end), entry);
    }
    return found;
  }

  /** The events at places, in the order asked for, and who sent them; `undefined` for those that were erased. */
  async function at(places: readonly Position[]): Promise<(SentEvent | undefined)[]> {
    const chunks = await inflated(places);
    return places.map((place) => {
      const inflated = chunks.get(stampOf(place))!;
      const index = indexOf(place);
      const line = linesIn(inflated)[index];
      if (line === undefined) throw new Error(`journal: no event at ${place}`);
      if (line === ERASED_LINE) return undefined;
      const event = parseExact(line) as StoredEvent;
      return { event, length: line.length, writeKeyId: senderOf(inflated.chunk, index) };
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
    /** Keeps a chunk that this process has just written, which is likely to be read soon; `raw` is its lines, joined. */
    keep: (seq: number, { senders, n }: Chunk, raw: Uint8Array) =>
      keep(stampOfSeq(seq), { chunk: { senders, n }, text: raw, bytes: raw.length }),
  };
}
