/**
 * The settler: takes the fence, settles the journal in rounds, keeps the seen index. It knows nothing but the store, so
 * it may run in the server's thread, in one of its own, or in another process.
 */
import { endOfHead, type Head, type JournalEnd } from "../journal/read_journal.ts";
import { BEGINNING, type Position } from "../../domain/event/position.ts";
import type { Clock } from "../store/clock.ts";
import { FOLD_VERSION } from "../../domain/profile/fact.ts";
import { createEvents, type Events } from "../journal/event_reader.ts";
import { type Fence, LostFence, takeFence, workUnder } from "../store/lease.ts";
import { gather, type Gathered } from "./read_round.ts";
import { erasuresOf, NOTHING_SETTLED, type Settled } from "../journal/journal_state.ts";
import { HEAD, type Key, SETTLED } from "../store/keys.ts";
import { deleteRange } from "../store/write_batch.ts";
import {
  dueForMerge,
  keysOfRun,
  makeRun,
  mergeRuns,
  rangesBeside,
  type Run,
  withinWindow,
} from "../journal/dedup_index.ts";
import { settleRound } from "./round.ts";
import type { Store } from "../store/store.ts";
import { StorageFault } from "../store/errors.ts";

/** A round begins when nothing more came for this long, and at the latest when the first has waited for so long. */
const QUIET_MS = 50;
const WAIT_MS = 4_000;

/** After a fault, or while another process settles, the next try comes after this time. */
const RETRY_MS = 300;

/**
 * Who loses the fence again and again waits up to so many times as long: processes whose clocks differ by more than a
 * lease take each other for gone, and would else cut off each other's rounds for ever.
 */
const MAX_RETRY_FACTOR = 32;

/** A task that fails is tried again after this time; meanwhile events are settled. */
const TASK_RETRY_MS = 10_000;

/** A round begins at once when so many events wait: enough that an actor has several in it. */
const READY_EVENTS = 150_000;

/** A round takes at most so many events, and bytes of memory for them. */
const ROUND_EVENTS = 150_000;
const ROUND_BYTES = 64 * 1024 * 1024;

/** Runs cover at most this share of the window of dedup, so that they grow old whole. */
const RUN_SPAN = 1 / 16;

/** Bytes, and keys, of the seen index in one operation. */
const SEEN_WRITE_BYTES = 300_000;
const SEEN_WRITE_KEYS = 500;

