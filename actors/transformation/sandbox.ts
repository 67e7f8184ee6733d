/**
 * Runs code in threads of engines, so that no code holds the server's thread. There is one thread, and another one only
 * while a thread is stuck: nothing can stop a thread in the middle of a step.
 */
import type { CodeProblem } from "../../domain/transformation/program.ts";
import type { Clock } from "../store/clock.ts";
import { traceOf } from "../store/error_trace.ts";
import type { EngineLimits, OutputLine } from "./engine.ts";
import type { EngineSelf, FromEngine, SandboxCode, ToEngine } from "./engine_thread.ts";

/** Bounds of a sandbox. */
export const SANDBOX_LIMITS = {
  /** A thread that has not answered for so long is stuck: others no longer wait for it. */
  stuckMs: 1_000,
  /** Threads at once. */
  threads: 4,
  /** Engines that one thread holds: each has some 2 to 34 MB. The one that was used the longest ago goes first. */
  engines: 20,
  /** An engine, and a thread without any, is let go after this time. */
  idleMs: 60_000,
};
export type SandboxLimits = typeof SANDBOX_LIMITS;

/** A thread as its process sees it: a worker. */
export interface EngineThread {
  onmessage: ((event: { data: FromEngine }) => void) | null;
  onerror: ((event: Pick<ErrorEvent, "preventDefault" | "message">) => void) | null;
  postMessage(message: ToEngine): void;
  terminate(): void;
}

/** What a sandbox is given. */
export interface SandboxOptions {
  clock: Clock;
  limits?: Partial<SandboxLimits & EngineLimits>;
  /** Called with a failure of a thread. */
  onFault(error: unknown): void;
  /** Begins a thread. Throws if the platform has none. */
  beginThread?(): EngineThread;
}

/** What a sandbox has at work. */
export interface SandboxStatus {
  threads: number;
  engines: number;
  /** The keys of the versions that a thread is stuck with. */
  stuck: string[];
}

/** The code could be read, or what is wrong with it. */
export type Loaded = { usesPerson: boolean } | { problem: CodeProblem };

/** Threads that run code. */
export interface Sandbox {
  /** Reads code, and gets it ready to run. */
  load(code: SandboxCode): Promise<Loaded>;
  /** Runs code for some events, one line each (`prelude.js`); gives a line for each. The code must be free of problems. */
  run(code: SandboxCode, events: { lines: readonly string[]; hasLong: boolean }): Promise<OutputLine[]>;
  status(): SandboxStatus;
  close(): void;
}

/** A thread at work. */
interface Thread {
  worker: EngineThread;
  /** The engines that it holds, in the order of their last use; when that was. */
  held: Map<string, number>;
  job: Job | undefined;
  /** When the job began, or the last one ended. */
  sinceMs: number;
}

/** A call that waits or runs: it loads the code where it is not held, and then runs lines, if there are any. */
interface Job {
  code: SandboxCode;
  events: { lines: readonly string[]; hasLong: boolean } | undefined;
  /** Threads that failed with it. */
  failures: number;
  resolve(answer: FromEngine): void;
}

