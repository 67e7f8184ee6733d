/** Shapes of bodies that are dear for their size: how they are made, changed, and sent. */
import { gzipSync } from "node:zlib";
import type { Random } from "../process/ledger.ts";

/** Who sends. The limited key may send 10 events a second; the others have no limit. */
export const CREDENTIALS = ["none", "wrong", "wrong in body", "limited", "public", "public in body"] as const;
export type Credential = typeof CREDENTIALS[number];

/** How a body is coded: `unlabelled` is gzip without its header. */
export const CODINGS = ["plain", "gzip", "unlabelled"] as const;
export type Coding = typeof CODINGS[number];

export const PATHS = ["/api/v1/events", "/api/v1/events/batch", "/v1/track", "/v1/batch"] as const;
export type Path = typeof PATHS[number];

/** What is repeated; `%` is another text each time. */
export const UNITS = [
  "{},",
  "[],",
  "[[],[]],",
  '{"":{}},',
  '{"a":1},',
  '{"%":1},',
  '{"%":{"%":[]}},',
  '"%":1,',
  '"%":{},',
  '"writeKey":"%",',
  '{"writeKey":"x"},',
  "1,",
  "1e-300,",
  '"",',
  '"\\u00e9\\n",',
  "1234567890123456,",
  "12345678901234567890,",
  "null,",
  "[",
  '{"a":',
  "x",
  " ",
  "\u00e9",
  '{"type":"page","userId":"u"},',
  '{"type":"page","userId":"%"},',
  '{"type":"page","userId":"%","messageId":"%"},',
  '{"type":"identify","anonymousId":"%","userId":"u","traits":{"%":[{},{}]}},',
  '{"type":"track","userId":"u"},',
  '{"type":"track","userId":"u","event":"%","properties":{"a":[[],[],{}]}},',
] as const;

/** What stands around the repeated. */
export const FRAMES = [
  "bare",
  "array",
  "object",
  "batch",
  "beside a batch",
  "in an event",
  "in a context",
] as const;
export type Frame = typeof FRAMES[number];

/** What stands at the end. */
export const TAILS = ["whole", "broken", "long integer"] as const;
export type Tail = typeof TAILS[number];

/** A shape of a body, and how it is sent. */
export interface Shape {
  unit: string;
  frame: Frame;
  tail: Tail;
  /** Bytes of JSON, about. */
  bytes: number;
  coding: Coding;
  path: Path;
  credential: Credential;
  transfer: "length" | "chunks";
  protocol: "HTTP/1.1" | "HTTP/2";
}

const SIZES = [300, 2_000, 4_000, 20_000, 60_000, 130_000, 300_000, 520_000, 1_000_000, 4_190_000];

const TRANSFERS = ["length", "length", "chunks"] as const;
const PROTOCOLS = ["HTTP/1.1", "HTTP/1.1", "HTTP/2"] as const;

function oneOf<T>(random: Random, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)]!;
}

/** A shape made at random. */
export function randomShape(random: Random): Shape {
  return {
    unit: oneOf(random, UNITS),
    frame: oneOf(random, FRAMES),
    tail: oneOf(random, TAILS),
    bytes: oneOf(random, SIZES),
    coding: oneOf(random, CODINGS),
    path: oneOf(random, PATHS),
    credential: oneOf(random, CREDENTIALS),
    transfer: oneOf(random, TRANSFERS),
    protocol: oneOf(random, PROTOCOLS),
  };
}

/** The same shape with one thing changed. */
export function changed(shape: Shape, random: Random): Shape {
  const other = randomShape(random);
  const member = oneOf(random, Object.keys(shape) as (keyof Shape)[]);
  const bytes = Math.min(4_190_000, Math.ceil(shape.bytes * (0.5 + random())));
  return { ...shape, [member]: member === "bytes" ? bytes : other[member] };
}

const EVENT = '{"type":"page","userId":"u"}';

