/** From the bytes of a body to a JSON value: inflating, UTF-8, parsing. Refusals name the rule and quote nothing. */
import { gunzipSync } from "node:zlib";
import { invalid, type Problem } from "./problem.ts";

/** Inflating stops at `maxBytes`, whatever the compressed bytes would make: a bomb costs no more than a large body. */
export function inflate(
  bytes: Uint8Array,
  encoding: string,
  maxBytes: number,
): { bytes: Uint8Array } | { problem: Problem } | "too_large" {
  if (encoding !== "gzip" && encoding !== "x-gzip") {
    return { problem: invalid("unknown_encoding", "", "the body's Content-Encoding must be gzip or none") };
  }
  try {
    return { bytes: gunzipSync(bytes, { maxOutputLength: maxBytes }) };
  } catch (error) {
    if ((error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE") return "too_large";
    return {
      problem: invalid(
        "invalid_gzip",
        "",
        "the body says gzip in Content-Encoding, and is not well-formed gzip",
      ),
    };
  }
}

const decoder = new TextDecoder();
/** Slower than the other, and needed only where a replacement character shows that something may have been replaced. */
const strictDecoder = new TextDecoder("utf-8", { fatal: true });

/** Parses JSON in UTF-8, with or without a byte order mark. */
export function parseJson(bytes: Uint8Array): { value: unknown; bytes: number } | { problem: Problem } {
  if (bytes.length === 0) return { problem: invalid("empty_body", "", "the body is empty; it must be JSON") };
  const text = decoder.decode(bytes);
  if (text.includes("\ufffd") && !isUtf8(bytes)) {
    return { problem: invalid("invalid_utf8", "", "the body must be UTF-8") };
  }
  try {
    return { value: JSON.parse(text), bytes: bytes.length };
  } catch (error) {
    return {
      problem: invalid(
        "invalid_json",
        "",
        `the body must be JSON: ${withoutExcerpt((error as Error).message)}`,
      ),
    };
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    strictDecoder.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** The engine's message tells the place, and quotes the body, which may hold a key. */
function withoutExcerpt(message: string): string {
  return message.replace(/,? ?(\.\.\.)?"[^]*" is not valid JSON$/, "").replace(/ in JSON at/, " at");
}
