import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { LongInteger, parseExact, withPlainNumbers } from "../../../domain/event/exact_json.ts";
import { longJson } from "./long_json.ts";

const again = (text: string) => JSON.stringify(parseExact(text));

const KEPT = [
  "1234567890123456789",
  "-1234567890123456789",
  "9007199254740993",
  "9999999999999999",
  "18446744073709551616",
  "1" + "0".repeat(21),
  "7".repeat(400),
  '{"a":[1234567890123456789,{"b":-9223372036854775808}]}',
  '{"__proto__":1234567890123456789,"constructor":{"__proto__":1234567890123456790}}',
  '["1234567890123456789",1234567890123456789]',
  '["\\\\",1234567890123456789,"\\"1234567890123456789,"]',
  '{"1":1234567890123456789,"2":1234567890123456790}',
  '["a, 1234567890123456789 b"]',
  '{"a 1234567890123456789":1234567890123456789}',
];

for (const text of KEPT) {
  Deno.test(`parseExact() keeps the digits of ${text.slice(0, 60)}`, () => strictEqual(again(text), text));
}

const AS_PARSED = [
  "9007199254740991",
  "1700000000000000",
  "1234567890123456800",
  "1234567890123456789.0",
  "1234567890123456789.5",
  "1234567890123456789e0",
  "1E1234567890123456",
  "1e-1234567890123456789",
  "0.1234567890123456789",
  "1.0000000000000000001",
  "1e400",
  "-0",
  "[1e1234567890123456,0.1e+1234567890123456]",
  '{"a":1234567890123456789,"a":1}',
];

for (const text of AS_PARSED) {
  Deno.test(`parseExact() reads ${text} as JSON.parse does`, () => {
    deepStrictEqual(parseExact(text), JSON.parse(text));
  });
}

Deno.test("of a key that is there twice the last value counts, with its digits", () => {
  strictEqual(again('{"a":1,"a":1234567890123456789}'), '{"a":1234567890123456789}');
});

for (
  const text of [
    "",
    "{1234567890123456789:1}",
    "01234567890123456789",
    "[1234567890123456789",
    "+1234567890123456789",
  ]
) {
  Deno.test(`parseExact() throws what JSON.parse throws for ${JSON.stringify(text)}`, () => {
    let message = "";
    try {
      JSON.parse(text);
    } catch (error) {
      message = (error as Error).message;
    }
    throws(() => parseExact(text), { name: "SyntaxError", message });
  });
}

Deno.test("any JSON with long integers, however it is spaced, is written with the digits that were read", () => {
  fc.assert(fc.property(longJson, fc.constantFrom("", " ", "\n\t"), ({ text }, space) => {
    strictEqual(again(text), text);
    strictEqual(JSON.stringify(parseExact(JSON.stringify(parseExact(text), null, space))), text);
  }));
});

Deno.test("any other JSON is read as JSON.parse reads it", () => {
  fc.assert(fc.property(fc.json(), (text) => deepStrictEqual(parseExact(text), JSON.parse(text))));
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    deepStrictEqual(parseExact(JSON.stringify([text, 1])), [text, 1]);
  }));
});

Deno.test("a long integer counts as the nearest finite number, and shows its digits as text", () => {
  const long = parseExact("1234567890123456789") as LongInteger;
  strictEqual(Number(long), 1234567890123456800);
  strictEqual(`${long}`, "1234567890123456789");
  strictEqual(Number(parseExact("-" + "7".repeat(400))), -Number.MAX_VALUE);
});

Deno.test("withPlainNumbers() gives a copy with numbers, and a value without long integers itself", () => {
  const value = parseExact('{"a":[1,{"__proto__":1234567890123456789}],"b":{"c":"x"}}') as Record<
    string,
    unknown
  >;
  const plain = withPlainNumbers(value) as Record<string, unknown>;
  strictEqual(JSON.stringify(plain), '{"a":[1,{"__proto__":1234567890123456800}],"b":{"c":"x"}}');
  strictEqual(plain.b, value.b);
  strictEqual(JSON.stringify(value), '{"a":[1,{"__proto__":1234567890123456789}],"b":{"c":"x"}}');
  strictEqual(withPlainNumbers(plain), plain);
});

Deno.test("a body nested a million levels deep that holds a long integer is read, and keeps the stack", () => {
  const text = `${"[".repeat(1e6)}1234567890123456789${"]".repeat(1e6)}`;
  ok(Array.isArray(parseExact(text)));
  ok(Array.isArray(withPlainNumbers(parseExact(text))));
});
