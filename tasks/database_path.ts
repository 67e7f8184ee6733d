/**
 * Prints the database's path for the permissions of a task that needs no other. The task's shell has no way to say "if it
 * is set", and Deno takes no empty path.
 */
import { DEV_KV_URL } from "../config.ts";

const kvUrl = Deno.env.get("KV_URL") || DEV_KV_URL;
console.log(kvUrl.includes(",") ? DEV_KV_URL : kvUrl);
