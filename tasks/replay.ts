/** `deno task replay`: folds logs again while servers run, or compares stored data with the fold of the logs. */
import { ReplayRefused } from "../actors/replay/replay_all.ts";
import { openTools, type Tools } from "../actors/maintenance.ts";
import { readArguments } from "./arguments.ts";
import { fail, say } from "./output.ts";
import { showProgress } from "./progress.ts";
import { existingSettings } from "./task.ts";
import type { ActorKind } from "../domain/profile/fact.ts";
import { StorageUnavailable } from "../actors/store/errors.ts";

const HELP = `deno task replay [--user ID | --group ID | --anonymous ID | --all] [--verify]

Recomputes state from the journal while servers run on the same database (KV_URL).

  --user ID        one user, with the events that they own of their anonymous ids
  --group ID       one group
  --anonymous ID   one anonymous id
  --all            everything (the default): builds a new generation, then switches to it
  --verify         write nothing: compare, and exit with status 1 if anything differs
  --help           this text`;

/** How many differences are shown. */
const SHOWN = 20;

const { values: options } = readArguments({
  help: HELP,
  options: {
    user: { type: "string" },
    group: { type: "string" },
    anonymous: { type: "string" },
    all: { type: "boolean" },
    verify: { type: "boolean" },
  },
});
const kinds = (["user", "group", "anonymous"] as const).filter((kind) => options[kind] !== undefined);
if (kinds.length + Number(options.all ?? false) > 1) {
  fail("use only one of --user, --group, --anonymous and --all");
}
const [kind] = kinds;
const verify = options.verify ?? false;
const began = performance.now();
const tools = await openTools(existingSettings()).catch((error) =>
  fail(`failed to open storage: ${error.message}`)
);
const replaying = kind === undefined ? everything(tools) : one(tools, kind, options[kind]!);
const differences = await replaying.catch((error) => {
  if (error instanceof ReplayRefused || error instanceof StorageUnavailable) fail(error.message);
  throw error;
});
tools.close();
for (const difference of differences.slice(0, SHOWN)) say(`differs: ${difference}`);
if (differences.length > SHOWN) say(`and ${differences.length - SHOWN} more`);
Deno.exit(verify && differences.length > 0 ? 1 : 0);

function seconds(): string {
  return `${((performance.now() - began) / 1000).toFixed(1)} s`;
}

async function one(tools: Tools, kind: ActorKind, id: string): Promise<string[]> {
  const { actors, events, differences } = await tools.replayOne({ kind, id, verify });
  if (events === 0) fail(`Unknown ${kind} ${id}.`);
  const what = `${kind}/${id}: ${events} events in ${actors} ${actors === 1 ? "log" : "logs"}`;
  const outcome = differences.length === 0
    ? "state matches its events"
    : `${differences.length} ${differences.length === 1 ? "state did" : "states did"} not match`;
  say(`${verify ? "verified" : "replayed"} ${what} in ${seconds()}; ${outcome}`);
  return differences;
}

async function everything(tools: Tools): Promise<string[]> {
  const progress = showProgress(verify ? "verify" : "replay", "chunks");
  if (!verify) {
    const events = await tools.replayAll(progress.update);
    progress.end();
    say(`replayed ${events} events in ${seconds()}`);
    return [];
  }
  const scratch = await Deno.makeTempDir({ prefix: "signalfold-verify-" });
  try {
    const { events, compared, differences } = await tools.verifyAll(`${scratch}/scratch.db`, progress.update);
    progress.end();
    const outcome = differences.length === 0 ? "no differences" : `${differences.length} differences`;
    say(`verified ${events} events, ${compared} values compared in ${seconds()}; ${outcome}`);
    return differences.map((key) => JSON.stringify(key));
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}
