/**
 * Folds the whole journal again: into another generation of actor keys, which then replaces the live one in one
 * operation; or into another store, to be compared. The live generation stays in use meanwhile.
 */
import { NO_CHECKPOINT } from "../journal/subscription.ts";
import { BEGINNING, type Position } from "../../domain/event/position.ts";
import type { Clock } from "../store/clock.ts";
import { ACTOR_KINDS, type ActorName } from "../../domain/profile/fact.ts";
import { type Fence, LostFence, takeFence, workUnder } from "../store/lease.ts";
import {
  deleteGeneration,
  GENERATION_LIMITS,
  generationsIn,
  GRACE_MS,
  type Rebuild,
} from "../settling/generation.ts";
import { gather } from "../settling/read_round.ts";
import { type ErasureRequest, requestedErasures } from "../erasure/requests.ts";
import { erasuresOf, type Journal, NOTHING_SETTLED, type Settled } from "../journal/journal_state.ts";
import { erasureRequestKey, REBUILD, SETTLED } from "../store/keys.ts";
import { ROUND_LIMITS } from "../settling/fold_round.ts";
import { settleRound } from "../settling/round.ts";
import type { Store, Write } from "../store/store.ts";

/** Thrown if an operator must act before a replay can run. */
export class ReplayRefused extends Error {
  override name = "ReplayRefused";
}

/** Bounds of a full replay, in addition to those of a round. */
export const REPLAY_LIMITS = {
  ...ROUND_LIMITS,
  ...GENERATION_LIMITS,
  /** Events in a round of a replay: the larger, the fewer times an actor is written. */
  replayedEvents: 1_000_000,
  /** Actors, and members of groups, that are remembered as written, so that new ones need not be read: some 100 bytes each. */
  rememberedActors: 500_000,
};
export type ReplayLimits = typeof REPLAY_LIMITS;

/** Bytes of memory for the events of a round. */
const ROUND_BYTES = 192 * 1024 * 1024;

/** The share of a round's time for reading its events, for the progress report. */
const GATHER_SHARE = 0.3;

/** Upper bound on a round's duration while its owner is alive. */
const ROUND_MS = 60_000;

export interface RebuildOptions {
  /** The store of the journal. */
  source: Store;
  /** The target of the actors: the same store, or another. */
  target: Store;
  journal: Journal;
  owner: string;
  clock: Clock;
  newId(): string;
  limits: ReplayLimits;
  /** The version of the folds that this process has. */
  foldVersion: number;
  /** Called now and then with the number of folded events, and of all. */
  onProgress(done: number, total: number): void;
}

/** A rebuild under way. */
export interface Rebuilding {
  generation: number;
  /** The generation that is live, and is to be replaced. */
  replaced: number;
  /** Folds up to a position. */
  advance(to: Position): Promise<void>;
  /** Keeps its lease through long work: call it now and then. */
  renew(): Promise<void>;
  /** Renews its lease, and gives the checks for the switch of generations: that no other rebuild has begun. */
  hold(): Promise<Write["checks"]>;
  /** Gives its lease back, so that the next replay need not wait for its end. */
  release(): Promise<void>;
  /** Deletes its generation, which nothing uses, and gives its lease back. */
  discard(): Promise<void>;
}

