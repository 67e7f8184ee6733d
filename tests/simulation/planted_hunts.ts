/** Tests that hunt for the planted bugs, each in one thread: the halves of the list are files, so that each has a core. */
import { ok } from "node:assert/strict";
import { hunt } from "./hunt.ts";
import { BUGS } from "./planted.ts";

/** A planted bug is found within so many. */
const BUG_HISTORIES = 2_000;

/** Registers a test for each bug of one half of the list: those at even places, or those at odd ones. */
export function huntHalf(half: "even" | "odd"): void {
  for (const [index, { name, rule }] of BUGS.entries()) {
    if ((index % 2 === 0) !== (half === "even")) continue;
    Deno.test(`a planted bug is found: ${name}`, async () => {
      const { find } = await hunt({ from: 1, histories: BUG_HISTORIES, bug: name, workers: 1 });
      ok(find !== undefined, `not found in ${BUG_HISTORIES} histories; it breaks: ${rule}`);
    });
  }
}
