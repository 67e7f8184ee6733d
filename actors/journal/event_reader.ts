/** Events by their place in the journal, with the chunks used last kept inflated. */
import { indexOf, type Position } from "../../domain/event/position.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { type Fact, factOf } from "../../domain/profile/fact.ts";
import { type Chunk, ERASED_LINE, linesOf, senderOf, seqOf } from "./chunk.ts";
import { journalKey } from "../store/keys.ts";
import type { Store } from "../store/store.ts";

/** Bytes of inflated chunks that are kept. */
const CACHE_BYTES = 16 * 1024 * 1024;

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
export function createEvents(store: Store) {
  let cache = new Map<number, Inflated>();
  let bytes = 0;

  function keep(seq: number, entry: Inflated): void {
    const old = cache.get(seq);
    if (old !== undefined) bytes -= old.bytes;
    cache.delete(seq);
    cache.set(seq, entry);
    bytes += entry.bytes;
    for (const [oldest, { bytes: size }] of cache) {
      if (bytes <= CACHE_BYTES) break;
      cache.delete(oldest);
      bytes -= size;
    }
  }

  async function inflated(seqs: number[]): Promise<Map<number, Inflated>> {
    const mine = cache;
    const found = new Map<number, Inflated>();
    const missing: number[] = [];
    for (const seq of seqs) {
      const cached = cache.get(seq);
      if (cached === undefined) missing.push(seq);
      else {
        found.set(seq, cached);
        cache.delete(seq);
        cache.set(seq, cached);
      }
    }
    for (const { key, value } of await store.getMany<Chunk>(missing.map(journalKey))) {
      if (value === null) throw new Error(`journal has a gap: chunk ${key[1]} is missing`);
      const chunk = { senders: value.senders, n: value.n };
      const entry: Inflated = { chunk, text: linesOf(value), bytes: value.rawBytes };
      found.set(key[1] as number, entry);
      // What was read before it was to be forgotten may be what is to be forgotten.
      if (mine === cache) keep(key[1] as number, entry);
    }
    return found;
  }

  /** The events at places, in the order asked for, and who sent them; `undefined` for those that were erased. */
  async function at(places: readonly Position[]): Promise<(SentEvent | undefined)[]> {
    const chunks = await inflated([...new Set(places.map(seqOf))]);
    return places.map((place) => {
      const inflated = chunks.get(seqOf(place))!;
      const index = indexOf(place);
      const line = linesIn(inflated)[index];
      if (line === undefined) throw new Error(`journal: no event at place ${place}`);
      if (line === ERASED_LINE) return undefined;
      const event = parseExact(line) as StoredEvent;
      return { event, length: line.length, writeKeyId: senderOf(inflated.chunk, index) };
    });
  }

  return {
    at,
    /** The lines of JSON of chunks, in the order asked for, and what says who sent each. */
    async chunks(seqs: readonly number[]): Promise<{ chunk: Inflated["chunk"]; lines: string[] }[]> {
      const chunks = await inflated([...seqs]);
      return seqs.map((seq) => {
        const one = chunks.get(seq)!;
        return { chunk: one.chunk, lines: linesIn(one) };
      });
    },
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
      keep(seq, { chunk: { senders, n }, text: raw, bytes: raw.length }),
  };
}
