/**
 * Prints what a task may read and write, for its permissions: the database, where it is a file, and what the arguments
 * name: paths, and `scratch` for the folder of scratch files. The task's shell has no way to say "if it is set", and Deno
 * takes no empty path. A URL is no path, and must not be in the list of processes: it may hold a secret.
 */
import { DEV_KV_URL, isKvConnect } from "../config.ts";

const kvUrl = Deno.env.get("KV_URL") || DEV_KV_URL;
const more = Deno.args.map((path) =>
  path === "scratch" ? Deno.env.get("TMPDIR") || Deno.env.get("TEMP") || "/tmp" : path
);
const paths = [kvUrl, ...more].filter((path) => !path.includes(",") && !isKvConnect(path));
console.log(paths.length === 0 ? DEV_KV_URL : paths.join(","));
