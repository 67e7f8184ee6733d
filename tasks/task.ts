/** What the tasks share: settings from the environment, and one clear line for what keeps a task from its work. */
import { monotonicFactory } from "ulid";
import { DEV_KV_URL } from "../config.ts";

/** Storage and clock of a task. */
export interface TaskSettings {
  storage: string;
  /** For ever: a task does not know the servers' window, and drops no message id that they may still need. */
  dedupMs: 0;
  onFault(error: unknown): void;
  now(): number;
  newId(): string;
}

/** The settings of a task: those of the server, without its secrets. */
export function taskSettings(): TaskSettings {
  const ulid = monotonicFactory();
  return {
    storage: Deno.env.get("KV_URL") || DEV_KV_URL,
    dedupMs: 0,
    onFault: (error) => console.error(`settling failed, and is tried again: ${error}`),
    now: Date.now,
    newId: () => ulid(),
  };
}
