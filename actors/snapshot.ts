/** Actor values and parts as they stand in the store: fold state, position, log; in pieces where they are large. */
import { Buffer } from "node:buffer";
import { FOLD_VERSION } from "../domain/fact.ts";
import { type Key, pieceKey } from "./keys.ts";
import type { OpenLog } from "./log.ts";
import type { Entry, Store } from "./store.ts";

/** A state's JSON in UTF-8, or where it stands when it is too large for one value. */
type StoredState = Uint8Array | { stamp: number; pieces: number };

/** The value of an actor. A stored format: what old ones hold stays readable. */
export interface ActorValue extends OpenLog {
  /** The actor's id: in the key it may stand as a digest. */
  id: string;
  /** The version of the fold that made the state. */
  fold: number;
  /** The place of the last event that is folded and in the log. */
  position: number;
  /** How many events are in the log. */
  version: number;
  state: StoredState;
}

/** The value of what a user owns of an anonymous id. */
export interface PartValue {
  userId: string;
  anonymousId: string;
  fold: number;
  state: StoredState;
}

/** A value has at most 64 KiB: a state larger than this stands in pieces of this size. */
const PIECE_BYTES = 48_000;

/** Writes to be done in one atomic operation. */
export interface Writes {
  sets: [Key, unknown][];
  deletes: Key[];
}

/**
 * The writes of a value under a key. `stamp` tells this write's pieces from those of `old`, which are deleted: give the
 * position of what is written.
 */
export function writesOf<V extends { state: StoredState }>(
  key: Key,
  { value, json, old, stamp }: {
    value: Omit<V, "state">;
    json: unknown;
    old: StoredState | undefined;
    stamp: number;
  },
): Writes {
  const bytes = new Uint8Array(Buffer.from(JSON.stringify(json)));
  const deletes = old === undefined ? [] : piecesOf(key, old);
  if (bytes.length <= PIECE_BYTES) return { sets: [[key, { ...value, state: bytes }]], deletes };
  const mine = old !== undefined && !(old instanceof Uint8Array) && old.stamp === stamp ? stamp + 0.5 : stamp;
  const pieces = Math.ceil(bytes.length / PIECE_BYTES);
  const sets: [Key, unknown][] = [[key, { ...value, state: { stamp: mine, pieces } }]];
  for (let n = 0; n < pieces; n++) {
    sets.push([pieceKey(key, mine, n), bytes.slice(n * PIECE_BYTES, (n + 1) * PIECE_BYTES)]);
  }
  return { sets, deletes };
}

function piecesOf(key: Key, state: StoredState): Key[] {
  if (state instanceof Uint8Array) return [];
  return Array.from({ length: state.pieces }, (_, n) => pieceKey(key, state.stamp, n));
}

/** The JSON of a state, or `undefined` where it stands in pieces that have been replaced since: read the key again. */
export async function readState(store: Store, key: Key, state: StoredState): Promise<unknown> {
  if (state instanceof Uint8Array) return parse([state]);
  const pieces = await store.getMany<Uint8Array>(piecesOf(key, state));
  if (pieces.some(({ value }) => value === null)) return undefined;
  return parse(pieces.map(({ value }) => value!));
}

function parse(pieces: Uint8Array[]): unknown {
  const bytes = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
}

/** A value and its state as JSON; both `undefined` where nothing stands under the key. */
export interface Loaded<V> {
  key: Key;
  value: V | undefined;
  json: unknown;
  stamp: string | null;
}

/** Reads values and their states; several keys of one value are of one moment. */
export async function load<V extends { state: StoredState }>(
  store: Store,
  keys: Key[],
): Promise<Loaded<V>[]> {
  const entries = await store.getMany<V>(keys);
  return Promise.all(entries.map((entry) => whole(store, entry)));
}

/** An entry with its state, read again while its pieces are being replaced. */
export async function whole<V extends { state: StoredState }>(
  store: Store,
  entry: Entry<V>,
): Promise<Loaded<V>> {
  for (;;) {
    const { key, value, stamp } = entry;
    if (value === null) return { key, value: undefined, json: undefined, stamp };
    const json = await readState(store, key, value.state);
    if (json !== undefined) return { key, value, json, stamp };
    entry = await store.get<V>(key);
  }
}

/** Whether a value's state was made by an older fold, and is to be folded again from its log. */
export function isStale(value: { fold: number }): boolean {
  return value.fold < FOLD_VERSION;
}
