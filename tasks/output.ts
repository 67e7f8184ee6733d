/**
 * The output of the tasks. Names of files, keys and people, and quotes in errors, come from outside: every line passes
 * through here, and no control character and no password reaches the terminal.
 */
import { printable } from "../routes/http/printable.ts";

/** Prints a line of a task's result to standard output. */
export function say(line: string): void {
  console.log(printable(line));
}

/** Prints a line that is no result to standard error. */
export function warn(line: string): void {
  console.error(printable(line));
}

/** Prints one line about the error, followed by the task's help if that is useful, and ends the task with status 2. */
export function fail(problem: string, help?: string): never {
  warn(`signalfold: ${problem}`);
  if (help !== undefined) console.error(`\n${help}`);
  Deno.exit(2);
}

/** An unexpected error ends a task with its trace, which Deno itself would print unmasked. */
function failUnforeseen(error: unknown): never {
  const trace = error instanceof Error ? error.stack ?? error.message : String(error);
  for (const line of `signalfold: unexpected error: ${trace}`.split("\n")) warn(line);
  Deno.exit(2);
}

addEventListener("unhandledrejection", ({ reason }) => failUnforeseen(reason));
addEventListener("error", ({ error }) => failUnforeseen(error));
