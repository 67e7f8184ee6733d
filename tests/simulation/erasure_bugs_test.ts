import { ERASURE_BUGS } from "./bugs/erasure.ts";
import { testBugs } from "./test_bugs.ts";

testBugs(ERASURE_BUGS);
