import { deepStrictEqual } from "node:assert/strict";
import fc from "fast-check";
import { actorKeysInOrder, actorRange } from "../../../actors/store/keys.ts";
import { openStore } from "../../../actors/store/store.ts";
import { runs } from "../../domain/profile/facts.ts";

/** Ids that meet at every border: what UTF-8 and UTF-16 order differently, what stands as a digest, what is escaped. */
const ids = fc.uniqueArray(
  fc.oneof(
    fc.string({
      unit: fc.constantFrom("#", "\0", "\x01", "a", "~", "\x7f", "\u0080", "\ud7ff", "\ue000", "\uffff"),
      minLength: 1,
      maxLength: 3,
    }),
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 4 }),
    fc.string({
      unit: fc.constantFrom("a", "\u{10000}", "\u{10ffff}", "\uffff", "\ue000"),
      minLength: 1,
      maxLength: 3,
    }),
    fc.constant("x".repeat(200)),
  ),
  { minLength: 1, maxLength: 40 },
);

Deno.test("actor keys are in the order of the store, and a range holds all from its first to its last", async () => {
  await fc.assert(
    fc.asyncProperty(ids, async (all) => {
      const store = await openStore(":memory:");
      try {
        const keys = actorKeysInOrder(1, "user", all).map(({ key }) => key);
        await store.commit({ checks: [], sets: keys.map((key) => [key, 0]) });
        const listed: unknown[] = [];
        await store.scan(actorRange(keys[0]!, keys.at(-1)!), 1000, ({ key }) => listed.push(key));
        deepStrictEqual(listed, keys);
      } finally {
        store.close();
      }
    }),
    runs(100),
  );
});

Deno.test("each key keeps the id that it is made of", () => {
  const all = ["b", "a", "#a", "x".repeat(200), "nul\0"];
  deepStrictEqual(actorKeysInOrder(1, "user", all).map(({ id }) => id).sort(), [...all].sort());
});
