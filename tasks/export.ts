/** `deno task export`: writes the accepted events, a line of JSON each, in the order of the journal. */
import { exportEvents } from "../actors/journal/export.ts";
import { openStore } from "../actors/store/store.ts";
import { fail } from "./fail.ts";
import { showProgress } from "./progress.ts";
import { existingSettings } from "./task.ts";
import { StorageUnavailable } from "../actors/store/errors.ts";

const HELP = `deno task export > events.ndjson

Writes the accepted events to standard output, a line of JSON each, in the order of the journal: all up to the moment
when it began, while servers run on the same database (KV_URL). "deno task import" takes them in again.`;

if (Deno.args.includes("--help")) {
  console.log(HELP);
  Deno.exit(0);
}
if (Deno.args.length > 0) fail(`no argument ${Deno.args[0]}\n\n${HELP}`);
const store = await openStore(existingSettings().storage).catch((error) =>
  fail(`storage can't be opened: ${error.message}`)
);
const progress = showProgress("export", "events");
const encoder = new TextEncoder();
const writer = Deno.stdout.writable.getWriter();
let events = 0;
try {
  for await (const { lines, done, total } of exportEvents(store)) {
    await writer.write(encoder.encode(lines.join("\n") + "\n"));
    // Not `done`, which counts what was erased too.
    events += lines.length;
    progress.update(done, total);
  }
} catch (error) {
  // Who reads (`head`, say) may have had enough.
  if (error instanceof Deno.errors.BrokenPipe) Deno.exit(0);
  if (error instanceof StorageUnavailable) fail(`${error.message} (after ${events} events)`);
  throw error;
}
progress.end();
store.close();
console.error(`exported ${events} events`);
