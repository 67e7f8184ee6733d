/**
 * The formats that contracts assert. In JSON Schema `format` is an annotation by default; here a format is checked, and
 * an unknown one is rejected. Each check takes a time proportional to the text.
 */
import { z } from "zod";
import { parseTimestamp } from "../event/timestamp.ts";

/** UTF-16 units of a text that can be of a format: a longer one is of none. A URL of 2,048 goes through everywhere. */
export const MAX_FORMAT_LENGTH = 2048;

/** RFC 3339 with `T` and a zone, of a day that the calendar has. */
const DATE_TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;
const DATE = /^\d{4}-\d\d-\d\d$/;
const TIME = /^([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$/;
/** RFC 3986: a scheme, a colon, and no character that must be percent-encoded. */
const URI = /^[A-Za-z][A-Za-z0-9+.-]*:[^\s<>"{}|\\^`]*$/;
/** RFC 1123: labels of 1 to 63 letters, digits and inner hyphens. */
const LABEL = /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;
const MAX_HOSTNAME_LENGTH = 253;
/** Not with zod's schemas, which create an error for each text that does not match. */
const { email, guid, ipv4, ipv6 } = z.regexes;

/** The longest text of an IPv6 address: eight groups of four digits, or six and an IPv4 address. */
const MAX_IPV6_LENGTH = 45;
const IPV4_AT_END = /(?<=:)[0-9.]+$/;

/** By patterns, as an address that is wrong takes the URL parser some 3 µs. */
function isIpv6(text: string): boolean {
  if (text.length > MAX_IPV6_LENGTH) return false;
  return ipv6.test(text.replace(IPV4_AT_END, (end) => ipv4.test(end) ? "0:0" : end));
}

const formats = {
  "date-time": (text: string) => DATE_TIME.test(text) && parseTimestamp(text) !== undefined,
  date: (text: string) => DATE.test(text) && parseTimestamp(text) !== undefined,
  time: (text: string) => TIME.test(text),
  email: (text: string) => email.test(text),
  // RFC 3986 is ASCII; everything else is an IRI, and slow to parse.
  uri: (text: string) => URI.test(text) && !/[^!-~]/.test(text) && URL.canParse(text),
  uuid: (text: string) => guid.test(text),
  ipv4: (text: string) => ipv4.test(text),
  ipv6: isIpv6,
  hostname: (text: string) =>
    text.length <= MAX_HOSTNAME_LENGTH && text.split(".").every((label) => LABEL.test(label)),
};

/** The check of each format. */
export const FORMATS: Readonly<Record<string, (text: string) => boolean>> = Object.fromEntries(
  Object.entries(formats).map((
    [name, isOf],
  ) => [name, (text: string) => text.length <= MAX_FORMAT_LENGTH && isOf(text)]),
);
