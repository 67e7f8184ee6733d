/** Headers that restrict what browsers do with answers. */

/**
 * Headers of every answer that is not an event's receipt. Answers are data for programs: nothing in them is to be
 * run, framed, kept by a cache or guessed at. A header costs a microsecond, so a receipt has only the first.
 */
export const SECURITY_HEADERS = {
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
} as const;
