/**
 * What saying where an event comes from costs, as a share of `accept` for the same event, in the same run; and what the
 * installed database costs a start. Run it with `deno run bench/domain/enrichment/location_bench.ts`.
 */
import { accept, type AcceptOptions } from "../../../domain/event/accept.ts";
import { createPlaceOf, locate } from "../../../domain/enrichment/location.ts";
import { installedCountries } from "../../../ingest/countries.ts";

const ROUNDS = 15;
const CALLS_PER_ROUND = 50_000;

/** Addresses over the whole range, so that no cache of the processor flatters the tree. */
const addresses = Array.from({ length: 4096 }, (_, n) => {
  const bits = Math.imul(n + 1, 2_654_435_761) >>> 0;
  return [bits >>> 24, bits >>> 16 & 255, bits >>> 8 & 255, bits & 255].join(".");
});
const base: AcceptOptions = { receivedAt: Date.parse("2025-03-15T14:30:02.000Z"), newId: () => "m" };
const context = { userAgent: "Mozilla/5.0 ...", locale: "en-US", page: { path: "/checkout" } };
const events = addresses.map((ip) => ({
  type: "track",
  userId: "user_123",
  event: "Order Completed",
  properties: { order_id: "ord_456", total: 99.99, currency: "USD" },
  timestamp: "2025-03-15T14:30:00Z",
  context: { ...context, ip },
}));

const began = performance.now();
const rssBefore = Deno.memoryUsage().rss;
const lookUp = await installedCountries();
lookUp("8.8.8.8");
const placeOf = createPlaceOf(lookUp);
console.log(
  `opening the installed countries: ${(performance.now() - began).toFixed(0)} ms, ` +
    `${((Deno.memoryUsage().rss - rssBefore) / 2 ** 20).toFixed(0)} MiB`,
);

function time(call: (n: number) => void): number {
  const start = performance.now();
  for (let n = 0; n < CALLS_PER_ROUND; n++) call(n % events.length);
  return (performance.now() - start) * 1000 / CALLS_PER_ROUND;
}

const best = { accept: Infinity, with: Infinity, again: Infinity, without: Infinity };
for (let round = 0; round < ROUNDS; round++) {
  best.accept = Math.min(best.accept, time((n) => void accept(events[n], base)));
  best.with = Math.min(
    best.with,
    time((n) => locate(accept(events[n], base).event!, { placeOf: createPlaceOf(lookUp), policy: "keep" })),
  );
  best.again = Math.min(
    best.again,
    time((n) => locate(accept(events[n], base).event!, { placeOf, policy: "keep" })),
  );
  best.without = Math.min(
    best.without,
    time((n) => locate(accept({ ...events[n], context }, base).event!, { placeOf, policy: "keep" })),
  );
}
console.log(
  `an event with a new address: ${(best.with - best.accept).toFixed(2)} µs, ` +
    `${((best.with - best.accept) / best.accept).toFixed(2)} of accept (${best.accept.toFixed(2)} µs)`,
);
console.log(`one with an address that is remembered: ${(best.again - best.accept).toFixed(2)} µs`);
console.log(`one without: ${Math.max(0, best.without - best.accept).toFixed(2)} µs, its copy included`);
