/** The facts of a stretch of the journal, by actor: what a round settles. */
import type { StoredEvent } from "../../domain/event/event.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import { type Chunk, ERASED_LINE, linesOf, placeOf } from "../journal/chunk.ts";
import { journalKey } from "../store/keys.ts";
import { createMail, type Mail } from "./mailboxes.ts";
import type { Store } from "../store/store.ts";

/** Which stretch: chunks after `from` and up to `to`, at most so many events or bytes of memory (but one chunk at least). */
export interface Stretch {
  from: number;
  to: number;
  maxEvents: number;
  maxBytes: number;
  /** Told of each chunk that was read. */
  onChunk?(end: number): void;
}

/** What was gathered, up to chunk `end`. */
export interface Gathered {
  mail: Mail;
  end: number;
  /** Digests of the message ids, and when the last chunk was committed (ms). */
  digests: Uint8Array[];
  at: number;
}

/** Reads a stretch of the journal. Throws where a chunk is missing. */
export async function gather(
  store: Store,
  { from, to, maxEvents, maxBytes, onChunk }: Stretch,
): Promise<Gathered> {
  const gathered: Gathered = { mail: createMail(), end: from, digests: [], at: 0 };
  const range = { start: journalKey(from + 1), end: journalKey(to + 1) };
  for await (const { key, value } of store.list<Chunk>(range, { batchSize: 32 })) {
    const seq = key[1] as number;
    if (seq !== gathered.end + 1) break;
    for (const [index, line] of linesOf(value!).entries()) {
      if (line === ERASED_LINE) continue;
      gathered.mail.add(parseExact(line) as StoredEvent, { place: placeOf(seq, index), line });
    }
    gathered.end = seq;
    onChunk?.(seq);
    gathered.digests.push(value!.digests);
    gathered.at = value!.at;
    if (gathered.mail.events() >= maxEvents || gathered.mail.bytes() >= maxBytes) return gathered;
  }
  if (gathered.end !== to) {
    throw new Error(`journal has a gap: chunk ${gathered.end + 1} of ${to} is missing`);
  }
  return gathered;
}
