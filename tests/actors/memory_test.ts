import { MEMORY } from "./stores.ts";
import { systemContract } from "./system_contract.ts";

systemContract(MEMORY);
