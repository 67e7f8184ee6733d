/**
 * Runs the code of a transformation in QuickJS, compiled to WebAssembly. An engine holds one version in one instance of
 * WebAssembly, whose memory is given back with it.
 *
 * How it works: events go in as lines of JSON, many in one call, and results come out the same way (`prelude.js`). Limits
 * are steps and bytes. A verdict that depends on them is only believed of an event that ran alone in a new instance, so
 * that neither the other events of a batch nor what ran before have a part in it.
 */
import {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSContext,
  type QuickJSHandle,
  type QuickJSRuntime,
} from "quickjs-emscripten-core";
import variant from "@jitl/quickjs-singlefile-mjs-release-sync";
import type { Clock } from "../store/clock.ts";
import prelude from "./prelude.js" with { type: "text" };

/** QuickJS counts calls and turns of loops, and asks after so many of them. */
export const STEPS_PER_INTERRUPT = 10_000;

/** Bounds of one engine. */
export const ENGINE_LIMITS = {
  /** Steps of one call, in interrupts: far more than an event needs, and some 100 ms on a machine of 2020. */
  interrupts: 200,
  /** Bytes of the heap: the contract's bound. */
  heapBytes: 32 * 1024 * 1024,
  /** Bytes of the stack of QuickJS, which is a part of that of WebAssembly. */
  stackBytes: 256 * 1024,
  /** Events in one call of QuickJS. */
  batch: 100,
  /**
   * The last resort against steps that are slow themselves (comparisons of huge texts). Other code is stopped by its steps
   * long before, on a machine a hundred times slower, too.
   */
  patienceMs: 10_000,
};
export type EngineLimits = typeof ENGINE_LIMITS;

/** Bytes of a page of WebAssembly; pages with which the variant begins; and bytes of its own data and stack. */
const PAGE_BYTES = 64 * 1024;
const FIRST_PAGES = 256;
const OWN_BYTES = 2 * 1024 * 1024;

/** What an engine is given. Tests take smaller bounds. */
export interface EngineOptions extends Partial<EngineLimits> {
  clock: Pick<Clock, "monotonic">;
}

/** What an engine runs. */
export interface EngineCode {
  /** The module that `readProgram` made. */
  source: string;
  /** Names the version: it seeds `Math.random`. */
  version: string;
  params: Record<string, unknown>;
}

/** A line of output: `=` and the result as JSON, or `!` and the failure; after a tab the logs. */
export type OutputLine = string;

/** An instance of WebAssembly with the code in it. */
interface Instance {
  runtime: QuickJSRuntime;
  context: QuickJSContext;
  driver: Record<"batch" | "begin" | "outcome", QuickJSHandle>;
  /** Interrupts of the call at hand, and how many it may have. */
  interrupts: number;
  allowed: number;
  /** When it began, by `now`, and whether it has run out of patience. */
  beganMs: number;
  isLate: boolean;
  /** Whether it has run anything. */
  isUsed: boolean;
  now(): number;
}

/** The call took more than its steps or bytes, or the host failed: nothing of it is believed. */
class Overrun extends Error {
  override name = "Overrun";
  /** Whether it ran out of patience. */
  isLate = false;
}

/** The code cannot be loaded. */
export class BadCode extends Error {
  override name = "BadCode";
  constructor(message: string, readonly line: number | undefined) {
    super(message);
  }
}

/** An engine. */
export type Engine = Awaited<ReturnType<typeof createEngine>>;