/** What the settler is given. */
export interface SettlerOptions {
  store: Store;
  /** This settler's name. */
  owner: string;
  clock: Clock;
  newId(): string;
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

/** What a task is given. */
export interface LeaseTaskOptions {
  store: Store;
  events: Events;
  owner: string;
  clock: Clock;
  newId(): string;
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
export interface Settler {
  /** There is something to settle: call it after each commit. */
  wake(): void;
  /** Somebody waits for it. */
  hurry(): void;
  /** Stops: a round under way is done again by whoever settles next. */
  close(): Promise<void>;
}

/** Told as a fault where states are of a newer fold version: this process must not write over them. */
class NewerFold extends Error {
  override name = "NewerFold";
}

/** Makes a settler in this thread. */
export function createSettler(options: SettlerOptions): Settler {
  const { store, clock } = options;
  const events = createEvents(store);
  let looping: Promise<void> | undefined;
  let again = false;
  let hurried = false;
  let closed = false;
  let settledPosition = BEGINNING;
  let erasures = 0;
  /** When a task that failed may be tried again, by the monotonic clock. */
  const retryMs = new Map<LeaseTask, number>();
  let retryFactor = 1;
  /** Whether no part of a run is left in the store that was cut off half made or half deleted, as far as is known. */
  let isSwept = false;

  async function loop(): Promise<void> {
    while (again && !closed) {
      again = false;
      try {
        while (!closed && await step());
      } catch (error) {
        if (closed) break;
        isSwept = false;
        const isLost = error instanceof LostFence;
        if (!isLost) options.onFault(error);
        again = true;
        for (let n = 0; n < retryFactor && !closed; n++) await clock.sleep(RETRY_MS * (0.5 + clock.random()));
        if (isLost) retryFactor = Math.min(2 * retryFactor, MAX_RETRY_FACTOR);
      }
    }
    // In the same step as the last look: who wakes it next begins anew.
    looping = undefined;
  }

  /** Settles something if there is anything; false where there is not. */
  async function step(): Promise<boolean> {
    const { end, settled, task } = await progress();
    if (erasuresOf(settled) > erasures) {
      events.forget();
      erasures = erasuresOf(settled);
      options.onSettled();
    }
    if (settled.position > settledPosition) {
      settledPosition = settled.position;
      options.onSettled();
    }
    if (end.end <= settled.position && task === undefined) return false;
    if (settled.fold > FOLD_VERSION) {
      throw new NewerFold(
        `a newer version of signalfold settles this database (fold ${settled.fold}, this one has ${FOLD_VERSION}): ` +
          "this process takes events and reads, and no longer settles; upgrade it",
      );
    }
    if (task === undefined) await untilReady(end, settled);
    hurried = false;
    if (closed) return false;
    const fence = await takeFence({ ...options, key: SETTLED, empty: NOTHING_SETTLED });
    // Another process settles: its lease may end.
    if (fence === undefined) {
      await clock.sleep(RETRY_MS);
      return true;
    }
    const { owner, until } = fence.value();
    // Another, who did not give its lease back: it was cut off, whatever it was at.
    if (owner !== options.owner && until > 0) isSwept = false;
    await workUnder(fence, () => work(fence));
    retryFactor = 1;
    return true;
  }

  /** How far the journal and settling are, and the first task that is due. */
  async function progress(): Promise<{ end: JournalEnd; settled: Settled; task: LeaseTask | undefined }> {
    const keys = options.betweenRounds.map(({ key }) => key);
    const [head, settledEntry, ...entries] = await store.getMany([HEAD, SETTLED, ...keys]);
    const settled = (settledEntry!.value ?? NOTHING_SETTLED) as Settled;
    const task = options.betweenRounds.find((each, index) =>
      each.isDue(entries[index]!.value, settled) && clock.monotonic() >= (retryMs.get(each) ?? -Infinity)
    );
    return { end: endOfHead(head!.value as Head | null), settled, task };
  }

  /** Lets events gather: the more an actor has in a round, the less each costs. Not when somebody waits for them. */
  async function untilReady(end: JournalEnd, settled: Settled): Promise<void> {
    const until = clock.monotonic() + WAIT_MS;
    for (let seen = BEGINNING; !closed && !hurried && clock.monotonic() < until;) {
      if (end.events - settled.events >= READY_EVENTS || end.end === seen) return;
      seen = end.end;
      await clock.sleep(QUIET_MS);
      ({ end } = await progress());
    }
  }

  /** Goes on with a task, or settles. What was read before the fence was taken may be out of date. */
  async function work(fence: Fence<Settled>): Promise<void> {
    const { end, task } = await progress();
    if (task !== undefined && await tryTask(fence, task)) return;
    await round(fence, end.end);
  }

  /**
   * A task that fails for a damaged value would fail again at once, and nobody's events would be settled any more:
   * settling goes on, and the task is tried again later.
   */
  async function tryTask(fence: Fence<Settled>, task: LeaseTask): Promise<boolean> {
    try {
      return await runTask(fence, task);
    } catch (error) {
      if (closed || !(error instanceof StorageFault)) throw error;
      retryMs.set(task, clock.monotonic() + TASK_RETRY_MS);
      options.onFault(error);
      return false;
    }
  }

  /** Runs a task; false where something must be settled before. */
  async function runTask(fence: Fence<Settled>, task: LeaseTask): Promise<boolean> {
    const write: Fence<Settled>["write"] = async (writes) => {
      // Whoever takes the fence next goes on with it.
      if (closed) throw new LostFence("the settler is closing");
      await fence.write(writes);
    };
    if (!await task.run({ ...fence, write }, { ...options, events })) return false;
    const { end } = await progress();
    if (end.end <= fence.value().position) await fence.write({ change: { until: 0 } });
    return true;
  }

  /** One round, to the end that a round before it had fixed, or as far as one goes. */
  async function round(fence: Fence<Settled>, end: Position): Promise<void> {
    const before = fence.value();
    const began = clock.monotonic();
    const upTo = before.target ?? end;
    if (upTo <= before.position) return;
    const bounds = before.target === null
      ? { maxEvents: ROUND_EVENTS, maxBytes: ROUND_BYTES }
      : { maxEvents: Infinity, maxBytes: Infinity };
    const gathered = await gather(store, { after: before.position, upTo, ...bounds });
    await fence.write({ change: { target: gathered.end } });
    await settleRound({
      store,
      generation: before.generation,
      write(writes) {
        // Whoever settles next does the round again, to the same end.
        if (closed) throw new LostFence("the settler is closing");
        return fence.write(writes);
      },
      factsAt: events.factsAt,
      renew: fence.renew,
    }, gathered.mail);
    await finish(fence, before, gathered);
    settledPosition = gathered.end;
    options.onSettled();
    options.onRound?.({
      durationMs: clock.monotonic() - began,
      events: fence.value().events - before.events,
    });
    await merge(fence);
    if (!isSwept) await sweep(fence);
    const { end: now } = await progress();
    // Where nothing is left to do it gives the lease back, so that nobody waits for it.
    if (closed || now.end === gathered.end) await fence.write({ change: { until: 0 } });
  }

  /** Puts the ids of a round in the seen index and moves `settled`, in one operation at the end. */
  async function finish(
    fence: Fence<Settled>,
    before: Settled,
    { digests, events, end, at }: Gathered,
  ): Promise<void> {
    const made = makeRun(before.nextRun, digests, at);
    const kept = withinWindow(before.runs, { nowMs: at, windowMs: options.windowMs });
    if (made !== undefined) await writeAll(fence, made.sets);
    await fence.write({
      change: {
        position: end,
        events: before.events + events,
        target: null,
        runs: made === undefined ? kept : [...kept, made.run],
        nextRun: before.nextRun + 1,
      },
    });
    for (const run of before.runs) if (!kept.includes(run)) await deleteAll(fence, run);
  }

  /** Merges runs that are due. */
  async function merge(fence: Fence<Settled>): Promise<void> {
    const { runs, nextRun } = fence.value();
    const spanMs = options.windowMs === 0 ? Infinity : options.windowMs * RUN_SPAN;
    const due = dueForMerge(runs, spanMs);
    if (due.length === 0) return;
    const merged = mergeRuns(store, nextRun, due);
    await writeAll(fence, merged.sets);
    const rest = runs.filter((run) => !due.includes(run));
    await fence.write({ change: { runs: [...rest, merged.run], nextRun: nextRun + 1 } });
    for (const run of due) await deleteAll(fence, run);
  }

  /**
   * Deletes what no list names of the seen index, in ranges that are mostly empty. All that writes there moves the fence: so
   * it is nobody's who is at work, or the first write of this fails.
   */
  async function sweep(fence: Fence<Settled>): Promise<void> {
    for (const range of rangesBeside(fence.value().runs)) {
      await fence.renew();
      await deleteRange({ store, write: fence.write }, range);
    }
    isSwept = true;
  }

  function wake(): void {
    again = true;
    if (!closed) looping ??= Promise.resolve().then(loop);
  }

  return {
    wake,
    hurry() {
      hurried = true;
      wake();
    },
    async close() {
      closed = true;
      await looping;
      const fence = await takeFence({ ...options, key: SETTLED, empty: NOTHING_SETTLED }).catch(() =>
        undefined
      );
      const value = fence?.value();
      // Nobody need wait for a lease that has no use any more.
      if (value?.owner === options.owner && value.until > 0) {
        await fence!.write({ change: { until: 0 } }).catch(() => {});
      }
    },
  };
}

async function writeAll(
  fence: Fence<Settled>,
  sets: Iterable<[Key, Uint8Array]> | AsyncIterable<[Key, Uint8Array]>,
) {
  let batch: [Key, Uint8Array][] = [];
  let bytes = 0;
  for await (const set of sets) {
    if (bytes + set[1].length > SEEN_WRITE_BYTES || batch.length >= SEEN_WRITE_KEYS) {
      await fence.write({ sets: batch });
      batch = [];
      bytes = 0;
    }
    batch.push(set);
    bytes += set[1].length + 100;
  }
  if (batch.length > 0) await fence.write({ sets: batch });
}

async function deleteAll(fence: Fence<Settled>, run: Run): Promise<void> {
  const keys = keysOfRun(run);
  for (let i = 0; i < keys.length; i += SEEN_WRITE_KEYS) {
    await fence.write({ deletes: keys.slice(i, i + SEEN_WRITE_KEYS) });
  }
}
