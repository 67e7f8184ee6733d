/** Transformations on the Deno of Deno Deploy: the same version gives the same results there. */
import { strictEqual } from "node:assert";
import { digestOf } from "../actors/transformation/digest.ts";
import { testWhere } from "../needs.ts";
import { DEPLOYED_DENO } from "./deployed.ts";

testWhere(DEPLOYED_DENO.missing, {
  name: "10,000 random events give the same results on the Deno of Deno Deploy",
  async fn() {
    strictEqual(await digestOf(DEPLOYED_DENO.path!, "Europe/Berlin"), await digestOf(Deno.execPath(), "UTC"));
  },
});
