/** Random JSON with integers that a double can't hold. */
import fc from "fast-check";

/** The digits of an integer beyond 2^53: beyond 2^64 too, negative, and one off another. */
export const longDigits: fc.Arbitrary<string> = fc.oneof(
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 70n }),
  fc.bigInt({ min: -(2n ** 70n), max: -(2n ** 53n) }),
  fc.bigInt({ min: 1234567890123456780n, max: 1234567890123456799n }),
  fc.bigInt({ min: 10n ** 300n, max: 10n ** 400n }),
).map(String);

/** JSON without blanks, as it is written; `text` holds long integers, arrays, objects, and text that looks like them. */
export const longJson: fc.Arbitrary<{ text: string }> = fc.letrec<
  { value: string; long: string; members: string }
>((
  tie,
) => ({
  long: longDigits,
  members: fc.dictionary(
    fc.oneof(fc.string({ maxLength: 5 }), fc.constant("__proto__"), longDigits),
    tie("value"),
    { maxKeys: 4, depthIdentifier: "json" },
  ).map((members) =>
    `{${Object.entries(members).map(([key, value]) => `${JSON.stringify(key)}:${value}`).join()}}`
  ),
  value: fc.oneof(
    { depthSize: "small", depthIdentifier: "json" },
    tie("long"),
    fc.oneof(
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
    )
      .map((value) => JSON.stringify(value)),
    fc.oneof(fc.string(), longDigits, longDigits.map((digits) => `", ${digits} \\`)).map((text) =>
      JSON.stringify(text)
    ),
    fc.array(tie("value"), { maxLength: 4, depthIdentifier: "json" }).map((items) => `[${items.join()}]`),
    tie("members"),
  ),
})).members.map((text) => ({ text }));
