import { erasureContract } from "../actors/erasure/erasure_contract.ts";
import { systemContract } from "../actors/system_contract.ts";
import { faultyKind, TIMES } from "./kinds.ts";

for (const percent of [0, 1]) {
  systemContract(faultyKind(percent), 0.05 * TIMES);
  erasureContract(faultyKind(percent), 0.1 * TIMES);
}
