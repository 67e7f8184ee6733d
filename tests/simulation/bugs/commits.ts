/** Bugs in committing events, and in acknowledging them. */
import type { Bug } from "../product.ts";

/** Bugs in committing events, and in acknowledging them. */
export const COMMIT_BUGS: readonly Bug[] = [
  {
    name: "no check of the head",
    rule: "Accepting: every commit checks the head",
    patches: [{
      file: "actors/journal/appender.ts",
      find: "checks: [{ key: HEAD, stamp: base.stamp }]",
      replace: "checks: []",
    }],
  },
  {
    name: "ok:false is trusted",
    rule: "Accepting: only ok:true is success, otherwise the journal decides",
    patches: [
      {
        file: "actors/journal/appender.ts",
        find: "    for (let tries = 0;; tries++) {",
        replace: "    let before: Known | undefined;\n    for (let tries = 0;; tries++) {",
      },
      {
        file: "actors/journal/appender.ts",
        find: "const known = await knownIds(digests, deadlineMs);",
        replace: "const known = before ??= await knownIds(digests, deadlineMs);",
      },
    ],
  },
  {
    name: "acknowledged per commit",
    rule: "Acknowledge: per message id that is known to be in the journal",
    patches: [{
      file: "actors/journal/appender.ts",
      find: "      if (tries > 0) await clock.sleep(",
      replace:
        "      if (journal.head().seq > base.seq) return answer(group, digests, { fresh, known });\n      if (tries > 0) await clock.sleep(",
    }],
  },
  {
    name: "acknowledged at the deadline",
    rule: "Accepting: after 10 s nothing is acknowledged",
    patches: [{
      file: "actors/journal/appender.ts",
      find: "const stamp = await withDeadline(write, deadlineMs);",
      replace: 'const stamp = await withDeadline(write, deadlineMs).catch(() => "late");',
    }],
  },
  {
    name: "a request is split over commits",
    rule: "Accepting: a request is never split",
    patches: [{
      file: "actors/journal/appender.ts",
      find: "  async function commitGroup(group: Request[]): Promise<void> {",
      replace: `  async function commitGroup(group: Request[]): Promise<void> {
    for (const request of group) {
      if (request.events.length < 2) continue;
      const half = { ...request, resolve() {}, reject() {} };
      half.events = request.events.slice(0, 1);
      half.lines = request.lines.slice(0, 1);
      half.digests = request.digests.slice(0, 32);
      await commitGroup([half]);
    }`,
    }],
  },
  {
    name: "a newer head is checked than ids were looked up for",
    rule: "One view: look-ups use one captured view, and the commit checks that one",
    patches: [
      {
        file: "actors/journal/appender.ts",
        find: "|| journal.head().stamp !== base.stamp) continue;",
        replace: ") continue;",
      },
      {
        file: "actors/journal/appender.ts",
        find: "      const base = journal.head();\n",
        replace: "      let base = journal.head();\n",
      },
      {
        file: "actors/journal/appender.ts",
        find: "      const commit = newId();\n",
        replace: "      const commit = newId();\n      base = journal.head();\n",
      },
    ],
  },
  {
    name: "times of commits follow the clock back",
    rule: "Window of dedup: by journal time, which never goes back",
    patches: [{
      file: "actors/journal/appender.ts",
      find: "at: Math.max(clock.now(), base.at)",
      replace: "at: clock.now()",
    }],
  },
  {
    name: "recovery begins at the head",
    rule: "Accepting: at start a process reads settled and the journal after it",
    patches: [{
      file: "actors/journal/journal_state.ts",
      find: "    if (far) await adoptNewest();",
      replace:
        "    if (head.stamp === null && newest !== null) tail = createTail(newest.seq, limits);\n    if (far) await adoptNewest();",
    }],
  },
  {
    name: "the pause after a slow commit is as long as it",
    rule: "Accepting: answered or refused within 10 s (the simulation found it)",
    patches: [{
      file: "actors/journal/appender.ts",
      find: "sleep(Math.min(pauseMs, PAUSE_MS))",
      replace: "sleep(pauseMs)",
    }],
  },
  {
    name: "ids are looked up without a deadline",
    rule: "Accepting: answered or refused within 10 s (the simulation found it)",
    patches: [{
      file: "actors/journal/appender.ts",
      find: "await withDeadline(lookUp(store, digests, probes), deadlineMs);",
      replace: "await lookUp(store, digests, probes);",
    }],
  },
];
