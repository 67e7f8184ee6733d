/** The facts of a stretch of the journal, by actor: what a round settles. */
import type { StoredEvent } from "../../domain/event/event.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { Position } from "../../domain/event/position.ts";
import { copiesIn } from "../journal/copies.ts";
import type { SeenView } from "../dedup/dedup_index.ts";
import { bytesOfDigests, DIGEST_WORDS, pickDigests } from "../dedup/digest.ts";
import { createDigestSet, type DigestSet } from "../dedup/digest_set.ts";
import { counts, FLAGS, isWhole } from "../journal/header.ts";
import { type JournalEntry, linesOfEntry, positionIn, readJournal } from "../journal/read_journal.ts";
import { createMail, lazyFact, type Mail } from "./mailboxes.ts";
import type { Store } from "../store/store.ts";

/** Which stretch: behind one position and up to another, at most so many events or bytes of memory (but one entry at least). */
export interface Stretch {
  after: Position;
  upTo: Position;
  maxEvents: number;
  maxBytes: number;
  /** The dedup index of ids behind a position, for a stretch whose copies are not marked yet. */
  seen?(known: Position): Promise<SeenView>;
  /** Told how many events of each entry were read. */
  onEntry?(events: number): void;
}

/** What was gathered, up to a position. */
export interface Gathered {
  mail: Mail;
  end: Position;
  /** How many events of the stretch count, those that were erased too. */
  events: number;
  /** Digests of their message ids, and the latest time of a commit (ms). */
  digests: Uint8Array[];
  at: number;
  /** Entries with copies that are not marked yet, and which these are (1). */
  copies: { entry: JournalEntry; copies: Uint8Array }[];
}

const NOTHING_SEEN: SeenView = { runs: [], filters: new Map() };

/** Entries read at once. */
const BATCH = 128;

/** Reads a stretch of the journal. */
export async function gather(
  store: Store,
  { after, upTo, maxEvents, maxBytes, seen, onEntry }: Stretch,
): Promise<Gathered> {
  const gathered: Gathered = { mail: createMail(), end: after, events: 0, digests: [], at: 0, copies: [] };
  if (after >= upTo) return gathered;
  const ids = createRoundIds();
  for await (const entry of readJournal(store, { after, upTo, batch: BATCH })) {
    const { header, end } = entry;
    let copies: Uint8Array | undefined;
    if (seen !== undefined) {
      const isBehind = header.known !== undefined && header.known < after;
      const view = isBehind ? await seen(header.known!) : NOTHING_SEEN;
      copies = await copiesIn(header, { store, has: ids.has, after, seen: () => view });
      ids.add(header.digests);
    }
    if (
      copies !== undefined &&
      copies.some((is, index) => is === 1 && (header.flags[index]! & FLAGS.copy) === 0)
    ) {
      gathered.copies.push({ entry, copies });
    }
    await addEntry(gathered, store, { entry, copies });
    gathered.end = end;
    gathered.at = Math.max(gathered.at, header.at);
    onEntry?.(header.n);
    if (gathered.mail.events() >= maxEvents || gathered.mail.bytes() >= maxBytes) break;
  }
  return gathered;
}

/** The ids of a round. Where every process was alone nobody asks for them, and no set is made. */
function createRoundIds() {
  const rows: Uint32Array[] = [];
  let set: DigestSet | undefined;
  let next = 0;
  return {
    add: (digests: Uint32Array): void => void rows.push(digests),
    has(digests: Uint32Array, at: number): boolean {
      set ??= createDigestSet(0);
      for (; next < rows.length; next++) {
        const row = rows[next]!;
        for (let i = 0; i * DIGEST_WORDS < row.length; i++) set.add(row, i);
      }
      return set.has(digests, at);
    },
  };
}

async function addEntry(
  gathered: Gathered,
  store: Store,
  { entry, copies }: { entry: JournalEntry; copies: Uint8Array | undefined },
): Promise<void> {
  const { header } = entry;
  const { mail } = gathered;
  let lines: string[] | undefined;
  const first: number[] = [];
  let isAnyCopy = false;
  for (let index = 0; index < header.n; index++) {
    const isCopy = (header.flags[index]! & FLAGS.copy) !== 0 || copies?.[index] === 1;
    if (isCopy) {
      isAnyCopy = true;
      continue;
    }
    first.push(index);
    if (!counts(header, index)) continue;
    const place = positionIn(entry, index);
    if (isWhole(header, index)) {
      mail.add(header, index, { place });
      continue;
    }
    lines ??= await linesOfEntry(store, entry);
    const line = lines[index]!;
    // It may have been erased since its header was read.
    const event = parseExact(line) as Partial<StoredEvent>;
    if (event.type === undefined) continue;
    mail.add(header, index, { place, ...lazyFact(event as StoredEvent, place) });
  }
  gathered.events += first.length;
  gathered.digests.push(bytesOfDigests(isAnyCopy ? pickDigests(header.digests, first) : header.digests));
}
