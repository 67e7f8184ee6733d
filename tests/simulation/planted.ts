/**
 * Bugs that are planted to see that the simulation finds them: one for each rule of the design, and more. Each is a patch
 * of a copy of the source; the product has no such switch.
 */
import type { Patch } from "./product.ts";

/** A planted bug. */
export interface Bug {
  name: string;
  /** The rule of the design, or of a decision record, that it breaks. */
  rule: string;
  patches: Patch[];
}

/** All planted bugs. */
export const BUGS: readonly Bug[] = [
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
    name: "the tail is trimmed before the run is known",
    rule: "Tail and runs: list, filters and tail change in one step",
    patches: [{
      file: "actors/journal/journal_state.ts",
      find: "    const loaded = await loadFilters(store, target.runs, { loaded: filters, limits });",
      replace:
        "    tail.trim(seqOf(target));\n    const loaded = await loadFilters(store, target.runs, { loaded: filters, limits });",
    }],
  },
  {
    name: "a missing part of a run means unseen",
    rule: "Tail and runs: a part that is missing means that the list is out of date",
    patches: [{
      file: "actors/journal/dedup_index.ts",
      find: "if (value === null) return undefined;",
      replace: "if (value === null) continue;",
    }],
  },
  {
    name: "a filter that is not loaded means no",
    rule: "Tail and runs: a filter that is not loaded means maybe",
    patches: [
      {
        file: "actors/journal/dedup_index.ts",
        find: "if (filter !== undefined && !mayHold(",
        replace: "if (filter === undefined || !mayHold(",
      },
    ],
  },
  {
    name: "runs are deleted before the list says so",
    rule: "Clean-up: only once the key has changed and does not name them",
    patches: [{
      file: "actors/settling/settler.ts",
      find: "  const rest = runs.filter((run) => !due.includes(run));",
      replace:
        "  for (const run of due) await deleteAll(lease, run, limits);\n  const rest = runs.filter((run) => !due.includes(run));",
    }],
  },
  {
    name: "what was cut off of the seen index is left",
    rule: "Clean-up: what a run that is on no list has left is deleted",
    patches: [{
      file: "actors/settling/settler.ts",
      find: "  if (!working.isSwept) await sweep(working, lease);\n",
      replace: "",
    }],
  },
  {
    name: "what a list from before the merge does not name is deleted",
    rule: "Clean-up: what the list names is never deleted",
    patches: [{
      file: "actors/settling/settler.ts",
      find: "rangesBeside(lease.value().runs)",
      replace: "rangesBeside(lease.value().runs.slice(0, -1))",
    }],
  },
  {
    name: "readers fold to the head that they know",
    rule: "Readers: read the keys, then the head, and extend the tail to it",
    patches: [{
      file: "actors/reading/consistent_read.ts",
      find: "      const extend = async (): Promise<View> => {\n        await journal.sync();",
      replace: "      const extend = async (): Promise<View> => {",
    }],
  },
  {
    name: "readers share a look at the head that began before them",
    rule: "Readers: what was answered before is seen",
    patches: [{
      file: "actors/journal/journal_state.ts",
      find: "      return queued ??= running.catch",
      replace: "      if (running !== undefined) return running;\n      return queued ??= running!.catch",
    }],
  },
  {
    name: "a view goes on over a tail that was begun anew",
    rule: "Readers: begin again if the tail is no longer contiguous",
    patches: [{
      file: "actors/reading/consistent_read.ts",
      find: "if (journal.epoch() !== epoch) throw new Outdated();",
      replace: "",
    }],
  },
  {
    name: "a view has a hole where the tail was trimmed",
    rule: "Readers: begin again if the tail is no longer contiguous",
    patches: [{
      file: "actors/reading/consistent_read.ts",
      find: "if (!isContiguous(pin)) throw new Outdated();",
      replace: "",
    }],
  },
  {
    name: "actors that are newer than the view are folded as they are",
    rule: "Readers: fold every actor to exactly that head",
    patches: [{
      file: "actors/reading/consistent_read.ts",
      find: "if ((loaded.head?.position ?? BEGINNING) > view.head) throw new Outdated();",
      replace: "",
    }],
  },
  {
    name: "events are folded again whatever was folded",
    rule: "Readers: value, and the tail's events after its position",
    patches: [{
      file: "actors/reading/consistent_read.ts",
      find: "const after = later(loaded.head?.position ?? BEGINNING, view.settled);",
      replace: "const after = BEGINNING;",
    }],
  },
  {
    name: "the tail is trimmed by one segment too many",
    rule: "Trimming: what is not settled stays",
    patches: [{
      file: "actors/journal/tail.ts",
      find: "segments.filter((segment) => segment.to > settled || segment.events === 0)",
      replace: "segments.filter((segment) => segment.from > settled || segment.events === 0)",
    }, {
      file: "actors/journal/tail.ts",
      find: "if (segments[0]!.to > settled || segments[0]!.events === 0) return;",
      replace: "if (segments[0]!.events === 0) return;",
    }],
  },
  {
    name: "recovery begins at the head",
    rule: "Accepting: at start a process reads settled and the journal after it",
    patches: [{
      file: "actors/journal/journal_state.ts",
      find: "    if (far) await adoptNewest();",
      replace:
        "    if (head.stamp === null && newest !== null) tail = createTail(newest.seq);\n    if (far) await adoptNewest();",
    }],
  },
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
    name: "a member whose rows stand counts as new in a replay",
    rule: "Decision 0009: a replay reads no member that it has not written",
    patches: [{
      file: "actors/replay/replay_all.ts",
      find: "members.size < limits.rememberedActors && members.size < members.add(member).size,",
      replace: "member !== undefined,",
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
      find: "  await options.clock.sleep(GRACE_MS);\n",
      replace: "",
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
    name: "settled moves without the seen run",
    rule: "Settling: add the seen run and advance settled",
    patches: [{
      file: "actors/settling/settler.ts",
      find: "runs: made === undefined ? kept : [...kept, made.run],",
      replace: "runs: kept,",
    }],
  },
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
    name: "a switch whose answer was lost is done again",
    rule: "Only ok:true is success, otherwise read what is there (the simulation found it)",
    patches: [{
      file: "actors/replay/replay_all.ts",
      find: "    if (settled.generation === rebuilding.generation) return settled.events;\n",
      replace: "",
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
  {
    name: "chunks are rewritten without a check",
    rule: "Erasure: chunks are rewritten with checks",
    patches: [{
      file: "actors/erasure/execute.ts",
      find: "if (sets.length > 0) await write({ sets, deletes: [] });",
      replace: "if (sets.length > 0) await store.commit({ checks: [], sets });",
    }],
  },
  {
    name: "chunks are rewritten with a check of something else",
    rule: "Erasure: under the fence, or two who erase get in each other's way",
    patches: [{
      file: "actors/erasure/execute.ts",
      find: "if (sets.length > 0) await write({ sets, deletes: [] });",
      replace: `for (const set of sets) {
      const { stamp } = await store.get(set[0]);
      await store.commit({ checks: [{ key: set[0], stamp }], sets: [set] });
    }`,
    }],
  },
  {
    name: "a half erasure is not taken up again",
    rule: "Erasure: what was begun is finished, by whomever",
    patches: [{
      file: "actors/erasure/execute.ts",
      find: "if (wish === null || target !== null || position < wish.upTo) return false;",
      replace:
        "if (wish === null || target !== null || position < wish.upTo || wish.plan !== undefined) return false;",
    }],
  },
  {
    name: "a plan is made anew for the second half",
    rule: "Erasure: the plan is stored before anything changes, as its logs are going to go",
    patches: [{
      file: "actors/erasure/execute.ts",
      find: "if (wish.plan === undefined) wish =",
      replace: "wish =",
    }],
  },
  {
    name: "somebody is erased before their events are settled",
    rule: "Erasure: after settling past it",
    patches: [{
      file: "actors/erasure/execute.ts",
      find: "|| position < wish.upTo) return false;",
      replace: ") return false;",
    }],
  },
  {
    name: "states are folded again from chunks as they were",
    rule: "Erasure: folds ignore the person's earlier positions",
    patches: [{
      file: "actors/erasure/execute.ts",
      find: "  events.forget();\n",
      replace: "",
    }],
  },
  {
    name: "the pieces of a state go before its value",
    rule: "Erasure: a half erasure can be read, and finished (the simulation found it)",
    patches: [{
      file: "actors/erasure/erase_actor.ts",
      find: "if (version === 0) return",
      replace:
        "if (version === 0) for (const each of loaded.pieces) await place.write({ sets: [], deletes: [each] });\n  if (version === 0) return",
    }],
  },
  {
    name: "parts of who is erased stay",
    rule: "Erasure: what a user owned of anonymous ids goes too",
    patches: [{
      file: "actors/erasure/execute.ts",
      find: "  await deleteParts(place, partsOf(place, wish, plan));\n",
      replace: "",
    }],
  },
  {
    name: "a replay under way is put to use after an erasure",
    rule: "Erasure: what a replay has read of before is never put to use",
    patches: [{
      file: "actors/erasure/execute.ts",
      find: "    await stopRebuilds(fence, options);\n",
      replace: "",
    }],
  },
  {
    name: "inflated chunks are kept after an erasure",
    rule: "Erasure: in all processes, whatever they hold in memory",
    patches: [{
      file: "actors/journal/journal_state.ts",
      find: "      events.forget();\n",
      replace: "",
    }],
  },
  {
    name: "a thread that died has no successor",
    rule: "Decision 0008: where the thread ends by a fault, settling goes on in the server's",
    patches: [{
      file: "actors/settling/settler_thread.ts",
      find: /(lineno}`\);\n) +settleHere\(\);/,
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

/** The planted bug of a name. Throws where there is none. */
export function bugNamed(name: string): Bug {
  const bug = BUGS.find((bug) => bug.name === name);
  if (bug === undefined) throw new RangeError(`no bug is called ${JSON.stringify(name)}`);
  return bug;
}
