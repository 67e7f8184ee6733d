/** Contracts that can be held against events: with them comes the engine, so this is loaded when there is one. */
import type { Checker, Violation } from "./checker.ts";
import type { Checked, Contract } from "./contract.ts";
import { withPlainNumbers } from "../event/exact_json.ts";
import type { Schema } from "./schema.ts";
import { compileSchema } from "./schema_engine.ts";

/**
 * Makes contracts ready: each is compiled when the first event meets it, and sees long integers as numbers. One that can't be (a version of signalfold
 * with other bounds stored it) refuses what it names, as nobody knows whether it holds.
 */
export function makeChecked(contract: Contract): Checked {
  let check: Checker | undefined;
  return {
    ...contract,
    check(value, budget) {
      check ??= checkerOf(contract.schema);
      return check(withPlainNumbers(value), budget);
    },
  };
}

function checkerOf(schema: Schema): Checker {
  const made = compileSchema(schema);
  return made.problem === undefined ? made.check : () => [UNREADABLE];
}

const UNREADABLE: Violation = {
  path: "",
  rule: "must wait until its contract, which this version can't read, is stored again",
  keyword: "schema",
  found: "an event",
};
