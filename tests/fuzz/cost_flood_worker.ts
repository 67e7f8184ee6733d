/** The process of `cost_flood.ts`: its input is a line of JSON and the bytes of the body, its output is JSON. */
import { setPriority } from "node:os";
import { NICENESS, work } from "./cost_flood.ts";

setPriority(NICENESS);
const input = new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer());
const end = input.indexOf("\n".charCodeAt(0));
const options = JSON.parse(new TextDecoder().decode(input.subarray(0, end)));
console.log(JSON.stringify(await work({ ...options, body: input.subarray(end + 1) })));
