/**
 * Subscriptions: who follows the journal, in order, from a checkpoint. The checkpoint is a lease as well: one process works
 * at a time, every write checks and moves it, so what a handler writes together with it happens once, whoever dies.
 */
import { BEGINNING, type Position } from "../../domain/event/position.ts";
import type { Clock } from "../store/clock.ts";
import { StorageFault } from "../store/errors.ts";
import type { Key } from "../store/keys.ts";
import { type Fence, type Fenced, LostFence, takeFence, workUnder } from "../store/lease.ts";
import type { Store } from "../store/store.ts";
import { endOfJournal, type JournalEnd } from "./read_journal.ts";

/** How far a subscription is. A stored format. */
export interface Checkpoint extends Fenced {
  /** Everything up to this position, so many events, is handled. */
  position: Position;
  events: number;
  /** The end of the stretch under way: whoever takes over finishes it to this end. */
  target: Position | null;
}

/** Before the first stretch. */
export const NO_CHECKPOINT: Checkpoint = {
  position: BEGINNING,
  events: 0,
  target: null,
  fold: 0,
  owner: "",
  until: 0,
  op: "",
};

/** Work that needs a subscription's lease, between two stretches. */
export interface Task<C extends Checkpoint> {
  /** The value under this key tells whether there is something to do. */
  key: Key;
  isDue(value: unknown, checkpoint: C): boolean;
  /** Does some of it; false where more has to be handled first. It must be safe to repeat. */
  run(lease: Fence<C>): Promise<boolean>;
}

/** What a subscription is given. */
export interface SubscriptionOptions<C extends Checkpoint> {
  store: Store;
  clock: Clock;
  newId(): string;
  /** The version of the folds that this process has. */
  foldVersion: number;
  /** The name of this process. */
  owner: string;
  /** Where the checkpoint stands, and what it says before the first stretch. */
  key: Key;
  empty: C;
  /** A stretch begins when nothing more came for `quietMs`, when `events` wait, or after `waitMs`. */
  gather: { quietMs: number; waitMs: number; events: number };
  /** Who may take the lease away between stretches, in the order in which they are asked. */
  tasks?: readonly Task<C>[];
  /**
   * Handles a stretch behind the checkpoint, up to a position at most, and moves the checkpoint with what it writes. Work
   * that may be cut off when this process closes is written by `interruptible`, which is the lease until then.
   */
  handle(lease: Fence<C>, upTo: Position, interruptible: Fence<C>): Promise<void>;
  /** Called when the checkpoint has moved, by whomever: not where only its lease was renewed. */
  onMoved(checkpoint: C): void;
  /** Whether one checkpoint is further than another; by default, where its position is. */
  hasMoved?(before: C, after: C): boolean;
  /** Called when work was cut off, here or in a process that did not give its lease back: something may be half done. */
  onCutOff?(): void;
  /** Called with what made a stretch fail; it is handled again later. */
  onFault(error: unknown): void;
}

/** A subscription at work, wherever it runs. */
export interface Subscription {
  /** There is something to handle: call it after each commit. */
  wake(): void;
  /** Somebody waits for it: events no longer gather. */
  hurry(): void;
  /** Stops: a stretch under way is handled again by whoever takes over. */
  close(): Promise<void>;
}

/** After a fault, or while another process holds the lease, the next try comes after this time. */
const RETRY_MS = 300;

/**
 * A process that loses the lease again and again waits up to so many times as long: processes whose clocks differ by more
 * than a lease take each other for dead, and would cut off each other's stretches for ever.
 */
const MAX_RETRY_FACTOR = 32;

/** A task that fails is tried again after this time; meanwhile events are handled. */
const TASK_RETRY_MS = 10_000;

/** Reported as a fault where states are of a newer fold version: this process must not write over them. */
class NewerFold extends Error {
  override name = "NewerFold";
}

/** What a subscription looks at before it does anything. */
interface Progress<C extends Checkpoint> {
  end: JournalEnd;
  checkpoint: C;
  task: Task<C> | undefined;
}

