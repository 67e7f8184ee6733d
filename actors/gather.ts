/** The facts of a stretch of the journal, by actor: what a round settles. */
import { type ActorName, actorsOf, type Fact, factOf } from "../domain/fact.ts";
import { type Chunk, eventsOf, placeOf } from "./chunk.ts";
import { journalKey } from "./keys.ts";
import type { Store } from "./store.ts";

/** Which stretch: chunks after `from` and up to `to`, at most so many events or bytes of them (but one chunk at least). */
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
    add(gathered.facts, seq, value!);
    gathered.end = seq;
    gathered.events += value!.n;
    gathered.digests.push(value!.digests);
    gathered.at = value!.at;
    bytes += value!.rawBytes;
    if (gathered.events >= maxEvents || bytes >= maxBytes) return gathered;
  }
  if (gathered.end !== to) {
    throw new Error(`journal has a gap: chunk ${gathered.end + 1} of ${to} is missing`);
  }
  return gathered;
}

function add(facts: Map<ActorName, Fact[]>, seq: number, chunk: Chunk): void {
  for (const [index, event] of eventsOf(chunk).entries()) {
    const fact = factOf(event, placeOf(seq, index));
    for (const name of actorsOf(fact)) {
      const mine = facts.get(name);
      if (mine === undefined) facts.set(name, [fact]);
      else mine.push(fact);
    }
  }
}
