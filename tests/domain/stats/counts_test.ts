import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import {
  addCounts,
  countRejected,
  type Counts,
  countTaken,
  countViolations,
  fromStored,
  joinKeys,
  keepNames,
  MAX_KEYS,
  MAX_NAME_UNITS,
  MAX_NAMES,
  MAX_REJECTIONS,
  MAX_VIOLATED,
  nameKey,
  newCounts,
  OTHER_KEYS,
  rejectedCells,
  takenCells,
  topNames,
  toStored,
  violationsOf,
} from "../../../domain/stats/counts.ts";
import { EVENT_TYPES, type EventType, type StoredEvent } from "../../../domain/event/event.ts";
import type { Rejection } from "../../../domain/event/rejection.ts";

const event = (type: EventType, name?: string) =>
  ({ type, ...name !== undefined && { event: name } }) as StoredEvent;
const tracks = (names: readonly string[]) => names.map((name) => event("track", name));

/** Counts events that are new, by one write key. */
function count(counts: Counts, events: StoredEvent[], writeKeyId = "k"): void {
  countTaken(counts, events, { receipts: events.map(() => ({ duplicate: false })), writeKeyId });
}

function refusal(code: string, reason: Rejection["reason"] = "invalid"): Rejection {
  return { reason, code, message: "", path: "", errors: [] };
}

const named = (counts: Counts) => counts.otherNames + [...counts.names.values()].reduce((a, b) => a + b, 0);

Deno.test("events are counted by write key, type and whether they were there before", () => {
  const counts = newCounts();
  const events = [event("track", "Bought"), event("page"), event("track", "Bought")];
  countTaken(counts, events, {
    receipts: [{ duplicate: false }, { duplicate: false }, { duplicate: true }],
    writeKeyId: "a",
  });
  count(counts, [event("alias")], "b");
  deepStrictEqual(takenCells(counts), [
    { writeKeyId: "a", type: "track", accepted: 1, duplicate: 1 },
    { writeKeyId: "a", type: "page", accepted: 1, duplicate: 0 },
    { writeKeyId: "b", type: "alias", accepted: 1, duplicate: 0 },
  ]);
  deepStrictEqual(
    topNames(counts, 10),
    { names: [["Bought", 1]], other: 0 },
    "a duplicate's name counts once",
  );
});

Deno.test("rejected events are counted by reason, code, write key, and their type if it is known", () => {
  const counts = newCounts();
  for (
    const item of [{ type: "track" }, { type: "track" }, { type: "nonsense" }, null, [], 7, { type: {} }]
  ) {
    countRejected(counts, item, { rejection: refusal("missing_id"), writeKeyId: "k" });
  }
  countRejected(counts, { type: "page" }, { rejection: refusal("violation", "contract"), writeKeyId: "k" });
  deepStrictEqual(rejectedCells(counts), [
    [{ reason: "invalid", code: "missing_id", type: "track", writeKeyId: "k" }, 2],
    [{ reason: "invalid", code: "missing_id", type: "none", writeKeyId: "k" }, 5],
    [{ reason: "contract", code: "violation", type: "page", writeKeyId: "k" }, 1],
  ]);
});

Deno.test("names such as __proto__ are data, through storage too", () => {
  const counts = newCounts();
  const names = ["__proto__", "constructor", "prototype", "toString", "\0", "a b", "😀", "__proto__"];
  count(counts, tracks(names));
  countViolations(counts, { mode: "monitor", contract: "__proto__" }, 3);
  const back = fromStored(JSON.parse(JSON.stringify(toStored(counts))));
  deepStrictEqual(back, counts);
  strictEqual(back.names.get("__proto__"), 2);
  deepStrictEqual(violationsOf(back), [{ mode: "monitor", contract: "__proto__", count: 3 }]);
  strictEqual(({} as Record<string, unknown>).polluted, undefined);
});

Deno.test("a long name is counted by its beginning, in whole characters", () => {
  const long = (end: string) => "x".repeat(MAX_NAME_UNITS - 2) + "😀" + end.repeat(30_000);
  const counts = newCounts();
  count(counts, tracks([long("a"), long("b"), "x".repeat(MAX_NAME_UNITS)]));
  strictEqual(counts.names.size, 2);
  strictEqual(counts.names.get(nameKey(long("c"))), 2);
  for (const name of counts.names.keys()) ok(name.length <= MAX_NAME_UNITS + 1 && name.isWellFormed());
});

Deno.test("up to a thousand names every count is exact", () => {
  const counts = newCounts();
  const names = Array.from({ length: MAX_NAMES }, (_, n) => `n${n}`);
  for (let times = 0; times < 3; times++) count(counts, tracks(names));
  const back = fromStored(toStored(counts));
  strictEqual(back.otherNames, 0);
  ok(names.every((name) => back.names.get(name) === 3));
});

