/**
 * Serves as `main.ts` does, by a wall clock that somebody moves: `CLOCK_FILE` says by how many ms. Only the clock of the
 * server's thread is moved; the thread that settles uses its own for nothing but leases.
 */
import { readConfig } from "../../config.ts";

const LOOK_MS = 20;

const file = Deno.env.get("CLOCK_FILE")!;
const now = Date.now;
let movedMs = 0;

function look(): void {
  movedMs = Number(Deno.readTextFileSync(file)) || 0;
}

look();
setInterval(look, LOOK_MS);
Date.now = () => now() + movedMs;

// After the clock was put in its place, which it takes from here.
const { readEnvironment, refuse, serve } = await import("../../main.ts");
const config = readConfig(readEnvironment(), { dev: false, deploy: false });
if ("problem" in config) refuse(config.problem);
else await serve(config.settings, (url) => console.log(`signalfold listens on ${url}`));
