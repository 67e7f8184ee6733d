/** Bugs in lanes, in what becomes of attempts, and in who is alone. */
import type { Bug } from "../product.ts";

const LANES = "actors/lanes/lanes.ts";
const MEMBERSHIP = "actors/lanes/membership.ts";

/** Bugs in lanes, in what becomes of attempts, and in who is alone. */
export const LANE_BUGS: readonly Bug[] = [
  {
    name: "no check of the lane",
    rule: "Hazard: applied twice in a row; applied a minute late, after the lane has moved",
    patches: [{
      file: LANES,
      find: "checks: [{ key: lane.key, stamp: lane.stamp }, ...write.checks],",
      replace: "checks: [...write.checks],",
    }],
  },
  {
    name: "ok:false is trusted",
    rule: "Hazard: ok:false though applied",
    patches: [{
      file: LANES,
      find: "    if (stamp !== null) return lane.stamp = stamp;\n  } catch",
      replace:
        "    if (stamp !== null) return lane.stamp = stamp;\n    lane.stamp = (await options.store.get(lane.key)).stamp ?? lane.stamp;\n    return undefined;\n  } catch",
    }],
  },
  {
    name: "an answer that was lost means not written",
    rule: "Hazard: an answer lost after applying",
    patches: [{
      file: LANES,
      find: "      if (there.value === attempt) return lane.stamp = there.stamp;\n",
      replace: "",
    }],
  },
  {
    name: "an eviction leaves the lanes",
    rule: "Hazard: a frozen process that wakes up after its eviction",
    patches: [{
      file: MEMBERSHIP,
      find: "stale.flatMap(({ id, lanes }) => [...lanes, heartbeatKey(id)]);",
      replace: "stale.flatMap(({ id }) => [heartbeatKey(id)]);",
    }],
  },
  {
    name: "who was evicted goes on in its lanes",
    rule: "Hazard: a frozen process that wakes up after its eviction",
    patches: [{
      file: LANES,
      find: '      if (there.stamp === null) throw new Evicted("another process has evicted this one");\n',
      replace:
        "      if (there.stamp === null) {\n        await store.commit({ checks: [{ key: lane.key, stamp: null }], sets: [[lane.key, newId()]] });\n        continue;\n      }\n",
    }],
  },
  {
    name: "alone without a check of the roster",
    rule: "Hazard: two processes that both believe to be alone",
    patches: [{
      file: MEMBERSHIP,
      find: "const checks = alone === undefined ? [] : [{ key: ROSTER, stamp: alone }];",
      replace: 'const checks: Write["checks"] = [];',
    }],
  },
  {
    name: "lanes are listed before the roster is read",
    rule: "Hazard: two processes that both believe to be alone",
    patches: [{
      file: MEMBERSHIP,
      find:
        "      const roster = await store.get(ROSTER);\n      const { others, stale } = await membersBeside(options, { me: me.id, heard });\n",
      replace:
        "      const { others, stale } = await membersBeside(options, { me: me.id, heard });\n      const roster = await store.get(ROSTER);\n",
    }],
  },
  {
    name: "a process is alone without a check of the roster that it has read",
    rule: "Hazard: two processes that both believe to be alone",
    patches: [{
      file: MEMBERSHIP,
      find: "return { checks: [{ key: ROSTER, stamp: roster }], sets: [[ROSTER, mark]], deletes };",
      replace: "return { checks: roster === mark ? [] : [], sets: [[ROSTER, mark]], deletes };",
    }],
  },
  {
    name: "a join does not change the roster",
    rule: "Hazard: a join in the middle of a commit",
    patches: [{
      file: MEMBERSHIP,
      find: "        [ROSTER, mark],\n        [heartbeatKey(id), beat],",
      replace: "        [heartbeatKey(id), beat],",
    }],
  },
  {
    name: "who becomes alone does not read on",
    rule: "Alone: everything in the journal is known",
    patches: [{
      file: MEMBERSHIP,
      find: "      await options.readOn();\n      if (member === me) me.alone = stamp;",
      replace: "      if (member === me) me.alone = stamp;",
    }],
  },
  {
    name: "a process that is alone trusts its memory",
    rule: "Reading: what was answered is seen by every later read in every process",
    patches: [{
      file: "actors/journal/journal_state.ts",
      find:
        "    membership.rosterIs(roster!.stamp);\n    if (roster!.stamp !== alone) return await readOn();\n",
      replace: "",
    }],
  },
  {
    name: "nobody takes a dead process for dead",
    rule: "Hazard: a quiet end in which everything must make progress",
    patches: [{
      file: MEMBERSHIP,
      find: "isStale: nowMs - heard.get(id)!.sinceMs >= limits.evictMs,",
      replace: "isStale: false && nowMs > limits.evictMs,",
    }],
  },
  {
    name: "an attempt is given up before its lane has moved",
    rule: "Hazard: applied a minute late, before the lane was bumped",
    patches: [{
      file: LANES,
      find:
        "      const stamp = await store.commit({\n        checks: [{ key: lane.key, stamp: lane.stamp }],\n        sets: [[lane.key, newId()]],\n      });\n      if (stamp !== null) return void (lane.stamp = stamp);\n",
      replace: "      return undefined;\n",
    }],
  },
  {
    name: "ids are let go before their lane has moved",
    rule: "Committing: ids stay held until the outcome is known, even if the requests were answered 503",
    patches: [{
      file: "actors/appending/appender.ts",
      find: "() => refuse(group.late()));",
      replace: "() => {\n      refuse(group.late());\n      journal.drop(group.ticket);\n    });",
    }],
  },
];
