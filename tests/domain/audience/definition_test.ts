/** What is no definition, and where: each row is one mistake. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { cycleThrough, readWhere } from "../../../domain/audience/definition.ts";
import { MAX_AUDIENCE_CONDITIONS, MAX_AUDIENCE_DEPTH, type Node } from "../../../domain/audience/tree.ts";
import { MAX_COUNT } from "../../../domain/audience/nodes.ts";

const problemsOf = (given: unknown) => {
  const read = readWhere(given);
  return "problems" in read ? read.problems : [];
};

const nested = (levels: number): unknown => levels === 0 ? { event: "A" } : { not: nested(levels - 1) };

const MISTAKES: [what: string, given: unknown, path: string][] = [
  ["nothing", undefined, "where"],
  ["an empty condition", {}, "where"],
  ["an unknown condition", { evnt: "A" }, "where"],
  ["an empty `all`", { all: [] }, "where.all"],
  ["an empty `any` in an `all`", { all: [{ any: [] }] }, "where.all.0.any"],
  ["a misspelt member", { event: "A", witin: "3d" }, "where.witin"],
  ["a duration without a unit", { event: "A", within: "30" }, "where.within"],
  ["a duration of 0", { event: "A", within: "0d" }, "where.within"],
  ["a duration over three years", { event: "A", within: "1096d" }, "where.within"],
  ["a window with its ends exchanged", { event: "A", between: ["30d", "60d"] }, "where.between"],
  ["two windows", { event: "A", within: "3d", between: ["60d", "30d"] }, "where.between"],
  ["a fixed window that ends first", { event: "A", since: "2026-02-01", until: "2026-01-01" }, "where.until"],
  ["a count over the bound", { event: "A", count: { $gte: MAX_COUNT + 1 } }, "where.count.$gte"],
  ["a count of a half", { event: "A", count: { $gte: 1.5 } }, "where.count.$gte"],
  ["an unknown operator of a count", { event: "A", count: { $gtee: 1 } }, "where.count.$gtee"],
  ["an unknown operator of a trait", { traits: { plan: { $like: "p" } } }, "where.traits.plan.$like"],
  ["no traits", { traits: {} }, "where.traits"],
  [
    "an unknown operator of an event",
    { event: "A", where: { "properties.n": { $ge: 1 } } },
    "where.where.properties.n.$ge",
  ],
  ["a name for a track event", { event: "A", name: "home" }, "where.name"],
  ["an event that is no track event", { type: "page", event: "A" }, "where.event"],
  ["an unknown type", { type: "click" }, "where.type"],
  ["a sum without a value", { sum: "properties.total", event: "A" }, "where.value"],
  ["a sum without a path", { sum: "", event: "A", value: { $gt: 1 } }, "where.sum"],
  ["`last` with a count", { event: "A", last: { moreThan: "1d" }, count: { $gte: 2 } }, "where.count"],
  ["a sequence of one step", { sequence: [{ event: "A" }] }, "where.sequence"],
  [
    "a sequence that begins with `not`",
    { sequence: [{ not: { event: "A" }, within: "1d" }, { event: "B" }] },
    "where.sequence.0",
  ],
  [
    "a `not` step without a time",
    { sequence: [{ event: "A" }, { not: { event: "B" } }] },
    "where.sequence.1.within",
  ],
  [
    "a time for the first step",
    { sequence: [{ event: "A", within: "1d" }, { event: "B" }] },
    "where.sequence.0.within",
  ],
  ["an unknown match of groups", { group: { traits: { a: 1 } }, match: "some" }, "where.match"],
  ["an audience without a name", { audience: "" }, "where.audience"],
  ["too many levels", nested(MAX_AUDIENCE_DEPTH), `where${".not".repeat(MAX_AUDIENCE_DEPTH)}`],
  [
    "too many conditions",
    { any: Array.from({ length: MAX_AUDIENCE_CONDITIONS + 1 }, () => ({ event: "A" })) },
    `where.any.${MAX_AUDIENCE_CONDITIONS}`,
  ],
];

for (const [what, given, path] of MISTAKES) {
  Deno.test(`a definition is refused for ${what}, at its path`, () => {
    const problems = problemsOf(given);
    ok(problems.length > 0);
    strictEqual(problems[0]!.path, path, problems[0]!.message);
  });
}

Deno.test("all mistakes of a definition are told at once", () => {
  const given = { all: [{ event: "" }, { event: "A", within: "x" }] };
  deepStrictEqual(problemsOf(given).map(({ path }) => path), ["where.all.0.event", "where.all.1.within"]);
});

Deno.test("as many conditions and levels as are allowed are read", () => {
  deepStrictEqual(
    problemsOf({ any: Array.from({ length: MAX_AUDIENCE_CONDITIONS }, () => ({ event: "A" })) }),
    [],
  );
  deepStrictEqual(problemsOf(nested(MAX_AUDIENCE_DEPTH - 1)), []);
});

Deno.test("an audience that refers to itself through others is found", () => {
  const nodeOf = (given: unknown) => (readWhere(given) as { where: Node }).where;
  const nodes = new Map([
    ["a", nodeOf({ any: [{ event: "A" }, { audience: "b" }] })],
    ["b", nodeOf({ not: { audience: "c" } })],
    ["c", nodeOf({ audience: "a" })],
    ["d", nodeOf({ audience: "a" })],
  ]);
  deepStrictEqual(cycleThrough("a", nodes), ["a", "b", "c", "a"]);
  strictEqual(cycleThrough("d", nodes), undefined);
});
