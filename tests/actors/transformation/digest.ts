/** The digest that `determinism.ts` prints, in a process of its own. */
import { deepStrictEqual, match } from "node:assert";
import { runCommand } from "../../process/server.ts";

const EVENTS = "10000";
const PROGRAM = "tests/actors/transformation/determinism.ts";

/** Runs random events through a Deno, in a time zone. */
export async function digestOf(deno: string, zone: string): Promise<string> {
  const args = ["run", "--frozen", "--quiet", "--allow-read", "--allow-env", PROGRAM, EVENTS];
  const { code, stdout, stderr } = await runCommand(deno, args, { TZ: zone, DENO_TLS_CA_STORE: "system" });
  deepStrictEqual([code, stderr], [0, ""]);
  match(stdout, /^[0-9a-f]{64}\n$/);
  return stdout;
}
