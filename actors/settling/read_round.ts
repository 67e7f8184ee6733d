/** The facts of a stretch of the journal, by actor: what a round settles. */
import type { StoredEvent } from "../../domain/event/event.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { Position } from "../../domain/event/position.ts";
import { ERASED_LINE, linesOf } from "../journal/chunk.ts";
import { positionIn, readJournal } from "../journal/read_journal.ts";
import { createMail, type Mail } from "./mailboxes.ts";
import type { Store } from "../store/store.ts";

/** Which stretch: behind one position and up to another, at most so many events or bytes of memory (but one entry at least). */
export interface Stretch {
  after: Position;
  upTo: Position;
  maxEvents: number;
  maxBytes: number;
  /** Told how many events of each entry were read. */
  onEntry?(events: number): void;
}

/** What was gathered, up to a position. */
export interface Gathered {
  mail: Mail;
  end: Position;
  /** How many events the stretch has, those that were erased too. */
  events: number;
  /** Digests of the message ids, and when the last entry was committed (ms). */
  digests: Uint8Array[];
  at: number;
}

/** Entries read at once. */
const BATCH = 32;

/** Reads a stretch of the journal. */
export async function gather(
  store: Store,
  { after, upTo, maxEvents, maxBytes, onEntry }: Stretch,
): Promise<Gathered> {
  const gathered: Gathered = { mail: createMail(), end: after, events: 0, digests: [], at: 0 };
  if (after >= upTo) return gathered;
  for await (const entry of readJournal(store, { after, upTo, batch: BATCH })) {
    const { chunk } = entry;
    for (const [index, line] of linesOf(chunk).entries()) {
      if (line === ERASED_LINE) continue;
      gathered.mail.add(parseExact(line) as StoredEvent, { place: positionIn(entry, index), line });
    }
    gathered.end = entry.end;
    gathered.events += chunk.n;
    gathered.digests.push(chunk.digests);
    gathered.at = chunk.at;
    onEntry?.(chunk.n);
    if (gathered.mail.events() >= maxEvents || gathered.mail.bytes() >= maxBytes) break;
  }
  return gathered;
}
