/**
 * What `accept` costs per event, and how many times the bare `JSON.parse` of the same event, in the same run; and what
 * `parseExact`, which keeps the digits of long integers, takes longer than that.
 *
 * Run it with `deno run bench/domain/event/accept_bench.ts`. Rounds take turns, and the best of each counts, because a
 * neighbour on the machine only ever makes a round slower.
 */
import { accept, type AcceptOptions } from "../../../domain/event/accept.ts";
import { parseExact } from "../../../domain/event/exact_json.ts";

const ROUNDS = 15;
const CALLS_PER_ROUND = 50_000;

/** In its place a long integer is written, which no JavaScript value is. */
const LONG = "LONG";

const properties = { order_id: "ord_456", total: 99.99, currency: "USD", coupon: "SUMMER20" };
const track = {
  type: "track",
  userId: "user_123",
  event: "Order Completed",
  properties,
  timestamp: "2025-03-15T14:30:00Z",
  context: { ip: "203.0.113.42", userAgent: "Mozilla/5.0 ...", locale: "en-US", page: { path: "/checkout" } },
  messageId: "0195a0f2-9d1c-7c3e-8a52-5d5b8d0a6d11",
};

const CASES: Record<string, { event: unknown; options?: Partial<AcceptOptions> }> = {
  "track": { event: track },
  "track, own sentAt and writeKey": {
    event: { ...track, sentAt: "2025-03-15T14:30:01.000Z", writeKey: "c0123" },
  },
  "track, batch's context and sentAt": {
    event: { ...track, context: { ip: "203.0.113.42" } },
    options: { defaults: { context: { locale: "en-US" }, sentAt: "2025-03-15T14:30:01.000Z" } },
  },
  "identify": { event: { type: "identify", userId: "user_123", traits: properties, messageId: "m1" } },
  "track with a long integer": { event: { ...track, properties: { ...properties, order_id: LONG } } },
  "refused: no id": { event: { ...track, userId: null } },
};

const base: AcceptOptions = { receivedAt: Date.parse("2025-03-15T14:30:02.000Z"), newId: () => "m" };

/** Microseconds per call in one round. */
function time(call: () => unknown): number {
  const start = performance.now();
  for (let i = 0; i < CALLS_PER_ROUND; i++) call();
  return (performance.now() - start) * 1000 / CALLS_PER_ROUND;
}

for (const [name, { event, options }] of Object.entries(CASES)) {
  const json = JSON.stringify(event).replace(`"${LONG}"`, "1234567890123456789");
  // Parsed each time, as an object that is read again and again would flatter the caches.
  let parseUs = Infinity;
  let exactUs = Infinity;
  let bothUs = Infinity;
  const all = { ...base, ...options };
  for (let round = 0; round < ROUNDS; round++) {
    parseUs = Math.min(parseUs, time(() => JSON.parse(json)));
    exactUs = Math.min(exactUs, time(() => parseExact(json)));
    bothUs = Math.min(bothUs, time(() => accept(parseExact(json), all)));
  }
  const acceptUs = bothUs - exactUs;
  const ratio = (acceptUs / parseUs).toFixed(2);
  console.log(
    `${name} (${json.length} B): accept ${acceptUs.toFixed(2)} µs, JSON.parse ${parseUs.toFixed(2)} µs, ` +
      `parseExact ${exactUs.toFixed(2)} µs, ratio ${ratio}`,
  );
}
