import { ok, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import {
  beginLook,
  dotted,
  findExcess,
  findProblem,
  isObject,
  isShortText,
  jsonBytes,
  MAX_DEPTH,
  shown,
} from "../../../domain/event/json.ts";

const TEXTS: [text: string, max: number, short: boolean][] = [
  ["", 3, false],
  ["a", 3, true],
  ["abc", 3, true],
  ["abcd", 3, false],
  ["😀😀😀", 3, true],
  ["😀😀😀😀", 3, false],
  ["😀abc", 3, false],
  ["e\u0301e", 3, true],
  ["a\ud800", 3, false],
  ["\udc00a", 3, false],
];

for (const [text, max, short] of TEXTS) {
  Deno.test(`isShortText() says ${short} of ${JSON.stringify(text)} for at most ${max} characters`, () => {
    strictEqual(isShortText(text, max), short);
  });
}

const SHOWN: [value: unknown, text: string][] = [
  [undefined, "nothing"],
  [null, "null"],
  [true, "true"],
  [1.5, "1.5"],
  [Infinity, "Infinity"],
  ["a\n\ud800", '"a\\n\\ud800"'],
  ["x".repeat(61), `"${"x".repeat(60)}"… (61 characters)`],
  [{ a: 1 }, "an object"],
  [[1, 2], "an array of 2"],
];

for (const [value, text] of SHOWN) {
  Deno.test(`shown() gives ${text}`, () => strictEqual(shown(value), text));
}

Deno.test("dotted() gives a short, well-formed path for any keys", () => {
  strictEqual(dotted(["traits", "emails", 0, "host"]), "traits.emails.0.host");
  strictEqual(dotted([]), "");
  fc.assert(fc.property(fc.array(fc.string({ unit: "binary", maxLength: 400 })), (keys) => {
    const path = dotted(keys);
    ok(path.length <= 256 && path.isWellFormed());
  }));
});

Deno.test("isObject() says yes to objects only", () => {
  const yes = [{}, { length: 0 }, JSON.parse('{"__proto__":null}')];
  const no = [[], null, undefined, 0, "", true];
  strictEqual(yes.every(isObject), true);
  strictEqual(no.some(isObject), false);
});

/** Values whose JSON is as large, or as small, as it can be for what a look at them counts. */
const extreme = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(
      0,
      7,
      -1.7976931348623157e308,
      -2.2250738585072014e-308,
      null,
      true,
      false,
      "",
      {},
      [],
    ),
    fc.string({ unit: fc.constantFrom("\u0000", "\ud800", "a", "漢", "😀", '"') }),
    fc.array(tie("value")),
    fc.dictionary(fc.string({ unit: fc.constantFrom("\u0000", "a", "漢"), maxLength: 3 }), tie("value")),
  ),
})).value;

Deno.test("a check and a measurement together reject exactly what is too large", () => {
  const bytes = fc.integer({ min: -3, max: 3 });
  const share = fc.constantFrom(0.1, 0.24, 0.25, 0.26, 0.5, 0.9, 1, 1, 1, 2, 6, 7);
  fc.assert(
    fc.property(fc.array(extreme), share, bytes, (value, share, more) => {
      const maxBytes = Math.max(0, Math.floor(jsonBytes(value) * share) + more);
      const look = beginLook(maxBytes);
      const problem = findProblem(value, look) ?? findExcess(value, look);
      strictEqual(problem?.code, jsonBytes(value) > maxBytes ? "event_too_large" : undefined);
    }),
    { numRuns: 3000 },
  );
});

Deno.test("a check goes to the allowed depth on every branch, and returns", () => {
  const deep = JSON.parse(`${"[".repeat(MAX_DEPTH - 1)}${"]".repeat(MAX_DEPTH - 1)}`);
  strictEqual(findProblem([deep, { a: 1 }, deep, deep], beginLook(10_000)), undefined);
  strictEqual(findProblem([1, [deep]], beginLook(10_000))?.code, "too_deep");
});
