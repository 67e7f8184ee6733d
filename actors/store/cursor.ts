/** Cursors: where a page ended, as text that a URL can hold. */
import { InvalidCursor } from "./errors.ts";

/** A cursor that says a JSON value. */
export function encodeCursor(value: unknown): string {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** What a cursor says. Throws {@link InvalidCursor} for what is none. */
export function decodeCursor(cursor: string): unknown {
  try {
    const binary = atob(cursor.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (unit) => unit.charCodeAt(0))));
  } catch {
    throw new InvalidCursor("cursor: not one that a page before gave");
  }
}
