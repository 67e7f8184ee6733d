/** Runs random histories of audiences: `deno task sim:audiences [first] [count]`. */
import { runHistories } from "./history.ts";

const [first = 1, count = 20_000] = Deno.args.map(Number);
const began = performance.now();
for (let from = first; from < first + count; from += 500) {
  const end = Math.min(from + 500, first + count);
  await runHistories(from, end - from);
  console.log(`${end - first} histories in ${((performance.now() - began) / 1000).toFixed(0)} s`);
}
