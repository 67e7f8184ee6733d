/**
 * The worker of one destination in one process: whoever has the lease reads the journal, delivers, and stores how far it is.
 * It gives the lease back when there is nothing to do, and loses it to another process if it does not renew it.
 */
import { later, type Position } from "../../domain/event/position.ts";
import { FORWARD_ERASED, forwardKey } from "../store/keys.ts";
import { LostFence, takeFence } from "../store/lease.ts";
import type { Destination } from "./destinations.ts";
import type { ReadEntry } from "./follower.ts";
import { dispatch, isRunning } from "./dispatch.ts";
import { obeyOrders } from "./orders.ts";
import { sendNotices } from "./notices.ts";
import { save, writeUnder } from "./saving.ts";
import { openWork } from "./open_work.ts";
import { type ErasedMark, FORWARD_VERSION, type ForwardState, initialState } from "./state.ts";
import { isHeld, type Work, type WorkerParts } from "./work.ts";

/** The worker of a destination. */
export interface Worker {
  readonly id: string;
  /** There may be something to do. */
  wake(): void;
  /** The destination has changed. */
  update(destination: Destination): void;
  /** There are orders. */
  order(): void;
  /** New entries of the journal: it is woken if it may want one of their events, and now and then otherwise. */
  news(after: Position, entries: readonly ReadEntry[]): void;
  /** It is due by its key: what is known of it is out of date. */
  wakeDue(): void;
  /** Somebody was erased. */
  erased(): void;
  /** Stores what this process knows, if it works here. */
  flush(): Promise<void>;
  /** The state as this process knows it, if it works here. */
  working(): Work | undefined;
  /** Whether there is nothing to do at the moment. */
  isIdle(): boolean;
  close(): Promise<void>;
}

/** After a fault, or while another process works, the next look comes after so long. */
const RETRY_MS = 500;
/** The lease is renewed after so long. */
const RENEW_MS = 1_500;
/** Requests under way may end within this time when the process ends. */
const CLOSE_MS = 2_000;

