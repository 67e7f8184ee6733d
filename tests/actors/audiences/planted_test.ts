import { rejects } from "node:assert";
import { loadCode } from "../../simulation/product.ts";
import { runHistories } from "./history.ts";
import { AUDIENCE_BUGS } from "./planted.ts";

/** Histories in which a planted bug must show. */
const HISTORIES = 400;

for (const { name, patch } of AUDIENCE_BUGS) {
  Deno.test(`random histories find the planted bug "${name}"`, async () => {
    const code = await loadCode([patch]);
    await rejects(() => runHistories(1, HISTORIES, code), /history \d+/);
  });
}
