/** Cursors: where a page ended, as text that a URL can hold. */
import { InvalidCursor } from "./errors.ts";

/** A cursor that says a JSON value. */
export function encodeCursor(value: unknown): string {
  return new TextEncoder().encode(JSON.stringify(value)).toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });
}

/** What a cursor says. Throws {@link InvalidCursor} for what is none. */
export function decodeCursor(cursor: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(cursor, { alphabet: "base64url" })));
  } catch {
    throw new InvalidCursor("Invalid cursor.");
  }
}
