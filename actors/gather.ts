/** The facts of a stretch of the journal, by actor: what a round settles. */
import { type ActorName, actorsOf, type Fact, factOf } from "../domain/fact.ts";
import { type Chunk, linesOf, placeOf } from "./chunk.ts";
import { journalKey } from "./keys.ts";
import type { Store } from "./store.ts";

/**
 * Which stretch: chunks after `from` and up to `to`, at most so many events or bytes of them (but one chunk at least).
 * Bytes are those of JSON, and more where these would take many times as much memory: see {@link memoryOf}.
 */
export interface Stretch {
  from: number;
  to: number;
  maxEvents: number;
  maxBytes: number;
}

/** What was gathered, up to chunk `end`. */
export interface Gathered {
  facts: Map<ActorName, Fact[]>;
  end: number;
  events: number;
  /** Digests of the message ids, and when the last chunk was committed (ms). */
  digests: Uint8Array[];
  at: number;
}

/** Reads a stretch of the journal. Throws where a chunk is missing. */
export async function gather(store: Store, { from, to, maxEvents, maxBytes }: Stretch): Promise<Gathered> {
  const gathered: Gathered = { facts: new Map(), end: from, events: 0, digests: [], at: 0 };
  let bytes = 0;
  const range = { start: journalKey(from + 1), end: journalKey(to + 1) };
  for await (const { key, value } of store.list<Chunk>(range, { batchSize: 32 })) {
    const seq = key[1] as number;
    if (seq !== gathered.end + 1) break;
    bytes += add(gathered.facts, seq, value!);
    gathered.end = seq;
    gathered.events += value!.n;
    gathered.digests.push(value!.digests);
    gathered.at = value!.at;
    if (gathered.events >= maxEvents || bytes >= maxBytes) return gathered;
  }
  if (gathered.end !== to) {
    throw new Error(`journal has a gap: chunk ${gathered.end + 1} of ${to} is missing`);
  }
  return gathered;
}

/** Adds the facts of a chunk, and gives the bytes that they count. */
function add(facts: Map<ActorName, Fact[]>, seq: number, chunk: Chunk): number {
  let bytes = 0;
  for (const [index, line] of linesOf(chunk).entries()) {
    bytes += memoryOf(line);
    const fact = factOf(JSON.parse(line), placeOf(seq, index));
    for (const name of actorsOf(fact)) {
      const mine = facts.get(name);
      if (mine === undefined) facts.set(name, [fact]);
      else mine.push(fact);
    }
  }
  return bytes;
}

/** An ordinary event has one object or array in a hundred bytes. */
const BYTES_PER_OBJECT = 32;
/** What an object takes, be it empty. */
const OBJECT_BYTES = 64;

/**
 * Bytes that an event counts: its length as JSON, and more for each object beyond one in {@link BYTES_PER_OBJECT}, since
 * 32 KB of `{},{},…` take 600 KB of memory, and anybody with a write key may send a thousand of these.
 */
export function memoryOf(line: string): number {
  let objects = 0;
  for (const opening of ["{", "["]) {
    for (let at = line.indexOf(opening); at !== -1; at = line.indexOf(opening, at + 1)) objects++;
  }
  return line.length + OBJECT_BYTES * Math.max(0, objects - line.length / BYTES_PER_OBJECT);
}