/** Creates an engine. Throws {@link BadCode} if QuickJS cannot read the code. */
export async function createEngine(code: EngineCode, { clock, ...options }: EngineOptions) {
  const limits = { ...ENGINE_LIMITS, ...options };
  let instance: Instance | undefined = await createInstance(code, limits, clock);
  /** Code that uses promises runs one event at a time: jobs that one leaves behind must not run during the next. */
  let alone = false;
  /** Events in a call so that it takes few of the steps of one. */
  let batch = limits.batch;

  /** Lets an instance go, with all its memory. Nothing in it needs to be disposed of. */
  function drop(): void {
    instance = undefined;
  }

  /** Runs lines in one call; `undefined` if they must run alone. */
  async function together(lines: readonly string[], hasLong: boolean): Promise<OutputLine[] | undefined> {
    try {
      instance ??= await createInstance(code, limits, clock);
      instance.allowed = limits.interrupts - 1;
      const output = call(instance, "batch", lines.join("\n"), hasLong);
      if (output === "" || instance.runtime.hasPendingJob()) {
        alone = true;
        drop();
        return undefined;
      }
      const outputs = output.split("\n");
      if (outputs.some(isDoubtful)) throw new Overrun();
      batch = Math.max(1, Math.min(limits.batch, fitting(instance.interrupts, lines.length)));
      return outputs;
    } catch (error) {
      if (!(error instanceof Overrun)) throw error;
      batch = Math.max(1, Math.floor(lines.length / 10));
      drop();
      return undefined;
    }
  }

  /** How many events may run in one call that had so many interrupts for some. */
  function fitting(interrupts: number, events: number): number {
    return Math.floor(limits.interrupts / 4 * events / Math.max(1, interrupts));
  }

  /** Runs one line; in doubt again in a new instance, whose verdict counts. */
  async function single(line: string, hasLong: boolean): Promise<OutputLine> {
    if (instance?.isUsed) {
      try {
        const output = settle(instance, { line, hasLong, allowed: limits.interrupts - 1 });
        if (!isDoubtful(output)) return output;
      } catch (error) {
        if (!(error instanceof Overrun)) throw error;
        // It took long enough to hold up others.
        if (error.isLate) return failed(error);
      }
      drop();
    }
    instance ??= await createInstance(code, limits, clock);
    try {
      const output = settle(instance, { line, hasLong, allowed: limits.interrupts });
      if (isDoubtful(output)) drop();
      return output;
    } catch (error) {
      if (!(error instanceof Overrun)) throw error;
      return failed(error);
    }
  }

  function failed({ message }: Overrun): OutputLine {
    drop();
    return `!${JSON.stringify({ message })}`;
  }

  return {
    /** Runs events; gives one line for each, in their order. */
    async run(lines: readonly string[], hasLong: boolean): Promise<OutputLine[]> {
      const outputs: OutputLine[] = [];
      while (outputs.length < lines.length) {
        const some = lines.slice(outputs.length, outputs.length + batch);
        const done = some.length > 1 && !alone ? await together(some, hasLong) : undefined;
        if (done !== undefined) outputs.push(...done);
        else for (const line of some) outputs.push(await single(line, hasLong));
      }
      return outputs;
    },
    close: drop,
  };
}

/** Whether an output may be due to what ran before it: too little memory or stack. */
function isDoubtful(output: OutputLine): boolean {
  return output.startsWith('!{"message":"InternalError');
}

async function createInstance(
  code: EngineCode,
  limits: EngineLimits,
  clock: EngineOptions["clock"],
): Promise<Instance> {
  // QuickJS's own limit counts no strings and buffers in WebAssembly, so the memory itself is bounded.
  const wasmMemory = new WebAssembly.Memory({
    initial: FIRST_PAGES,
    maximum: Math.max(FIRST_PAGES, Math.ceil((limits.heapBytes + OWN_BYTES) / PAGE_BYTES)),
  });
  const quickjs = await newQuickJSWASMModuleFromVariant(
    newVariant(variant, { wasmMemory }),
  );
  const runtime = quickjs.newRuntime();
  runtime.setMaxStackSize(limits.stackBytes);
  const context = runtime.newContext();
  const get = (from: QuickJSHandle, name: string) => context.getProp(from, name);
  const driver = context.unwrapResult(context.evalCode(prelude, "prelude.js"));
  const instance: Instance = {
    runtime,
    context,
    driver: { batch: get(driver, "batch"), begin: get(driver, "begin"), outcome: get(driver, "outcome") },
    interrupts: 0,
    allowed: limits.interrupts,
    beganMs: clock.monotonic(),
    isLate: false,
    isUsed: false,
    now: clock.monotonic,
  };
  runtime.setInterruptHandler(() => {
    if (++instance.interrupts > instance.allowed) return true;
    return instance.isLate = clock.monotonic() - instance.beganMs > limits.patienceMs;
  });
  const evaluated = context.evalCode(code.source, "transformation.js", { type: "module", strict: true });
  if (evaluated.error) {
    const { message, stack } = (context.dump(evaluated.error) ?? {}) as { message?: string; stack?: string };
    const line = /transformation\.js:(\d+)/.exec(stack ?? "")?.[1];
    throw new BadCode(message ?? "cannot be read", line === undefined ? undefined : Number(line));
  }
  const factory = get(evaluated.value, "default");
  const options = context.newString(JSON.stringify({ version: code.version, params: code.params }));
  context.unwrapResult(context.callFunction(get(driver, "install"), context.undefined, factory, options))
    .dispose();
  return instance;
}

