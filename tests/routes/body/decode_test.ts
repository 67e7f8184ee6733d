/** How a body is decoded, and that what is said of a bad one quotes nothing of it. */
import { match, strictEqual } from "node:assert";
import fc from "fast-check";
import { codingOf, parseJson } from "../../../routes/body/decode.ts";

const CODINGS: [header: string | null, coding: string][] = [
  [null, "identity"],
  ["", "identity"],
  ["identity", "identity"],
  ["IDENTITY", "identity"],
  ["identity, identity", "identity"],
  ["gzip", "gzip"],
  ["GZip", "gzip"],
  ["x-gzip", "gzip"],
  ["X-GZIP", "gzip"],
  [" gzip ,identity", "gzip"],
  ["gzip, gzip", "unknown"],
  ["br", "unknown"],
  ["deflate", "unknown"],
  ["gzip;q=1", "unknown"],
];

for (const [header, coding] of CODINGS) {
  Deno.test(`Content-Encoding ${JSON.stringify(header)} is ${coding}`, () => {
    strictEqual(codingOf(header), coding);
  });
}

/** Every word that can stand in the refusal. Numbers stand only where the engine knows the position. */
const OURS =
  /^The body (must be JSON: (it ends unexpectedly|it contains an invalid token|invalid at position (\d+) \(line (\d+), column (\d+)\)))\.$/;

/** Pieces that make the engine say each of its messages, and some that look like its own words. */
const piece = fc.oneof(
  fc.constantFrom(..."{}[],:\"\\-.eE0\n\t\u0001'/"),
  fc.constantFrom("NaN", "nul", "true", '"k":', "\\u12", '"v"', "\u2028", "é"),
  fc.constantFrom(" in JSON at position 12 (line 1 column 3)", '" is not valid JSON', "..."),
  fc.string(),
);

Deno.test("a refusal of invalid JSON holds nothing of the body, wherever it breaks", () => {
  const secret = fc.stringMatching(/^[a-z]{8,24}$/);
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), secret, fc.nat(12), (pieces, word, at) => {
      const text = pieces.toSpliced(at, 0, word, `"${word}@example.com"`, "1234567890123").join("");
      const parsed = parseJson(text);
      if (!("problem" in parsed)) return;
      const { problem: { detail } } = parsed;
      match(detail, OURS);
      strictEqual(detail.includes(word), false);
      const [, , , position, line, column] = OURS.exec(detail)!;
      // Numbers are of the place: none can be one of the body's.
      for (const number of [position, line, column]) {
        strictEqual(Number(number ?? 0) <= text.length + 1, true, detail);
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("a position in the body's own text is not mistaken for the engine's", () => {
  const parsed = parseJson("x in JSON at position 31337 (line 1 column 9)");
  strictEqual(
    "problem" in parsed && parsed.problem.detail,
    "The body must be JSON: it contains an invalid token.",
  );
});
