/**
 * Replays that administrators request over HTTP. Each is a value in the store: one process at a time works on the
 * oldest unfinished one. If it dies, another begins that replay again. Nothing relies on a timer: requests and ticks
 * wake this.
 */
import type { Clock } from "../store/clock.ts";
import { NotServing, StorageUnavailable } from "../store/errors.ts";
import { replayKey } from "../store/keys.ts";
import { LostFence } from "../store/lease.ts";
import type { Entry } from "../store/store.ts";
import { withTimeout } from "../store/timeout.ts";
import {
  BEAT_MS,
  type Claim,
  createClaim,
  entriesIn,
  isOver,
  LEASE_MS,
  over,
  type Replay,
  type ReplayRequest,
} from "./record.ts";
import { ReplayStopped, type RunOptions, runReplay, UnknownActor } from "./run.ts";
import { ReplayRefused } from "./replay_all.ts";

/** Replays as the routes see them. */
export interface Replays {
  /** Requests a replay and gives its id. Throws {@link NotServing} if too many are pending. */
  request(request: ReplayRequest): Promise<string>;
  /** The latest, newest first. */
  list(): Promise<Replay[]>;
  /** Works on pending replays, at most this long; a running one then continues. */
  tick(ms: number): Promise<void>;
  close(): Promise<void>;
}

/** Options of replays. */
export interface ReplaysOptions extends Omit<RunOptions, "onProgress" | "owner"> {
  onFault(error: unknown): void;
}

/** Stored replays: callers look at the last few. */
const KEPT = 20;

/** Replays that may wait: each takes a pass over the journal. */
const MAX_WAITING = 10;

/** Attempts at a replay: processes die, erasures interrupt, storage fails for a while. */
const MAX_TRIES = 5;

/** The error after the last attempt if nothing else is known: its processes died. */
const INTERRUPTED = "Each process that ran it stopped before it was done.";

/** Pause before another attempt, times the number of attempts. */
const REST_MS = 1_000;

/** Longest wait for a replay to stop: it checks for that whenever it waits. */
const CLOSE_MS = 1_000;

/** State of replays. */
interface State {
  options: ReplaysOptions;
  /** This process, as a holder of leases. */
  owner: string;
  stopping: ReturnType<typeof createStop>;
  /** A clock whose waits end at the stop. */
  clock: Clock;
  running: Promise<void> | undefined;
}

/** Creates the replays of this process. */
export function createReplays(options: ReplaysOptions): Replays {
  const { store, newId } = options;
  const stopping = createStop();
  const state: State = {
    options,
    owner: newId(),
    stopping,
    clock: stopping.heeding(options.clock),
    running: undefined,
  };
  return {
    async request({ scope, verify }) {
      const entries = await entriesIn(store);
      if (entries.filter(({ value }) => !isOver(value!)).length >= MAX_WAITING) {
        throw new NotServing(`${MAX_WAITING} replays are pending. Retry when one is done.`, "overloaded");
      }
      const id = newId();
      const requestedAt = options.clock.now();
      const replay: Replay = {
        id,
        scope,
        verify,
        state: "waiting",
        requestedAt,
        tries: 0,
        owner: state.owner,
        until: 0,
      };
      const deletes = entries.slice(KEPT - 1).filter(({ value }) => isOver(value!)).map(({ key }) => key);
      const key = replayKey(id);
      const write = {
        checks: [{ key, stamp: null }],
        sets: [[key, replay] as [typeof key, Replay]],
        deletes,
      };
      // No other process writes under this id: a write that is denied was done.
      await store.commit(write);
      void wake(state);
      return id;
    },
    async list() {
      const replays = (await entriesIn(store)).map(({ value }) => value!);
      // A request for the list continues a replay whose process died.
      if (replays.some((each) => !isOver(each))) void wake(state);
      return replays.slice(0, KEPT);
    },
    tick: (ms) => withTimeout(wake(state), { clock: options.clock, ms, onTimeout() {} }),
    async close() {
      stopping.stop();
      await withTimeout(state.running ?? Promise.resolve(), {
        clock: options.clock,
        ms: CLOSE_MS,
        onTimeout() {},
      });
    },
  };
}

function wake(state: State): Promise<void> {
  if (state.stopping.stopped()) return Promise.resolve();
  return state.running ??= work(state).catch((error) => {
    if (!state.stopping.stopped() && !(error instanceof StorageUnavailable)) state.options.onFault(error);
  }).finally(() => state.running = undefined);
}

