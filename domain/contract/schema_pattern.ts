/**
 * Patterns of JSON Schemas, run by RE2: in a time that grows with the text alone, whatever the pattern. Those of
 * JavaScript's own engine can take for ever (`^(a+)+$`).
 */
import { RE2JS, RE2JSException } from "re2js";

/** UTF-16 units of a pattern: far above what one can read. */
export const MAX_PATTERN_LENGTH = 500;

/** Instructions of a pattern's program: RE2's time for a text is its length times these. `{0,500}` is 1,000 of them. */
export const MAX_PROGRAM = 200;

/** As many instructions as RE2 goes through for a unit of text where it need not follow several ways at once. */
const ONE_WAY = 3;

/** A pattern that can be run. */
export interface Pattern {
  test(text: string): boolean;
  /** Instructions of its program that RE2 goes through for each unit of a text, at most. */
  instructions: number;
  problem?: undefined;
}

/** Reads a pattern, or says what is wrong with it, to stand after its path. Never throws. */
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
    // Most patterns of ids, codes and dates: what comes next is told by the next character alone.
    const isOneWay = Boolean(compiled.re2().onepass);
    return {
      // Not by `test`, whose automaton makes a new state for every character of some texts: ten times as slow.
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
