/** Moments as text and as milliseconds since 1970: reading ISO 8601, writing it, and putting a sender's clock right. */

/** 0000-01-01T00:00:00.000Z: the earliest moment that ISO 8601 writes with a year of four digits. */
export const EARLIEST_MS = -62_167_219_200_000;

/** 9999-12-31T23:59:59.999Z: the latest such moment. */
export const LATEST_MS = 253_402_300_799_999;

/**
 * The longest text that is read as a timestamp, so that a hostile one costs no more than an honest one. It leaves room
 * for a fraction of a hundred digits; nanoseconds need nine.
 */
export const MAX_TIMESTAMP_LENGTH = 128;

/** A day in milliseconds. */
export const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const SECOND_MS = 1000;

const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const ZERO = 48;
const PLUS = 43;
const COMMA = 44;
const MINUS = 45;
const DOT = 46;
const COLON = 58;
const UPPER_T = 84;
const UPPER_Z = 90;
/** The bit that a lower-case ASCII letter has and an upper-case one does not: `code & ~CASE_BIT` is the upper case. */
const CASE_BIT = 32;

/**
 * Reads an ISO 8601 date (`2025-03-15`), or date and time (`2025-03-15T14:30`, seconds and a fraction after `.` or `,`
 * optional) with `Z`, an offset (`+02:00`, `+0200`, `+02`) or neither, which means UTC. Gives milliseconds since 1970,
 * cut, not rounded, or `undefined` for anything else: a day that the calendar does not have, a text of more than
 * {@link MAX_TIMESTAMP_LENGTH}, a moment outside the years 0000 to 9999 in UTC, the basic format without hyphens.
 *
 * Second 60 is the first of the next minute (a leap second), and 24:00 with nothing after it the end of the day.
 * It is read by hand, digit by digit, because it runs for every event: a regular expression takes several times longer.
 */
export function parseTimestamp(text: string): number | undefined {
  const { length } = text;
  if (length < 10 || length > MAX_TIMESTAMP_LENGTH) return undefined;
  const dayMs = parseDate(text);
  if (dayMs === undefined || length === 10) return dayMs;

  const hour = pair(text, 11);
  const minute = pair(text, 14);
  // The comparisons fail for NaN, which `pair` gives for a missing digit.
  if ((text.charCodeAt(10) & ~CASE_BIT) !== UPPER_T || text.charCodeAt(13) !== COLON) return undefined;
  if (!(hour <= 24) || !(minute <= 59)) return undefined;
  let timeMs = hour * HOUR_MS + minute * MINUTE_MS;
  let index = 16;

  if (text.charCodeAt(index) === COLON) {
    const second = pair(text, 17);
    if (!(second <= 60)) return undefined;
    timeMs += second * SECOND_MS;
    index = 19;
    const mark = text.charCodeAt(index);
    if (mark === DOT || mark === COMMA) {
      const end = endOfDigits(text, index + 1);
      if (end === index + 1) return undefined;
      for (let i = index + 1, worth = 100; i < end; i++, worth = worth / 10) {
        const part = digit(text, i) * worth;
        // Past 24:00:00 by however little is not a time; below a millisecond it would otherwise go unseen.
        if (part > 0 && hour === 24) return undefined;
        if (worth >= 1) timeMs += part;
      }
      index = end;
    }
  }
  if (timeMs > DAY_MS && hour === 24) return undefined;

  const offsetMs = parseZone(text, index);
  if (offsetMs === undefined) return undefined;
  const ms = dayMs + timeMs - offsetMs;
  return ms >= EARLIEST_MS && ms <= LATEST_MS ? ms : undefined;
}

/** Midnight, in UTC, of the date in the first ten characters. */
function parseDate(text: string): number | undefined {
  const year = pair(text, 0) * 100 + pair(text, 2);
  const month = pair(text, 5);
  const day = pair(text, 8);
  if (text.charCodeAt(4) !== MINUS || text.charCodeAt(7) !== MINUS) return undefined;
  if (!(year >= 0) || !(month >= 1 && month <= 12)) return undefined;
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 1 : 0;
  if (!(day >= 1 && day <= DAYS_IN_MONTH[month - 1]! + leap)) return undefined;
  return daysSince1970(year, month, day) * DAY_MS;
}

