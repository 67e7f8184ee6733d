import { REPLAY_BUGS } from "./bugs/replay.ts";
import { testBugs } from "./test_bugs.ts";

testBugs(REPLAY_BUGS);
