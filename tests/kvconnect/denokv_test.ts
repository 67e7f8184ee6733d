import { erasureContract } from "../actors/erasure/erasure_contract.ts";
import { systemContract } from "../actors/system_contract.ts";
import { DENOKV } from "./denokv.ts";
import { DENOKV_KIND, TIMES } from "./kinds.ts";

if (DENOKV !== undefined) {
  systemContract(DENOKV_KIND, 0.05 * TIMES);
  erasureContract(DENOKV_KIND, 0.1 * TIMES);
}