/** What stands before and behind the repeated. */
function around({ frame, path }: Shape, key: string): [before: string, behind: string] {
  const inOne = !path.endsWith("batch");
  switch (frame) {
    case "bare":
      return ["", ""];
    case "array":
      return ["[", "0]"];
    case "object":
      return [`{${key}`, '"z":0}'];
    case "batch":
      return [`{${key}"batch":[`, `${EVENT}]}`];
    case "beside a batch":
      return [`{${key}"batch":[${EVENT}],"x":[`, "0]}"];
    case "in a context":
      return [`{${key}"batch":[${EVENT}],"context":{"a":[`, "0]}}"];
    case "in an event":
      return inOne
        ? [`{${key}"type":"track","event":"e","userId":"u","x":[`, "0]}"]
        : [`{${key}"batch":[{"type":"page","userId":"u","x":[`, "0]}]}"];
  }
}

const TAIL_TEXT: Record<Tail, string> = {
  whole: "",
  broken: "\u0000",
  "long integer": "12345678901234567890",
};

/** The text of a body of a shape; `writeKey` stands in it where its sender says so. */
export function textOf(shape: Shape, writeKey: string): string {
  const written = shape.credential === "public in body"
    ? `"writeKey":"${writeKey}",`
    : shape.credential === "wrong in body"
    ? '"writeKey":"wrong",'
    : "";
  const [before, behind] = around(shape, written);
  const pieces: string[] = [before];
  let n = 0;
  for (let length = before.length + behind.length; length < shape.bytes;) {
    const piece = shape.unit.replaceAll("%", () => (n++).toString(36));
    pieces.push(piece);
    length += piece.length;
  }
  const tail = TAIL_TEXT[shape.tail];
  // A number of digits needs a comma where another stands behind it.
  pieces.push(
    tail === "" || behind === "" ? tail : shape.frame === "object" ? `"t":${tail},` : `${tail},`,
    behind,
  );
  return pieces.join("");
}

/** The bytes of a body of a shape, as they are sent. */
export function bytesOf(shape: Shape, writeKey: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(textOf(shape, writeKey));
  return shape.coding === "plain" ? bytes : new Uint8Array(gzipSync(bytes));
}

/** The headers of a request of a shape, without those of its length. */
export function headersOf(
  { credential, coding }: Shape,
  { publicKey, limitedKey }: { publicKey: string; limitedKey: string },
): Record<string, string> {
  const keys: Partial<Record<Credential, string>> = {
    wrong: "wrong",
    limited: limitedKey,
    public: publicKey,
  };
  const key = keys[credential];
  return {
    ...key !== undefined && { "x-write-key": key },
    ...coding === "gzip" && { "content-encoding": "gzip" },
  };
}

/** A shape in few words. */
export function nameOf(
  { unit, frame, tail, bytes, coding, path, credential, transfer, protocol }: Shape,
): string {
  const size = bytes >= 1_000_000 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1000)} KB`;
  return `${credential}, ${protocol}, ${path}, ${coding}, ${transfer}: ${size} of ${unit} ${frame}, ${tail}`;
}

/** Shapes that were found dear before there were bounds, or that a bound is close to: the tests try these. */
export const KNOWN_SHAPES: readonly Shape[] = [
  shape({ credential: "none", unit: "{}," }),
  shape({ credential: "none", unit: "[", frame: "bare", path: "/v1/batch", protocol: "HTTP/2" }),
  shape({ credential: "none", unit: '"writeKey":"%",', frame: "object", bytes: 520_000, coding: "plain" }),
  shape({ credential: "wrong", unit: "{}," }),
  shape({ credential: "wrong in body", unit: "[],", coding: "plain", bytes: 520_000 }),
  shape({
    credential: "public in body",
    unit: '{"%":1},',
    coding: "plain",
    bytes: 500_000,
    frame: "beside a batch",
  }),
  shape({ credential: "limited", unit: "{},", frame: "beside a batch" }),
  shape({
    credential: "limited",
    unit: "12345678901234567890,",
    path: "/api/v1/events",
    frame: "in an event",
  }),
  shape({ credential: "public", unit: "{},", frame: "batch", path: "/v1/batch", bytes: 7_500 }),
  shape({ credential: "public", unit: '{"%":1},', coding: "plain", frame: "beside a batch", tail: "broken" }),
];

function shape(given: Pick<Shape, "credential" | "unit"> & Partial<Shape>): Shape {
  return {
    frame: "array",
    tail: "whole",
    bytes: 4_190_000,
    coding: "gzip",
    path: "/api/v1/events/batch",
    transfer: "length",
    protocol: "HTTP/1.1",
    ...given,
  };
}
