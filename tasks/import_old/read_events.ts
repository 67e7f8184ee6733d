/** Reads the events of a database of version 0.3, in the order of its journal. */
import type { StoredBefore } from "../../actors/appending/commit_group.ts";
import type { StoredEvent } from "../../domain/event/event.ts";
import { parseExact } from "../../domain/event/exact_json.ts";
import { type Chunk, chunkKey, digestOf, ERASED_LINE, linesOf, type StoredLine } from "./format.ts";
import { type OldDatabase, UnreadableDatabase } from "./old_database.ts";
import { createRepeats, type Repeats } from "./repeats.ts";

/** Events in a commit, and characters of JSON, unless one chunk has more. */
const COMMIT_EVENTS = 500;
const COMMIT_UNITS = 500_000;

/** Chunks that storage gives at once: each has 64 KiB at the most. */
const CHUNKS_AT_ONCE = 64;

/**
 * Reads the whole journal once, and gives its repeated message ids. Throws {@link UnreadableDatabase} where the journal is
 * damaged: each event must be JSON, with a message id that its digest fits.
 */
export async function checkEvents(database: OldDatabase): Promise<Repeats> {
  const { secret, head } = database;
  const repeats = createRepeats(head.events);
  for await (const { seq, lines } of chunksOf(database)) {
    for (const { line, digest } of lines) {
      if (line !== ERASED_LINE && !isEventOf(line, { digest, secret })) throw damaged(seq);
      repeats.note(digest);
    }
  }
  return repeats;
}

/**
 * Yields the events, as many at once as one commit takes, and how many are through. An event that counted although its
 * message id was known, since the window of deduplication lay between, gets a digest of its own: so it counts again.
 */
export async function* readEvents(
  database: OldDatabase,
  repeats: Repeats,
): AsyncGenerator<{ stored: StoredBefore[]; done: number }> {
  let stored: StoredBefore[] = [];
  let units = 0;
  let done = 0;
  for await (const { lines } of chunksOf(database)) {
    if (stored.length > 0 && (stored.length + lines.length > COMMIT_EVENTS || units > COMMIT_UNITS)) {
      yield { stored, done };
      [stored, units] = [[], 0];
    }
    for (const { line, digest, writeKeyId } of lines) {
      const event = line === ERASED_LINE ? undefined : parseExact(line) as StoredEvent;
      const copy = repeats.next(digest);
      // Nobody can send an id with such a digest: it is made with the secret, of a digest that is made with it.
      const own = copy === 1 ? digest : digestOf(`${digest}/${copy}`, database.secret);
      stored.push({ event, digest: own, writeKeyId });
      units += line.length;
      done++;
    }
  }
  if (stored.length > 0) yield { stored, done };
}

async function* chunksOf({ store, head }: OldDatabase): AsyncGenerator<{ seq: number; lines: StoredLine[] }> {
  let expected = 1;
  const range = { start: chunkKey(1), end: chunkKey(head.seq + 1) };
  for await (const { key, value } of store.list<Chunk>(range, { batchSize: CHUNKS_AT_ONCE })) {
    if (key[1] !== expected) break;
    const lines = linesOf(value!);
    if (lines === undefined) throw damaged(expected);
    yield { seq: expected++, lines };
  }
  if (expected <= head.seq) throw damaged(expected);
}

function isEventOf(line: string, { digest, secret }: { digest: string; secret: string }): boolean {
  try {
    const { messageId } = parseExact(line) as StoredEvent;
    return digestOf(messageId, secret) === digest;
  } catch {
    return false;
  }
}

function damaged(seq: number): UnreadableDatabase {
  return new UnreadableDatabase(`The journal is damaged: chunk ${seq} is missing or unreadable.`);
}
