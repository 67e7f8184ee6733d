/** The thread of engines: what it is told, what it answers, and what it does. Its counterpart is `sandbox.ts`. */
import { readProgram } from "../../domain/transformation/program.ts";
import type { CodeProblem } from "../../domain/transformation/program.ts";
import type { Clock } from "../store/clock.ts";
import { BadCode, createEngine, type Engine, type EngineLimits, type OutputLine } from "./engine.ts";

/** The code of one version. */
export interface SandboxCode {
  /** Tells versions apart; a draft has a key of its own. */
  key: string;
  code: string;
  /** Seeds `Math.random`: the name and the number of the version. */
  version: string;
  params: Record<string, unknown>;
}

/** What a thread is told: one thing at a time. */
export type ToEngine =
  | { type: "limits"; limits: Partial<EngineLimits> }
  /** Reads code, and keeps an engine for it. */
  | { type: "load"; code: SandboxCode }
  | { type: "run"; key: string; lines: readonly string[]; hasLong: boolean }
  | { type: "release"; keys: readonly string[] };

/** What a thread answers to `load` and `run`. */
export type FromEngine =
  | { type: "loaded"; usesPerson: boolean }
  | { type: "problem"; problem: CodeProblem }
  | { type: "done"; outputs: OutputLine[] };

/** A thread as its own code sees it. */
export interface EngineSelf {
  onmessage: ((event: { data: ToEngine }) => void) | null;
  postMessage(message: FromEngine): void;
  /** Ends it: its process is told why. */
  fail(error: unknown): void;
}

/** Holds engines, and runs what it is told, in order. */
export function serveEngines(thread: EngineSelf, { clock }: { clock: Pick<Clock, "monotonic"> }): void {
  const engines = new Map<string, Engine>();
  let limits: Partial<EngineLimits> = {};

  async function load({ key, code, version, params }: SandboxCode): Promise<FromEngine> {
    const program = readProgram(code);
    if ("problem" in program) return { type: "problem", ...program };
    const { source, usesPerson } = program;
    try {
      engines.set(key, await createEngine({ source, version, params }, { clock, ...limits }));
    } catch (error) {
      if (!(error instanceof BadCode)) throw error;
      return { type: "problem", problem: { message: error.message, ...error.line && { line: error.line } } };
    }
    return { type: "loaded", usesPerson };
  }

  async function act(message: ToEngine): Promise<void> {
    if (message.type === "limits") limits = message.limits;
    if (message.type === "load") thread.postMessage(await load(message.code));
    if (message.type === "release") { for (const key of message.keys) engines.delete(key); }
    if (message.type === "run") {
      const outputs = await engines.get(message.key)!.run(message.lines, message.hasLong);
      thread.postMessage({ type: "done", outputs });
    }
  }

  let acting = Promise.resolve();
  thread.onmessage = ({ data }) => void (acting = acting.then(() => act(data)).catch(thread.fail));
}

/**
 * Makes this thread's local time UTC. QuickJS takes local time from the host, and a result must not depend on the zone of
 * the machine.
 */
export function useUtc(): void {
  const prototype = Date.prototype as unknown as Record<string, unknown>;
  for (const part of ["FullYear", "Month", "Date", "Day", "Hours", "Minutes", "Seconds", "Milliseconds"]) {
    prototype[`get${part}`] = prototype[`getUTC${part}`];
  }
  prototype.getTimezoneOffset = () => 0;
}
