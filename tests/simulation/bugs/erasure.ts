/** Bugs in erasing somebody. */
import type { Bug } from "../product.ts";

/** Bugs in erasing somebody. */
export const ERASURE_BUGS: readonly Bug[] = [
  {
    name: "entries are rewritten without a check",
    rule: "Erasure: entries are rewritten with checks",
    patches: [{
      file: "actors/erasure/execute.ts",
      find: "const operations = createOperations(write, { ...limits, writeBytes: limits.erasedBytes });",
      replace:
        "const operations = createOperations(async (writes) => void await store.commit({ checks: [], ...writes }), { ...limits, writeBytes: limits.erasedBytes });",
    }],
  },
  {
    name: "entries are rewritten with a check of something else",
    rule: "Erasure: under the lease, or two who erase get in each other's way",
    patches: [{
      file: "actors/erasure/execute.ts",
      find: "const operations = createOperations(write, { ...limits, writeBytes: limits.erasedBytes });",
      replace: `const operations = createOperations(async (writes) => {
    const [key] = writes.sets[0]!;
    const { stamp } = await store.get(key);
    await store.commit({ checks: [{ key, stamp }], ...writes });
  }, { ...limits, writeBytes: limits.erasedBytes });`,
    }],
  },
  {
    name: "a half erasure is not taken up again",
    rule: "Erasure: what was begun is finished, by whomever",
    patches: [{
      file: "actors/erasure/execute.ts",
      find: "if (request === null || target !== null || position < request.upTo) return false;",
      replace:
        "if (request === null || target !== null || position < request.upTo || request.plan !== undefined) return false;",
    }],
  },
  {
    name: "a plan is made anew for the second half",
    rule: "Erasure: the plan is stored before anything changes, as its logs are going to go",
    patches: [{
      file: "actors/erasure/execute.ts",
      find: "if (request.plan === undefined) {\n    request =",
      replace: "{\n    request =",
    }],
  },
  {
    name: "somebody is erased before their events are settled",
    rule: "Erasure: after settling past it",
    patches: [{
      file: "actors/erasure/execute.ts",
      find: "|| position < request.upTo) return false;",
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
      find: "  await deleteParts(place, partsOf(place, request, plan));\n",
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
    name: "an erasure does not wait for those who commit",
    rule:
      "Erasure: every lane was written after the request by a process that knows the suppression, or was evicted",
    patches: [{
      file: "actors/erasure/execute.ts",
      find: "    if (!await options.allKnow(fence, options, no)) return false;\n",
      replace: "",
    }],
  },
  {
    name: "who was judged before a suppression is not judged again",
    rule: "Erasure: a process that knows a suppression commits nothing that was judged without it",
    patches: [{
      file: "actors/appending/attempt.ts",
      find: "    await judgeAgain(group);\n",
      replace: "",
    }],
  },
];
