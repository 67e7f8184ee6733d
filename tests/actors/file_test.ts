import { FILE } from "./stores.ts";
import { systemContract } from "./system_contract.ts";

systemContract(FILE, 0.4);
