import { ok } from "node:assert";
import { BUG_HISTORIES, huntBug } from "../actors/audiences/hunted.ts";
import { AUDIENCE_BUGS } from "../actors/audiences/planted.ts";

for (const bug of AUDIENCE_BUGS) {
  Deno.test(`random histories find the planted bug "${bug.name}"`, async () => {
    ok(await huntBug(bug) !== undefined, `not found in ${BUG_HISTORIES} histories`);
  });
}
