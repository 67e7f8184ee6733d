/**
 * Prints what `deno task dev` may read and write, for its permissions: `.data`, and `KV_URL` where it is given. The
 * task's shell has no way to say "if it is set", and Deno takes no empty path.
 */
const kvUrl = Deno.env.get("KV_URL") ?? "";
console.log(kvUrl === "" || kvUrl.includes(",") ? ".data" : `.data,${kvUrl}`);
