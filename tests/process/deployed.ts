/** The Deno of Deno Deploy, and instances as Deploy starts them: the entry of `deno.json`, no flags, no `KV_URL`. */
import denoJson from "../../deno.json" with { type: "json" };
import { missing } from "../needs.ts";
import { ROOT, type Server, startAs, tempDir } from "./server.ts";

/** The version that Deploy runs, by its documentation of October 2026. */
const VERSION = "2.5.0";

/** It is downloaded once, by npm, which is not asked again and again where there is no network. */
function findDeno(): { path: string; missing?: undefined } | { path?: undefined; missing: string } {
  const lacking = missing("npx");
  if (lacking !== undefined) return { missing: lacking };
  const { success, stdout } = new Deno.Command("npx", {
    args: ["--prefer-offline", "-y", `deno@${VERSION}`, "eval", "console.log(Deno.execPath())"],
    env: { NPM_CONFIG_FETCH_RETRIES: "0" },
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).outputSync();
  const path = new TextDecoder().decode(stdout).trim();
  return success && path !== "" ? { path } : { missing: `Deno ${VERSION} from npm` };
}

/** The path of that Deno; or what is missing. */
export const DEPLOYED_DENO = findDeno();

/** Where instances share a database: the folder that the platform's own database stands for. */
export interface Platform extends AsyncDisposable {
  /** Starts another instance. */
  start(env?: Record<string, string>): Promise<Server>;
}

/** A platform with an empty database. Packages are those that this Deno has loaded. */
export async function openPlatform(): Promise<Platform> {
  if (DEPLOYED_DENO.path === undefined) throw new Error(`${DEPLOYED_DENO.missing} is missing`);
  const deno = DEPLOYED_DENO.path;
  const dir = await tempDir();
  await Deno.symlink(await npmCache(), `${dir.path}/npm`);
  return {
    start: (env = {}) =>
      startAs(deno, {
        entry: denoJson.deploy.runtime.entrypoint,
        // Without a path the database of a program is in the folder of Deno.
        env: { DENO_DEPLOY: "true", DENO_DIR: dir.path, DENO_TLS_CA_STORE: "system", ...env },
      }),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

async function npmCache(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"], cwd: ROOT })
    .output();
  return JSON.parse(new TextDecoder().decode(stdout)).npmCache;
}
