/** Which ids never link, by the list of the HTTP contract; and those that look alike and do. */
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { StoredEvent } from "../../../domain/event/event.ts";
import { actorsOf, factOf, linkedBy, namesOf } from "../../../domain/profile/fact.ts";
import { isPlaceholder, placeholdersIn, withPlaceholders } from "../../../domain/profile/placeholder.ts";
import { factWith, placed } from "./facts.ts";

const WORDS = [
  ...["undefined", "null", "nil", "none", "nan", "n/a", "na", "unknown", "anonymous", "guest", "not_set"],
  ...["not set", "-1", "true", "false", "[object object]", "{}", "[]", "(null)", "<null>", "optional(nil)"],
  "9774d56d682e549c",
];

const OTHERS = [
  ...["NaN", "[object Object]", "Optional(nil)", "Not Set", "N/A", "Null", "nOnE", "9774D56D682E549C"],
  ...[" ", "\t\n", "\u00a0\u3000", " null", "undefined\n", " [object Object] ", " 0 "],
  ...["{{user_id}}", "{{ user.id }}", "{{}}", "${userId}", "${}", "%USER_ID%", "%%USER%%", " {{id}} "],
  ...["{{a\nb}}", "%a b%"],
  ...["0", "00", "0000000", "-", "---", "0-0", "0.0", "0.0.0.0", "00000000-0000-0000-0000-000000000000"],
  ...["f", "FFFF", "ffffffff-ffff-ffff-ffff-ffffffffffff", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"],
];

for (const id of [...WORDS, ...WORDS.map((id) => id.toUpperCase()), ...OTHERS]) {
  Deno.test(`${JSON.stringify(id)} is a placeholder, as anonymousId, previousId and userId`, () => {
    strictEqual(isPlaceholder(id), true);
    for (
      const fact of [
        factWith({ type: "identify", userId: "u", anonymousId: id }),
        factWith({ type: "alias", userId: "u", previousId: id }),
        factWith({ type: "identify", userId: id, anonymousId: "a" }),
        factWith({ type: "alias", userId: id, previousId: "a" }),
      ]
    ) {
      strictEqual(linkedBy(fact), undefined);
      deepStrictEqual(actorsOf(fact), [`user/${fact.userId}`]);
    }
  });
}

const LINKING = [
  ...["a1", "1", "-2", "01", "10", "000-001", "0x0", "0f", "nobody", "nullish", "no", "nulls", "guest1"],
  ...[
    "00000000-0000-0000-0000-000000000001",
    "ffffffff-ffff-ffff-ffff-fffffffffffe",
    "fee",
    "9774d56d682e549d",
  ],
  ...["{user}", "{{user", "user}}", "$user", "${user", "%41bc", "50%", "%", "a%20b%20c", "x{{id}}y"],
  ...["[object]", "object object", "()", "{a}", "null null"],
];

for (const id of LINKING) {
  Deno.test(`${JSON.stringify(id)} links`, () => {
    strictEqual(isPlaceholder(id), false);
    strictEqual(linkedBy(factWith({ type: "identify", userId: id, anonymousId: id })), id);
  });
}

const event = (more: Partial<StoredEvent>): StoredEvent => ({
  type: "identify",
  messageId: "m",
  timestamp: "2025-01-01T00:00:00.000Z",
  receivedAt: "2025-01-01T00:00:00.000Z",
  ...more,
});

/** What a setting of `demo, Kiosk-1 ,,` makes of events: whether they link no more. */
const BY_SETTING: [sentence: string, event: Partial<StoredEvent>, marked: boolean][] = [
  ["an identify with an anonymousId of the setting", { userId: "u", anonymousId: " DEMO" }, true],
  ["an identify with a userId of the setting", { userId: "kiosk-1", anonymousId: "a" }, true],
  ["an alias with a previousId of it", { type: "alias", userId: "u", previousId: "demo" }, true],
  ["an alias whose own anonymousId alone is of it", {
    type: "alias",
    userId: "u",
    previousId: "p",
    anonymousId: "demo",
  }, false],
  ["an identify with other ids", { userId: "u", anonymousId: "demo2" }, false],
  ["a page, which links nothing", { type: "page", userId: "u", anonymousId: "demo" }, false],
];

for (const [sentence, more, marked] of BY_SETTING) {
  Deno.test(`of the placeholders of a setting: ${sentence} ${marked ? "never links" : "is as it was"}`, () => {
    const setting = placeholdersIn("demo, Kiosk-1 ,,");
    const stored = withPlaceholders(event(more), setting);
    strictEqual(stored.neverLinks, marked ? true : undefined);
    const read: StoredEvent = JSON.parse(JSON.stringify(stored));
    for (const names of [factOf(read, placed(1)), namesOf(read)]) {
      if (marked) deepStrictEqual([linkedBy(names), actorsOf(names)], [undefined, [`user/${names.userId}`]]);
    }
  });
}
