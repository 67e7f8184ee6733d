/**
 * The official JSON-Schema-Test-Suite (`json_schema_suite/`): every case is right, or listed here with the reason. A case
 * whose schema contracts refuse is counted under the keyword that is refused.
 */
import { deepStrictEqual, strictEqual } from "node:assert";
import { readSchema } from "../../../domain/contract/read_schema.ts";
import { checkerOf } from "../../../domain/contract/schema_engine.ts";

const SUITE = new URL("json_schema_suite/", import.meta.url);

interface Group {
  description: string;
  schema: unknown;
  tests: { description: string; data: unknown; valid: boolean }[];
}

/** Cases whose schema is refused, by the keyword (or the name of a property) that is refused. */
const REFUSED: [keyword: string, cases: number, why: string][] = [
  ["$dynamicAnchor", 28, "not supported: $ref and $anchor do it"],
  ["$dynamicRef", 6, "not supported: it is for recursion"],
  ["$id", 50, "only at the root: there is no other document to name it"],
  ["$ref", 41, "to another document, to what is no schema, or back to where it stands"],
  ["$schema", 5, "of another dialect, or of one that the case makes"],
  ["__proto__", 7, "a name that the engine would ignore"],
  ["enum", 6, "empty: no value is right, which nobody means"],
  ["format", 70, "one that contracts do not assert"],
  ["pattern", 10, "one that RE2 does not run: \\p{Letter} and \\p{digit}"],
  ["\\p{Letter}cole", 4, "the same as a pattern of names"],
  ["^\\p{Letter}+$", 2, "the same"],
  ["^\\p{digit}+$", 3, "the same"],
  ["unevaluatedItems", 69, "not supported: what it costs has no bound"],
  ["unevaluatedProperties", 130, "not supported: what it costs has no bound"],
];

