/** Conditions: each row is one sentence of MongoDB's query language. */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import {
  type Condition,
  MAX_CONDITION_BYTES,
  MAX_CONDITION_DEPTH,
  MAX_CONDITION_NODES,
  MAX_CONDITION_VALUES,
  readCondition,
} from "../../../domain/condition/condition.ts";
import { parseExact } from "../../../domain/event/exact_json.ts";

function read(given: unknown): Condition {
  const condition = readCondition(given);
  if ("problem" in condition) throw new Error(JSON.stringify(condition.problem));
  return condition;
}

const DOCUMENT = {
  type: "track",
  event: "Order Completed",
  properties: {
    total: 60,
    text: "60",
    nothing: null,
    tags: ["red", "blue"],
    counts: [1, 20],
    empty: [],
    products: [{ sku: "a", price: 5 }, { sku: "b", price: 50 }, 7],
    address: { city: "Bonn", zip: "53111" },
    flag: true,
  },
};

const ROWS: [sentence: string, condition: unknown, holds: boolean][] = [
  ["the empty condition holds", {}, true],
  ["a value equals", { event: "Order Completed" }, true],
  ["a value differs", { event: "Order" }, false],
  ["all members must hold", { type: "track", event: "x" }, false],
  ["a path with dots", { "properties.total": 60 }, true],
  ["a string is not a number", { "properties.text": 60 }, false],
  ["a string is not at least a number", { "properties.text": { $gte: 50 } }, false],
  ["a number is not at least a string", { "properties.total": { $gte: "50" } }, false],
  ["$gte", { "properties.total": { $gte: 60 } }, true],
  ["$gt", { "properties.total": { $gt: 60 } }, false],
  ["$lt and $gt together", { "properties.total": { $gt: 50, $lt: 70 } }, true],
  ["$lte", { "properties.total": { $lte: 59.9 } }, false],
  ["strings compare", { event: { $gt: "Order" } }, true],
  ["an absent value is not less", { "properties.none": { $lt: 5 } }, false],
  ["null is not less", { "properties.nothing": { $lt: 5 } }, false],
  ["a boolean equals", { "properties.flag": true }, true],
  ["true is not 1", { "properties.flag": 1 }, false],
  ["null holds for null", { "properties.nothing": null }, true],
  ["null holds for an absent value", { "properties.none": null }, true],
  ["null holds for an absent parent", { "none.at.all": null }, true],
  ["null does not hold for a value", { "properties.total": null }, false],
  ["$ne null holds for a value", { "properties.total": { $ne: null } }, true],
  ["$exists true", { "properties.nothing": { $exists: true } }, true],
  ["$exists false", { "properties.none": { $exists: false } }, true],
  ["$exists true of an absent value", { "properties.none": { $exists: true } }, false],
  ["$in", { event: { $in: ["A", "Order Completed"] } }, true],
  ["$in with null holds for an absent value", { "properties.none": { $in: [null] } }, true],
  ["$in with numbers", { "properties.total": { $in: [1, 60] } }, true],
  ["$nin", { event: { $nin: ["A"] } }, true],
  ["$nin of an absent value holds", { "properties.none": { $nin: ["A"] } }, true],
  ["$ne of an absent value holds", { "properties.none": { $ne: 1 } }, true],
  ["an array matches by an element", { "properties.tags": "red" }, true],
  ["an array matches as a whole", { "properties.tags": ["red", "blue"] }, true],
  ["an array in another order does not", { "properties.tags": ["blue", "red"] }, false],
  ["$ne fails if one element equals", { "properties.tags": { $ne: "red" } }, false],
  ["operators of one path may hold for different elements", {
    "properties.counts": { $gt: 10, $lt: 5 },
  }, true],
  ["$elemMatch wants one element for all operators", {
    "properties.counts": { $elemMatch: { $gt: 10, $lt: 5 } },
  }, false],
  ["$elemMatch with values", { "properties.counts": { $elemMatch: { $gt: 10, $lt: 30 } } }, true],
  ["$elemMatch with a condition", {
    "properties.products": { $elemMatch: { sku: "b", price: { $gte: 50 } } },
  }, true],
  ["$elemMatch does not mix elements", {
    "properties.products": { $elemMatch: { sku: "a", price: 50 } },
  }, false],
  ["$elemMatch with $or", {
    "properties.products": { $elemMatch: { $or: [{ sku: "x" }, { sku: "a" }] } },
  }, true],
  ["$elemMatch of a value that is no array", { "properties.total": { $elemMatch: { $gt: 1 } } }, false],
  ["a path goes through an array", { "properties.products.sku": "b" }, true],
  ["a path with an index", { "properties.products.0.sku": "a" }, true],
  ["a path with another index", { "properties.products.1.sku": "a" }, false],
  ["null holds if one object lacks the member", { "properties.products.color": null }, true],
  ["null through an array whose objects all have the member", { "properties.products.sku": null }, false],
  ["an empty array has no value", { "properties.empty.sku": null }, false],
  ["an empty array lacks the member", { "properties.empty.sku": { $exists: false } }, true],
  ["an object equals, in any order", { "properties.address": { zip: "53111", city: "Bonn" } }, true],
  ["an object with fewer members differs", { "properties.address": { city: "Bonn" } }, false],
  ["$regex", { event: { $regex: "^Order" } }, true],
  ["$regex of a number", { "properties.total": { $regex: "6" } }, false],
  ["$regex of an element", { "properties.tags": { $regex: "^bl" } }, true],
  ["$not", { "properties.total": { $not: { $gt: 100 } } }, true],
  ["$not of an absent value holds", { "properties.none": { $not: { $gt: 100 } } }, true],
  ["$and", { $and: [{ type: "track" }, { event: "x" }] }, false],
  ["$or", { $or: [{ type: "page" }, { "properties.total": 60 }] }, true],
  ["$nor", { $nor: [{ type: "page" }, { "properties.total": 1 }] }, true],
  ["a member of the prototype is absent", { "properties.constructor": { $exists: true } }, false],
];