async function work(state: State): Promise<void> {
  for (let claim = await claimNext(state); claim !== undefined; claim = await claimNext(state)) {
    await carryOut(state, claim);
  }
}

/** The oldest replay that is not over, once it is this process's. */
async function claimNext(state: State): Promise<Claim | undefined> {
  for (;;) {
    const entry = (await entriesIn(state.options.store)).findLast(({ value }) => !isOver(value!));
    if (entry === undefined) return undefined;
    const leftMs = entry.value!.until - state.clock.now();
    // A lease that ends later than `LEASE_MS` from now was written by a process with a wrong clock.
    if (leftMs > 0 && leftMs <= LEASE_MS) return undefined;
    const claim = createClaim(entry as Entry<Replay> & { value: Replay }, {
      store: state.options.store,
      clock: state.clock,
      owner: state.owner,
    });
    const { tries } = entry.value!;
    const begun = tries < MAX_TRIES
      ? { state: "running" as const, tries: tries + 1, startedAt: state.clock.now(), events: 0 }
      : over("failed", state.clock.now(), {
        error: entry.value!.error ?? INTERRUPTED,
      });
    if (await claim.write(begun) && tries < MAX_TRIES) return claim;
  }
}

async function carryOut(state: State, claim: Claim): Promise<void> {
  let progress: Partial<Replay> = {};
  const stopBeat = beat(state, claim, () => progress);
  const { scope, verify, tries } = claim.value();
  const end = await runReplay({
    ...state.options,
    clock: state.clock,
    owner: state.options.newId(),
    onProgress(events, totalEvents) {
      if (state.stopping.stopped() || claim.isLost()) {
        throw new ReplayStopped("The replay was deleted, or another process runs it.");
      }
      progress = { events, totalEvents };
    },
  }, { scope, verify }).then(
    (outcome) => over("done", state.clock.now(), { ...outcome, totalEvents: undefined, error: undefined }),
    (error) => afterFailure(state, error, tries),
  );
  await stopBeat();
  await claim.write(end);
  if (end.state === "waiting") await state.clock.sleep(REST_MS * tries);
}

function afterFailure(state: State, error: unknown, tries: number): Partial<Replay> & Pick<Replay, "state"> {
  const waiting = { state: "waiting" as const, until: 0 };
  // Another process continues, and this does not count as an attempt.
  if (state.stopping.stopped()) return { ...waiting, tries: tries - 1 };
  const failed = (error: string) => over("failed", state.clock.now(), { error });
  if (error instanceof UnknownActor) return failed(error.message);
  // Another replay, an erasure, storage that does not answer: these pass.
  const passes = [ReplayRefused, ReplayStopped, StorageUnavailable, LostFence].some((kind) =>
    error instanceof kind
  );
  if (passes) {
    const { message } = error as Error;
    return tries < MAX_TRIES ? { ...waiting, error: message } : failed(message);
  }
  state.options.onFault(error);
  return failed("An internal error occurred; see the server's log.");
}

/** Reports that the replay is running, and its progress, until the returned function is called. */
function beat(state: State, claim: Claim, progress: () => Partial<Replay>): () => Promise<void> {
  let writing: Promise<unknown> = Promise.resolve();
  let done = false;
  let cancel = state.options.clock.timer(BEAT_MS, next);
  function next(): void {
    writing = claim.write(progress()).catch(() => {}).then(() => {
      if (!done && !claim.isLost()) cancel = state.options.clock.timer(BEAT_MS, next);
    });
  }
  return async () => {
    done = true;
    cancel();
    await writing;
  };
}

/** A stop that also ends the waits of its clocks. */
function createStop() {
  const waits = new Set<() => void>();
  let stopped = false;
  return {
    stopped: () => stopped,
    stop() {
      stopped = true;
      for (const end of waits) end();
    },
    /** A clock whose waits end with {@link ReplayStopped} at the stop. */
    heeding: (clock: Clock): Clock => ({
      ...clock,
      async sleep(ms) {
        if (stopped) throw new ReplayStopped("The server stops.");
        const wait = Promise.withResolvers<void>();
        const end = () => wait.reject(new ReplayStopped("The server stops."));
        const cancel = clock.timer(ms, wait.resolve);
        waits.add(end);
        try {
          await wait.promise;
        } finally {
          cancel();
          waits.delete(end);
        }
      },
    }),
  };
}
