/** What the tasks share: settings from the environment, and one clear line for what keeps a task from its work. */
import { monotonicFactory } from "ulid";
import { DEV_KV_URL } from "../config.ts";

/** Storage and clock of a task. */
export interface TaskSettings {
  storage: string;
  dedupMs: number;
  now(): number;
  newId(): string;
}

const DAY_MS = 86_400_000;

/** The settings of a task: those of the server, without its secrets. */
export function taskSettings(): TaskSettings {
  const days = Number(Deno.env.get("DEDUP_DAYS") || 30);
  if (!Number.isInteger(days) || days < 0) fail("DEDUP_DAYS must be a whole number of days");
  const ulid = monotonicFactory();
  return {
    storage: Deno.env.get("KV_URL") || DEV_KV_URL,
    dedupMs: days * DAY_MS,
    now: Date.now,
    newId: () => ulid(),
  };
}

/** Says in one line what was wrong, and ends the task with status 2. */
export function fail(problem: string): never {
  console.error(`signalfold: ${problem}`);
  Deno.exit(2);
}