Deno.test("under a million different names there are never more than twice a thousand, and the frequent ones stay", () => {
  const counts = newCounts();
  let sent = 0;
  for (let n = 0; n < 1_000_000; n += 500) {
    const names = Array.from({ length: 500 }, (_, i) => i % 50 === 0 ? "frequent" : `junk ${n + i}`);
    count(counts, tracks(names));
    sent += names.length;
    ok(counts.names.size <= 2 * MAX_NAMES);
  }
  strictEqual(named(counts), sent, "what is not counted by name is in the rest");
  const [[name, times]] = topNames(counts, 1).names as [[string, number]];
  strictEqual(name, "frequent");
  ok(times <= sent / 50 && times >= sent / 50 - sent / MAX_NAMES, String(times));
  strictEqual(toStored(counts).names.length <= MAX_NAMES, true);
});

Deno.test("law: through any cuts and sums no name loses more than its part, and nothing is lost in all", () => {
  const stretch = fc.array(fc.nat(40).map((n) => `n${Math.floor(n ** 2 / 40)}`), { maxLength: 60 });
  fc.assert(
    fc.property(fc.array(stretch, { maxLength: 12 }), fc.integer({ min: 1, max: 8 }), (stretches, limit) => {
      const truth = new Map<string, number>();
      const sum = newCounts();
      for (const names of stretches) {
        for (const name of names) truth.set(name, (truth.get(name) ?? 0) + 1);
        const counts = newCounts();
        count(counts, tracks(names));
        keepNames(counts, limit);
        addCounts(sum, counts);
        keepNames(sum, limit);
        ok(sum.names.size <= limit);
      }
      const all = stretches.flat().length;
      strictEqual(named(sum), all);
      for (const [name, times] of truth) {
        const shown = sum.names.get(name) ?? 0;
        ok(shown <= times && times - shown <= all / (limit + 1), `${name}: ${shown} of ${times}`);
      }
    }),
  );
});

Deno.test("law: counts of stretches add up to the counts of all, however they are split", () => {
  const one = fc.record({
    type: fc.constantFrom(...EVENT_TYPES),
    name: fc.constantFrom("a", "b", "__proto__"),
    key: fc.constantFrom("k1", "k2"),
    outcome: fc.constantFrom("new", "duplicate", "rejected"),
  });
  const apply = (
    counts: Counts,
    { type, name, key, outcome }: { type: EventType; name: string; key: string; outcome: string },
  ) => {
    if (outcome === "rejected") {
      countRejected(counts, { type }, { rejection: refusal("bad"), writeKeyId: key });
    } else {countTaken(counts, [event(type, name)], {
        receipts: [{ duplicate: outcome === "duplicate" }],
        writeKeyId: key,
      });}
  };
  const sorted = (counts: Counts) => {
    const { taken, rejected, names, ...rest } = toStored(counts);
    return { taken: taken.toSorted(), rejected: rejected.toSorted(), names: names.toSorted(), ...rest };
  };
  fc.assert(fc.property(fc.array(fc.array(one)), (stretches) => {
    const whole = newCounts();
    const sum = newCounts();
    for (const stretch of stretches) {
      const part = newCounts();
      for (const each of stretch) {
        apply(whole, each);
        apply(part, each);
      }
      addCounts(sum, fromStored(toStored(part)));
    }
    deepStrictEqual(sorted(sum), sorted(whole));
  }));
});

Deno.test("write keys, kinds of rejection and contracts beyond the bounds are counted as one", () => {
  const counts = newCounts();
  for (let n = 0; n < 2 * MAX_KEYS; n++) count(counts, [event("page")], `k${n}`);
  for (let n = 0; n < 2 * MAX_REJECTIONS; n++) {
    countRejected(counts, {}, { rejection: refusal("bad"), writeKeyId: `k${n}` });
  }
  for (let n = 0; n < 2 * MAX_VIOLATED; n++) {
    countViolations(counts, { mode: "monitor", contract: `c${n}` }, 1);
  }
  strictEqual(counts.taken.size, MAX_KEYS + 1);
  strictEqual(counts.rejected.size, MAX_REJECTIONS + 1);
  strictEqual(counts.violated.size, MAX_VIOLATED + 1);
  deepStrictEqual(takenCells(counts).at(-1), {
    writeKeyId: OTHER_KEYS,
    type: "page",
    accepted: MAX_KEYS,
    duplicate: 0,
  });
  deepStrictEqual(rejectedCells(counts).at(-1), [
    { reason: "invalid", code: "bad", type: "none", writeKeyId: OTHER_KEYS },
    MAX_REJECTIONS,
  ]);
  deepStrictEqual(violationsOf(counts).at(-1), { mode: "monitor", contract: "", count: MAX_VIOLATED });
  const joined = joinKeys(counts);
  deepStrictEqual([joined.taken.size, joined.rejected.size], [1, 1]);
  strictEqual(takenCells(joined)[0]!.accepted, 2 * MAX_KEYS);
});
