/**
 * Prints the paths that a task may read and write, for its permissions: the database, if it is a file, and the paths
 * that the arguments name; `scratch` is the folder of scratch files. The task's shell has no way to say "if it is set",
 * and Deno accepts no empty path. A URL is not a path, and must not be in the list of processes: it may contain a
 * secret.
 */
import { DEV_KV_URL, isKvConnect } from "../config.ts";

const kvUrl = Deno.env.get("KV_URL") || DEV_KV_URL;
const more = Deno.args.map((path) =>
  path === "scratch" ? Deno.env.get("TMPDIR") || Deno.env.get("TEMP") || "/tmp" : path
);
const paths = [kvUrl, ...more].filter((path) => !path.includes(",") && !isKvConnect(path));
console.log(paths.length === 0 ? DEV_KV_URL : paths.join(","));
