import { SETTLING_BUGS } from "./bugs/settling.ts";
import { testBugs } from "./test_bugs.ts";

testBugs(SETTLING_BUGS);
