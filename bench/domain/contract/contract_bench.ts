/**
 * What contracts cost an event, and how many times `accept` of the same event, in the same run.
 *
 * Run it with `deno run bench/domain/contract/contract_bench.ts`. Rounds take turns, and the best of each counts, because a
 * neighbour on the machine only ever makes a round slower.
 */
import { accept } from "../../../domain/event/accept.ts";
import { makeChecked } from "../../../domain/contract/checked_contract.ts";
import { commonContracts } from "../../../domain/contract/common_contracts.ts";
import { type Contract, createContracts, judge } from "../../../domain/contract/contract.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";

const ROUNDS = 15;
const CALLS_PER_ROUND = 20_000;

const item = {
  type: "track",
  userId: "user_123",
  event: "Order Completed",
  properties: {
    order_id: "ord_456",
    total: 99.99,
    currency: "USD",
    products: [
      { product_id: "prod_789", name: "SignalSmith T-Shirt", price: 29.99, quantity: 2 },
      { product_id: "prod_012", name: "SignalSmith Sticker Pack", price: 9.99, quantity: 4 },
    ],
    coupon: "SUMMER20",
  },
  timestamp: "2025-03-15T14:30:00Z",
  context: { ip: "203.0.113.42", userAgent: "Mozilla/5.0 ...", locale: "en-US", page: { path: "/checkout" } },
  messageId: "0195a0f2-9d1c-7c3e-8a52-5d5b8d0a6d11",
};

const track = (schema: Contract["schema"]): Contract => ({
  name: "c",
  type: "track",
  schema,
  mode: "enforce",
});
const patterned = track({
  properties: {
    messageId: { format: "uuid" },
    properties: {
      properties: { currency: { pattern: "^[A-Z]{3}$" }, order_id: { pattern: "^ord_[0-9]+$" } },
    },
  },
});
const closed = track({
  properties: {
    properties: {
      properties: Object.fromEntries(Object.keys(item.properties).map((name) => [name, true])),
      additionalProperties: false,
    },
  },
});
const others = Array.from(
  { length: 190 },
  (_, n): Contract => ({ ...track(true), name: `o${n}`, event: `E ${n}` }),
);

const CASES: Record<string, { contracts: Contract[]; event?: object }> = {
  "no contract": { contracts: [] },
  "190 contracts of other events": { contracts: others },
  "the eight common contracts": { contracts: commonContracts("enforce") },
  "the eight and 190 others": { contracts: [...commonContracts("enforce"), ...others] },
  "two patterns and a format": { contracts: [patterned] },
  "no other properties": { contracts: [closed] },
  "the common contract, broken": {
    contracts: commonContracts("enforce"),
    event: { ...item, properties: { ...item.properties, total: "99.99" } },
  },
};

const options = { receivedAt: Date.parse("2025-03-15T14:30:02.000Z"), newId: () => "m" };

/** Microseconds per call in one round. */
function time(call: () => unknown): number {
  const start = performance.now();
  for (let i = 0; i < CALLS_PER_ROUND; i++) call();
  return (performance.now() - start) * 1000 / CALLS_PER_ROUND;
}

for (const [name, { contracts: all, event = item }] of Object.entries(CASES)) {
  const json = JSON.stringify(event);
  const contracts = createContracts(all.map(makeChecked));
  const none = all.length === 0;
  // As the actors ask, who look at the number of contracts first.
  const held = (stored: StoredEvent) =>
    none && contracts.size === 0 ? undefined : judge(contracts, stored, {
      writeKeyId: "default",
      unknown: "allow",
      count: () => {},
    });
  const accepted = () => accept(JSON.parse(json), options).event!;
  let parseUs = Infinity;
  let acceptUs = Infinity;
  let bothUs = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    parseUs = Math.min(parseUs, time(() => JSON.parse(json)));
    acceptUs = Math.min(acceptUs, time(accepted));
    bothUs = Math.min(bothUs, time(() => held(accepted())));
  }
  const contractUs = Math.max(0, bothUs - acceptUs);
  const ratio = (contractUs / (acceptUs - parseUs)).toFixed(2);
  console.log(
    `${name} (${json.length} B): contracts ${contractUs.toFixed(2)} µs, accept ${
      (acceptUs - parseUs).toFixed(2)
    } µs, ratio ${ratio}`,
  );
}
