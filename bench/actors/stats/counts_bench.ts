/**
 * What counting costs an event, beside accepting it: the share of one in the other, within one run.
 * Run it by `deno run --frozen bench/actors/stats/counts_bench.ts`.
 */
import { FOLD_VERSION } from "../../../domain/profile/fact.ts";
import { clockAt } from "../../../tests/actors/clocks.ts";
import { createCounts } from "../../../actors/stats/counts.ts";
import { openStore } from "../../../actors/store/store.ts";
import { accept } from "../../../domain/event/accept.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import type { Rejection } from "../../../domain/event/rejection.ts";

const TIMES = 300_000;
const ROUNDS = 7;
const RECEIVED_AT = Date.parse("2026-03-10T12:00:00Z");

const text = (event: string, n: number) =>
  `{"type":"track","event":"${event}","userId":"user_${n % 5000}","messageId":"message-${n}",` +
  `"timestamp":"2026-03-10T11:59:00Z","properties":{"total":${n},"currency":"USD","sku":"sku_${n}"}}`;

/** Events as they come from the wire: each with a name of its own in memory. */
function events(nameOf: (n: number) => string): unknown[] {
  return Array.from({ length: TIMES }, (_, n) => JSON.parse(text(nameOf(n), n)));
}

/** The shortest of some rounds, in microseconds for each time. */
function microseconds(round: () => void): number {
  let best = Infinity;
  for (let n = 0; n < ROUNDS; n++) {
    const began = performance.now();
    round();
    best = Math.min(best, performance.now() - began);
  }
  return best * 1000 / TIMES;
}

const store = await openStore(":memory:");
const receipts = [{ messageId: "m", duplicate: false }];
const sending = { writeKeyId: "01M84NYA09JNNE65BQ3GBSTT6Y", receivedAt: RECEIVED_AT };
const rejection: Rejection = { reason: "invalid", code: "missing_id", message: "", path: "", errors: [] };

function counting(items: unknown[], reject = false): number {
  const counts = createCounts({
    store,
    owner: "p",
    clock: clockAt(() => RECEIVED_AT),
    newId: () => crypto.randomUUID(),
    foldVersion: FOLD_VERSION,
  });
  return microseconds(() => {
    for (const item of items) {
      if (reject) counts.rejected(item, rejection, sending);
      else counts.taken([item as StoredEvent], receipts, sending);
    }
  });
}

const ordinary = events((n) => `Event ${n % 40}`);
const accepting = microseconds(() => {
  for (const item of ordinary) accept({ ...item as object }, { receivedAt: RECEIVED_AT, newId: () => "m" });
});
const rows: [what: string, us: number][] = [
  ["accept(), without JSON.parse", accepting],
  ["counting an accepted event, 40 names", counting(ordinary)],
  ["counting an accepted event, each of another name", counting(events((n) => `Event ${n}`))],
  ["counting a rejected event", counting(ordinary, true)],
];
for (const [what, us] of rows) {
  console.log(`${what.padEnd(52)} ${us.toFixed(3)} us   ${(us / accepting).toFixed(3)} of accept()`);
}
Deno.exit(0);
