import { deepStrictEqual, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import {
  correctedTime,
  EARLIEST_MS,
  formatTimestamp,
  LATEST_MS,
  MAX_TIMESTAMP_LENGTH,
  parseTimestamp,
} from "../../../domain/event/timestamp.ts";

const READABLE: [text: string, same: string][] = [
  ["2025-03-15T14:30:00Z", "2025-03-15T14:30:00.000Z"],
  ["2025-03-15T14:30:00z", "2025-03-15T14:30:00.000Z"],
  ["2025-03-15t14:30:00Z", "2025-03-15T14:30:00.000Z"],
  ["2025-03-15", "2025-03-15T00:00:00.000Z"],
  ["2025-03-15T14:30", "2025-03-15T14:30:00.000Z"],
  ["2025-03-15T14:30Z", "2025-03-15T14:30:00.000Z"],
  ["2025-03-15T14:30+02", "2025-03-15T12:30:00.000Z"],
  ["2025-03-15T14:30:00", "2025-03-15T14:30:00.000Z"],
  ["2025-03-15T14:30:00.1Z", "2025-03-15T14:30:00.100Z"],
  ["2025-03-15T14:30:00.12", "2025-03-15T14:30:00.120Z"],
  ["2025-03-15T14:30:00,123Z", "2025-03-15T14:30:00.123Z"],
  ["2025-03-15T14:30:00.123999999Z", "2025-03-15T14:30:00.123Z"],
  ["2025-03-15T14:30:00.123456789012345678901234567890Z", "2025-03-15T14:30:00.123Z"],
  ["2025-03-15T14:30:00+02:00", "2025-03-15T12:30:00.000Z"],
  ["2025-03-15T14:30:00.5+0200", "2025-03-15T12:30:00.500Z"],
  ["2025-03-15T14:30:00-05", "2025-03-15T19:30:00.000Z"],
  ["2025-03-15T14:30:00+05:45", "2025-03-15T08:45:00.000Z"],
  ["2025-03-15T14:30:00-00:00", "2025-03-15T14:30:00.000Z"],
  ["2024-12-31T23:30:00-01:00", "2025-01-01T00:30:00.000Z"],
  ["2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"],
  ["2000-02-29", "2000-02-29T00:00:00.000Z"],
  ["2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"],
  ["2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.500Z"],
  ["2025-03-15T24:00:00Z", "2025-03-16T00:00:00.000Z"],
  ["2025-03-15T24:00", "2025-03-16T00:00:00.000Z"],
  ["2025-03-15T24:00:00.000000Z", "2025-03-16T00:00:00.000Z"],
  ["0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"],
  ["0050-06-01", "0050-06-01T00:00:00.000Z"],
  ["1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"],
  ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
];

for (const [text, same] of READABLE) {
  Deno.test(`parseTimestamp() reads ${text} as ${same}`, () => {
    const ms = parseTimestamp(text);
    strictEqual(ms === undefined ? undefined : formatTimestamp(ms), same);
  });
}

const UNREADABLE: Record<string, string[]> = {
  "a day that the calendar does not have": [
    "2025-02-30",
    "2025-02-29T00:00:00Z",
    "1900-02-29",
    "2025-04-31",
    "2025-00-10",
    "2025-13-01",
    "2025-01-00",
    "2025-01-32",
  ],
  "a time that the clock does not have": [
    "2025-03-15T25:00:00Z",
    "2025-03-15T24:00:01Z",
    "2025-03-15T24:01",
    "2025-03-15T24:00:00.0001Z",
    "2025-03-15T24:00:00.0000001Z",
    "2025-03-15T14:60:00Z",
    "2025-03-15T14:30:61Z",
  ],
  "an offset that no zone has": [
    "2025-03-15T14:30:00+24:00",
    "2025-03-15T14:30:00+02:60",
    "2025-03-15T14:30:00+2",
    "2025-03-15T14:30:00+020",
    "2025-03-15T14:30:00+02:0",
    "2025-03-15T14:30:00+02:000",
    "2025-03-15T14:30:00+",
    "2025-03-15T14:30:00ZZ",
    "2025-03-15T14:30:00Z+02:00",
  ],
  "something else that looks like a time": [
    "",
    "now",
    "yesterday",
    "1742049000",
    "1742049000000",
    "2025",
    "2025-03",
    "2025-3-15",
    "2025/03/15",
    "20250315T143000Z",
    "2025-03-15Z",
    "2025-03-15T",
    "2025-03-15T14",
    "2025-03-15T14:3",
    "2025-03-15T1430",
    "2025-03-15T14:30:",
    "2025-03-15T14:30:0Z",
    "2025-03-15T14:30:00.Z",
    "2025-03-15T14:30.5Z",
    "2025-03-15 14:30:00Z",
    " 2025-03-15T14:30:00Z",
    "2025-03-15T14:30:00Z ",
    "2025-03-15T14:30:00Z\n",
    "+002025-03-15T14:30:00Z",
    "-2025-03-15",
    "२०२५-03-15T14:30:00Z",
    "Sat, 15 Mar 2025 14:30:00 GMT",
    "March 15, 2025",
  ],
  "a moment outside the years 0000 to 9999 in UTC": [
    "0000-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "9999-12-31T23:59:60Z",
  ],
};

for (const [what, texts] of Object.entries(UNREADABLE)) {
  for (const text of texts) {
    Deno.test(`parseTimestamp() does not read ${JSON.stringify(text)}: ${what}`, () => {
      strictEqual(parseTimestamp(text), undefined);
    });
  }
}

Deno.test("parseTimestamp() reads a text of the greatest length, and not one that is longer", () => {
  const longest = "2025-03-15T14:30:00.".padEnd(MAX_TIMESTAMP_LENGTH, "1");
  strictEqual(parseTimestamp(longest), Date.parse("2025-03-15T14:30:00.111Z"));
  strictEqual(parseTimestamp(`${longest}1`), undefined);
});

const moment = fc.integer({ min: EARLIEST_MS, max: LATEST_MS });

Deno.test("formatTimestamp() writes every moment as Date.prototype.toISOString() does, and it is read back", () => {
  fc.assert(fc.property(moment, (ms) => {
    strictEqual(formatTimestamp(ms), new Date(ms).toISOString());
    strictEqual(parseTimestamp(formatTimestamp(ms)), ms);
  }));
});

Deno.test("parseTimestamp() reads any offset as Date.parse() does", () => {
  const year9998 = LATEST_MS - 366 * 86_400_000;
  const inside = fc.integer({ min: 0, max: year9998 });
  fc.assert(
    fc.property(inside, fc.nat(23), fc.nat(59), fc.constantFrom("+", "-"), (ms, hours, minutes, sign) => {
      const offset = `${sign}${String(hours).padStart(2, "0")}:${String(minutes).padStart(2, "0")}`;
      const text = formatTimestamp(ms).replace("Z", offset);
      strictEqual(parseTimestamp(text), Date.parse(text));
    }),
  );
});

Deno.test("parseTimestamp() gives a moment or nothing for any text", () => {
  const digits = fc.string({ unit: fc.constantFrom(..."0123456789-:+.,TZz "), maxLength: 40 });
  fc.assert(fc.property(fc.oneof(fc.string(), digits), (text) => {
    const ms = parseTimestamp(text);
    strictEqual(ms === undefined || (Number.isInteger(ms) && ms >= EARLIEST_MS && ms <= LATEST_MS), true);
  }));
});

Deno.test("formatTimestamp() writes a moment beyond the years 0000 to 9999 as the nearest within", () => {
  strictEqual(formatTimestamp(EARLIEST_MS - 1), "0000-01-01T00:00:00.000Z");
  strictEqual(formatTimestamp(LATEST_MS + 1), "9999-12-31T23:59:59.999Z");
});

const at = (text: string): number => Date.parse(text);

const CLOCKS: [
  what: string,
  clocks: { timestamp: number; sentAt?: number; receivedAt: number },
  ms: number,
][] = [
  [
    "is the timestamp where it is not known when the event was sent",
    { timestamp: at("2025-03-15T14:30:00Z"), receivedAt: at("2025-03-15T15:00:00Z") },
    at("2025-03-15T14:30:00Z"),
  ],
  [
    "takes off what a clock that is an hour fast is fast",
    {
      timestamp: at("2025-03-15T15:30:00Z"),
      sentAt: at("2025-03-15T15:30:10Z"),
      receivedAt: at("2025-03-15T14:30:11Z"),
    },
    at("2025-03-15T14:30:01Z"),
  ],
  [
    "adds what a clock that is an hour slow is slow",
    {
      timestamp: at("2025-03-15T13:30:00Z"),
      sentAt: at("2025-03-15T13:30:10Z"),
      receivedAt: at("2025-03-15T14:30:11Z"),
    },
    at("2025-03-15T14:30:01Z"),
  ],
  [
    "is the receipt where the timestamp is in the future",
    { timestamp: at("2030-01-01T00:00:00Z"), receivedAt: at("2025-03-15T14:30:00Z") },
    at("2025-03-15T14:30:00Z"),
  ],
  [
    "is the receipt where the event happened after it was sent",
    {
      timestamp: at("2025-03-15T14:30:02Z"),
      sentAt: at("2025-03-15T14:30:01Z"),
      receivedAt: at("2025-03-15T14:30:03Z"),
    },
    at("2025-03-15T14:30:03Z"),
  ],
  [
    "is the earliest moment where the sender's clock is thousands of years fast",
    {
      timestamp: at("2025-03-15T14:30:00Z"),
      sentAt: at("9999-03-15T14:30:00Z"),
      receivedAt: at("2025-03-15T14:30:00Z"),
    },
    EARLIEST_MS,
  ],
];

for (const [what, clocks, ms] of CLOCKS) {
  Deno.test(`correctedTime() ${what}`, () => deepStrictEqual(correctedTime(clocks), ms));
}

Deno.test("correctedTime() is never after the receipt, and can always be written and read again", () => {
  fc.assert(
    fc.property(moment, fc.option(moment, { nil: undefined }), moment, (timestamp, sentAt, receivedAt) => {
      const ms = correctedTime({ timestamp, sentAt, receivedAt });
      strictEqual(ms <= receivedAt, true);
      strictEqual(parseTimestamp(formatTimestamp(ms)), ms);
    }),
  );
});
