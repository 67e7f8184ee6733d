/** The evidence of actors as it stands in the store: one value for each actor of a world, in pieces where it is large. */
import { Buffer } from "node:buffer";
import { parseExact } from "../../domain/event/exact_json.ts";
import type { Position } from "../../domain/event/position.ts";
import type { ActorKind } from "../../domain/profile/fact.ts";
import { addEvidence, type Evidence } from "../../domain/audience/evidence.ts";
import { evidenceKey, type Key, pieceKey } from "../store/keys.ts";
import type { Entry, Store } from "../store/store.ts";
import { StorageFault } from "../store/errors.ts";
import type { Writes } from "../store/write_batch.ts";

/** Evidence of one actor at most: some 400 KB. Beyond it the oldest goes: `docs/audiences.md` says what that means. */
export const MAX_EVIDENCE = 10_000;

/** A value has at most 64 KiB. */
const PIECE_BYTES = 60_000;

/** Attempts at a value whose pieces are being replaced. */
const PIECE_TRIES = 50;

/** A person's standing in one audience, by its number: since when, and the next moment. */
export type StoredStanding = [audience: number, since: number | null, next: number | null];

/** What an actor's value says. */
export interface ActorEvidenceValue {
  id: string;
  evidence: Evidence[];
  /** Of a user: their first event (ms), and when they were last evaluated. */
  first: number | null;
  seen: number | null;
  standings: StoredStanding[];
  /** Their key in the agenda (ms). */
  due: number | null;
}

/** A value that was read; `pieces` tells what its replacement deletes. */
export interface LoadedEvidence {
  key: Key;
  value: ActorEvidenceValue;
  isStored: boolean;
  pieces: Key[];
}

/** A stored format: evidence in tuples, since there is much of it. */
type Stored = [
  id: string,
  first: number | null,
  seen: number | null,
  due: number | null,
  standings: StoredStanding[],
  evidence: StoredItem[],
];
type StoredItem = [
  at: number,
  place: string,
  s?: number[] | 0,
  v?: Record<number, string> | 0,
  t?: Record<string, unknown> | 0,
  g?: string | 0,
  l?: string,
];

function pack({ at, place, s, v, t, g, l }: Evidence): StoredItem {
  const item: StoredItem = [at, place, s ?? 0, v ?? 0, t ?? 0, g ?? 0];
  if (l !== undefined) item.push(l);
  else while (item.length > 2 && item.at(-1) === 0) item.pop();
  return item;
}

function unpack([at, place, s, v, t, g, l]: StoredItem): Evidence {
  return {
    at,
    place: place as Position,
    ...s && { s },
    ...v && { v },
    ...t && { t },
    ...g && { g },
    ...l !== undefined && { l },
  };
}

/** The value of an actor without evidence. */
function emptyValue(id: string): ActorEvidenceValue {
  return { id, evidence: [], first: null, seen: null, standings: [], due: null };
}

/** Reads actors of one kind, in the order asked for. */
export async function loadEvidence(
  store: Store,
  world: number,
  { kind, ids }: { kind: ActorKind; ids: readonly string[] },
): Promise<LoadedEvidence[]> {
  const entries = await store.getMany<Uint8Array>(ids.map((id) => evidenceKey(world, kind, id)));
  return await Promise.all(entries.map((entry, index) => readEvidence(store, entry, ids[index]!)));
}

/** What reading users gives of whom nothing is stored. */
export function nothingOf(world: number, ids: readonly string[]): LoadedEvidence[] {
  return ids.map((id) => ({
    key: evidenceKey(world, "user", id),
    value: emptyValue(id),
    isStored: false,
    pieces: [],
  }));
}

/** The value of an entry. */
export async function readEvidence(store: Store, entry: Entry<Uint8Array>, id = ""): Promise<LoadedEvidence> {
  for (let tries = 1;; tries++) {
    const { key, value: bytes } = entry;
    if (bytes === null) return { key, value: emptyValue(id), isStored: false, pieces: [] };
    const read = parseExact(decoder.decode(bytes)) as Stored | { stamp: string; pieces: number };
    if (Array.isArray(read)) return { key, value: valueOf(read), isStored: true, pieces: [] };
    const pieces = Array.from({ length: read.pieces }, (_, n) => pieceKey(key, read.stamp, n));
    const parts = await store.getMany<Uint8Array>(pieces);
    if (parts.every(({ value }) => value !== null)) {
      const whole = parseExact(Buffer.concat(parts.map(({ value }) => value!)).toString()) as Stored;
      return { key, value: valueOf(whole), isStored: true, pieces };
    }
    if (tries === PIECE_TRIES) throw new StorageFault("a piece of the evidence of audiences is missing");
    entry = await store.get<Uint8Array>(key);
  }
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();

function valueOf([id, first, seen, due, standings, evidence]: Stored): ActorEvidenceValue {
  return { id, first, seen, due, standings, evidence: evidence.map(unpack) };
}

/** The writes that replace a value. */
export function writesOfEvidence({ key, value, pieces }: LoadedEvidence): Writes {
  const { id, first, seen, due, standings, evidence } = value;
  const stored: Stored = [id, first, seen, due, standings, evidence.map(pack)];
  const bytes = encoder.encode(JSON.stringify(stored));
  if (bytes.length <= PIECE_BYTES) return { sets: [[key, bytes]], deletes: pieces };
  const before = pieces[0]?.at(-2);
  const stamp = before === "a" ? "b" : "a";
  const count = Math.ceil(bytes.length / PIECE_BYTES);
  const sets: [Key, unknown][] = [[key, encoder.encode(JSON.stringify({ stamp, pieces: count }))]];
  for (let n = 0; n < count; n++) {
    sets.push([pieceKey(key, stamp, n), bytes.slice(n * PIECE_BYTES, (n + 1) * PIECE_BYTES)]);
  }
  return { sets, deletes: pieces };
}

/** Adds evidence to a value, within {@link MAX_EVIDENCE}; links stay whatever their age. Mutates `value`. */
export function addToValue(value: ActorEvidenceValue, added: readonly Evidence[]): void {
  addEvidence(value.evidence, added);
  const excess = value.evidence.length - MAX_EVIDENCE;
  if (excess <= 0) return;
  let dropped = 0;
  value.evidence = value.evidence.filter(({ l }) => l !== undefined || ++dropped > excess);
}
