import { FOLDING_BUGS } from "./bugs/folding.ts";
import { testBugs } from "./test_bugs.ts";

testBugs(FOLDING_BUGS);
