import { placed } from "./facts.ts";
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { actorsOf, type Fact, factOf, linkedBy } from "../../../domain/profile/fact.ts";
import { factWith } from "./facts.ts";

/** Whose log an event stands in, and whom it links: one row per sentence of the contract. */
const ROWS: [sentence: string, fact: Partial<Fact>, links: string | undefined, logs: string[]][] = [
  ["an event with userId is the user's", { userId: "u" }, undefined, ["user/u"]],
  ["an event with both ids is the user's alone", { userId: "u", anonymousId: "a" }, undefined, ["user/u"]],
  ["an event with only anonymousId is the anonymous one's", { anonymousId: "a" }, undefined, ["anonymous/a"]],
  [
    "identify with both ids links them",
    { type: "identify", userId: "u", anonymousId: "a" },
    "a",
    ["user/u", "anonymous/a"],
  ],
  ["identify with userId alone links nothing", { type: "identify", userId: "u" }, undefined, ["user/u"]],
  [
    "identify with anonymousId alone links nothing",
    { type: "identify", anonymousId: "a" },
    undefined,
    ["anonymous/a"],
  ],
  [
    "alias links the anonymous id that previousId names",
    { type: "alias", userId: "u", previousId: "p" },
    "p",
    ["user/u", "anonymous/p"],
  ],
  [
    "alias does not link its own anonymousId",
    { type: "alias", userId: "u", previousId: "p", anonymousId: "a" },
    "p",
    ["user/u", "anonymous/p"],
  ],
  [
    "alias leaves a user of the name of previousId untouched",
    { type: "alias", userId: "u", previousId: "u2" },
    "u2",
    ["user/u", "anonymous/u2"],
  ],
  [
    "group is in the log of the sender and of the group",
    { type: "group", userId: "u", groupId: "g" },
    undefined,
    ["user/u", "group/g"],
  ],
  [
    "group by an anonymous id likewise",
    { type: "group", anonymousId: "a", groupId: "g" },
    undefined,
    ["anonymous/a", "group/g"],
  ],
  [
    "group with both ids links nothing",
    { type: "group", userId: "u", anonymousId: "a", groupId: "g" },
    undefined,
    ["user/u", "group/g"],
  ],
  [
    "an identify with a placeholder is kept on the event, and that is all",
    { type: "identify", userId: "u", anonymousId: "NULL" },
    undefined,
    ["user/u"],
  ],
  [
    "an identify with a placeholder as userId is that user's, and links nothing",
    { type: "identify", userId: "undefined", anonymousId: "a" },
    undefined,
    ["user/undefined"],
  ],
  [
    "an event that is marked as naming a placeholder of the settings links nothing",
    { type: "identify", userId: "u", anonymousId: "a", neverLinks: true },
    undefined,
    ["user/u"],
  ],
  ["track with both ids links nothing", { type: "track", userId: "u", anonymousId: "a" }, undefined, [
    "user/u",
  ]],
  ["page with both ids links nothing", { type: "page", userId: "u", anonymousId: "a" }, undefined, [
    "user/u",
  ]],
  ["screen with both ids links nothing", { type: "screen", userId: "u", anonymousId: "a" }, undefined, [
    "user/u",
  ]],
];

for (const [sentence, fact, links, logs] of ROWS) {
  Deno.test(sentence, () => {
    strictEqual(linkedBy(factWith(fact)), links);
    deepStrictEqual(actorsOf(factWith(fact)), logs);
  });
}

Deno.test("a fact has only the members that its type uses", () => {
  const event = {
    messageId: "m",
    userId: "u",
    groupId: "g",
    previousId: "p",
    event: "Bought",
    traits: { plan: "pro" },
    context: { traits: { plan: "free" } },
    timestamp: "1969-12-31T23:59:59.000Z",
    receivedAt: "2025-01-01T00:00:00.000Z",
  };
  const shown = (["track", "identify", "page", "screen", "group", "alias"] as const).map((type) => {
    const { at, name, groupId, previousId, traits } = factOf({ type, ...event }, placed(7));
    return [type, at, name, groupId, previousId, traits?.plan];
  });
  deepStrictEqual(shown, [
    ["track", -1000, "Bought", undefined, undefined, undefined],
    ["identify", -1000, undefined, undefined, undefined, "pro"],
    ["page", -1000, undefined, undefined, undefined, undefined],
    ["screen", -1000, undefined, undefined, undefined, undefined],
    ["group", -1000, undefined, "g", undefined, "pro"],
    ["alias", -1000, undefined, undefined, "p", undefined],
  ]);
});
