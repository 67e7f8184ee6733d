import { systemContract } from "../actors/system_contract.ts";
import { faultyKind, TIMES } from "./kinds.ts";

systemContract(faultyKind(0), 0.05 * TIMES);
systemContract(faultyKind(1), 0.05 * TIMES);
