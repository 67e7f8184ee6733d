/**
 * Bugs that are planted to see that the simulation finds them: one for each rule of the design, and more. Each is a patch
 * of a copy of the source; the product has no such switch. They stand in `bugs/`, by what they are about.
 */
import { COPY_BUGS } from "./bugs/copies.ts";
import { DEDUP_BUGS } from "./bugs/dedup.ts";
import { ERASURE_BUGS } from "./bugs/erasure.ts";
import { FOLDING_BUGS } from "./bugs/folding.ts";
import { LANE_BUGS } from "./bugs/lanes.ts";
import { READING_BUGS } from "./bugs/reading.ts";
import { REPLAY_BUGS } from "./bugs/replay.ts";
import { SETTLING_BUGS } from "./bugs/settling.ts";
import type { Bug } from "./product.ts";

/** All planted bugs. */
export const BUGS: readonly Bug[] = [
  ...LANE_BUGS,
  ...COPY_BUGS,
  ...DEDUP_BUGS,
  ...READING_BUGS,
  ...SETTLING_BUGS,
  ...FOLDING_BUGS,
  ...REPLAY_BUGS,
  ...ERASURE_BUGS,
];

/** The planted bug of a name. Throws where there is none. */
export function bugNamed(name: string): Bug {
  const bug = BUGS.find((bug) => bug.name === name);
  if (bug === undefined) throw new RangeError(`no bug is called ${JSON.stringify(name)}`);
  return bug;
}
