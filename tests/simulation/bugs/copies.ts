/** Bugs in which events with one message id count, and who says so. */
import type { Bug } from "../product.ts";

const APPENDER = "actors/appending/appender.ts";
const ATTEMPT = "actors/appending/attempt.ts";

/** Bugs in which events with one message id count, and who says so. */
export const COPY_BUGS: readonly Bug[] = [
  {
    name: "a commit in company is answered without reading",
    rule: "Hazard: one message id committed by three processes at once",
    patches: [{
      file: ATTEMPT,
      find: "        await readTo(group, endOf(stamp));\n",
      replace: "",
    }],
  },
  {
    name: "a commit in company says that it was made alone",
    rule: "A commit made while alone has no copies, and its header says so",
    patches: [{
      file: ATTEMPT,
      find: "known: alone === undefined ? end : undefined,",
      replace: "known: undefined,",
    }],
  },
  {
    name: "ids that came during a look-up count as unknown",
    rule: "A header says up to where its process knew all ids",
    patches: [{
      file: "actors/appending/known_ids.ts",
      find: "if (known.isKnown[at] === 0 && journal.has(digests, at)) mark(at);",
      replace: "if (known.isKnown[at] === 2) mark(at);",
    }],
  },
  {
    name: "ids of a commit under way are not waited for",
    rule: "A request with an id that is under way in another slot waits for that slot",
    patches: [{
      file: "actors/appending/waiting.ts",
      find: "if (journal.underWay() > 0 && isHeld(request)) {",
      replace: "if (journal.underWay() < 0 && isHeld(request)) {",
    }],
  },
  {
    name: "a request is written by halves",
    rule: "Accepting: a request is never split",
    patches: [{
      file: "actors/appending/commit_group.ts",
      find: "else if (isKnown[at] === 0) {",
      replace: "else if (isKnown[at] === 0 && (index < 2 || kept.length < 3)) {",
    }],
  },
  {
    name: "a commit goes to the tail before an earlier one",
    rule: "Reading: a range of the journal has no holes that fill up later",
    patches: [{
      file: "actors/journal/tickets.ts",
      find: "if (done!.waitsFor.size === 0 && done!.end > end) end = done!.end;",
      replace: "if (done!.end > end) end = done!.end;",
    }],
  },
  {
    name: "who waits for nobody waits for ever",
    rule: "Hazard: a quiet end in which everything must make progress (the simulation found it)",
    patches: [{
      file: APPENDER,
      find: "if (waiting.count() > 0) await wait(Infinity);",
      replace: "await wait(Infinity);",
    }],
  },
  {
    name: "copies are not marked",
    rule: "In the round that decides it the settler blanks a copy",
    patches: [{
      file: "actors/settling/settler.ts",
      find: "  await blank(working, interruptible, gathered);\n",
      replace: "",
    }],
  },
  {
    name: "a marked copy keeps its body",
    rule: "Hazard: an erasure of each of two copies",
    patches: [{
      file: "actors/journal/read_journal.ts",
      find: 'return "gone" in change ? ERASED_LINE : lineWithout(line, change.without);',
      replace:
        'return "gone" in change ? (change.gone === 128 ? line : ERASED_LINE) : lineWithout(line, change.without);',
    }],
  },
  {
    name: "copies of what is settled count",
    rule: "The settler decides with the dedup index",
    patches: [{
      file: "actors/journal/copies.ts",
      find: "runs: header.known < known.after ? runs.filter(({ end }) => end > header.known!) : [],",
      replace: "runs: [],",
    }],
  },
  {
    name: "an erased first copy holds its place no more",
    rule: "Hazard: one of several copies is erased later",
    patches: [{
      file: "actors/journal/header.ts",
      find: "    { ...made, isThin: header.isThin || made.isThin },\n    header.digests,",
      replace:
        "    { ...made, isThin: header.isThin || made.isThin },\n    header.digests.map((word, i) => made.flags[Math.floor(i / 4)]! & FLAGS.erased ? 0 : word),",
    }],
  },
  {
    name: "readers see copies",
    rule: "Readers of the tail decide by the same rule as the settler",
    patches: [{
      file: "actors/journal/tail.ts",
      find: "if (each === undefined || copies?.[index] === 1) continue;",
      replace: "if (each === undefined) continue;",
    }],
  },
  {
    name: "the settler counts copies",
    rule: "The first of all copies counts, the others count for nobody",
    patches: [{
      file: "actors/settling/read_round.ts",
      find: "|| copies?.[index] === 1;",
      replace: "|| copies?.[index] === 2;",
    }],
  },
  {
    name: "a process does not read the settler's verdict of its own entry",
    rule: "Hazard: the settler passing an entry before its own process has answered",
    patches: [{
      file: "actors/journal/journal_state.ts",
      find: "      return markedIn(entry!.header);\n",
      replace: "      return entry && undefined;\n",
    }],
  },
  {
    name: "copies are exported",
    rule: "Reading: export sees only what counts",
    patches: [{
      file: "actors/journal/export.ts",
      find: "!counts(header, index, copies)",
      replace: "!counts(header, index)",
    }],
  },
  {
    name: "the settler takes ids for out of the window by its own clock",
    rule: "Hazard: a dedup window that ends between two copies; only the list of runs says what is within",
    patches: [{
      file: "actors/settling/settler.ts",
      find: "const wanted = runs.filter(({ end }) => end > known);",
      replace:
        "const { windowMs, clock } = working;\n  const wanted = runs.filter(({ end, at }) => end > known && (windowMs === 0 || clock.now() - at <= windowMs));",
    }],
  },
];
