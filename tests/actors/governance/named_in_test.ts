/** Whether a rejected event names somebody who is erased: one row per place where an id may stand. */
import { strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { erasedBy, type Fate, fateOf } from "../../../actors/governance/named_in.ts";
import { runs } from "../../domain/profile/facts.ts";

const ID = "jane.doe";
const WHO = { userId: ID, anonymousIds: ["phone-1", "u9"] };

const fate = (event: Record<string, unknown>, words = "", who: Parameters<typeof erasedBy>[0] = WHO) =>
  fateOf(event, { text: JSON.stringify(event), words }, erasedBy(who));

const ROWS: [event: Record<string, unknown>, fate: Fate][] = [
  [{ userId: ID }, "goes"],
  [{ user_id: ID, traits: { email: "jane@example.com" } }, "goes"],
  [{ userId: { id: ID } }, "goes"],
  [{ userId: [ID] }, "goes"],
  [{ userId: `${ID} ` }, "stays"],
  [{ userId: `${ID}${"x".repeat(300)}` }, "goes"],
  [{ context: { traits: { userId: ID } } }, "goes"],
  [{ type: "alias", previousId: ID }, "goes"],
  [{ type: `identify ${ID}` }, "goes"],
  [{ messageId: `m${ID}7` }, "goes"],
  [{ [ID]: true }, "goes"],
  [{ properties: { [`of ${ID}`]: 1 } }, "goes"],
  [{ anonymousId: ID }, "goes"],
  [{ groupId: ID, userId: "other" }, "goes"],
  [{ userId: "other", context: { page: { url: `https://x.test/?u=${ID}` } } }, "goes"],
  [{ anonymousId: "phone-1" }, "goes"],
  [{ previousId: "phone-1" }, "goes"],
  [{ userId: "other", anonymousId: "phone-1" }, "loses its names"],
  [{ userId: "other", previousId: ID }, "loses its names"],
  [{ userId: "other", anonymousId: "phone-1", traits: { device: "phone-1" } }, "goes"],
  [{ userId: "other" }, "stays"],
  // Others' ids that begin alike, where ids stand as they should.
  [{ userId: `${ID}2`, anonymousId: "phone-12", groupId: `${ID} Ltd` }, "stays"],
  [{ userId: "phone-1" }, "stays"],
  // A short id is found by itself, not within a word.
  [{ text: "u9" }, "goes"],
  [{ text: "(u9)" }, "goes"],
  [{ text: "u91 xu9 u9é" }, "stays"],
];

for (const [event, wanted] of ROWS) {
  Deno.test(`of ${JSON.stringify(event).slice(0, 90)}: it ${wanted}, as its user is erased`, () => {
    strictEqual(fate(event), wanted);
  });
}

Deno.test("the error message of an event is searched too", () => {
  strictEqual(fate({ userId: "other" }, `type must be one of …, found "${ID}"`), "goes");
});

Deno.test("an id that a URL or JSON writes otherwise is found", () => {
  for (const id of ['say "hi"\n', "jane@example.com", "naïve/€", "a\\b\u0001cde"]) {
    strictEqual(fate({ text: `x ${id} y` }, "", { userId: id }), "goes", JSON.stringify(id));
    const url = `https://x.test/?u=${encodeURIComponent(id)}`;
    strictEqual(fate({ url }, "", { userId: id }), "goes", url);
  }
});

Deno.test("the search for many ids finds the same as a search for each", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "-", "é", "😀"), minLength: 1, maxLength: 9 });
  const cases = fc.tuple(
    fc.array(letters, { maxLength: 4 }),
    fc.string({ unit: fc.constantFrom("a", "b", "-", "é", "😀", " "), maxLength: 25 }),
  );
  const isAlone = (text: string, from: number, to: number) =>
    !/[\p{L}\p{N}]/u.test(text[from - 1] ?? "") && !/[\p{L}\p{N}]/u.test(text[to] ?? "");
  const naive = (text: string, id: string) => {
    for (let from = text.indexOf(id); from !== -1; from = text.indexOf(id, from + 1)) {
      if (id.length >= 6 || isAlone(text, from, from + id.length)) return true;
    }
    return false;
  };
  fc.assert(
    fc.property(cases, ([ids, text]) => {
      const forms = ids.flatMap((id) => [id, encodeURIComponent(id)]);
      strictEqual(erasedBy({ anonymousIds: ids }).isIn(text), forms.some((form) => naive(text, form)));
    }),
    runs(2_000),
  );
});