/** Starts the worker of a destination. */
export function startWorker(parts: WorkerParts, first: Destination): Worker {
  const { clock, limits, follower } = parts;
  const signal = createSignal(clock);
  let destination = first;
  let work: Work | undefined;
  let isClosed = false;
  let hasOrders = true;
  let hasErasures = false;
  /** A stretch behind the checkpoint in which nothing is wanted. */
  let skimmed: { from: Position; to: Position; events: number } | undefined;
  /** When news came last that were worth waking. */
  let newsMs = -Infinity;
  /** What is known of the stored state where another process may work. */
  let known: { position: Position; dueAt: number | null } | undefined;

  /** Ms until something that waits is due. */
  const dueIn = () => {
    const dueAt = known?.dueAt ?? null;
    return dueAt === null ? Infinity : dueAt - clock.now();
  };

  const hasWork = () => {
    if (hasOrders) return true;
    if (!isRunning(destination)) return false;
    const end = follower.end()?.end;
    const isBehind = end !== undefined && (known === undefined || known.position < end);
    return isBehind || dueIn() <= 0;
  };

  async function run(): Promise<void> {
    while (!isClosed) {
      signal.clear();
      if (!hasWork()) {
        await signal.wait(clock.monotonic() + dueIn());
        continue;
      }
      try {
        if (!await lead()) await clock.sleep(RETRY_MS);
      } catch (error) {
        if (!(error instanceof LostFence)) parts.onFault(error);
        await clock.sleep(RETRY_MS * (0.5 + clock.random()));
      } finally {
        if (work !== undefined) work.isCurrent = false;
        work = undefined;
      }
    }
  }

  /** Works as long as there is something to do; false if another process does. */
  async function lead(): Promise<boolean> {
    const { store, newId, owner } = parts;
    const fence = await takeFence<ForwardState>({
      store,
      clock,
      newId,
      owner,
      key: forwardKey(destination.id),
      empty: initialState(destination.start),
      foldVersion: FORWARD_VERSION,
    });
    if (fence === undefined) return false;
    const stretch = skimmed;
    skimmed = undefined;
    work = await openWork({ parts, fence, destination, wake: signal.set, orderAgain: order }, stretch);
    parts.slots.join(destination.id);
    try {
      await workUntilIdle(work);
      return true;
    } finally {
      parts.slots.leave(destination.id);
      void work.sender.sender.close();
    }
  }

  async function workUntilIdle(work: Work): Promise<void> {
    let lastMs = clock.monotonic();
    for (;;) {
      signal.clear();
      if (!work.isCurrent) throw new LostFence("what is stored is not known");
      if (hasErasures) {
        hasErasures = false;
        await obeyErasure(work);
      }
      if (hasOrders) {
        hasOrders = false;
        await obeyOrders(work);
        await sendNotices(work);
      }
      const again = isClosed ? Infinity : await pump(work);
      await saveIfDue(work);
      const isPumping = isRunning(work.destination) &&
        (again <= clock.monotonic() || work.streams.some(({ stream }) => !stream.isIdle()));
      if (work.flying.size > 0 || signal.isSet() || isPumping) lastMs = clock.monotonic();
      if (isClosed ? await hasDrained(work) : clock.monotonic() - lastMs >= limits.idleMs) {
        if (!signal.isSet() || isClosed) break;
      }
      const saveMs = work.isDirty ? work.savedMs + limits.saveMs : Infinity;
      await signal.wait(Math.min(again, saveMs, work.renewedMs + RENEW_MS, lastMs + limits.idleMs));
    }
    await save(work, { release: true });
    known = { position: work.state.position, dueAt: work.state.dueAt };
  }

  /** Reads and dispatches; gives when to do so again. */
  async function pump(work: Work): Promise<number> {
    if (!isRunning(work.destination)) return Infinity;
    if (!isHeld(work)) await work.inTurn(() => writeUnder(work, {}));
    // What is ready need not wait for storage.
    dispatch(work);
    let hasMore = false;
    const end = follower.end()!.end;
    for (const running of work.streams) {
      const { stream, replay } = running;
      if (replay !== undefined && replay.state !== "running") continue;
      await stream.refill();
      if (await stream.readMore(end)) {
        work.isDirty = true;
        hasMore = !stream.isAtEnd(end);
      }
    }
    const again = dispatch(work);
    finishReplays(work, end);
    // Requests of senders, and other destinations, come in between.
    if (hasMore) await clock.turn();
    return hasMore && work.streams.some(({ stream }) => !stream.hasReady()) ? clock.monotonic() : again;
  }

  /** Notes that nothing in these entries is wanted, so that they need not be read again. */
  function skim(after: Position, entries: readonly ReadEntry[]): void {
    const isNext = skimmed === undefined ? known?.position === after : skimmed.to === after;
    if (work !== undefined || !isNext) return void (skimmed = undefined);
    const events = entries.reduce((sum, { n }) => sum + n, skimmed?.events ?? 0);
    skimmed = { from: skimmed?.from ?? after, to: entries.at(-1)!.end, events };
  }

  async function saveIfDue(work: Work): Promise<void> {
    const sinceMs = clock.monotonic() - work.savedMs;
    const hasOutcomes = work.sent.length + work.deads.length + work.sets.length + work.deletes.length > 0 ||
      work.streams.some(({ stream }) => !stream.isEmpty());
    const saveMs = hasOutcomes ? limits.saveMs : limits.saveIdleMs;
    if (work.isDirty && sinceMs >= saveMs) await save(work);
    else if (clock.monotonic() - work.renewedMs >= RENEW_MS) await work.inTurn(() => writeUnder(work, {}));
  }

  async function hasDrained(work: Work): Promise<boolean> {
    const endMs = clock.monotonic() + CLOSE_MS;
    while (work.flying.size > 0 && clock.monotonic() < endMs) await clock.sleep(10);
    return true;
  }

  function order(): void {
    hasOrders = true;
    signal.set();
  }

  const running = run();
  return {
    id: first.id,
    wake: signal.set,
    update(changed) {
      destination = changed;
      if (work !== undefined) work.destination = changed;
      known = undefined;
      skimmed = undefined;
      signal.set();
    },
    order,
    news(after, entries) {
      const { filter } = destination;
      const now = clock.monotonic();
      const isWanted = entries.some(({ kinds }) => kinds.keys().some((kind) => filter.mayWant(kind)));
      if (!isWanted) skim(after, entries);
      if (!isWanted && now - newsMs < limits.saveIdleMs) return;
      newsMs = now;
      signal.set();
    },
    wakeDue() {
      if (work === undefined) known = undefined;
      signal.set();
    },
    erased() {
      hasErasures = true;
      if (work !== undefined) work.generation++;
      signal.set();
    },
    async flush() {
      const current = work;
      if (current === undefined) return;
      await save(current).catch((error) => {
        if (!(error instanceof LostFence)) throw error;
      });
    },
    working: () => work,
    isIdle: () =>
      work === undefined
        ? !hasWork()
        : !signal.isSet() && work.flying.size === 0 && !work.isDirty && !hasOrders &&
          (!isRunning(destination) ||
            work.streams.every(({ stream }) => stream.isIdle() && stream.isAtEnd(follower.end()!.end))),
    async close() {
      isClosed = true;
      signal.set();
      await running;
    },
  };
}

