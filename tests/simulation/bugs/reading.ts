/** Bugs in reading. */
import type { Bug } from "../product.ts";

/** Bugs in reading. */
export const READING_BUGS: readonly Bug[] = [
  {
    name: "readers fold to the head that they know",
    rule: "Readers: read the keys, then the head, and extend the tail to it",
    patches: [{
      file: "actors/reading/consistent_read.ts",
      find: "      await journal.sync();\n",
      replace: "",
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
];
