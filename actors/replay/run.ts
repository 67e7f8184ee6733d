/** Runs one replay in a server, alongside its other work: of everything or of one actor, to replace or to compare. */
import { ACTOR_KINDS, type ActorKind } from "../../domain/profile/fact.ts";
import { requestedErasures } from "../erasure/requests.ts";
import type { Settling } from "../settling/backpressure.ts";
import type { Store } from "../store/store.ts";
import { pacedStore, type PaceLimits } from "./paced_store.ts";
import { replayOne } from "./replay_actor.ts";
import { rebuildAll, type RebuildOptions } from "./replay_all.ts";
import { verifyAll, type VerifyLimits } from "./verify.ts";

/** The outcome of a replay. */
export interface Outcome {
  events: number;
  /** Values that were compared; not of a full replay that verifies nothing. */
  compared: number;
  /** The number of actors that differed from the fold of their events, and the names of the first few. */
  differences: number;
  examples: string[];
}

export interface RunOptions
  extends Pick<RebuildOptions, "journal" | "clock" | "newId" | "foldVersion" | "owner" | "onProgress"> {
  store: Store;
  settling: Settling;
  limits: VerifyLimits & PaceLimits;
}

/** Thrown through a replay that is to end early. */
export class ReplayStopped extends Error {
  override name = "ReplayStopped";
}

/** Thrown if a scope names an unknown actor. */
export class UnknownActor extends RangeError {
  override name = "UnknownActor";
}

/** Longest wait for settling, and for a running erasure. */
const SETTLED_MS = 60_000;
const ERASED_MS = 60_000;

/** Events in a round: fewer than a task of its own takes, as a server has other uses for its memory. */
const ROUND_EVENTS = 100_000;

/** Names that an outcome shows: ids have up to 256 characters, a value of the store 64 KiB. */
const SHOWN = 10;

/** The actor of a scope; `undefined` if it has none. */
export function actorOf(scope: string): { kind: ActorKind; id: string } | undefined {
  const slash = scope.indexOf("/");
  const kind = ACTOR_KINDS.find((each) => each === scope.slice(0, slash));
  return slash === -1 || kind === undefined ? undefined : { kind, id: scope.slice(slash + 1) };
}

/** Runs a replay to its end, after earlier events are settled and pending erasures are done. */
export async function runReplay(
  options: RunOptions,
  { scope, verify }: { scope: string | null; verify: boolean },
): Promise<Partial<Outcome>> {
  const { journal, settling } = options;
  const store = pacedStore(options.store, options);
  const replayedEvents = Math.min(ROUND_EVENTS, options.limits.replayedEvents);
  const common = { ...options, source: store, target: store, limits: { ...options.limits, replayedEvents } };
  await settling.untilErased(await requestedErasures(store), ERASED_MS);
  await journal.sync();
  await settling.until(journal.end(), SETTLED_MS);
  const actor = scope === null ? undefined : actorOf(scope);
  if (actor !== undefined) {
    const { actors, events, differences } = await replayOne(common, { ...actor, verify });
    if (events === 0) throw new UnknownActor(`Unknown ${actor.kind}.`);
    return { events, compared: actors, ...shown(differences) };
  }
  if (!verify) return { events: await rebuildAll(common) };
  const { events, compared, differences } = await verifyAll(common);
  // An actor is shown as a scope.
  return { events, compared, ...shown(differences.map((key) => key.join("/").replace(/^actor\//, ""))) };
}

function shown(differences: string[]): Pick<Outcome, "differences" | "examples"> {
  return { differences: differences.length, examples: differences.slice(0, SHOWN) };
}
