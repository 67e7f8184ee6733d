/** How a task ends that can't do its work. */

/** Says in one line what was wrong, and ends the task with status 2. */
export function fail(problem: string): never {
  console.error(`signalfold: ${problem}`);
  Deno.exit(2);
}