/** Follows the journal in this process, as soon as it is woken. */
export function subscribe<C extends Checkpoint>(options: SubscriptionOptions<C>): Subscription {
  const { store, clock, key, empty, foldVersion, tasks = [], hasMoved = isFurther } = options;
  const state = { again: false, hurried: false, closed: false, retryFactor: 1 };
  let looping: Promise<void> | undefined;
  let moved: C = empty;
  /** When a task that failed may be tried again, by the monotonic clock. */
  const retryMs = new Map<Task<C>, number>();

  async function loop(): Promise<void> {
    while (state.again && !state.closed) {
      state.again = false;
      try {
        while (!state.closed && await step());
      } catch (error) {
        if (!state.closed) await pauseAfter(error);
      }
    }
    // In the same step as the last look: who wakes it next begins anew.
    looping = undefined;
  }

  async function pauseAfter(error: unknown): Promise<void> {
    options.onCutOff?.();
    const isLost = error instanceof LostFence;
    if (!isLost) options.onFault(error);
    state.again = true;
    for (let n = 0; n < state.retryFactor && !state.closed; n++) {
      await clock.sleep(RETRY_MS * (0.5 + clock.random()));
    }
    if (isLost) state.retryFactor = Math.min(2 * state.retryFactor, MAX_RETRY_FACTOR);
  }

  /** Handles something if there is anything; false where there is not. */
  async function step(): Promise<boolean> {
    const { end, checkpoint, task } = await progress();
    tellMoved(checkpoint);
    if (end.end <= checkpoint.position && task === undefined) return false;
    if (checkpoint.fold > foldVersion) throw new NewerFold(newerFold(checkpoint.fold, foldVersion));
    if (task === undefined) await untilGathered(end, checkpoint);
    state.hurried = false;
    if (state.closed) return false;
    const lease = await takeFence<C>(options);
    // Another process holds it: its lease may end.
    if (lease === undefined) {
      await clock.sleep(RETRY_MS);
      return true;
    }
    const { owner, until } = lease.value();
    if (owner !== options.owner && until > 0) options.onCutOff?.();
    await workUnder(lease, () => work(lease));
    state.retryFactor = 1;
    return true;
  }

  /** How far the journal and the checkpoint are, and the first task that is due. */
  async function progress(): Promise<Progress<C>> {
    const [[entry, ...rest], end] = await Promise.all([
      store.getMany([key, ...tasks.map((task) => task.key)]),
      endOfJournal(store),
    ]);
    const checkpoint = (entry!.value ?? empty) as C;
    const task = tasks.find((each, index) =>
      each.isDue(rest[index]!.value, checkpoint) && clock.monotonic() >= (retryMs.get(each) ?? -Infinity)
    );
    return { end, checkpoint, task };
  }

  function tellMoved(checkpoint: C): void {
    if (!hasMoved(moved, checkpoint)) return;
    moved = checkpoint;
    options.onMoved(checkpoint);
  }

  /** Lets events gather: the more there are in a stretch, the less each costs. Not when somebody waits for them. */
  async function untilGathered(end: JournalEnd, checkpoint: C): Promise<void> {
    const { quietMs, waitMs, events } = options.gather;
    const until = clock.monotonic() + waitMs;
    for (let seen = BEGINNING; !state.closed && !state.hurried && clock.monotonic() < until;) {
      if (end.events - checkpoint.events >= events || end.end === seen) return;
      seen = end.end;
      await clock.sleep(quietMs);
      ({ end } = await progress());
    }
  }

  /** A lease that writes nothing any more once this process closes: whoever takes it next goes on. */
  function whileOpen(lease: Fence<C>): Fence<C> {
    return {
      ...lease,
      write: async (writes) => {
        if (state.closed) throw new LostFence("this process is closing");
        await lease.write(writes);
      },
    };
  }

  /** Goes on with a task, or handles a stretch. What was read before the lease was taken may be out of date. */
  async function work(lease: Fence<C>): Promise<void> {
    const { end, task } = await progress();
    const open = whileOpen(lease);
    if (task === undefined || !await tryTask(open, task)) await options.handle(lease, end.end, open);
    tellMoved(lease.value());
    const now = await progress();
    // Where nothing is left to do it gives the lease back, so that nobody waits for it.
    if (now.end.end <= lease.value().position) await lease.write({ change: { until: 0 } as Partial<C> });
  }

  /**
   * A task that fails for a damaged value would fail again at once, and nobody's events would be handled any more: handling
   * goes on, and the task is tried again later.
   */
  async function tryTask(lease: Fence<C>, task: Task<C>): Promise<boolean> {
    try {
      return await task.run(lease);
    } catch (error) {
      if (state.closed || !(error instanceof StorageFault)) throw error;
      retryMs.set(task, clock.monotonic() + TASK_RETRY_MS);
      options.onFault(error);
      return false;
    }
  }

  function wake(): void {
    state.again = true;
    if (!state.closed) looping ??= Promise.resolve().then(loop);
  }

  return {
    wake,
    hurry() {
      state.hurried = true;
      wake();
    },
    async close() {
      state.closed = true;
      await looping;
      const lease = await takeFence<C>(options).catch(() => undefined);
      const value = lease?.value();
      // Nobody need wait for a lease that has no use any more.
      if (value?.owner === options.owner && value.until > 0) {
        await lease!.write({ change: { until: 0 } as Partial<C> }).catch(() => {});
      }
    },
  };
}

function isFurther(before: Checkpoint, after: Checkpoint): boolean {
  return after.position > before.position;
}

function newerFold(fold: number, foldVersion: number): string {
  return `Database was written by a newer version (fold ${fold}, this process has ${foldVersion}). ` +
    "Continuing without settling; upgrade this process.";
}
