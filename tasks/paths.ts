/**
 * Prints what a task may read and write, for its permissions: the database, and the folder for scratch files. The task's shell has no way to say "if it is set", and Deno takes no empty path.
 */
import { DEV_KV_URL } from "../config.ts";

const kvUrl = Deno.env.get("KV_URL") || DEV_KV_URL;
const scratch = Deno.env.get("TMPDIR") || Deno.env.get("TEMP") || "/tmp";
console.log([kvUrl, scratch].filter((path) => !path.includes(",")).join(","));
