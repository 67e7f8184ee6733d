/** Cursors: the end of a page, as text for a URL. */
import { InvalidCursor } from "./errors.ts";

/** Encodes a JSON value as a cursor. */
export function encodeCursor(value: unknown): string {
  return new TextEncoder().encode(JSON.stringify(value)).toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });
}

/** Decodes a cursor. Throws {@link InvalidCursor}. */
export function decodeCursor(cursor: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(cursor, { alphabet: "base64url" })));
  } catch {
    throw new InvalidCursor("Invalid cursor.");
  }
}
