/** Bugs in replaying everything. */
import type { Bug } from "../product.ts";

/** Bugs in replaying everything. */
export const REPLAY_BUGS: readonly Bug[] = [
  {
    name: "a member whose rows stand counts as new in a replay",
    rule: "Decision 0009: a replay reads no member that it has not written",
    patches: [{
      file: "actors/replay/replay_all.ts",
      find: "members.size < limits.rememberedActors && members.size < members.add(member).size,",
      replace: "member !== undefined,",
    }],
  },
  {
    name: "a replay folds into the generation in use",
    rule: "No key comes back: a replay builds another generation",
    patches: [{
      file: "actors/replay/replay_all.ts",
      find: "Math.max(live.generation, abandoned) + 1;",
      replace: "live.generation;",
    }],
  },
  {
    name: "a replay switches before it has folded everything",
    rule: "No key comes back: another generation with its own settled, switched in one operation",
    patches: [{
      file: "actors/replay/replay_all.ts",
      find: "      await rebuilding.advance(position);\n",
      replace: "",
    }],
  },
  {
    name: "the old generation is deleted at once",
    rule: "Readers: an old generation stays until they have begun anew",
    patches: [{
      file: "actors/replay/replay_all.ts",
      find: "  await releasing(rebuilding, options.clock.sleep(GRACE_MS));\n",
      replace: "",
    }],
  },
  {
    name: "a switch whose answer was lost is done again",
    rule: "Only ok:true is success, otherwise read what is there (the simulation found it)",
    patches: [{
      file: "actors/replay/replay_all.ts",
      find: "    if (settled.generation === rebuilding.generation) return settled.events;\n",
      replace: "",
    }],
  },
];
