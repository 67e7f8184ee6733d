/** The settler of a process: takes the fence, does rounds, keeps the seen index, and slows senders when it falls behind. */
import type { ActorName, Fact } from "../domain/fact.ts";
import { factOf } from "../domain/fact.ts";
import { DIGEST_BYTES, lastPlaceOf } from "./chunk.ts";
import { type Fence, LostFence, takeFence } from "./fence.ts";
import { type Journal, NOTHING_SETTLED, type Settled } from "./journal.ts";
import { type Key, SETTLED } from "./keys.ts";
import { dueForMerge, type Filter, keysOfRun, makeRun, mergeRuns, type Run, withinWindow } from "./seen.ts";
import { settleRound } from "./settle.ts";
import { sleep, type Store } from "./store.ts";
import { StorageUnavailable } from "./system.ts";
import type { Segment } from "./tail.ts";

/** A round begins when nothing more came for this long, and at the latest when the first has waited for so long. */
const QUIET_MS = 50;
const WAIT_MS = 2_000;

/** After a fault, or while another process settles, the next try comes after this time. */
const RETRY_MS = 300;

/** A round begins at once when so many events wait: enough that an actor has several in it. */
const ROUND_EVENTS = 32_768;

/** Beyond so many unsettled events, or bytes of them, senders are slowed to the pace of settling, more the fuller it is. */
const SOFT_EVENTS = 65_536;
const SOFT_BYTES = 64 * 1024 * 1024;

/** Beyond so many times the soft bound senders wait until there is room. */
const HARD_FACTOR = 2;

/** A clock may be wrong by so much before a run of the seen index is dropped too early. */
const CLOCK_MARGIN_MS = 60 * 60 * 1000;

/** Runs cover at most this share of the window of dedup, so that they grow old whole. */
const RUN_SPAN = 1 / 16;

/** Bytes of the seen index in one operation. */
const SEEN_WRITE_BYTES = 300_000;

/** What the settler is given. */
export interface SettlerOptions {
  store: Store;
  journal: Journal;
  /** This process. */
  owner: string;
  now(): number;
  newId(): string;
  /** The window of dedup in ms, 0 for ever. */
  windowMs: number;
  /** Called with what made a round fail; it is done again later. */
  onFault(error: unknown): void;
}

/** The settler of a process. */
export type Settler = ReturnType<typeof createSettler>;

