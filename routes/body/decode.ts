/** From the bytes of a body to a JSON value: inflating, UTF-8, parsing. Refusals name the rule and quote nothing. */
import { gunzipSync } from "node:zlib";
import { parseExact } from "../../domain/event/exact_json.ts";
import { syntaxFault } from "../../domain/event/syntax_fault.ts";
import { invalid, type Problem } from "../http/problem.ts";

/** How a body was coded: not at all, by gzip, or by something else. */
export type Coding = "identity" | "gzip" | "unknown";

/**
 * Reads `Content-Encoding`: codings are case-insensitive, `x-gzip` is `gzip`, and `identity` says nothing (RFC 9110,
 * section 8.4.1).
 */
export function codingOf(contentEncoding: string | null): Coding {
  if (contentEncoding === null) return "identity";
  const codings = contentEncoding.split(",").map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== "" && coding !== "identity");
  if (codings.length === 0) return "identity";
  return codings.length === 1 && (codings[0] === "gzip" || codings[0] === "x-gzip") ? "gzip" : "unknown";
}

/** Whether bytes begin as gzip does (RFC 1952, section 2.3.1), which no JSON text does. */
export function beginsAsGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** Refusal of a coding that is not known. */
export const UNKNOWN_ENCODING: Problem = invalid(
  "unknown_encoding",
  "",
  "Content-Encoding must be gzip or identity.",
);

/** Inflating stops at `maxBytes`, so a decompression bomb costs no more than a large body. */
export function inflate(
  bytes: Uint8Array,
  maxBytes: number,
): { bytes: Uint8Array } | { problem: Problem } | "too_large" {
  try {
    return { bytes: gunzipSync(bytes, { maxOutputLength: maxBytes }) };
  } catch (error) {
    if ((error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE") return "too_large";
    return { problem: invalid("invalid_gzip", "", "The body is not valid gzip.") };
  }
}

const decoder = new TextDecoder();
/** Slower than the other decoder, and needed only if there is a replacement character. */
const strictDecoder = new TextDecoder("utf-8", { fatal: true });

/** The text of a body in UTF-8, with or without a byte order mark. */
export function textOf(bytes: Uint8Array): { text: string } | { problem: Problem } {
  if (bytes.length === 0) {
    return { problem: invalid("empty_body", "", "The body is empty; it must be JSON.") };
  }
  const text = decoder.decode(bytes);
  if (text.includes("\ufffd") && !isUtf8(bytes)) {
    return { problem: invalid("invalid_utf8", "", "The body must be UTF-8.") };
  }
  return { text };
}

/** Parses JSON. */
export function parseJson(text: string): { value: unknown } | { problem: Problem } {
  try {
    return { value: parseExact(text) };
  } catch (error) {
    return { problem: invalid("invalid_json", "", `The body must be JSON: ${syntaxFault(error)}.`) };
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
