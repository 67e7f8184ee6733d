/**
 * Patterns of JSON Schemas, run by RE2: in a time proportional to the text, whatever the pattern. JavaScript's own
 * engine can take for ever (`^(a+)+$`).
 */
import { RE2JS, RE2JSException } from "re2js";

/** UTF-16 units of a pattern: far more than one can read. */
export const MAX_PATTERN_LENGTH = 500;

/** Instructions of a pattern's program: RE2's time for a text is its length times these. `{0,500}` is 1,000 of them. */
export const MAX_PROGRAM = 200;

/** Instructions that RE2 executes per unit of text if it need not follow several branches at once. */
const ONE_WAY = 3;

/** A pattern that can be run. */
export interface Pattern {
  test(text: string): boolean;
  /** Instructions of its program that RE2 goes through for each unit of a text, at most. */
  instructions: number;
  problem?: undefined;
}

/** Reads a pattern, or gives its problem, to follow its path. Never throws. */
export function readPattern(text: string): Pattern | { problem: string } {
  if (text.length > MAX_PATTERN_LENGTH) {
    return { problem: `must be a pattern of at most ${MAX_PATTERN_LENGTH} characters; got ${text.length}` };
  }
  try {
    // JSON Schema writes them as JavaScript does, RE2 in its own way: `\u0041` is `\x{0041}`.
    const compiled = RE2JS.compile(RE2JS.translateRegExp(text));
    const program = compiled.programSize();
    if (program > MAX_PROGRAM) {
      return {
        problem: "must be a smaller pattern: use fewer repetitions, and limit lengths with maxLength",
      };
    }
    // Most patterns of ids, codes and dates: the next character alone decides.
    const isOneWay = Boolean(compiled.re2().onepass);
    return {
      // Not `test`, whose automaton creates a new state for every character of some texts: ten times as slow.
      test: (value) => compiled.matcher(value).find(),
      instructions: isOneWay ? ONE_WAY : program,
    };
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    return {
      problem: `must be a linear-time pattern (RE2: no look-around, no back references): ${error.message}`,
    };
  }
}
