import { LANE_BUGS } from "./bugs/lanes.ts";
import { testBugs } from "./test_bugs.ts";

testBugs(LANE_BUGS);