/** A replay that has come to its end, with nothing left under way, is done. */
function finishReplays(work: Work, end: Position): void {
  for (const { stream, replay } of work.streams) {
    if (replay?.state !== "running" || !stream.isAtEnd(later(end, replay.to)) || !stream.isEmpty()) continue;
    replay.state = "done";
    work.isDirty = true;
  }
}

/** Forgets what names an erased person, and says so in the checkpoint: from then on no attempt bears them. */
async function obeyErasure(work: Work): Promise<void> {
  const { parts, parts: { store }, state } = work;
  const mark = await store.get<ErasedMark>(FORWARD_ERASED);
  parts.seeErasures(mark.stamp);
  await forgetResponses(work);
  for (const { stream } of work.streams) stream.forget();
  const keys = new Set(mark.value?.keys ?? []);
  work.erasedStamp = mark.stamp;
  state.erased = mark.value?.no ?? 0;
  state.underWay =
    [...work.flying].filter((flight) => flight.hasBegun && flight.keys.some((key) => keys.has(key))).length;
  await writeUnder(work, { change: { erased: state.erased, underWay: state.underWay } });
}

/** Answers of destinations may repeat what they were sent: of erased events they go. */
async function forgetResponses(work: Work): Promise<void> {
  const { parts: { events }, streams, lastPage } = work;
  const items = streams.flatMap(({ stream }) => [...stream.order.all()].filter(({ response }) => response));
  const kept = await events.at(items.map(({ position }) => position));
  for (const [n, item] of items.entries()) {
    if (kept[n] !== undefined) continue;
    delete item.response;
    delete item.reason;
  }
  for (const list of [work.sent, lastPage.sent, work.deads] as { position: Position }[][]) {
    const sent = await events.at(list.map(({ position }) => position));
    const left = list.filter((_, n) => sent[n] !== undefined);
    list.splice(0, list.length, ...left);
  }
  const { lastError } = work.state;
  if (lastError?.position !== undefined && (await events.at([lastError.position]))[0] === undefined) {
    delete lastError.response;
  }
  work.isDirty = true;
}

/** Longest time of a timer: a longer one would overflow. */
const MAX_TIMER_MS = 3_600_000;

/** A signal that can be waited for, until a time of the monotonic clock. */
function createSignal(clock: WorkerParts["clock"]) {
  let isSet = false;
  let waiting: PromiseWithResolvers<void> | undefined;
  return {
    isSet: () => isSet,
    set() {
      isSet = true;
      waiting?.resolve();
    },
    clear: () => void (isSet = false),
    async wait(untilMs: number): Promise<void> {
      if (isSet) return;
      waiting = Promise.withResolvers();
      const waitMs = Math.max(0, untilMs - clock.monotonic());
      const stop = Number.isFinite(waitMs)
        ? clock.timer(Math.min(waitMs, MAX_TIMER_MS), waiting.resolve)
        : () => {};
      await waiting.promise;
      stop();
      waiting = undefined;
    },
  };
}