for (const [sentence, condition, holds] of ROWS) {
  Deno.test(`condition: ${sentence}`, () => strictEqual(read(condition).test(DOCUMENT), holds));
}

Deno.test("condition: long integers are compared by their digits", () => {
  const document = parseExact('{"id": 12345678901234567890}');
  const condition = (text: string) => read(parseExact(text)).test(document);
  ok(condition('{"id": 12345678901234567890}'));
  ok(!condition('{"id": 12345678901234567891}'));
  ok(condition('{"id": {"$gt": 12345678901234567889}}'));
  ok(!condition('{"id": {"$gt": 12345678901234567890}}'));
  ok(condition('{"id": {"$gte": 5}}'));
});

function deep(levels: number): unknown {
  return levels === 1 ? { a: 1 } : { $and: [deep(levels - 1)] };
}

const PROBLEMS: [sentence: string, condition: unknown, path: string, message: RegExp][] = [
  ["is not an object", [], "", /must be an object; got an array of 0/],
  ["has an unknown operator", { "a.b": { $gtee: 1 } }, "a.b.$gtee", /unknown operator/],
  ["has an unknown operator at the top", { $where: "1" }, "$where", /unknown operator/],
  ["mixes operators and names", { a: { $gt: 1, b: 2 } }, "a.b", /unknown operator/],
  ["compares with null", { a: { $gt: null } }, "a.$gt", /must be a number or a string; got null/],
  ["compares with an object", { a: { $lt: {} } }, "a.$lt", /must be a number or a string/],
  ["has $in without an array", { a: { $in: "x" } }, "a.$in", /must be an array/],
  ["has $exists without a boolean", { a: { $exists: 1 } }, "a.$exists", /must be true or false/],
  ["has a pattern that is none", { a: { $regex: "(" } }, "a.$regex", /linear-time pattern/],
  ["has a pattern that can take for ever", { a: { $regex: "(?=a)" } }, "a.$regex", /linear-time/],
  ["has $not with a value", { a: { $not: 5 } }, "a.$not", /object of operators/],
  ["has $or with an object", { $or: {} }, "$or", /non-empty array/],
  ["has an empty $and", { $and: [] }, "$and", /non-empty array/],
  ["has a wrong member of $or", { $or: [{}, { $x: 1 }] }, "$or.1.$x", /unknown operator/],
  ["has an empty name in a path", { "a..b": 1 }, "a..b", /must be a path/],
  ["is too deep", deep(MAX_CONDITION_DEPTH + 1), "", /deeper than 10 levels/],
  [
    "has too many nodes",
    { $and: Array.from({ length: MAX_CONDITION_NODES }, () => ({ a: 1 })) },
    "",
    /at most 500 operators/,
  ],
  ["has too many values", { a: { $in: Array(MAX_CONDITION_VALUES + 1).fill(1) } }, "a.$in", /at most 1000/],
  ["is too large", { a: "x".repeat(MAX_CONDITION_BYTES) }, "", /at most 16384 bytes/],
];

for (const [sentence, condition, path, message] of PROBLEMS) {
  Deno.test(`condition: one is refused that ${sentence}`, () => {
    const read = readCondition(condition);
    ok("problem" in read);
    // The path of what is too deep, or of the node too many, is long.
    if (path !== "") strictEqual(read.problem.path, path);
    ok(message.test(read.problem.message), read.problem.message);
  });
}

Deno.test("condition: at the bounds it is accepted", () => {
  read(deep(MAX_CONDITION_DEPTH));
  read({ a: { $in: Array(MAX_CONDITION_VALUES).fill(1) } });
});

Deno.test("condition: what a path must equal is known, for an index", () => {
  const required = (given: unknown) => Object.fromEntries(read(given).requires);
  deepStrictEqual(required({ type: "track", event: { $in: ["A", "B"] }, "properties.x": 5 }), {
    type: ["track"],
    event: ["A", "B"],
  });
  deepStrictEqual(required({ event: { $in: ["A", "B"] }, $and: [{ event: { $in: ["B", "C"] } }] }), {
    event: ["B"],
  });
  deepStrictEqual(required({ $or: [{ type: "track" }, { type: "page" }] }), {});
  deepStrictEqual(required({ event: { $ne: "A" } }), {});
});
