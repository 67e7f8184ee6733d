import { COPY_BUGS } from "./bugs/copies.ts";
import { testBugs } from "./test_bugs.ts";

testBugs(COPY_BUGS);
