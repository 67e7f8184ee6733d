import { erasureContract } from "../actors/erasure/erasure_contract.ts";
import { systemContract } from "../actors/system_contract.ts";
import { testWhere } from "../needs.ts";
import { missingDenokv } from "./denokv.ts";
import { DENOKV_KIND, TIMES } from "./kinds.ts";

if (missingDenokv === undefined) {
  systemContract(DENOKV_KIND, 0.05 * TIMES);
  erasureContract(DENOKV_KIND, 0.1 * TIMES);
} else {
  testWhere(missingDenokv, { name: "the contract of stores holds over denokv", fn() {} });
}
