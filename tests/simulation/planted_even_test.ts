import { huntHalf } from "./planted_hunts.ts";

huntHalf("even");
