import { rejects } from "node:assert";
import { loadCode } from "./product.ts";
import { runHistories } from "../actors/audiences/history.ts";
import { AUDIENCE_BUGS } from "../actors/audiences/planted.ts";

/** Histories in which a planted bug must show. */
const HISTORIES = 400;

for (const { name, patch } of AUDIENCE_BUGS) {
  Deno.test(`random histories find the planted bug "${name}"`, async () => {
    const code = await loadCode([patch]);
    await rejects(() => runHistories(1, HISTORIES, code), /history \d+/);
  });
}
