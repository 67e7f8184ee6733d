/** The arguments of the tasks: read in one way, so that a typing error is never ignored. */
import { parseArgs, type ParseArgsConfig } from "node:util";
import { fail } from "./output.ts";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** What a task takes, besides `--help`. */
export interface Takes<Named extends Options> {
  help: string;
  options?: Named;
  /** Names of the arguments without an option, in order; `FILE...` is any number of them. Default: none. */
  names?: readonly string[];
}

/**
 * Reads the arguments of a task. `--help` prints the help and ends the task with status 0; an unknown or repeated option,
 * a missing value, and an argument too many end it with status 2 and one line that names it.
 */
export function readArguments<Named extends Options = Record<never, never>>(
  { help: HELP, options = {} as Named, names = [] }: Takes<Named>,
) {
  const args = Deno.args;
  if (args.includes("--help")) {
    console.log(HELP);
    Deno.exit(0);
  }
  const { tokens } = parseArgs({ args, options, allowPositionals: true, strict: false, tokens: true });
  const seen = new Set<string>();
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const { name, rawName, value } = token;
    const option = Object.hasOwn(options, name) && rawName.startsWith("--") ? options[name] : undefined;
    if (option === undefined) fail(`unknown option ${rawName}`, HELP);
    if (seen.has(name)) fail(`${rawName} is given twice`);
    seen.add(name);
    if (option.type === "string" && value === undefined) fail(`${rawName} needs a value`, HELP);
    if (option.type === "boolean" && value !== undefined) fail(`${rawName} takes no value`);
  }
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  if (names.at(-1)?.endsWith("...") !== true && positionals.length > names.length) {
    fail(`unexpected argument ${positionals[names.length]}`, HELP);
  }
  return { values, positionals };
}
