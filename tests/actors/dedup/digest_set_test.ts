import { strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { DIGEST_WORDS } from "../../../actors/dedup/digest.ts";
import { createDigestSet } from "../../../actors/dedup/digest_set.ts";
import { runs } from "../../domain/profile/facts.ts";

// Few words, so that digests meet, at the same slots too.
const word = fc.constantFrom(0, 1, 2, 16, 17, 0xffffffff);
const digest = fc.tuple(word, word, word, word).filter((words) => words.some((each) => each !== 0));

Deno.test("a set of digests knows what was added and nothing else, however it grows", () => {
  fc.assert(
    fc.property(fc.array(digest, { maxLength: 300 }), fc.array(digest), fc.nat(40), (all, others, room) => {
      const row = Uint32Array.from([...all, ...others].flat());
      const set = createDigestSet(room);
      const plain = new Set<string>();
      for (let at = 0; at < all.length; at++) {
        const isNew = plain.size < plain.add(String(all[at])).size;
        strictEqual(set.add(row, at), isNew);
        strictEqual(set.size(), plain.size);
      }
      for (let at = 0; at * DIGEST_WORDS < row.length; at++) {
        strictEqual(set.has(row, at), plain.has(String([...all, ...others][at])));
      }
    }),
    runs(200),
  );
});