/**
 * Days from 1970-01-01 in the proleptic Gregorian calendar. The year begins in March here, so that the leap day is its
 * last (H. Hinnant, "chrono-compatible low-level date algorithms"). `Date.UTC` would read the years 0 to 99 as those of
 * the twentieth century.
 */
function daysSince1970(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** The offset from UTC that the text ends in, from `index` on: nothing and `Z` are 0. */
function parseZone(text: string, index: number): number | undefined {
  const { length } = text;
  if (index === length) return 0;
  const sign = text.charCodeAt(index);
  if ((sign & ~CASE_BIT) === UPPER_Z) return index + 1 === length ? 0 : undefined;
  if (sign !== PLUS && sign !== MINUS) return undefined;
  const hours = pair(text, index + 1);
  let minutes = 0;
  if (length !== index + 3) {
    const colon = text.charCodeAt(index + 3) === COLON ? 1 : 0;
    if (length !== index + 5 + colon) return undefined;
    minutes = pair(text, index + 3 + colon);
  }
  if (!(hours <= 23) || !(minutes <= 59)) return undefined;
  const offsetMs = hours * HOUR_MS + minutes * MINUTE_MS;
  return sign === PLUS ? offsetMs : -offsetMs;
}

/** The number of two digits; `NaN` if one of them is not a digit. */
function pair(text: string, index: number): number {
  return digit(text, index) * 10 + digit(text, index + 1);
}

function digit(text: string, index: number): number {
  const value = text.charCodeAt(index) - ZERO;
  return value >= 0 && value <= 9 ? value : NaN;
}

function endOfDigits(text: string, start: number): number {
  let end = start;
  while (digit(text, end) >= 0) end++;
  return end;
}

/** Texts of moments that were written lately: the receipt and `sentAt` are the same for a whole batch. */
const LATELY = 64;
const latelyMs = new Float64Array(LATELY).fill(NaN);
const latelyText: string[] = new Array(LATELY).fill("");

/**
 * Writes milliseconds since 1970 as ISO 8601 in UTC with milliseconds, like all times in the journal and in answers.
 * Times outside {@link EARLIEST_MS} to {@link LATEST_MS} are written as the nearer of the two, so that the text can be
 * read again and sorts in order. It is not concatenated from parts: such a text is a tree of strings, and makes an
 * event several times slower to write as JSON.
 */
export function formatTimestamp(ms: number): string {
  const wholeMs = Math.floor(Math.min(Math.max(ms, EARLIEST_MS), LATEST_MS));
  const slot = Math.abs(wholeMs % LATELY);
  if (latelyMs[slot] !== wholeMs) {
    latelyMs[slot] = wholeMs;
    latelyText[slot] = new Date(wholeMs).toISOString();
  }
  return latelyText[slot]!;
}

/** The known times of an event, each in milliseconds since 1970. */
export interface Clocks {
  /** When it happened, by the sender's clock. */
  timestamp: number;
  /** When it was sent, by the same clock; without it no correction is made. */
  sentAt?: number | undefined;
  /** When it was received, by ours. */
  receivedAt: number;
}

/**
 * When an event happened by our clock, in milliseconds since 1970: `receivedAt - (sentAt - timestamp)`, as Segment
 * corrects clock skew. A time in the future becomes the receipt, and a time before {@link EARLIEST_MS} (a sender's
 * clock thousands of years ahead) becomes that.
 */
export function correctedTime({ timestamp, sentAt, receivedAt }: Clocks): number {
  const ms = sentAt === undefined ? timestamp : receivedAt - (sentAt - timestamp);
  return Math.max(Math.min(ms, receivedAt), EARLIEST_MS);
}
