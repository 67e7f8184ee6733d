/**
 * Bodies: the events of a commit as lines of JSON, compressed in frames, so that reading one event inflates little. A
 * stored format: what an old journal holds stays readable.
 */
import { Buffer } from "node:buffer";
import type { StoredEvent } from "../../domain/event/event.ts";
import { compress, decompress } from "../store/codec.ts";
import { StorageFault } from "../store/errors.ts";
import { DAMAGED } from "../store/store.ts";

/** Bounds of a body. */
export const BODY_LIMITS = {
  /** Bytes of JSON in a frame before compression. */
  frameBytes: 32 * 1024,
  /** Bytes of frames in one body: a value takes 64 KiB. */
  bodyBytes: 60_000,
};
export type BodyLimits = typeof BODY_LIMITS;

/**
 * The line of an event that was erased, or that is a copy: places stay what they are. It is JSON of an event that names
 * nobody.
 */
export const ERASED_LINE = "{}";
export const ERASED_EVENT = {} as StoredEvent;

/** A frame before it is compressed: how many events, and their lines joined by line feeds. */
export interface Frame {
  n: number;
  raw: Uint8Array;
}

/** Bodies of a commit: each has some frames. */
export interface Bodies {
  values: Uint8Array[];
  /** How many events each has. */
  counts: number[];
  frames: Frame[];
  bytes: number;
}

/** Bytes of a frame's entry in the table of a body, and of the table's length. */
const TABLE_BYTES = 12;
const COUNT_BYTES = 2;

/** Puts lines of JSON into bodies. */
export function makeBodies(lines: readonly string[], limits: BodyLimits = BODY_LIMITS): Bodies {
  const frames = framesOf(lines, limits);
  const bodies: Bodies = { values: [], counts: [], frames, bytes: 0 };
  let waiting: Packed[] = [];
  let bytes = 0;
  const flush = () => {
    const value = bodyOf(waiting);
    bodies.values.push(value);
    bodies.counts.push(waiting.reduce((sum, { n }) => sum + n, 0));
    bodies.bytes += value.length;
    [waiting, bytes] = [[], 0];
  };
  for (const { n, raw } of frames) {
    const packed = compress(raw);
    if (waiting.length > 0 && bytes + packed.length + TABLE_BYTES > limits.bodyBytes) flush();
    waiting.push({ n, rawBytes: raw.length, packed });
    bytes += packed.length + TABLE_BYTES;
  }
  flush();
  return bodies;
}

interface Packed {
  n: number;
  rawBytes: number;
  packed: Uint8Array;
}

function framesOf(lines: readonly string[], { frameBytes }: BodyLimits): Frame[] {
  const frames: Frame[] = [];
  for (let from = 0; from < lines.length;) {
    let end = from;
    for (let raw = 0; end < lines.length; end++) {
      raw += Buffer.byteLength(lines[end]!) + 1;
      if (end > from && raw > frameBytes) break;
    }
    const some = from === 0 && end === lines.length ? lines : lines.slice(from, end);
    frames.push({ n: end - from, raw: Buffer.from(some.join("\n")) });
    from = end;
  }
  return frames;
}

function bodyOf(frames: readonly Packed[]): Uint8Array {
  const bytes = frames.reduce((sum, { packed }) => sum + packed.length + TABLE_BYTES, COUNT_BYTES);
  const value = new Uint8Array(bytes);
  const view = new DataView(value.buffer);
  view.setUint16(0, frames.length, true);
  let at = COUNT_BYTES + frames.length * TABLE_BYTES;
  for (const [index, { n, rawBytes, packed }] of frames.entries()) {
    const entry = COUNT_BYTES + index * TABLE_BYTES;
    view.setUint32(entry, n, true);
    view.setUint32(entry + 4, rawBytes, true);
    view.setUint32(entry + 8, packed.length, true);
    value.set(packed, at);
    at += packed.length;
  }
  return value;
}

/** A frame of a stored body, which is inflated when it is asked for. */
export interface StoredFrame {
  n: number;
  rawBytes: number;
  lines(): string[];
}

/** The frames of a stored body. Throws {@link StorageFault} where its bytes were damaged. */
export function framesIn(value: Uint8Array): StoredFrame[] {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  try {
    const count = view.getUint16(0, true);
    let at = COUNT_BYTES + count * TABLE_BYTES;
    return Array.from({ length: count }, (_, index) => {
      const entry = COUNT_BYTES + index * TABLE_BYTES;
      const bytes = value.subarray(at, at += view.getUint32(entry + 8, true));
      return {
        n: view.getUint32(entry, true),
        rawBytes: view.getUint32(entry + 4, true),
        lines: () => linesIn(bytes),
      };
    });
  } catch {
    throw new StorageFault(DAMAGED);
  }
}

function linesIn(bytes: Uint8Array): string[] {
  try {
    return decompress(bytes).toString().split("\n");
  } catch {
    throw new StorageFault(DAMAGED);
  }
}

/** The lines of a stored body; of an erased event {@link ERASED_LINE}. */
export function linesOfBody(value: Uint8Array): string[] {
  const frames = framesIn(value);
  return frames.length === 1 ? frames[0]!.lines() : frames.flatMap((frame) => frame.lines());
}

/** A body with other lines: `change` gives each, by its index in the body; frames stay as they are otherwise. */
export function rewriteBody(value: Uint8Array, change: (line: string, index: number) => string): Uint8Array {
  let index = 0;
  return bodyOf(
    framesIn(value).map((frame) => {
      const raw = Buffer.from(frame.lines().map((line) => change(line, index++)).join("\n"));
      return { n: frame.n, rawBytes: raw.length, packed: compress(raw) };
    }),
  );
}
