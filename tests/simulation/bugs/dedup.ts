/** Bugs in what is known of message ids: the tail, and the runs of the dedup index. */
import type { Bug } from "../product.ts";

/** Bugs in what is known of message ids: the tail, and the runs of the dedup index. */
export const DEDUP_BUGS: readonly Bug[] = [
  {
    name: "the tail is trimmed before the run is known",
    rule: "Tail and runs: list, filters and tail change in one step",
    patches: [{
      file: "actors/journal/journal_state.ts",
      find: "    const loaded = await loadFilters(store, target.runs, { loaded: filters, limits });",
      replace:
        "    tail.trim(target.position);\n    const loaded = await loadFilters(store, target.runs, { loaded: filters, limits });",
    }],
  },
  {
    name: "a missing part of a run means unseen",
    rule: "Tail and runs: a part that is missing means that the list is out of date",
    patches: [{
      file: "actors/dedup/dedup_index.ts",
      find: "if (value === null) return undefined;",
      replace: "if (value === null) continue;",
    }],
  },
  {
    name: "a filter that is not loaded means no",
    rule: "Tail and runs: a filter that is not loaded means maybe",
    patches: [
      {
        file: "actors/dedup/dedup_index.ts",
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
    name: "what was cut off of the dedup index is left",
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
    name: "settled moves without the seen run",
    rule: "Settling: add the seen run and advance settled",
    patches: [{
      file: "actors/settling/settler.ts",
      find: "runs: made === undefined ? kept : [...kept, made.run],",
      replace: "runs: kept,",
    }],
  },
];