/** Calls a function of the driver. Throws {@link Overrun} if its result cannot be believed. */
function call(instance: Instance, name: keyof Instance["driver"], line?: string, hasLong = false): string {
  const { context, driver } = instance;
  instance.interrupts = 0;
  instance.beganMs = instance.now();
  instance.isUsed = true;
  const given = line === undefined ? [] : [context.newString(line), hasLong ? context.true : context.false];
  let result;
  try {
    result = context.callFunction(driver[name], context.undefined, ...given);
  } catch (error) {
    // WebAssembly itself failed: its stack overflowed, or its memory could not grow.
    throw new Overrun("The host could not run it: its data is nested too deep or is too large.", {
      cause: error,
    });
  }
  for (const handle of given) {
    if (handle.alive && handle !== context.true && handle !== context.false) handle.dispose();
  }
  if (result.error) throw overrunOf(instance, result.error);
  checkSteps(instance);
  const output = context.getString(result.value);
  result.value.dispose();
  return output;
}

/** An interrupt in a job becomes a rejection, which the code may catch: it counts all the same. */
function checkSteps(instance: Instance): void {
  if (instance.isLate || instance.interrupts > instance.allowed) throw overrunOf(instance);
}

function overrunOf(instance: Instance, error?: QuickJSHandle): Overrun {
  if (instance.isLate) return Object.assign(new Overrun("The code took too long."), { isLate: true });
  if (instance.interrupts > instance.allowed) return new Overrun(TOO_MANY_STEPS(instance.allowed));
  // Without memory there is no error object either.
  const { message } = (error && instance.context.dump(error) || {}) as { message?: string };
  const isMemory = message === undefined || message === "out of memory";
  return new Overrun(isMemory ? TOO_MANY_BYTES : `The host could not run it: ${message}.`);
}

/** Jobs of promises of one call: each is a few steps, which no interrupt counts. */
const MAX_JOBS = 10_000;

const TOO_MANY_STEPS = (interrupts: number) =>
  `The code took more than ${interrupts * STEPS_PER_INTERRUPT} steps for one event.`;
const TOO_MANY_BYTES = "InternalError: out of memory";

/** Runs one line to its end, with all jobs that it leaves. */
function settle(
  instance: Instance,
  { line, hasLong, allowed }: { line: string; hasLong: boolean; allowed: number },
): OutputLine {
  const { runtime, context } = instance;
  instance.allowed = allowed;
  const output = call(instance, "begin", line, hasLong);
  // The jobs are a part of the call: their steps count with it.
  for (let jobs = 0; runtime.hasPendingJob(); jobs++) {
    if (jobs === MAX_JOBS) throw new Overrun(`The code left more than ${MAX_JOBS} jobs of promises.`);
    const { error } = runtime.executePendingJobs(1);
    if (error) throw overrunOf(instance, error);
    checkSteps(instance);
  }
  return output === "" ? callOutcome(context, instance) : output;
}

function callOutcome(context: QuickJSContext, instance: Instance): string {
  const outcome = context.unwrapResult(context.callFunction(instance.driver.outcome, context.undefined));
  const text = context.getString(outcome);
  outcome.dispose();
  return text;
}
