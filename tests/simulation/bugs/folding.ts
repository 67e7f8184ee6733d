/** Bugs in what a round makes of actors: folds, logs, members and links. */
import type { Bug } from "../product.ts";

/** Bugs in what a round makes of actors: folds, logs, members and links. */
export const FOLDING_BUGS: readonly Bug[] = [
  {
    name: "members are written after the state that they derive from",
    rule: "Decision 0002: rows that derive from a state are written before it",
    patches: [
      {
        file: "actors/settling/actor_update.ts",
        find: "    await applyMembers(store, generation, { changes, write, limits, isNewMember });\n",
        replace: "",
      },
      {
        file: "actors/settling/actor_update.ts",
        find: "    await operations.add(unit);\n  }\n  await operations.flush();\n",
        replace:
          "    await operations.add(unit);\n  }\n  await operations.flush();\n  if (changes.length > 0) await applyMembers(place.store, place.generation, { changes, write: place.write, limits: place.limits, isNewMember: place.isNewMember });\n",
      },
    ],
  },
  {
    name: "state and log move one after the other",
    rule: "Links: state, links, position and log move in one operation",
    patches: [{
      file: "actors/settling/actor_update.ts",
      find: "    const all = joined([...unit.ahead, unit]);",
      replace:
        "    await operations.add(unit);\n    await operations.flush();\n    const all = joined(unit.ahead);",
    }],
  },
  {
    name: "a link inside a run is taken for a new one",
    rule: "Links: a link to another user inside a run folds the log again",
    patches: [{
      file: "domain/profile/anonymous.ts",
      find:
        "if (run === undefined || inside || (run.newest !== null && precedes(mark, run.newest))) return false;",
      replace: "if (run === undefined) return false;",
    }],
  },
  {
    name: "a late event goes to the open part of a log",
    rule: "Decision 0003: a late event goes to the page of its time",
    patches: [{
      file: "actors/settling/actor_log.ts",
      find: "const late = from === null ? [] : added.filter((entry) => before(entry, from));",
      replace: "const late: LogEntry[] = [];",
    }],
  },
  {
    name: "a link is not in the anonymous id's log",
    rule: "Actors and identity: a link is also put in the anonymous id's log",
    patches: [{
      file: "domain/profile/fact.ts",
      find: "    if (linked !== undefined) names.push(`anonymous/${linked}`);\n",
      replace: "",
    }],
  },
  {
    name: "the earlier of two traits wins",
    rule: "Folds are joins: the later timestamp wins",
    patches: [{
      file: "domain/profile/register.ts",
      find: "return at > than[1] ||",
      replace: "return at < than[1] ||",
    }],
  },
];