/** Begins a rebuild in an unused generation, whatever an abandoned rebuild left there. */
export async function beginRebuild(options: RebuildOptions): Promise<Rebuilding> {
  const { source, target, journal, limits } = options;
  const empty: Rebuild = { ...NO_CHECKPOINT, fold: options.foldVersion, generation: 0 };
  const fence = await takeFence({ ...options, store: target, key: REBUILD, empty });
  if (fence === undefined) {
    throw new ReplayRefused(
      "Another full replay is in progress. Wait until it ends; after it was killed, wait 5 s.",
    );
  }
  const abandoned = fence.value().generation;
  // From this write on the generation of one that was abandoned can't be put to use any more: only now is it known which
  // one is live, and which are not and may be deleted.
  await fence.write({});
  const live = (await source.get<Settled>(SETTLED)).value ?? NOTHING_SETTLED;
  const generation = Math.max(live.generation, abandoned) + 1;
  await fence.write({ change: { generation, position: BEGINNING, target: null } });
  // An erasure takes this lease last: everything that is read from now on is without the erased events.
  journal.events.forget();
  for (const unused of await generationsIn(target)) {
    // Several replays may have been killed, also while they deleted the generations of others.
    if (unused === live.generation) continue;
    await deleteGeneration(target, unused, { write: fence.write, limits });
  }
  const folding: Folding = {
    ...options,
    fence,
    generation,
    events: live.events,
    position: BEGINNING,
    done: 0,
    written: new Set(),
    members: new Set(),
  };
  return {
    generation,
    replaced: live.generation,
    renew: fence.renew,
    async hold() {
      await fence.write({});
      return [{ key: REBUILD, stamp: fence.stamp() }];
    },
    release: () => fence.write({ change: { until: 0 } }),
    async discard() {
      await deleteGeneration(target, generation, { write: fence.write, limits });
      await fence.write({ change: { until: 0 } });
    },
    async advance(to) {
      while (folding.position < to) await foldRound(folding, to);
    },
  };
}

/** How far a rebuild has folded. */
interface Folding extends RebuildOptions {
  fence: Fence<Rebuild>;
  generation: number;
  /** Events of the journal at the beginning, and events that are folded. */
  events: number;
  done: number;
  position: Position;
  /** Actors and members that this rebuild has written, as many as it remembers. */
  written: Set<ActorName>;
  members: Set<string>;
}

/** Folds one round of events up to a position. */
async function foldRound(folding: Folding, to: Position): Promise<void> {
  const { source, target, journal, fence, generation, limits, foldVersion, written, members } = folding;
  const total = () => Math.max(folding.events, folding.done);
  const report = (events: number) => folding.onProgress(folding.done + Math.floor(events), total());
  let read = 0;
  const round = await gather(source, {
    after: folding.position,
    upTo: to,
    maxEvents: limits.replayedEvents,
    maxBytes: ROUND_BYTES,
    onEntry: (events) => report((read += events) * GATHER_SHARE),
  });
  const place = {
    store: target,
    generation,
    write: fence.write,
    factsAt: journal.events.factsAt,
    renew: fence.renew,
    limits,
    foldVersion,
    onSettled: (share: number) => report(read * (GATHER_SHARE + share * (1 - GATHER_SHARE))),
    isNew: (name: ActorName) => written.size < limits.rememberedActors && !written.has(name),
    isNewMember: (member: string) =>
      members.size < limits.rememberedActors && members.size < members.add(member).size,
  };
  await workUnder(fence, () => settleRound(place, round.mail));
  for (const kind of ACTOR_KINDS) {
    for (const id of round.mail.ids(kind)) {
      if (written.size < limits.rememberedActors) written.add(`${kind}/${id}`);
    }
  }
  await fence.write({ change: { position: round.end } });
  folding.position = round.end;
  folding.done += read;
  folding.onProgress(folding.done, total());
}

/**
 * Stops settling and holds the lease for a while: the caller must be quick. With `betweenRounds` it waits for the end
 * of a running round, so that all stored data is of one moment; an abandoned round is cut off.
 */
export async function stopSettling(
  options: RebuildOptions,
  { betweenRounds = false } = {},
): Promise<Fence<Settled>> {
  const until = options.clock.monotonic() + ROUND_MS;
  for (;;) {
    const fence = await takeFence({
      ...options,
      store: options.source,
      key: SETTLED,
      empty: NOTHING_SETTLED,
      force: true,
    });
    if (fence === undefined) {
      throw new ReplayRefused("The database was written by a newer version of signalfold. Use that version.");
    }
    if (betweenRounds && fence.value().target !== null && options.clock.monotonic() < until) {
      await options.clock.sleep(2);
      continue;
    }
    try {
      await fence.write({});
      return fence;
    } catch (error) {
      if (!(error instanceof LostFence)) throw error;
      await options.clock.sleep(20 * options.clock.random());
    }
  }
}

