/** Runs a definition over events: rules in this thread, code in a sandbox. */
import { type Case, judgeCase, wholeEvent } from "../../domain/transformation/case.ts";
import type { Definition } from "../../domain/transformation/definition.ts";
import type { Outcome } from "../../domain/transformation/outcome.ts";
import { compileRules } from "../../domain/transformation/run_rules.ts";
import type { JsonObject } from "../../domain/event/json.ts";
import { type Input, linesOfInput, outcomeOfLine } from "./lines.ts";
import type { SandboxCode } from "./engine_thread.ts";
import type { Loaded, Sandbox } from "./sandbox.ts";

/** A definition that can run. */
export interface Runnable {
  /** Runs events; gives an outcome for each, in their order. */
  run(inputs: readonly Input[]): Promise<Outcome[]>;
  /** Whether it needs the person of its events, or what is wrong with its code. */
  load(): Promise<Loaded>;
}

/** The events of a run go to the sandbox in parts, so that one large run does not hold up the others. */
const EVENTS_AT_ONCE = 100;

/** Makes a definition ready to run. `key` tells versions and drafts apart; `version` seeds chance. */
export function runnableOf(
  definition: Definition,
  { key, version, sandbox }: { key: string; version: string; sandbox: Sandbox },
): Runnable {
  let loaded: Promise<Loaded> | undefined;
  if (definition.kind === "rules") {
    const run = compileRules(definition.rules);
    return {
      run: (inputs) =>
        Promise.resolve(inputs.map(({ event }) => {
          const result = run(event);
          return { results: result === null ? [] : [result] };
        })),
      load: () => Promise.resolve({ usesPerson: false }),
    };
  }
  const code: SandboxCode = { key, version, code: definition.code, params: definition.params ?? {} };
  return {
    async run(inputs) {
      const outcomes: Outcome[] = [];
      for (let from = 0; from < inputs.length; from += EVENTS_AT_ONCE) {
        const some = inputs.slice(from, from + EVENTS_AT_ONCE);
        const outputs = await sandbox.run(code, linesOfInput(some));
        outcomes.push(...some.map((input, index) => outcomeOfLine(input, outputs[index]!)));
      }
      return outcomes;
    },
    load: () =>
      loaded ??= sandbox.load(code).then((found) => {
        // A thread that failed may not fail again.
        if ("problem" in found) loaded = undefined;
        return found;
      }),
  };
}

/** A profile as a test or a try gives it, with the members on which code relies. */
export function wholePerson(given: JsonObject | undefined): JsonObject {
  return { traits: {}, groups: [], ...given };
}

/** A test that failed. */
export interface FailedCase {
  /** Its place among the tests. */
  index: number;
  name: string;
  message: string;
}

/** Runs the tests of a definition; gives those that failed. */
export async function failedCases(runnable: Runnable, tests: readonly Case[]): Promise<FailedCase[]> {
  const inputs = tests.map(({ event, person }) => ({
    event: wholeEvent(event),
    person: wholePerson(person as JsonObject | undefined),
  }));
  const outcomes = await runnable.run(inputs);
  return tests.flatMap((test, index) => {
    const message = judgeCase(test, outcomes[index]!);
    return message === undefined ? [] : [{ index, name: test.name, message }];
  });
}
