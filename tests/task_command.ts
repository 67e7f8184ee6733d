/** The commands of the tasks, as `deno.json` has them. */

interface Task {
  description: string;
  command: string;
}

const { tasks } = JSON.parse(Deno.readTextFileSync(new URL("../deno.json", import.meta.url))) as {
  tasks: Record<string, Task>;
};

/** All tasks by name. */
export const TASKS: Readonly<Record<string, Task>> = tasks;

/** The command that a task runs in the end: `dev` and `start` hide theirs behind another task, so that Deno prints little. */
export function taskCommand(name: string): string {
  const { command } = tasks[name]!;
  const [, hidden] = /^deno task --quiet (\S+)$/.exec(command) ?? [];
  return hidden === undefined ? command : taskCommand(hidden);
}