/** Makes the settler. */
export function createSettler(options: SettlerOptions) {
  const { store, journal } = options;
  let looping: Promise<void> | undefined;
  let closed = false;
  let hurry = false;
  let wake: (() => void) | undefined;
  /** Events settled in a second, as lately seen. */
  let pace = 20_000;

  const unsettled = () => journal.head().seq > journal.settled().seq;

  async function loop(): Promise<void> {
    while (!closed && unsettled()) {
      await gather();
      if (closed) break;
      try {
        const busy = await round() === "busy";
        // Another process settles: see how far it is, and try again when its lease may have ended.
        if (busy) await Promise.all([journal.sync().then(journal.adoptNewest), sleep(RETRY_MS)]);
      } catch (error) {
        if (!(error instanceof LostFence)) options.onFault(error);
        await sleep(RETRY_MS);
      }
    }
    // In the same step as the last look: what comes next begins anew.
    looping = undefined;
  }

  /** Lets events gather: the more an actor has in a round, the less each costs. Not when somebody waits for them. */
  async function gather(): Promise<void> {
    const until = performance.now() + WAIT_MS;
    let seen = -1;
    while (!closed && !hurry && journal.tail().events() < ROUND_EVENTS && performance.now() < until) {
      if (seen === journal.head().seq) return;
      seen = journal.head().seq;
      await Promise.race([sleep(QUIET_MS), new Promise<void>((resolve) => wake = resolve)]);
    }
  }

  /** One round, to the end that a round before it had fixed, or to the head. */
  async function round(): Promise<"done" | "busy"> {
    const fence = await takeFence({ ...options, key: SETTLED, empty: NOTHING_SETTLED });
    if (fence === undefined) return "busy";
    const before = fence.value();
    // Rounds of others, and a head that another process moved.
    if (before.seq !== journal.settled().seq || before.target !== null) {
      await journal.sync();
      await journal.adoptNewest();
    }
    const closed = journal.tail().close();
    const target = before.target ?? closed;
    if (target <= before.seq) return "done";
    const began = performance.now();
    await fence.write({ change: { target } });
    const segments = journal.tail().pin().filter((segment) => segment.from < target);
    const facts = mailboxesOf(segments, { from: before.seq, target });
    await settleRound({
      store,
      generation: before.generation,
      write: (writes) => fence.write(writes),
      factsAt: (places) => factsAt(journal, places),
    }, facts);
    await finish(fence, { before, target, segments });
    const ms = performance.now() - began;
    const settledEvents = journal.settled().events - before.events;
    if (settledEvents > 1_000) pace = 0.5 * pace + 0.5 * settledEvents / (ms / 1000);
    return "done";
  }

  /** Puts the ids of a round in the seen index and moves `settled`, in one operation at the end. */
  async function finish(
    fence: Fence<Settled>,
    { before, target, segments }: { before: Settled; target: number; segments: Segment[] },
  ): Promise<void> {
    const whole = segments.filter((segment) => segment.to <= target);
    // A round that ends within a segment is one that another process began: its ids are read from the journal.
    const digests = whole.length === segments.length && segments[0]?.from === before.seq
      ? segments.flatMap((segment) => segment.digests)
      : await journal.digests(before.seq, target);
    const at = segments.at(-1)?.at ?? options.now();
    const events = before.events + digests.reduce((sum, some) => sum + some.length, 0) / DIGEST_BYTES;
    const made = makeRun(before.nextRun, digests, at);
    const kept = withinWindow(before.runs, { nowMs: at - CLOCK_MARGIN_MS, windowMs: options.windowMs });
    const runs = made === undefined ? kept : [...kept, made.run];
    const filters = new Map<number, Filter>();
    for (const run of kept) {
      const filter = journal.seen().filters.get(run.id);
      if (filter !== undefined) filters.set(run.id, filter);
    }
    if (made !== undefined) {
      filters.set(made.run.id, made.filter);
      await writeAll(fence, made.sets);
    }
    const nextRun = before.nextRun + 1;
    // Nothing left to do: whoever has something next need not wait for this process's lease.
    const lease = journal.head().seq === target ? { until: 0 } : {};
    await fence.write({ change: { seq: target, events, target: null, runs, nextRun, ...lease } });
    journal.adopt(fence.value(), filters);
    for (const run of before.runs) if (!kept.includes(run)) await deleteAll(fence, run);
    await merge(fence);
    // What came after took the lease again.
    if (fence.value().until > 0 && journal.head().seq === target) await fence.write({ change: { until: 0 } });
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
    const filters = new Map(journal.seen().filters);
    for (const run of due) filters.delete(run.id);
    journal.adopt(fence.value(), filters.set(merged.run.id, merged.filter));
    for (const run of due) await deleteAll(fence, run);
  }

  /** Settles before long. Call it after each commit. */
  function schedule(): void {
    if (closed) return;
    if (looping === undefined) looping = Promise.resolve().then(loop);
    else if (journal.tail().events() >= ROUND_EVENTS) wake?.();
  }

  return {
    schedule,
    /** Resolves when everything up to a chunk is settled, in whatever process. */
    async until(seq: number, deadlineMs: number): Promise<void> {
      const end = performance.now() + deadlineMs;
      hurry = true;
      try {
        while (journal.settled().seq < seq) {
          if (closed || performance.now() > end) {
            throw new StorageUnavailable("settling has not caught up in time");
          }
          wake?.();
          schedule();
          await sleep(5);
          if (journal.settledNow().seq >= seq) await journal.adoptNewest();
          else if (journal.settledNow().owner !== options.owner) await journal.sync();
        }
      } finally {
        hurry = false;
      }
    },
    /**
     * Resolves when the tail has room: at once while it is short, then ever slower, so that senders come to the pace
     * of settling, and not before there is room when it is full.
     */
    async room(events: number): Promise<void> {
      for (;;) {
        const tail = journal.tail();
        const full = Math.max(tail.events() / SOFT_EVENTS, tail.bytes() / SOFT_BYTES);
        if (full <= 1) return;
        schedule();
        const excess = (full - 1) / (HARD_FACTOR - 1);
        if (excess < 1) return await sleep((events / pace) * 1000 * excess / (1 - Math.min(excess, 0.9)));
        await sleep(20);
      }
    },
    /** Stops after the round under way. */
    async close(): Promise<void> {
      closed = true;
      wake?.();
      await looping;
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
    if (bytes + set[1].length > SEEN_WRITE_BYTES || batch.length >= 500) {
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
  for (let i = 0; i < keys.length; i += 500) await fence.write({ deletes: keys.slice(i, i + 500) });
}

/** The facts of each actor in segments, of the chunks after `from` and up to `target`. */
function mailboxesOf(
  segments: readonly Segment[],
  { from, target }: { from: number; target: number },
): ReadonlyMap<ActorName, Fact[]> {
  const [only] = segments;
  if (segments.length === 1 && only!.from === from && only!.to <= target) return only!.facts;
  const after = lastPlaceOf(from);
  const upTo = lastPlaceOf(target);
  const mailboxes = new Map<ActorName, Fact[]>();
  for (const { facts } of segments) {
    for (const [name, some] of facts) {
      for (const fact of some) {
        if (fact.place <= after || fact.place > upTo) continue;
        const mine = mailboxes.get(name);
        if (mine === undefined) mailboxes.set(name, [fact]);
        else mine.push(fact);
      }
    }
  }
  return mailboxes;
}

/** The facts of events at places. */
export async function* factsAt(journal: Journal, places: number[]): AsyncGenerator<Fact> {
  const events = await journal.events(places);
  for (const [index, { event }] of events.entries()) yield factOf(event, places[index]!);
}
