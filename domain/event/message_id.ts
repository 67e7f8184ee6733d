/** Message ids: opaque, but many contain their time. */
import { decodeTime } from "ulid";

/** Bounds of a time that is one: 2010 to 2100, in ms. */
const [EARLIEST_MS, LATEST_MS] = [Date.UTC(2010, 0), Date.UTC(2100, 0)];

/**
 * When a message id was created (ms), if it tells: a ULID, a UUID of version 7 (RFC 9562, section 5.7), or one with
 * milliseconds, as analytics.js creates them (`ajs-next-1700000000000-…`). It is by the creator's clock, so only a
 * hint.
 */
export function timeIn(messageId: string): number | undefined {
  const ms = ulidTime(messageId) ?? uuidTime(messageId) ?? writtenTime(messageId);
  return ms !== undefined && ms >= EARLIEST_MS && ms <= LATEST_MS ? ms : undefined;
}

function ulidTime(text: string): number | undefined {
  return /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i.test(text) ? decodeTime(text) : undefined;
}

function uuidTime(text: string): number | undefined {
  const match = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/i.exec(text);
  return match === null ? undefined : parseInt(match[1]! + match[2]!, 16);
}

function writtenTime(text: string): number | undefined {
  const match = /(?<!\d)\d{13}(?!\d)/.exec(text);
  return match === null ? undefined : Number(match[0]);
}
