import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import {
  changeHeader,
  columnsOf,
  counts,
  decodeHeader,
  encodeHeader,
  factAt,
  FLAGS,
  isWhole,
  namesAt,
  partsOfHeader,
  senderOf,
} from "../../../actors/journal/header.ts";
import { framesIn, linesOfBody, makeBodies, rewriteBody } from "../../../actors/journal/body.ts";
import { BEGINNING } from "../../../domain/event/position.ts";
import { factOf, namesOf } from "../../../domain/profile/fact.ts";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { placed, runs } from "../../domain/profile/facts.ts";
import { batches, createStamper, eventWith } from "../histories.ts";

const FACTS = { commit: "c1", at: 5, total: 9, known: BEGINNING, bodies: [2, 1] };

function headerOf(events: StoredEvent[]) {
  const digests = Uint32Array.from({ length: 4 * events.length }, (_, at) => at + 1);
  const senders: [string, number][] = [["k1", 1], ["k2", events.length - 1]];
  return decodeHeader(encodeHeader({ ...FACTS, senders }, columnsOf(events), digests));
}

Deno.test("a header says of each event what folds need", () => {
  fc.assert(
    fc.property(batches(8), (drafts) => {
      const stamp = createStamper();
      const events = drafts.flat().map(stamp);
      if (events.length < 2) return;
      const header = headerOf(events);
      deepStrictEqual([header.commit, header.at, header.total, header.known], ["c1", 5, 9, BEGINNING]);
      deepStrictEqual([header.n, header.bodies], [events.length, [2, 1]]);
      for (const [index, event] of events.entries()) {
        deepStrictEqual(namesAt(header, index), namesOf(event));
        if (isWhole(header, index)) {
          deepStrictEqual(factAt(header, index, placed(index)), factOf(event, placed(index)));
        }
        strictEqual(senderOf(header, index), index === 0 ? "k1" : "k2");
      }
    }),
    runs(200),
  );
});

Deno.test("large traits, and texts of more than 150 KB, stand in the body alone", () => {
  const large = headerOf([
    eventWith({ type: "identify", traits: { text: "x".repeat(600) } }),
    eventWith({ type: "identify", traits: { text: "x" } }),
  ]);
  deepStrictEqual([isWhole(large, 0), isWhole(large, 1)], [false, true]);
  const thin = headerOf(
    Array.from({ length: 2_000 }, (_, n) => eventWith({ userId: `${n}`.padEnd(100, "x") })),
  );
  ok(thin.isThin && !isWhole(thin, 0));
  strictEqual(thin.digests[0], 1);
});

Deno.test("a header that is too large for one value has parts, which are it when they are joined", () => {
  const events = Array.from({ length: 1_500 }, (_, n) => eventWith({ userId: `user ${n}` }));
  const digests = new Uint32Array(4 * events.length);
  const bytes = encodeHeader({ ...FACTS, senders: [["k", 1_500]] }, columnsOf(events), digests);
  const parts = partsOfHeader(bytes);
  ok(parts.length > 1 && parts.every(({ length }) => length <= 60_000));
  deepStrictEqual(Uint8Array.from(parts.flatMap((part) => [...part])), bytes);
});

Deno.test("an event that was erased leaves nothing but its digest, and a name that is taken away goes", () => {
  const header = headerOf([
    eventWith({ userId: "secret", event: "Bought a secret" }),
    eventWith({ type: "identify", userId: "u", anonymousId: "gone", traits: { a: 1 } }),
    eventWith({ type: "alias", userId: "v", previousId: "gone" }),
  ]);
  const changed = decodeHeader(
    changeHeader(header, (index) => index === 0 ? { gone: FLAGS.erased } : { without: "gone" }),
  );
  deepStrictEqual(changed.digests, header.digests);
  deepStrictEqual([0, 1, 2].map((index) => counts(changed, index)), [false, true, true]);
  deepStrictEqual(changed.texts, ["u", '{"a":1}', "v", "none"]);
  deepStrictEqual([0, 1].map((index) => senderOf(changed, index)), ["", "k2"]);
  strictEqual(changed.times[0], 0);
});

Deno.test("bodies give back their lines, in frames that are inflated one by one, and lines can be changed", () => {
  const lines = Array.from({ length: 400 }, (_, n) => JSON.stringify({ n, text: `${n} `.repeat(100) }));
  const { values, counts } = makeBodies(lines);
  deepStrictEqual(values.flatMap(linesOfBody), lines);
  strictEqual(counts.reduce((sum, count) => sum + count, 0), lines.length);
  ok(framesIn(values[0]!).length > 1);
  const changed = rewriteBody(values[0]!, (line, index) => index === 3 ? "{}" : line);
  deepStrictEqual(linesOfBody(changed), lines.slice(0, counts[0]).with(3, "{}"));
});
