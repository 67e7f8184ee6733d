import { DEDUP_BUGS } from "./bugs/dedup.ts";
import { testBugs } from "./test_bugs.ts";

testBugs(DEDUP_BUGS);
