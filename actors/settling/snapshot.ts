/**
 * Actor values and parts as they stand in the store: `[head, state]` in JSON, UTF-8; the state in pieces where it is
 * large. Bytes, since the store would serialize an object at several times the cost.
 */
import type { Position } from "../../domain/event/position.ts";
import { Buffer } from "node:buffer";
import { parseExact } from "../../domain/event/exact_json.ts";
import { type Key, pieceKey } from "../store/keys.ts";
import type { OpenLog } from "./actor_log.ts";
import type { Writes } from "../store/write_batch.ts";
import { DAMAGED, type Entry, type Store } from "../store/store.ts";
import { StorageFault } from "../store/errors.ts";

/** What an actor's value says besides its state. A stored format: what old ones hold stays readable. */
export interface ActorHead extends OpenLog {
  /** The actor's id: in the key it may stand as a digest. */
  id: string;
  /** The version of the fold that made the state. */
  fold: number;
  /** The place of the last event that is folded and in the log. */
  position: Position;
  /** How many events are in the log. */
  version: number;
}

/** What the value of a user's share of an anonymous id says besides its state. */
export interface PartHead {
  userId: string;
  anonymousId: string;
  fold: number;
}

/** Where a state stands that is too large for one value; `stamp` tells the writes of one key apart. */
interface Pieces {
  stamp: string;
  pieces: number;
}

/** Bounds of a snapshot. */
export const SNAPSHOT_LIMITS = {
  /** A value has at most 64 KiB: a state larger than this stands in pieces of this size. */
  pieceBytes: 48_000,
};
export type SnapshotLimits = typeof SNAPSHOT_LIMITS;

/** Pieces that are being replaced are there at the second look, or the third: so many fail only where one is lost. */
const PIECE_TRIES = 50;

/** A value that was read: its head and state (as JSON), `undefined` where nothing stands under the key. */
export interface Loaded<H> {
  key: Key;
  stamp: string | null;
  head: H | undefined;
  state: unknown;
  /** The value as it stands, and the keys of its pieces. */
  raw: Uint8Array | null;
  pieces: Key[];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * The writes of a value under a key, in place of `old`. `stamp` tells this write's pieces from those of the old: give the
 * position of what is written.
 */
export function writesOf<H extends ActorHead | PartHead>(
  key: Key,
  { head, state, old, stamp, limits: { pieceBytes } }: {
    head: H;
    state: unknown;
    old: Loaded<H> | undefined;
    stamp: Position;
    limits: SnapshotLimits;
  },
): Writes {
  const deletes = old?.pieces ?? [];
  const written = "open" in head ? { ...head, open: head.open.toBase64() } : head;
  const whole = encoder.encode(JSON.stringify([written, state]));
  if (whole.length <= pieceBytes) return { sets: [[key, whole]], deletes };
  // A replay writes at the same position again.
  const isTaken = deletes.some((piece) => piece[piece.length - 2] === stamp);
  const mine = isTaken ? `${stamp}+` : stamp;
  const bytes = encoder.encode(JSON.stringify(state));
  const pieces = Math.ceil(bytes.length / pieceBytes);
  const sets: [Key, unknown][] = [
    [key, encoder.encode(JSON.stringify([written, { stamp: mine, pieces } satisfies Pieces]))],
  ];
  for (let n = 0; n < pieces; n++) {
    sets.push([pieceKey(key, mine, n), bytes.slice(n * pieceBytes, (n + 1) * pieceBytes)]);
  }
  return { sets, deletes };
}

/** Reads values and their states; several keys of one value are of one moment. */
export async function load<H extends ActorHead | PartHead>(store: Store, keys: Key[]): Promise<Loaded<H>[]> {
  const loaded: Loaded<H>[] = [];
  for (const one of await loadHeads<H>(store, keys)) loaded.push(await complete(store, one));
  return loaded;
}

/** Reads values, without those states that stand in pieces: {@link complete} reads these. */
export async function loadHeads<H extends ActorHead | PartHead>(
  store: Store,
  keys: Key[],
): Promise<Loaded<H>[]> {
  return (await store.getMany<Uint8Array>(keys)).map((entry) => readHead<H>(entry));
}

/** A value with its state. */
export async function complete<H extends ActorHead | PartHead>(
  store: Store,
  loaded: Loaded<H>,
): Promise<Loaded<H>> {
  if (loaded.head === undefined || loaded.state !== undefined) return loaded;
  return await whole<H>(store, { key: loaded.key, value: loaded.raw, stamp: loaded.stamp });
}

/** An entry's value and state; read again while its pieces are being replaced. */
export async function whole<H extends ActorHead | PartHead>(
  store: Store,
  entry: Entry<Uint8Array>,
): Promise<Loaded<H>> {
  for (let tries = 1;; tries++) {
    const one = readHead<H>(entry);
    if (one.head === undefined || one.state !== undefined) return one;
    const pieces = await store.getMany<Uint8Array>(one.pieces);
    if (pieces.every(({ value }) => value !== null)) {
      return { ...one, state: parsed(Buffer.concat(pieces.map(({ value }) => value!))) as unknown };
    }
    if (tries === PIECE_TRIES) throw new StorageFault("a piece of a value is missing");
    entry = await store.get<Uint8Array>(entry.key);
  }
}

/** What reading a key gives under which nothing stands. */
export function nothingAt<H>(key: Key): Loaded<H> {
  return { key, stamp: null, head: undefined, state: undefined, raw: null, pieces: [] };
}

/** What an entry says; without the state where that stands in pieces. */
export function readHead<H>({ key, value, stamp }: Entry<Uint8Array>): Loaded<H> {
  if (value === null) return { ...nothingAt<H>(key), stamp };
  const [head, state] = parsed(value) as [H & { open?: unknown }, unknown];
  if (typeof head.open === "string") head.open = Uint8Array.fromBase64(head.open);
  if (Array.isArray(state)) return { key, stamp, head, state, raw: value, pieces: [] };
  const { stamp: mine, pieces } = state as Pieces;
  const keys = Array.from({ length: pieces }, (_, n) => pieceKey(key, mine, n));
  return { key, stamp, head, state: undefined, raw: value, pieces: keys };
}

/** JSON that we wrote ourselves: where it is none the bytes were damaged, and are not to be quoted. */
function parsed(bytes: Uint8Array): unknown {
  try {
    return parseExact(decoder.decode(bytes));
  } catch {
    throw new StorageFault(DAMAGED);
  }
}

/**
 * Whether a state was made by another fold, and is to be folded again from its log. A newer one's too: a process of an
 * older version still reads, and can't know what a newer state says; the fence keeps it from writing.
 */
export function isStale(head: { fold: number }, foldVersion: number): boolean {
  return head.fold !== foldVersion;
}
