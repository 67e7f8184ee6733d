/**
 * Counts of events in a process: per minute in memory, and written to the store every few seconds while events come,
 * each process under its own keys. A write has the whole minute, so it can be repeated.
 */
import { countRejected, type Counts, countTaken, countViolations } from "../../domain/stats/counts.ts";
import { tryUpdate } from "../store/conditional_update.ts";
import type { Store } from "../store/store.ts";
import { withTimeout } from "../store/timeout.ts";
import { type CountsSpan, createCountsStore, type Reading } from "./counts_store.ts";
import type { CountsStoreOptions } from "./counts_upkeep.ts";
import { isOver, letGo, minuteAt, noMinutes, type OpenMinute, sumOf } from "./open_minutes.ts";
import type { Violations } from "../governance/contracts.ts";
import type { EventType, StoredEvent } from "../../domain/event/event.ts";
import type { Rejection } from "../../domain/event/rejection.ts";
import type { Receipt } from "../appending/commit_group.ts";

/** The sender of an event, its time (ms), and the type that its route implies. */
export interface Sending {
  writeKeyId: string;
  receivedAt: number;
  type?: EventType | undefined;
}

/**
 * Counts of events of all processes. They are in memory first: storage has them within some 5 s, and a process that is
 * killed loses the rest.
 */
export interface EventCounts {
  /** Counts events that the journal has, with their receipts. Quick, and never throws. */
  taken(events: readonly StoredEvent[], receipts: readonly Receipt[], sending: Sending): void;
  /** Counts a rejected event; `item` is what was sent. Likewise. */
  rejected(item: unknown, rejection: Rejection, sending: Sending): void;
  /** Sets the source of the violations of contracts. */
  watch(violations: () => Iterable<Violations>): void;
  /** Reads the periods of a span. If another process changed them during the read, `begin` is called again. */
  read<T>(span: CountsSpan, begin: () => Reading<T>): Promise<T>;
  /** The counts of this process since it started. */
  sinceStart(): Counts;
}

/** Counts are written within this time: a process that is killed loses the rest. */
const WRITE_MS = 5_000;

/** A process that stops waits this long for its counts to be written. */
const CLOSE_MS = 1_000;

/** Attempts at a write. */
const TRIES = 3;

/** Creates the counts of a process. */
export function createCounts(options: CountsStoreOptions): EventCounts & { close(): Promise<void> } {
  const { clock } = options;
  const kept = createCountsStore(options);
  const minutes = noMinutes(options.owner);
  /** The time of the next write (ms). */
  let dueMs = Infinity;
  let cancel = () => {};
  let writing: Promise<void> | undefined;
  let closed = false;
  let newViolations = (): Iterable<Violations> => [];

  /** The counts of a moment's minute, which are then to be written. */
  function at(receivedAt: number): Counts {
    const minute = minuteAt(minutes, receivedAt);
    minute.changed = true;
    if (receivedAt >= dueMs) {
      // Not again at the next event: this write may have to wait for one that storage does not answer.
      dueMs = receivedAt + WRITE_MS;
      // Not before this event is counted.
      void Promise.resolve().then(written);
    } else if (dueMs === Infinity && !closed) {
      dueMs = receivedAt + WRITE_MS;
      // For when no more events come; without timers the next event or the end causes the write.
      cancel = clock.timer(WRITE_MS, written);
    }
    return minute.counts;
  }

  /** Writes the counts, and sums up due hours; callers share a write that includes everything before. */
  async function written(): Promise<void> {
    while (writing !== undefined) await writing;
    await (writing = write().finally(() => writing = undefined));
  }

  async function write(): Promise<void> {
    cancel();
    dueMs = Infinity;
    for (const { contract, mode, count } of newViolations()) {
      countViolations(at(clock.now()), { mode, contract }, count);
    }
    for (const minute of minutes.open.values()) {
      if (minute.changed && !await writeMinute(options.store, kept, minute)) {
        dueMs = Math.min(dueMs, clock.now() + WRITE_MS);
      }
      if (isOver(minute, clock.now())) letGo(minutes, minute);
    }
    // The next call retries a failure, in any process.
    await kept.upkeep().catch(() => {});
  }

  return {
    taken: (events, receipts, { writeKeyId, receivedAt }) =>
      countTaken(at(receivedAt), events, { receipts, writeKeyId }),
    rejected: (item, rejection, { writeKeyId, receivedAt, type }) =>
      countRejected(at(receivedAt), item, { rejection, writeKeyId, type }),
    watch: (source) => void (newViolations = violationsSince(source)),
    async read(span, begin) {
      await written();
      return await kept.read(span, begin);
    },
    sinceStart: () => sumOf(minutes),
    async close() {
      closed = true;
      if (minutes.open.size === 0) return;
      await withTimeout(written(), { clock, ms: CLOSE_MS, onTimeout() {} });
      cancel();
    },
  };
}

/** Writes a minute. True if the store has all of it, or if it is too late. */
async function writeMinute(
  store: Store,
  kept: ReturnType<typeof createCountsStore>,
  minute: OpenMinute,
): Promise<boolean> {
  const { key } = minute;
  minute.changed = false;
  try {
    const updated = await tryUpdate(store, { tries: TRIES }, async (failed) => {
      if (failed > 0) {
        // No other process writes this key: an answer was lost, or a write was late. If the key is gone, another
        // process has joined it with those of others: a second write would count twice.
        const { stamp } = await store.get(key);
        if (minute.stamp !== null && stamp === null) return { result: true };
        minute.stamp = stamp;
      }
      const write = await kept.writeOf(minute.minute, { key, stamp: minute.stamp }, minute.counts);
      return { result: true, ...write !== undefined && { write } };
    });
    minute.stamp = updated?.stamp ?? minute.stamp;
    if (updated !== undefined) return true;
  } catch {
    // Counts stay in memory: the next write is of all of them.
  }
  minute.changed = true;
  return false;
}

/** Yields at each call how often contracts were violated since the call before. */
function violationsSince(source: () => Iterable<Violations>): () => Iterable<Violations> {
  const known = new Map<string, number>();
  return function* () {
    for (const violations of source()) {
      const name = `${violations.mode} ${violations.contract}`;
      const count = violations.count - (known.get(name) ?? 0);
      if (count <= 0) continue;
      known.set(name, violations.count);
      yield { ...violations, count };
    }
  };
}
