import { deepStrictEqual, strictEqual } from "node:assert";
import { masked, printable } from "../../../routes/http/printable.ts";

const ESCAPED: [what: string, text: string, shown: string][] = [
  [
    "plain text",
    'Jane "J" Smith, Zürich \u{1f469}\u200d\u{1f680}',
    'Jane "J" Smith, Zürich \u{1f469}\u200d\u{1f680}',
  ],
  ["an escape sequence", "\x1b[31mred", "\\u001b[31mred"],
  ["line ends", "a\r\nb", "a\\u000d\\u000ab"],
  ["a C1 control", "\x9b31m\x85", "\\u009b31m\\u0085"],
  ["DEL and NUL", "\x7f\0", "\\u007f\\u0000"],
  ["line separators", "a\u2028b\u2029c", "a\\u2028b\\u2029c"],
  [
    "bidirectional controls",
    "\u202eevil\u202c\u2066x\u2069\u200f",
    "\\u202eevil\\u202c\\u2066x\\u2069\\u200f",
  ],
];

for (const [what, text, shown] of ESCAPED) {
  Deno.test(`printable() shows ${what} without a control character`, () => {
    strictEqual(printable(text), shown);
  });
}

Deno.test("printable() keeps the meaning of JSON", () => {
  const value = { "\x9b\u2028": "\x1b\x7f\u202e", plain: "ü" };
  deepStrictEqual(JSON.parse(printable(JSON.stringify(value))), value);
});

const MASKED: [text: string, shown: string][] = [
  ["https://user:pass@kv.example.com/db", "https://***@kv.example.com/db"],
  ["https://token@kv.example.com", "https://***@kv.example.com"],
  ["HTTP://:pass@kv.example.com", "HTTP://***@kv.example.com"],
  ["https://user:pa@ss@kv.example.com", "https://***@kv.example.com"],
  ["https://user:12/ss@kv.example.com", "https://***@kv.example.com"],
  ["https://kv.example.com/?token=secret", "https://kv.example.com/?***"],
  ["(https://a:b@c/, 'https://d:e@f?g=h')", "(https://***@c/, 'https://***@f?***')"],
  ['{"error":"https://a:b@c?d=e\\nnext"}', '{"error":"https://***@c?***\\nnext"}'],
  ["https://jsr.io/@std/assert@1.0.0/mod.ts", "https://***@1.0.0/mod.ts"],
  ["https://kv.example.com/, jane@example.com", "https://kv.example.com/, jane@example.com"],
];

for (const [text, shown] of MASKED) {
  Deno.test(`masked() shows ${text} as ${shown}`, () => strictEqual(masked(text), shown));
}
