import { READING_BUGS } from "./bugs/reading.ts";
import { testBugs } from "./test_bugs.ts";

testBugs(READING_BUGS);