/** Creates a sandbox. It begins no thread before its first use. */
export function createSandbox({ clock, onFault, ...options }: SandboxOptions): Sandbox {
  const limits = { ...SANDBOX_LIMITS, ...options.limits };
  const begin = options.beginThread ?? beginWorker;
  const threads: Thread[] = [];
  const waiting: Job[] = [];
  let cancelLook: (() => void) | undefined;
  let cancelSweep: (() => void) | undefined;
  let closed = false;

  const isStuck = ({ job, sinceMs }: Thread) =>
    job !== undefined && clock.monotonic() - sinceMs >= limits.stuckMs;

  function pump(): void {
    for (let index = 0; index < waiting.length && !closed;) {
      const job = waiting[index]!;
      // One call at a time for each version: what is stuck gets no second thread.
      const isAtWork = threads.some((thread) => thread.job?.code.key === job.code.key);
      const thread = isAtWork ? undefined : threadFor(job);
      if (thread === undefined) index++;
      else {
        waiting.splice(index, 1);
        start(thread, job);
      }
    }
    if (waiting.length === 0 || closed) return;
    // A running thread may turn out to be stuck.
    cancelLook ??= clock.timer(limits.stuckMs, () => {
      cancelLook = undefined;
      pump();
    });
  }

  /** An idle thread, best one that holds the code; a new one if all others are stuck. */
  function threadFor({ code: { key } }: Job): Thread | undefined {
    const idle = threads.filter(({ job }) => job === undefined);
    const found = idle.find(({ held }) => held.has(key)) ?? idle[0];
    if (found !== undefined) return found;
    return threads.length < limits.threads && threads.every(isStuck) ? beginThread() : undefined;
  }

  function beginThread(): Thread {
    const thread: Thread = {
      worker: workerOrHere(),
      held: new Map(),
      job: undefined,
      sinceMs: clock.monotonic(),
    };
    const { worker } = thread;
    worker.onmessage = ({ data }) => answered(thread, data);
    worker.onerror = (event) => {
      event.preventDefault();
      failed(thread, event.message);
    };
    if (options.limits !== undefined) worker.postMessage({ type: "limits", limits: options.limits });
    threads.push(thread);
    cancelSweep ??= clock.timer(limits.idleMs, sweep);
    return thread;
  }

  function workerOrHere(): EngineThread {
    try {
      return begin();
    } catch (error) {
      onFault(`worker failed; transformations run in the server's thread: ${traceOf(error)}`);
      return threadHere(clock);
    }
  }

  function start(thread: Thread, job: Job): void {
    thread.job = job;
    thread.sinceMs = clock.monotonic();
    const { key } = job.code;
    if (job.events !== undefined && thread.held.has(key)) run(thread, job);
    else {
      makeRoom(thread);
      thread.worker.postMessage({ type: "load", code: job.code });
    }
  }

  function run({ worker, held }: Thread, { code: { key }, events }: Job): void {
    held.delete(key);
    held.set(key, clock.monotonic());
    worker.postMessage({ type: "run", key, ...events! });
  }

  function makeRoom({ worker, held }: Thread): void {
    const keys = [...held.keys()].slice(0, Math.max(0, held.size + 1 - limits.engines));
    for (const key of keys) held.delete(key);
    if (keys.length > 0) worker.postMessage({ type: "release", keys });
  }

  function answered(thread: Thread, answer: FromEngine): void {
    const { job, held } = thread;
    if (job === undefined) return;
    if (answer.type === "loaded") held.set(job.code.key, clock.monotonic());
    if (answer.type === "loaded" && job.events !== undefined) return run(thread, job);
    thread.job = undefined;
    thread.sinceMs = clock.monotonic();
    job.resolve(answer);
    pump();
  }

  /** A thread ended by a fault. Its call is tried once more; then its events fail, so that they hold nobody up. */
  function failed(thread: Thread, message: string): void {
    const { job } = thread;
    letGo(thread);
    if (closed) return;
    onFault(`thread of transformations failed: ${message}`);
    if (job === undefined) return;
    job.failures++;
    if (job.failures === 1) waiting.unshift(job);
    else job.resolve(failureOf(job));
    pump();
  }

  function letGo(thread: Thread): void {
    thread.worker.terminate();
    const index = threads.indexOf(thread);
    if (index >= 0) threads.splice(index, 1);
  }

  function sweep(): void {
    const longAgo = clock.monotonic() - limits.idleMs;
    for (const thread of threads.filter(({ job }) => job === undefined)) {
      const keys = [...thread.held].filter(([, usedMs]) => usedMs <= longAgo).map(([key]) => key);
      for (const key of keys) thread.held.delete(key);
      if (thread.held.size === 0 && thread.sinceMs <= longAgo) letGo(thread);
      else if (keys.length > 0) thread.worker.postMessage({ type: "release", keys });
    }
    cancelSweep = threads.length === 0 ? undefined : clock.timer(limits.idleMs, sweep);
  }

  function enqueue(code: SandboxCode, events: Job["events"]): Promise<FromEngine> {
    return new Promise((resolve) => {
      waiting.push({ code, events, failures: 0, resolve });
      pump();
    });
  }

  return {
    async load(code) {
      const answer = await enqueue(code, undefined);
      if (answer.type === "problem") return { problem: answer.problem };
      return { usesPerson: answer.type === "loaded" && answer.usesPerson };
    },
    async run(code, events) {
      const answer = await enqueue(code, events);
      if (answer.type === "done") return answer.outputs;
      const failure = answer.type === "problem" ? answer.problem : NO_ENGINE;
      return events.lines.map(() => `!${JSON.stringify(failure)}`);
    },
    status: () => ({
      threads: threads.length,
      engines: threads.reduce((sum, { held }) => sum + held.size, 0),
      stuck: threads.filter(isStuck).map(({ job }) => job!.code.key),
    }),
    close() {
      closed = true;
      cancelLook?.();
      cancelSweep?.();
      for (const thread of [...threads]) letGo(thread);
    },
  };
}

const NO_ENGINE: CodeProblem = { message: "The engine failed." };

function failureOf({ events }: Job): FromEngine {
  if (events === undefined) return { type: "problem", problem: NO_ENGINE };
  return { type: "done", outputs: events.lines.map(() => `!${JSON.stringify(NO_ENGINE)}`) };
}

/** Begins a thread without permissions. Throws if the platform has none. */
function beginWorker(): EngineThread {
  const entry = new URL("./engine_worker.ts", import.meta.url);
  const options = { type: "module", name: "transformations", deno: { permissions: "none" } } as const;
  return new Worker(entry, options) as EngineThread;
}

/** Engines in this thread, for a platform without workers. QuickJS is only loaded if there is code. */
function threadHere(clock: Clock): EngineThread {
  const thread: EngineThread = { onmessage: null, onerror: null, postMessage() {}, terminate() {} };
  const self: EngineSelf = {
    onmessage: null,
    postMessage: (message) => thread.onmessage?.({ data: message }),
    fail: (error) => thread.onerror?.({ preventDefault() {}, message: traceOf(error) }),
  };
  const served = import("./engine_thread.ts").then(({ serveEngines, useUtc }) => {
    useUtc();
    serveEngines(self, { clock });
  });
  thread.postMessage = (message) => void served.then(() => self.onmessage?.({ data: message }), self.fail);
  return thread;
}
