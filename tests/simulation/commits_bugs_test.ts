import { COMMIT_BUGS } from "./bugs/commits.ts";
import { testBugs } from "./test_bugs.ts";

testBugs(COMMIT_BUGS);
