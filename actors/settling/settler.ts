/**
 * The settler: a subscription that settles the journal in rounds and keeps the dedup index. It knows nothing but the store,
 * so it may run in the server's thread, in one of its own, or in another process.
 */
import type { Position } from "../../domain/event/position.ts";
import {
  DEDUP_LIMITS,
  dueForMerge,
  type Filter,
  keysOfRun,
  loadFilters,
  makeRun,
  mergeRuns,
  rangesBeside,
  type Run,
  type SeenView,
  withinWindow,
} from "../dedup/dedup_index.ts";
import { createEvents, type Events, EVENTS_LIMITS } from "../journal/event_reader.ts";
import { erasuresOf, NOTHING_SETTLED, type Settled } from "../journal/journal_state.ts";
import { subscribe, type Subscription } from "../journal/subscription.ts";
import type { Clock } from "../store/clock.ts";
import { FLAGS } from "../journal/header.ts";
import { rewriteEntry } from "../journal/read_journal.ts";
import { type Key, SETTLED, timeKey } from "../store/keys.ts";
import type { Fence } from "../store/lease.ts";
import type { Store } from "../store/store.ts";
import { deleteRange } from "../store/write_batch.ts";
import { gather, type Gathered } from "./read_round.ts";
import { ROUND_LIMITS, type RoundLimits } from "./fold_round.ts";
import { settleRound } from "./round.ts";

/** Bounds of a settler. */
export const SETTLER_LIMITS = {
  ...ROUND_LIMITS,
  ...EVENTS_LIMITS,
  ...DEDUP_LIMITS,
  /** A round begins when nothing more came for so long. */
  quietMs: 50,
  /** A round takes at most so many events. */
  roundEvents: 150_000,
  /** Keys of the dedup index in one operation. */
  dedupWriteKeys: 500,
};
export type SettlerLimits = typeof SETTLER_LIMITS;

/** A round begins at the latest when the first event has waited for so long. */
const WAIT_MS = 4_000;

/** A round begins at once when so many events wait: enough that an actor has several in it. */
const READY_EVENTS = 150_000;

/** A round takes at most so many bytes of memory for its events. */
const ROUND_BYTES = 64 * 1024 * 1024;

/** Runs cover at most this share of the window of dedup, so that they grow old whole. */
const RUN_SPAN = 1 / 16;

/** Bytes of the dedup index in one operation. */
const SEEN_WRITE_BYTES = 300_000;

/** The index of times has an entry for so many ms, or after a round of so many events. */
const TIMED_MS = 60_000;
const TIMED_EVENTS = 20_000;

export interface SettlerOptions {
  store: Store;
  /** The name of this process. */
  owner: string;
  clock: Clock;
  newId(): string;
  limits: SettlerLimits;
  /** The version of the folds that this process has. */
  foldVersion: number;
  /** The window of dedup in ms, 0 for ever. */
  windowMs: number;
  betweenRounds: readonly LeaseTask[];
  /** Called with what made a round fail; it is done again later. */
  onFault(error: unknown): void;
  /** Called when `settled` has moved, by whomever. */
  onSettled(): void;
  /** Called when this settler has settled a round of so many events. */
  onRound?(round: Round): void;
}

export interface LeaseTaskOptions {
  store: Store;
  events: Events;
  owner: string;
  clock: Clock;
  newId(): string;
  limits: RoundLimits;
  foldVersion: number;
}

/** Work that needs the settler's lease, and that all events up to one position are settled. */
export interface LeaseTask {
  /** The value under this key tells whether there is something to do. */
  key: Key;
  isDue(value: unknown, settled: Settled): boolean;
  /** Does some of it; false where more has to be settled first. It must be safe to repeat. */
  run(fence: Fence<Settled>, options: LeaseTaskOptions): Promise<boolean>;
}

/** A round that was settled. */
export interface Round {
  durationMs: number;
  events: number;
}

/** A settler at work, wherever it runs. */
export type Settler = Subscription;

/** What a settler keeps between rounds. */
interface Working extends SettlerOptions {
  events: Events;
  /** The filters of the dedup index that it has loaded. */
  filters: ReadonlyMap<number, Filter>;
  /** How many erasures it has forgotten the events of. */
  erasures: number;
  /** Whether no part of a run is left in the store that was cut off half made or half deleted, as far as is known. */
  isSwept: boolean;
}

/** Makes a settler in this thread. */
export function createSettler(options: SettlerOptions): Settler {
  const { store, limits } = options;
  const working: Working = {
    ...options,
    events: createEvents(store, limits),
    filters: new Map(),
    erasures: 0,
    isSwept: false,
  };
  return subscribe<Settled>({
    ...options,
    key: SETTLED,
    empty: NOTHING_SETTLED,
    gather: { quietMs: limits.quietMs, waitMs: WAIT_MS, events: READY_EVENTS },
    tasks: options.betweenRounds.map((task) => ({ ...task, run: (lease) => task.run(lease, working) })),
    handle: (lease, end, interruptible) => settle(working, lease, { end, interruptible }),
    // Taking the lease writes the checkpoint too: a settler that fails again and again has settled nothing.
    hasMoved: (before, after) => after.position > before.position || erasuresOf(after) > erasuresOf(before),
    onMoved(settled) {
      if (erasuresOf(settled) > working.erasures) {
        working.events.forget();
        working.erasures = erasuresOf(settled);
      }
      options.onSettled();
    },
    onCutOff: () => void (working.isSwept = false),
  });
}

