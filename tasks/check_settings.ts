/**
 * Refuses a start with bad settings in one clear line, before permissions are made from them: Deno's own word on a
 * permission for the empty path names no variable.
 */
import { readConfig, VARIABLES } from "../config.ts";
import { printable } from "../routes/http/printable.ts";

const environment = Object.fromEntries(VARIABLES.map((name) => [name, Deno.env.get(name)]));
const config = readConfig(environment, { dev: false, deploy: false });
if ("problem" in config) {
  console.error(printable(`signalfold: cannot start: ${config.problem}`));
  Deno.exit(1);
}