/** Cases that contracts answer otherwise. */
const DIFFERENT: [file: string, why: string, cases: string[]][] = [
  [
    "format.json",
    "The suite takes a format for an annotation, as the specification does by default. Contracts assert it.",
    [
      "email format | invalid email string is only an annotation by default",
      "ipv4 format | invalid ipv4 string is only an annotation by default",
      "ipv6 format | invalid ipv6 string is only an annotation by default",
      "hostname format | invalid hostname string is only an annotation by default",
      "date format | invalid date string is only an annotation by default",
      "date-time format | invalid date-time string is only an annotation by default",
      "time format | invalid time string is only an annotation by default",
      "uri format | invalid uri string is only an annotation by default",
      "uuid format | invalid uuid string is only an annotation by default",
    ],
  ],
  [
    "optional/ecmascript-regex.json",
    "RE2: \\s is ASCII whitespace without the line tabulation, as docs/contracts.md says.",
    [
      "ECMA 262 \\s matches whitespace | Line tabulation matches",
      "ECMA 262 \\s matches whitespace | latin-1 non-breaking-space matches",
      "ECMA 262 \\s matches whitespace | zero-width whitespace matches",
      "ECMA 262 \\s matches whitespace | paragraph separator matches (line terminator)",
      "ECMA 262 \\s matches whitespace | EM SPACE matches (Space_Separator)",
      "ECMA 262 \\S matches everything but whitespace | Line tabulation does not match",
      "ECMA 262 \\S matches everything but whitespace | latin-1 non-breaking-space does not match",
      "ECMA 262 \\S matches everything but whitespace | zero-width whitespace does not match",
      "ECMA 262 \\S matches everything but whitespace | paragraph separator does not match (line terminator)",
      "ECMA 262 \\S matches everything but whitespace | EM SPACE does not match (Space_Separator)",
    ],
  ],
  [
    "optional/format/date-time.json",
    "Times of day are checked as timestamps of events are: up to nine decimals; a leap second is valid in any minute.",
    [
      "validation of date-time strings | an invalid date-time with leap second on a wrong minute, UTC",
      "validation of date-time strings | an invalid date-time with leap second on a wrong hour, UTC",
      "validation of date-time strings | an invalid hour in date-time string",
      "validation of date-time strings | a second fraction of fifteen nines is valid",
    ],
  ],
  [
    "optional/format/email.json",
    "Addresses as zod and browsers know them: no quoted local part, no address literal, no tilde.",
    [
      "validation of e-mail addresses | tilde in local part is valid",
      "validation of e-mail addresses | tilde before local part is valid",
      "validation of e-mail addresses | tilde after local part is valid",
      "validation of e-mail addresses | a quoted string with a space in the local part is valid",
      "validation of e-mail addresses | a quoted string with a double dot in the local part is valid",
      "validation of e-mail addresses | a quoted string with a @ in the local part is valid",
      "validation of e-mail addresses | an IPv4-address-literal after the @ is valid",
      "validation of e-mail addresses | an IPv6-address-literal after the @ is valid",
    ],
  ],
  [
    "optional/format/hostname.json",
    "Labels are letters, digits and hyphens (RFC 1123). What punycode decodes to is not checked.",
    [
      "validation of A-label (punycode) host names | invalid Punycode",
      "validation of A-label (punycode) host names | contains illegal char U+302E Hangul single dot tone mark",
      "validation of A-label (punycode) host names | Begins with a Spacing Combining Mark",
      "validation of A-label (punycode) host names | Begins with a Nonspacing Mark",
      "validation of A-label (punycode) host names | Begins with an Enclosing Mark",
      "validation of A-label (punycode) host names | Exceptions that are DISALLOWED, right-to-left chars",
      "validation of A-label (punycode) host names | Exceptions that are DISALLOWED, left-to-right chars",
      "validation of A-label (punycode) host names | MIDDLE DOT with no preceding 'l'",
      "validation of A-label (punycode) host names | MIDDLE DOT with nothing preceding",
      "validation of A-label (punycode) host names | MIDDLE DOT with no following 'l'",
      "validation of A-label (punycode) host names | MIDDLE DOT with nothing following",
      "validation of A-label (punycode) host names | Greek KERAIA not followed by Greek",
      "validation of A-label (punycode) host names | Greek KERAIA not followed by anything",
      "validation of A-label (punycode) host names | Hebrew GERESH not preceded by Hebrew",
      "validation of A-label (punycode) host names | Hebrew GERESH not preceded by anything",
      "validation of A-label (punycode) host names | Hebrew GERSHAYIM not preceded by Hebrew",
      "validation of A-label (punycode) host names | Hebrew GERSHAYIM not preceded by anything",
      "validation of A-label (punycode) host names | KATAKANA MIDDLE DOT with no Hiragana, Katakana, or Han",
      "validation of A-label (punycode) host names | KATAKANA MIDDLE DOT with no other characters",
      "validation of A-label (punycode) host names | Arabic-Indic digits mixed with Extended Arabic-Indic digits",
      "validation of A-label (punycode) host names | ZERO WIDTH JOINER not preceded by Virama",
      "validation of A-label (punycode) host names | ZERO WIDTH JOINER not preceded by anything",
      'validation of A-label (punycode) host names | contains "--" in the 3rd and 4th position',
    ],
  ],
  ["optional/format/time.json", "A leap second is valid in any minute.", [
    "validation of time strings | invalid leap second, Zulu (wrong hour)",
    "validation of time strings | invalid leap second, Zulu (wrong minute)",
    "validation of time strings | invalid leap second, zero time-offset (wrong hour)",
    "validation of time strings | invalid leap second, zero time-offset (wrong minute)",
    "validation of time strings | invalid leap second, positive time-offset (wrong hour)",
    "validation of time strings | invalid leap second, positive time-offset (wrong minute)",
    "validation of time strings | invalid leap second, negative time-offset (wrong hour)",
    "validation of time strings | invalid leap second, negative time-offset (wrong minute)",
    "validation of time strings | an invalid time string with invalid leap second (wrong hour)",
    "validation of time strings | an invalid time string with invalid leap second (wrong minute)",
  ]],
  [
    "optional/format/uri.json",
    "A scheme, and what the URL parser takes: it is stricter on IPv4 addresses, and laxer on percent signs and brackets.",
    [
      "validation of URIs | invalid userinfo",
      "validation of URIs | URI with leading-zero IPv4 is structurally valid as a reg-name",
      "validation of URIs | URI with out-of-bounds IPv4 is structurally valid as a reg-name",
      "validation of URIs | invalid percent-encoding with non-hex digits",
      "validation of URIs | incomplete percent-encoding triplet",
      "validation of URIs | lone percent sign is invalid",
      "validation of URIs | square brackets are not allowed in a path segment",
    ],
  ],
];

const refused = new Map<string, number>();
const answered = new Map<string, string[]>();
let right = 0;

for (const file of filesIn("")) {
  for (
    const { description, schema, tests } of JSON.parse(Deno.readTextFileSync(new URL(file, SUITE))) as Group[]
  ) {
    const made = readSchema(schema);
    if (made.problem !== undefined) {
      // Names in paths may have dots.
      const keyword = REFUSED.find(([name]) =>
        made.problem.path === name || made.problem.path.endsWith(`.${name}`)
      );
      const name = keyword?.[0] ?? made.problem.path;
      refused.set(name, (refused.get(name) ?? 0) + tests.length);
      continue;
    }
    const check = checkerOf(made);
    for (const { description: test, data, valid } of tests) {
      if ((check(data).length === 0) === valid) right++;
      else answered.set(file, [...answered.get(file) ?? [], `${description} | ${test}`]);
    }
  }
}

function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, SUITE))].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesIn(`${folder}${name}/`) : name.endsWith(".json") ? [folder + name] : []
  ).sort();
}

Deno.test("every case of the official suite is right, except for listed ones", () => {
  deepStrictEqual([...answered], DIFFERENT.map(([file, , cases]) => [file, cases]));
  strictEqual(right, 1302);
});

Deno.test("cases of the official suite are refused for the keywords that are listed", () => {
  deepStrictEqual([...refused].sort(), REFUSED.map(([keyword, cases]) => [keyword, cases]).sort());
});

Deno.test("the only differing required cases are those that require formats not to be asserted", () => {
  const required = [...answered].filter(([file]) => !file.startsWith("optional/"));
  deepStrictEqual(required.map(([file, cases]) => [file, cases.length]), [["format.json", 9]]);
});
