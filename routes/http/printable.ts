/** Text as a terminal and a log may show it: with no character that controls either, and no secret of a URL. */

/**
 * Characters that terminals obey (control characters, C1 too), that some readers treat as line ends (U+2028, U+2029),
 * and that change the order of text (the bidirectional controls).
 */
const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** A URL, up to its end in a sentence, in quotes, or in JSON. */
const URL_IN_TEXT = /\bhttps?:\/\/[^\s"'<>\\`]+/gi;

/** The user name and password of a URL: all up to the last `@` that does not begin a part of the path. */
const USER_OF_URL = /^(https?:\/\/).*[^/]@/i;

/** Escapes each control character as JSON does (`\u001b`), so that text in JSON keeps its meaning. */
export function escaped(text: string): string {
  return text.replace(UNSAFE, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Replaces the user name, the password and the query of each http(s) URL by `***`. */
export function masked(text: string): string {
  return text.replace(
    URL_IN_TEXT,
    (url) => url.replace(USER_OF_URL, "$1***@").replace(/\?.+$/, "?***"),
  );
}

/** Text as one line of a terminal or a log: {@link masked} and {@link escaped}. */
export function printable(text: string): string {
  return escaped(masked(text));
}