/** Folds everything again and replaces the live generation. Gives the number of events. */
export async function rebuildAll(options: RebuildOptions): Promise<number> {
  const { source, limits } = options;
  const { rebuilding, events } = await rebuildOnce(options);
  await releasing(rebuilding, options.clock.sleep(GRACE_MS));
  const empty: Rebuild = { ...NO_CHECKPOINT, fold: options.foldVersion, generation: rebuilding.generation };
  const cleaning = await takeFence({ ...options, store: source, key: REBUILD, empty });
  if (cleaning !== undefined) {
    try {
      await deleteGeneration(source, rebuilding.replaced, { write: cleaning.write, limits });
      // The next replay need not wait for this one's lease.
      await cleaning.write({ change: { until: 0 } });
    } catch (error) {
      // An erasure, and the next full replay, delete what is left of other generations.
      if (!(error instanceof LostFence)) throw error;
    }
  }
  return events;
}

/** Waits for work of a rebuild; if that fails, the rebuild gives its lease back. */
async function releasing<T>(rebuilding: Rebuilding, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    await rebuilding.release().catch(() => {});
    throw error;
  }
}

/** Folds everything and switches to it; again if somebody was erased meanwhile, whose events it may have read. */
async function rebuildOnce(
  options: RebuildOptions,
): Promise<{ rebuilding: Rebuilding; events: number }> {
  for (;;) {
    const before = await erasuresIn(options.source);
    try {
      const rebuilding = await beginRebuild(options);
      // After a failure its generation stays: if the answer to a switch was lost, the switch may have been done.
      return { rebuilding, events: await releasing(rebuilding, putToUse(options, rebuilding)) };
    } catch (error) {
      if (!(error instanceof LostFence)) throw error;
      // An erasure takes the lease shortly before it counts as completed.
      let erasures = await erasuresIn(options.source);
      for (let n = 0; n < ERASE_LOOKS && erasures.fulfilled < erasures.requested; n++) {
        await options.clock.sleep(ERASE_LOOK_MS);
        erasures = await erasuresIn(options.source);
      }
      if (erasures.fulfilled === before.fulfilled) throw error;
    }
  }
}

/** Attempts of a stopped replay, and their interval, to see whether the erasure that stopped it is over. */
const ERASE_LOOKS = 600;
const ERASE_LOOK_MS = 200;

/** How many erasures were requested, and how many of them are fulfilled. */
export async function erasuresIn(source: Store): Promise<{ requested: number; fulfilled: number }> {
  const [settled, requested] = [await source.get<Settled>(SETTLED), await requestedErasures(source)];
  return { requested, fulfilled: erasuresOf(settled.value ?? NOTHING_SETTLED) };
}

/** Throws {@link ReplayRefused} if somebody is being erased, or was since: what was read would seem to differ. */
export async function refuseErasing(source: Store, since?: number): Promise<number> {
  const { requested, fulfilled } = await erasuresIn(source);
  if (requested === fulfilled && fulfilled === (since ?? fulfilled)) return fulfilled;
  throw new ReplayRefused("An erasure is in progress. Retry when it is done.");
}

/** Folds the remaining events and switches the generation, in a moment without settling. */
async function putToUse(options: RebuildOptions, rebuilding: Rebuilding): Promise<number> {
  for (;;) {
    const settled = (await options.source.get<Settled>(SETTLED)).value ?? NOTHING_SETTLED;
    // The answer to a switch was lost, and settling went on before the check: the switch was done.
    if (settled.generation === rebuilding.generation) return settled.events;
    await rebuilding.advance(settled.position);
    const fence = await stopSettling(options);
    const { position, events } = fence.value();
    if (await isHalfErased(options.source, fence.value())) {
      await fence.write({ change: { until: 0 } });
      throw new LostFence("an erasure is in progress");
    }
    try {
      await rebuilding.advance(position);
      const checks = await rebuilding.hold();
      // A stopped round has written into the old generation: it begins again in this one.
      const change = { generation: rebuilding.generation, target: null, until: 0 };
      await fence.write({ checks, change });
      return events;
    } catch (error) {
      if (!(error instanceof LostFence)) throw error;
      // Settling went on. If another replay has begun, this one is over, and this throws.
      await rebuilding.hold();
    }
  }
}

/** Whether an erasure is partially done: folds before and after it would not fit together. */
async function isHalfErased(source: Store, settled: Settled): Promise<boolean> {
  const { value } = await source.get<ErasureRequest>(erasureRequestKey(erasuresOf(settled) + 1));
  return value?.plan !== undefined;
}
