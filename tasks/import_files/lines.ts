/** Lines of a file of events: bytes in, text out. */
import { Buffer } from "node:buffer";

/**
 * Longest line that is read, in bytes: an event has at most 32 KiB, its JSON may write each byte in six (`\u0001`), and
 * exports of others add members of their own.
 */
export const MAX_LINE_BYTES = 1024 * 1024;

/** A line's text, or its problem. */
export type Line = { text: string; problem?: undefined } | { text?: undefined; problem: string };

const LINE_FEED = 0x0a;

/**
 * Yields the lines of a text file. LF ends a line, and so CRLF does: JSON takes a CR for a blank. Nothing else does: not
 * U+2028, not U+2029, not a CR alone, which are parts of a line. A byte-order mark at the start of a line is left out, as
 * files that were joined have it inside. A line that is too long is passed over without being held in memory.
 */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let parts: Uint8Array[] = [];
  let length = 0;

  function add(part: Uint8Array): void {
    length += part.length;
    if (length > MAX_LINE_BYTES) parts = [];
    else if (part.length > 0) parts.push(part);
  }

  function take(): Line {
    const isTooLong = length > MAX_LINE_BYTES;
    const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    parts = [];
    length = 0;
    if (isTooLong) {
      return {
        problem:
          `line exceeds ${MAX_LINE_BYTES} bytes; an event has at most 32 KiB, and LF must end its line`,
      };
    }
    try {
      return { text: decoder.decode(bytes) };
    } catch {
      return { problem: "invalid UTF-8" };
    }
  }

  for await (const chunk of chunks) {
    let from = 0;
    for (let end; (end = chunk.indexOf(LINE_FEED, from)) !== -1; from = end + 1) {
      add(chunk.subarray(from, end));
      yield take();
    }
    add(chunk.subarray(from));
  }
  if (length > 0) yield take();
}