/** One round, to the end that a round before it had fixed, or as far as one goes. */
async function settle(
  working: Working,
  lease: Fence<Settled>,
  { end, interruptible }: { end: Position; interruptible: Fence<Settled> },
): Promise<void> {
  const { store, clock, events, limits, foldVersion } = working;
  const before = lease.value();
  const began = clock.monotonic();
  const upTo = before.target ?? end;
  if (upTo <= before.position) return;
  const bounds = before.target === null
    ? { maxEvents: limits.roundEvents, maxBytes: ROUND_BYTES }
    : { maxEvents: Infinity, maxBytes: Infinity };
  const seen = (known: Position) => seenBehind(working, before, known);
  const gathered = await gather(store, { after: before.position, upTo, ...bounds, seen });
  await lease.write({ change: { target: gathered.end } });
  const { write, renew } = interruptible;
  await blank(working, interruptible, gathered);
  await settleRound(
    { store, generation: before.generation, write, factsAt: events.factsAt, renew, limits, foldVersion },
    gathered.mail,
  );
  await finish(working, lease, gathered);
  working.onSettled();
  working.onRound?.({ durationMs: clock.monotonic() - began, events: gathered.events });
  await merge(working, lease);
  if (!working.isSwept) await sweep(working, lease);
  working.isSwept = true;
}

/** The dedup index before a round, of ids behind a position: mostly one run, or none. Its filter is kept for the next. */
async function seenBehind(working: Working, { runs }: Settled, known: Position): Promise<SeenView> {
  const { store, limits } = working;
  const wanted = runs.filter(({ end }) => end > known);
  working.filters = await loadFilters(store, wanted, { loaded: working.filters, limits });
  return { runs: wanted, filters: working.filters };
}

/** Marks the copies of a round and takes their bodies away, so that nobody need decide again what counts. */
async function blank({ store }: Working, lease: Fence<Settled>, { copies }: Gathered): Promise<void> {
  for (const { entry, copies: which } of copies) {
    const changeOf = (index: number) => which[index] === 1 ? { gone: FLAGS.copy } : undefined;
    const { sets, deletes } = await rewriteEntry(store, entry, { changeOf, lineWithout: (line) => line });
    await lease.write({ sets, deletes });
  }
}

/** Puts the ids of a round in the dedup index and moves `settled`, in one operation at the end. */
async function finish(
  { windowMs, limits }: Working,
  lease: Fence<Settled>,
  { digests, events, end, at }: Gathered,
): Promise<void> {
  const before = lease.value();
  const maxAt = Math.max(before.maxAt, at);
  const made = makeRun(before.nextRun, digests, { at: maxAt, end, limits });
  const kept = withinWindow(before.runs, { nowMs: maxAt, windowMs });
  const isTimed = maxAt - before.timedAt >= TIMED_MS || (events >= TIMED_EVENTS && maxAt > before.timedAt);
  if (made !== undefined) await writeAll(lease, made.sets, limits);
  await lease.write({
    sets: isTimed ? [[timeKey(maxAt), end]] : [],
    change: {
      position: end,
      events: before.events + events,
      target: null,
      maxAt,
      timedAt: isTimed ? maxAt : before.timedAt,
      runs: made === undefined ? kept : [...kept, made.run],
      nextRun: before.nextRun + 1,
    },
  });
  for (const run of before.runs) if (!kept.includes(run)) await deleteAll(lease, run, limits);
}

/** Merges runs that are due. */
async function merge({ store, windowMs, limits }: Working, lease: Fence<Settled>): Promise<void> {
  const { runs, nextRun } = lease.value();
  const due = dueForMerge(runs, { spanMs: windowMs === 0 ? Infinity : windowMs * RUN_SPAN, limits });
  if (due.length === 0) return;
  const merged = mergeRuns(store, nextRun, { runs: due, limits });
  await writeAll(lease, merged.sets, limits);
  const rest = runs.filter((run) => !due.includes(run));
  await lease.write({ change: { runs: [...rest, merged.run], nextRun: nextRun + 1 } });
  for (const run of due) await deleteAll(lease, run, limits);
}

/**
 * Deletes what no list names of the dedup index, in ranges that are mostly empty. All that writes there moves the lease: so
 * it belongs to nobody at work, or the first write of this fails.
 */
async function sweep({ store, limits }: Working, lease: Fence<Settled>): Promise<void> {
  for (const range of rangesBeside(lease.value().runs)) {
    await lease.renew();
    await deleteRange({ store, write: lease.write, limits }, range);
  }
}

async function writeAll(
  fence: Fence<Settled>,
  sets: Iterable<[Key, Uint8Array]> | AsyncIterable<[Key, Uint8Array]>,
  { dedupWriteKeys }: SettlerLimits,
) {
  let batch: [Key, Uint8Array][] = [];
  let bytes = 0;
  for await (const set of sets) {
    if (bytes + set[1].length > SEEN_WRITE_BYTES || batch.length >= dedupWriteKeys) {
      await fence.write({ sets: batch });
      batch = [];
      bytes = 0;
    }
    batch.push(set);
    bytes += set[1].length + 100;
  }
  if (batch.length > 0) await fence.write({ sets: batch });
}

async function deleteAll(
  fence: Fence<Settled>,
  run: Run,
  { dedupWriteKeys }: SettlerLimits,
): Promise<void> {
  const keys = keysOfRun(run);
  for (let i = 0; i < keys.length; i += dedupWriteKeys) {
    await fence.write({ deletes: keys.slice(i, i + dedupWriteKeys) });
  }
}
