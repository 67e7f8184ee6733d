/** Contracts that can be held against events: with them comes the engine, so this is loaded when there is one. */
import type { Checked, Checker, Contract } from "./contract.ts";
import { withPlainNumbers } from "../event/exact_json.ts";
import { readSchema } from "./read_schema.ts";
import { checkerOf } from "./schema_engine.ts";

/**
 * Prepares contracts: each is compiled when its first event comes, and sees long integers as numbers. A contract whose
 * schema this version cannot use (another version stored it) accepts its events, as if it were monitored, and says so
 * in its `notice`.
 */
export function makeChecked(contract: Contract): Checked {
  const ready = readSchema(contract.schema);
  if (ready.problem !== undefined) {
    const { path, message } = ready.problem;
    const place = path === "" ? "schema" : `schema.${path}`;
    const notice = `This contract checks no events: ${place} ${message}. Save it with another schema.`;
    return { ...contract, mode: "monitor", notice, check: () => [] };
  }
  let check: Checker | undefined;
  return {
    ...contract,
    check(value) {
      check ??= checkerOf(ready);
      return check(withPlainNumbers(value));
    },
  };
}
