/**
 * The data of a KV Connect server, in memory, with the limits of the self-hosted `denokv` server (`proto/limits.rs` of
 * denoland/denokv): what goes over one is refused, as there.
 */
import { Buffer } from "node:buffer";
import {
  type AtomicWrite,
  type KvEntry,
  M_DELETE,
  M_SET,
  M_SET_SUFFIX_VERSIONSTAMPED_KEY,
  type ReadRange,
} from "./messages.ts";

/** The limits of `denokv`. */
export const LIMITS = {
  writeKeyBytes: 2048,
  readKeyBytes: 2049,
  valueBytes: 65_536,
  readRanges: 10,
  readEntries: 1000,
  checks: 10,
  mutations: 1000,
  writeBytes: 819_200,
} as const;

/** Thrown where a request goes over a limit, or asks for what is not known here: 400, in the words of `denokv`. */
export class BadRequest extends Error {
  override name = "BadRequest";
}

/** A database of a server. */
export interface Database {
  /** The entries of each range, all of one moment. */
  read(ranges: ReadRange[]): KvEntry[][];
  /** The versionstamp of the write, or `null` where a check failed and nothing was done. */
  write(write: AtomicWrite): Uint8Array | null;
}

/** Versionstamps grow by up to so much, as those of `denokv` do. */
const MAX_STEP = 10;

/** Makes an empty database. */
export function createDatabase(random: () => number): Database {
  // Keys as strings of bytes (latin1), whose order is that of the bytes.
  const entries = new Map<string, KvEntry>();
  const keys: string[] = [];
  let version = 0;

  /** The index of the first key that is not before this one. */
  function indexOf(key: string): number {
    let low = 0;
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function stampOf(key: Uint8Array): Uint8Array {
    return entries.get(nameOf(key))?.versionstamp ?? new Uint8Array();
  }

  return {
    read(ranges) {
      checkRead(ranges);
      return ranges.map(({ start, end, limit, reverse }) => {
        const from = indexOf(nameOf(start));
        const to = Math.max(from, indexOf(nameOf(end)));
        const found = reverse
          ? keys.slice(Math.max(from, to - limit), to).reverse()
          : keys.slice(from, Math.min(to, from + limit));
        return found.map((key) => entries.get(key)!);
      });
    },
    write(write) {
      checkWrite(write);
      const { checks, mutations } = write;
      if (!checks.every(({ key, versionstamp }) => Buffer.compare(stampOf(key), versionstamp) === 0)) {
        return null;
      }
      version += 1 + Math.floor(random() * MAX_STEP);
      const versionstamp = versionstampOf(version);
      for (const { key: sent, value, encoding, type } of mutations) {
        const key = type === M_SET_SUFFIX_VERSIONSTAMPED_KEY ? stamped(sent, versionstamp) : sent;
        const name = nameOf(key);
        const isThere = entries.has(name);
        if (type !== M_DELETE) {
          if (!isThere) keys.splice(indexOf(name), 0, name);
          entries.set(name, { key: key.slice(), value: value.slice(), encoding, versionstamp });
        } else if (isThere) {
          keys.splice(indexOf(name), 1);
          entries.delete(name);
        }
      }
      return versionstamp;
    },
  };
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

/** A key that goes on with a versionstamp, as a text of hex digits. */
function stamped(key: Uint8Array, versionstamp: Uint8Array): Uint8Array {
  const [text, end] = [2, 0];
  return Buffer.concat([
    key,
    Buffer.of(text),
    Buffer.from(Buffer.from(versionstamp).toString("hex")),
    Buffer.of(end),
  ]);
}

/** Ten bytes: the version, then two that are zero. */
function versionstampOf(version: number): Uint8Array {
  const bytes = new Uint8Array(10);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(version));
  return bytes;
}

function checkRead(ranges: ReadRange[]): void {
  if (ranges.length > LIMITS.readRanges) {
    throw new BadRequest("Too many read ranges requested in one read request.");
  }
  let total = 0;
  for (const { start, end, limit } of ranges) {
    if (limit < 1) throw new BadRequest("The read range limit of the snapshot read request is invalid.");
    if (Math.max(start.length, end.length) > LIMITS.readKeyBytes) throw keyTooLong();
    total += limit;
  }
  if (total > LIMITS.readEntries) {
    throw new BadRequest(
      "The total number of entries requested across read ranges in the read request is too large.",
    );
  }
}

const MUTATIONS: ReadonlySet<number> = new Set([M_SET, M_DELETE, M_SET_SUFFIX_VERSIONSTAMPED_KEY]);

function checkWrite({ checks, mutations }: AtomicWrite): void {
  if (checks.length > LIMITS.checks) throw new BadRequest("Too many checks included in atomic write.");
  if (mutations.length > LIMITS.mutations) {
    throw new BadRequest("Too many mutations / enqueues included in atomic write.");
  }
  let total = 0;
  for (const { key } of checks) {
    if (key.length > LIMITS.readKeyBytes) throw keyTooLong();
    total += key.length;
  }
  for (const { key, value, type } of mutations) {
    if (key.length > LIMITS.writeKeyBytes) throw keyTooLong();
    if (value.length > LIMITS.valueBytes) throw new BadRequest("A value exceeds the value size limit.");
    if (!MUTATIONS.has(type)) throw new BadRequest("Invalid mutation kind or arguments.");
    total += key.length + value.length;
  }
  if (total > LIMITS.writeBytes) throw new BadRequest("The total size of the atomic write is too large.");
}

function keyTooLong(): BadRequest {
  return new BadRequest("A key exceeds the key size limit.");
}
