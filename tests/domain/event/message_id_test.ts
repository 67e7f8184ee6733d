import { strictEqual } from "node:assert";
import { ulid } from "ulid";
import { timeIn } from "../../../domain/event/message_id.ts";

const MS = Date.parse("2025-03-15T14:30:00.123Z");
const uuid7 = (ms: number) => {
  const hex = ms.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7abc-8def-0123456789ab`;
};

const IDS: [what: string, messageId: string, ms: number | undefined][] = [
  ["a ULID", ulid(MS), MS],
  ["a ULID in small letters", ulid(MS).toLowerCase(), MS],
  ["a UUID of version 7", uuid7(MS), MS],
  ["one of analytics.js", `ajs-next-${MS}-1b4e28ba-2fa1-11d2-883f-0016d3cca427`, MS],
  ["a UUID of version 4", "9b2d4c1e-7f3a-4c5d-8e6f-0123456789ab", undefined],
  ["a ULID of the year 10889", "7ZZZZZZZZZ0123456789ABCDEF", undefined],
  ["a UUID of version 7 of 1970", uuid7(1_000), undefined],
  ["14 digits", "17000000000000", undefined],
  ["anything else", "order-1", undefined],
  ["nothing", "", undefined],
];

for (const [what, messageId, ms] of IDS) {
  Deno.test(`${what} says ${ms === undefined ? "no time" : "when it was made"}`, () => {
    strictEqual(timeIn(messageId), ms);
  });
}
