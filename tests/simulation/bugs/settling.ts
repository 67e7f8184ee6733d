/** Bugs in settling: the lease, rounds, and who settles. */
import type { Bug } from "../product.ts";

/** Bugs in settling: the lease, rounds, and who settles. */
export const SETTLING_BUGS: readonly Bug[] = [
  {
    name: "where a scan ends, the actors after it count as new",
    rule: "Decision 0009: those after the last that a scan met are still to be read",
    patches: [{
      file: "actors/settling/round.ts",
      find: "left = density.isLow ? left.filter((index) => index > last) : [];",
      replace: "left = [];",
    }],
  },
  {
    name: "an actor key is deleted while serving",
    rule: "No key comes back: an actor key is never deleted while serving",
    patches: [{
      file: "actors/settling/actor_update.ts",
      find: "  if (!verify) {\n",
      replace: "  if (!verify) {\n    await place.write({ sets: [], deletes: [loaded!.key] });\n",
    }],
  },
  {
    name: "an older fold writes over a newer one",
    rule: "No key comes back: a newer fold version is never overwritten by an older one",
    patches: [{
      file: "actors/store/lease.ts",
      find: "  if (value.fold > foldVersion) return undefined;\n",
      replace: "",
    }],
  },
  {
    name: "settling without a check",
    rule: "Invariant 6: every write checks a key that it changes",
    patches: [{
      file: "actors/store/lease.ts",
      find: "checks: [{ key, stamp }, ...checks],",
      replace: "checks: [...checks],",
    }],
  },
  {
    name: "a lost fence is taken up again",
    rule: "Settling: of two settlers one fails at its next write, and stops",
    patches: [{
      file: "actors/store/lease.ts",
      find: 'if (there.stamp !== stamp) throw new LostFence("another process settles");',
      replace: "stamp = there.stamp;",
    }],
  },
  {
    name: "settling without position",
    rule: "Settling: fold those after its own position",
    patches: [{
      file: "actors/settling/actor_update.ts",
      find: "old === undefined ? facts : facts.filter((fact) => fact.place > old.position);",
      replace: "facts;",
    }],
  },
  {
    name: "settled moves before the actors are written",
    rule: "Settling: when all are done, add the seen run and advance settled",
    patches: [
      {
        file: "actors/settling/settler.ts",
        find: "  await settleRound(",
        replace: "  await finish(working, lease, gathered);\n  await settleRound(",
      },
      {
        file: "actors/settling/settler.ts",
        find: "  await finish(working, lease, gathered);\n  working.onSettled",
        replace: "  working.onSettled",
      },
    ],
  },
  {
    name: "a round that is taken over goes further",
    rule: "Decision 0002: a round has a fixed end",
    patches: [{
      file: "actors/settling/settler.ts",
      find: "const upTo = before.target ?? end;",
      replace: "const upTo = end;",
    }],
  },
  {
    name: "who has lost the fence reports faults",
    rule: "Settling: of two settlers one fails, and stops (the simulation found it)",
    patches: [{
      file: "actors/store/lease.ts",
      find:
        "    if (!(error instanceof LostFence || error instanceof StorageUnavailable)) await fence.write({});\n",
      replace: "",
    }],
  },
  {
    name: "a thread that died has no successor",
    rule: "Decision 0008: where the thread ends by a fault, settling goes on in the server's",
    patches: [{
      file: "actors/settling/settler_thread.ts",
      find: /(lineno}`,\n +\);\n) +settleHere\(\);/,
      replace: "$1",
    }],
  },
  {
    name: "the successor of a thread is not told that somebody waits",
    rule: "Decision 0008: who waits hurries the settler, wherever it is",
    patches: [{
      file: "actors/settling/settler_thread.ts",
      find: "if (here !== undefined) return here.hurry();",
      replace: "",
    }],
  },
  {
    name: "a thread is not told that somebody waits",
    rule: "Decision 0008: who waits hurries the settler, wherever it is",
    patches: [{
      file: "actors/settling/settler_thread.ts",
      find: 'hurried = true;\n      tell({ type: "hurry" });',
      replace: "hurried = true;",
    }],
  },
];
